"""Which draws are kept where copies are dropped: those of the plain stream that are none, in order."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from riemaug.class_model import ClassModel
from riemaug.config import SamplingConfig
from riemaug.errors import SamplingError
from riemaug.evaluation.copying import DroppedCopies
from riemaug.random import Stream
from riemaug.run.comparison import Compared, TrainingComparison
from riemaug.run.drawing import DRAWS_PER_SAMPLE, LEAST_LIMIT, Drawing, most_draws
from riemaug.samplers import PriorSampler

CONFIG = SamplingConfig(seed=3)


class CountedSampler(PriorSampler):
    """The normal law, in small blocks; notes how many draws it was asked for."""

    block_size = 16

    def __init__(self) -> None:
        super().__init__(2)
        self.asked: list[int] = []

    def sample(self, num_samples, random_state, progress=None):
        self.asked.append(num_samples)
        return super().sample(num_samples, random_state, progress)


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
    parts = list(drawing.batches(size))
    assert all(0 < len(part) <= size for part in parts)
    return np.concatenate([*parts, np.empty((0, 2), np.float32)]), drawing, sampler


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
@pytest.mark.parametrize("count", [1, 16, 30, 100])
def test_what_is_kept_is_the_plain_stream_without_the_flagged(count, size):
    made, drawing, _ = drawn(count, halves(), size)
    plain = CountedSampler().sample(DRAWS_PER_SAMPLE * count + LEAST_LIMIT, Stream(3, ("draws", "a")))
    first = plain.points[:, 0].numpy()
    wanted = np.flatnonzero(first >= np.float32(0.43))[:count]
    looked_at = int(wanted[-1]) + 1
    assert np.array_equal(made, plain.points[wanted].float().numpy())
    assert torch.equal(drawing.kept.points, plain.points[wanted])
    assert torch.equal(drawing.kept.log_density, plain.log_density[wanted])
    num_exact = int((first[:looked_at] < -1.0).sum())
    dropped = DroppedCopies(count, looked_at, num_exact, looked_at - count - num_exact)
    assert drawing.dropped == dropped
    assert dropped.missing == 0
    assert drawing.compared is not None
    assert np.array_equal(drawing.compared.distance, made[:, 0].astype(float))
    assert not drawing.compared.is_copy.any()


@pytest.mark.parametrize("size", [1, 9, 1000])
def test_without_dropping_all_are_kept_flags_and_all(size):
    made, drawing, sampler = drawn(40, halves(), size, drop=False)
    assert sampler.asked == [40]
    assert len(made) == 40
    assert drawing.dropped is None
    assert drawing.compared is not None
    assert set(drawing.compared.flags.tolist()) == {"exact", "near", "no"}


def test_where_nothing_is_flagged_dropping_changes_nothing():
    none = Comparison(lambda x: x > 1e9, lambda x: x > 1e9)
    made, drawing, sampler = drawn(40, none)
    assert sampler.asked == [40]
    assert np.array_equal(made, drawn(40, None, drop=False)[0])
    assert drawing.dropped == DroppedCopies(40, 40, 0, 0)


@pytest.mark.parametrize(("count", "limit"), [(3, 100), (10, 100), (25, 250)])
def test_draws_are_limited_and_what_is_missing_is_told(count, limit):
    rare = Comparison(lambda x: x > 1e9, lambda x: x < 2.5)  # one draw in 160 is none
    made, drawing, sampler = drawn(count, rare)
    assert max(sampler.asked) == most_draws(count) == limit
    dropped = drawing.dropped
    assert dropped is not None
    assert (dropped.drawn, dropped.kept, dropped.exact) == (limit, len(made), 0)
    assert dropped.missing == count - len(made) > 0
    assert f"{len(made)} of {count} samples" in dropped.describe_missing()
    assert "leave --drop-copies out" in dropped.describe_missing()


def test_nothing_at_all_may_be_left():
    everything = Comparison(lambda x: x > -1e9, lambda x: x > -1e9)
    made, drawing, _ = drawn(5, everything)
    assert made.shape == (0, 2)
    assert len(drawing.kept.points) == 0
    assert drawing.dropped == DroppedCopies(5, 100, 100, 0)


@pytest.mark.parametrize("drop", [True, False])
def test_no_samples_need_no_draws(drop):
    made, drawing, sampler = drawn(0, halves(), drop=drop)
    assert (len(made), sampler.asked) == (0, [0])
    assert drawing.dropped == (DroppedCopies(0, 0, 0, 0) if drop else None)
    assert DroppedCopies(0, 0, 0, 0).share == 0.0


def test_the_work_of_drawing_anew_is_bounded():
    _, drawing, sampler = drawn(100, halves())
    assert drawing.dropped is not None
    # a factor of two each time, rounded up to whole blocks
    assert all(b >= 2 * a for a, b in zip(sampler.asked, sampler.asked[1:], strict=False))
    assert sampler.asked[-1] < 2 * drawing.dropped.drawn + 16


def test_samples_that_are_not_finite_are_refused():
    drawing = Drawing(Generator(CountedSampler(), float("nan")), CONFIG, 5, halves(), True)
    with pytest.raises(SamplingError, match="must be finite"):
        next(drawing.batches(5))
