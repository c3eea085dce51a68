"""Which draws are kept where copies are dropped: those of the plain stream that are none, in order."""

from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
import torch

from riemaug.class_model import ClassModel
from riemaug.config import SamplingConfig
from riemaug.errors import SamplingError
from riemaug.evaluation.copying import DroppedCopies
from riemaug.random import Stream
from riemaug.run.comparison import Compared, TrainingComparison
from riemaug.run.drawing import DRAWS_PER_SAMPLE, LEAST_LIMIT, Drawing, Piece, most_draws
from riemaug.samplers import Diagnostics, PriorSampler
from riemaug.samplers.base import Block, empty_block
from riemaug.samplers.sources import State

CONFIG = SamplingConfig(seed=3)


class CountedSampler(PriorSampler):
    """The normal law, in small blocks; notes which blocks it made."""

    block_size = 16

    def __init__(self) -> None:
        super().__init__(2)
        self.made: list[int] = []

    def block(self, stream):
        self.made.append(stream.index - 1)
        return super().block(stream)


class Comparison(TrainingComparison):
    """Flags samples by their first value, as an exact or a near copy."""

    def __init__(self, exact: Callable, near: Callable) -> None:
        self.exact, self.near = exact, near

    def compare(self, unit: np.ndarray) -> Compared:
        flags = np.where(self.near(unit[:, 0]), "near", "no")
        flags = np.where(self.exact(unit[:, 0]), "exact", flags)
        return Compared(np.arange(len(unit)), unit[:, 0].astype(float), flags)


def halves() -> Comparison:
    """Flag two thirds of the draws."""
    return Comparison(lambda x: x < -1.0, lambda x: x < 0.43)


class Generator(ClassModel):
    """A class whose samples are the latent points themselves."""

    parts: tuple[CountedSampler, float]

    def __init__(self, sampler: CountedSampler, factor: float = 1.0) -> None:
        object.__setattr__(self, "name", "a")
        object.__setattr__(self, "parts", (sampler, factor))

    def sampler(self, config):
        return self.parts[0]

    def decode(self, points):
        return self.parts[1] * points.float()


def drawn(count: int, comparison: Comparison | None, size: int = 7, drop: bool = True):
    sampler = CountedSampler()
    drawing = Drawing(Generator(sampler), CONFIG, count, comparison, drop)
    pieces = list(drawing.pieces(size))
    assert all(0 < len(piece.unit) <= size for piece in pieces)
    assert drawing.is_done
    return Drawn(pieces, drawing, sampler)


class Drawn:
    """All pieces of a drawing, joined."""

    def __init__(self, pieces: list[Piece], drawing: Drawing, sampler: CountedSampler) -> None:
        self.made = np.concatenate([*(piece.unit for piece in pieces), np.empty((0, 2), np.float32)])
        self.draws = Block.joined([*(piece.draws for piece in pieces), empty_block(2, torch.device("cpu"))])
        self.compared = Compared.joined([piece.compared for piece in pieces if piece.compared is not None])
        self.dropped = drawing.position.dropped(drawing.count)
        self.diagnostics = drawing.diagnostics([drawing.finish()])
        self.blocks = sampler.made


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
@pytest.mark.parametrize("count", [1, 16, 30, 100])
def test_what_is_kept_is_the_plain_stream_without_the_flagged(count, size):
    found = drawn(count, halves(), size)
    plain = CountedSampler().sample(DRAWS_PER_SAMPLE * count + LEAST_LIMIT, Stream(3, ("draws", "a")))
    first = plain.points[:, 0].numpy()
    wanted = np.flatnonzero(first >= np.float32(0.43))[:count]
    looked_at = int(wanted[-1]) + 1
    assert np.array_equal(found.made, plain.points[wanted].float().numpy())
    assert torch.equal(found.draws.points, plain.points[wanted])
    assert torch.equal(found.draws.log_density, plain.log_density[wanted])
    num_exact = int((first[:looked_at] < -1.0).sum())
    assert found.dropped == DroppedCopies(count, looked_at, num_exact, looked_at - count - num_exact)
    assert found.dropped is not None
    assert found.dropped.missing == 0
    assert found.diagnostics.num_draws == looked_at
    assert np.array_equal(found.compared.distance, found.made[:, 0].astype(float))
    assert not found.compared.is_copy.any()


@pytest.mark.parametrize("size", [1, 9, 1000])
def test_without_dropping_all_are_kept_flags_and_all(size):
    found = drawn(40, halves(), size, drop=False)
    assert found.blocks == [0, 1, 2]
    assert len(found.made) == 40
    assert found.dropped == DroppedCopies(40, 40, 0, 0)
    assert set(found.compared.flags.tolist()) == {"exact", "near", "no"}


def test_where_nothing_is_flagged_dropping_changes_nothing():
    none = Comparison(lambda x: x > 1e9, lambda x: x > 1e9)
    found = drawn(40, none)
    assert found.blocks == [0, 1, 2]
    assert np.array_equal(found.made, drawn(40, None, drop=False).made)
    assert found.dropped == DroppedCopies(40, 40, 0, 0)


@pytest.mark.parametrize("drop", [True, False])
@pytest.mark.parametrize("stop", [1, 5, 16, 29])
def test_a_drawing_goes_on_where_another_stopped(drop, stop):
    whole = drawn(30, halves(), 7, drop)
    first = Drawing(Generator(CountedSampler()), CONFIG, 30, halves(), drop)
    before = list(first.pieces(4, stop))
    assert first.position.kept == stop
    sampler = CountedSampler()
    second = Drawing(Generator(sampler), CONFIG, 30, halves(), drop)
    second.resume(first.position, first.state())
    after = list(second.pieces(9))
    joined = Drawn([*before, *after], second, sampler)
    assert np.array_equal(joined.made, whole.made)
    assert torch.equal(joined.draws.points, whole.draws.points)
    assert joined.dropped == whole.dropped
    assert joined.diagnostics == whole.diagnostics
    assert min(joined.blocks) == first.position.seen // 16  # what lies before is not drawn again


def of_span(span: range, total: int) -> tuple[list[Piece], State, list[int]]:
    """Draw one span by itself; return what was made, what diagnostics go by, and the blocks."""
    sampler = CountedSampler()
    drawing = Drawing(Generator(sampler), CONFIG, total, halves())
    drawing.begin(span)
    pieces = list(drawing.pieces(7))
    assert drawing.is_done
    return pieces, drawing.finish(), sampler.made


def equal_but_for_sums(one: Diagnostics, other: Diagnostics) -> bool:
    """Tell whether all is the same; means of fractions, which are added in another order, but for 1e-12."""
    pairs = zip(asdict(one).values(), asdict(other).values(), strict=True)
    return all(
        a == pytest.approx(b, rel=1e-12, abs=0) if isinstance(a, float) and isinstance(b, float) else a == b
        for a, b in pairs
    )


@pytest.mark.parametrize("ends", [[16, 32], [5, 30], [3, 4, 5, 40], [20, 21, 50], [69]])
def test_spans_are_drawn_apart_and_make_what_one_does(ends):
    whole = drawn(70, halves(), 7, drop=False)
    parts = [of_span(range(*cut), 70) for cut in pairwise([0, *ends, 70])]
    made = [piece for pieces, _, _ in parts for piece in pieces]
    drawing = Drawing(Generator(CountedSampler()), CONFIG, 70, halves())
    assert np.array_equal(np.concatenate([piece.unit for piece in made]), whole.made)
    found = drawing.diagnostics([state for _, state, _ in parts])
    assert found.num_draws == 70
    assert equal_but_for_sums(found, whole.diagnostics)
    for (start, stop), (_, _, blocks) in zip(pairwise([0, *ends, 70]), parts, strict=True):
        assert blocks == list(range(start // 16, -(-stop // 16)))  # no more than it needs


@pytest.mark.parametrize("stop", [22, 31, 32, 49])
def test_a_span_goes_on_where_it_stopped(stop):
    drawing = Drawing(Generator(CountedSampler()), CONFIG, 70)
    span = range(21, 50)
    drawing.begin(span)
    before = list(drawing.pieces(4, stop))
    last = drawing.position, drawing.state()
    again = Drawing(Generator(CountedSampler()), CONFIG, 70)
    again.begin(span, last)
    made = [*before, *again.pieces(9)]
    pieces, state, _ = of_span(span, 70)
    assert np.array_equal(
        np.concatenate([piece.unit for piece in made]), np.concatenate([piece.unit for piece in pieces])
    )
    assert again.finish() == state


def test_one_process_draws_all_spans_without_making_a_block_twice():
    sampler, states, made = CountedSampler(), [], []
    drawing = Drawing(Generator(sampler), CONFIG, 70)
    for span in (range(0, 20), range(20, 44), range(44, 70)):
        drawing.begin(span)
        made += list(drawing.pieces(7))
        states.append(drawing.finish())
    whole = drawn(70, None, drop=False)
    assert np.array_equal(np.concatenate([piece.unit for piece in made]), whole.made)
    assert sampler.made == [0, 1, 2, 3, 4]
    assert equal_but_for_sums(drawing.diagnostics(states), whole.diagnostics)


@pytest.mark.parametrize(("count", "limit"), [(3, 100), (10, 100), (25, 250)])
def test_draws_are_limited_and_what_is_missing_is_told(count, limit):
    rare = Comparison(lambda x: x > 1e9, lambda x: x < 2.5)  # one draw in 160 is none
    found = drawn(count, rare)
    assert most_draws(count) == limit
    dropped = found.dropped
    assert dropped is not None
    assert (dropped.drawn, dropped.kept, dropped.exact) == (limit, len(found.made), 0)
    assert dropped.missing == count - len(found.made) > 0
    assert f"{len(found.made)} of {count} samples" in dropped.describe_missing()
    assert "leave --drop-copies out" in dropped.describe_missing()


def test_nothing_at_all_may_be_left():
    everything = Comparison(lambda x: x > -1e9, lambda x: x > -1e9)
    found = drawn(5, everything)
    assert found.made.shape == (0, 2)
    assert len(found.draws.points) == 0
    assert found.dropped == DroppedCopies(5, 100, 100, 0)


@pytest.mark.parametrize("drop", [True, False])
def test_no_samples_need_no_draws(drop):
    found = drawn(0, halves(), drop=drop)
    assert (len(found.made), found.blocks) == (0, [])
    assert found.dropped == DroppedCopies(0, 0, 0, 0)
    assert DroppedCopies(0, 0, 0, 0).share == 0.0


def test_no_block_is_made_twice_nor_one_that_is_not_needed():
    found = drawn(100, halves())
    assert found.dropped is not None
    assert found.blocks == list(range(-(-found.dropped.drawn // 16)))


def test_samples_that_are_not_finite_are_refused():
    drawing = Drawing(Generator(CountedSampler(), float("nan")), CONFIG, 5, halves(), True)
    with pytest.raises(SamplingError, match="must be finite"):
        next(drawing.pieces(5))
