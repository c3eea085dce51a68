"""From a class's generator to its samples: draw, decode, compare, and drop copies where that is asked for."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64

from riemaug.class_model import ClassModel
from riemaug.config import SamplingConfig
from riemaug.errors import SamplingError
from riemaug.evaluation.copying import DroppedCopies
from riemaug.run.comparison import Compared, TrainingComparison
from riemaug.samplers import Diagnostics
from riemaug.samplers.base import Block, ProgressCallback
from riemaug.samplers.sources import State, teller

DRAWS_PER_SAMPLE = 10
"""Where copies are dropped: so many draws at most for each sample asked for."""
LEAST_LIMIT = 100
"""But always so many: of a few draws all may be copies by chance."""


def most_draws(count: int) -> int:
    """Return how many draws `count` samples may take where copies are dropped."""
    return max(DRAWS_PER_SAMPLE * count, LEAST_LIMIT) if count else 0


@dataclass(frozen=True)
class Position:
    """How far the drawing of a class is.

    Attributes
    ----------
    kept : int
        Samples of the class up to here.
    seen : int
        Draws that were looked at, up to here.
    exact, near : int
        Draws that were dropped as such copies.
    seconds : float
        Time that the draws took.
    """

    kept: int = 0
    seen: int = 0
    exact: int = 0
    near: int = 0
    seconds: float = 0.0

    def dropped(self, count: int) -> DroppedCopies:
        """Return what was dropped of the draws for `count` samples."""
        return DroppedCopies(count, self.seen, self.exact, self.near)


@dataclass(frozen=True, eq=False)
class Piece:
    """Some consecutive samples of a class.

    Attributes
    ----------
    unit : ndarray (n, D)
        In [0, 1], flat.
    draws : Block
        The draws behind them.
    compared : Compared or None
        None where nothing was compared.
    """

    unit: Float32[np.ndarray, "n D"]
    draws: Block
    compared: Compared | None


class Drawing:
    """The samples of one class, made piece by piece; memory does not grow with their number.

    Without dropping, these are the first `count` draws of the class's stream. With it, those of them that
    are no copies, then further draws of the same stream that are none: draw i depends on the seed and on i
    alone, so pieces do not change what is kept, nor does a break in between. Without dropping, any span of
    the samples can be made by itself: a block of draws that two spans share is made for both, and counted in
    what diagnostics go by where it begins.

    Parameters
    ----------
    item : ClassModel
    config : SamplingConfig
    count : int
        Samples asked for.
    comparison : TrainingComparison, optional
        None where no training set is at hand.
    drop : bool
        Drop what is flagged as a copy; needs a comparison. At most `most_draws` draws are made.

    Attributes
    ----------
    span : range
        The samples to be made; all at first.
    position : Position
    """

    def __init__(
        self,
        item: ClassModel,
        config: SamplingConfig,
        count: int,
        comparison: TrainingComparison | None = None,
        drop: bool = False,
    ) -> None:
        self.item, self.config, self.count = item, config, count
        self.comparison, self.drop = comparison, drop
        self.span, self.position = range(count), Position()
        started = time.monotonic()
        self._source = item.sampler(config).source(item.draw_stream(config.seed))
        self._seconds = time.monotonic() - started
        self._index, self._block = -1, None

    def begin(self, span: range, last: tuple[Position, State] | None = None) -> None:
        """Turn to a span of the samples: to its first one, or to where `resume` leads.

        Parameters
        ----------
        span : range
            Of step 1; all samples where copies are dropped. One that begins with the first sample comes
            before all others.
        last : (Position, State), optional
            How far the span had come, and its `state` there.
        """
        self.span = span
        if last is not None:
            self.resume(*last)
        elif span.start:
            self.resume(Position(span.start, span.start), self._source.nothing())

    def resume(self, position: Position, state: State) -> None:
        """Go on from a position at which `state` was returned, in this process or another."""
        self.position, self._seconds = position, self._seconds + position.seconds
        index, is_within = divmod(position.seen, self._source.block_size)
        if is_within:
            self._whole_block(index, None)
        self._source.resume(state)  # after that block, which has been counted already

    @property
    def seconds(self) -> float:
        """Time that the draws of the span took so far, with all that precedes the first one."""
        return self._seconds

    def state(self) -> State:
        """Return what diagnostics go by so far."""
        return self._source.state()

    def pieces(
        self, size: int, until: int | None = None, progress: ProgressCallback | None = None
    ) -> Iterator[Piece]:
        """Yield the next samples, at most `size` (>= 1) at once, up to sample `until`, by default the last.

        Raises
        ------
        SamplingError
            Decoded samples are not finite.
        """
        until = self.span.stop if until is None else min(until, self.span.stop)
        length = self._source.block_size
        while self.position.kept < until and self.position.seen < self._limit:
            index, offset = divmod(self.position.seen, length)
            block = self._whole_block(index, progress)
            end = min(offset + size, length, self._limit - index * length)
            if not self.drop:
                end = min(end, offset + until - self.position.kept)
            piece = self._chosen(block.rows(offset, end), until)
            if self.position.seen % length == 0:
                self._count(length)
            if len(piece.unit):
                yield piece

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to draw."""
        return self.position.kept == self.span.stop or self.position.seen == self._limit

    @property
    def _limit(self) -> int:
        return most_draws(self.count) if self.drop else self.span.stop

    def finish(self) -> State:
        """Return what diagnostics go by of a whole span; for once, after its last piece."""
        index, rest = divmod(self.position.seen, self._source.block_size)
        if rest:
            # draws of the class that the next span makes again
            more = rest if self.drop else self.count - index * self._source.block_size
            self._count(min(more, self._source.block_size))
        self._seconds = 0.0
        return self._source.state()

    def diagnostics(self, states: Sequence[State]) -> Diagnostics:
        """Return what is known about all draws that were looked at, from what `finish` returned of each span.

        Parameters
        ----------
        states : sequence of State
            At least one, of the spans in their order.
        """
        self._source.resume(states[0])
        for state in states[1:]:
            self._source.add(state)
        return self._source.diagnostics()

    def _count(self, count: int) -> None:
        """Count the first draws of the present block as taken, if the span is where it begins."""
        assert self._block is not None
        if self._index * self._source.block_size >= self.span.start:
            self._source.take(self._block.first(count))

    def _whole_block(self, index: int, progress: ProgressCallback | None) -> Block:
        if index != self._index or self._block is None:
            started = time.monotonic()
            done = self.position.kept - self.span.start
            self._block = self._source.block(index, teller(progress, done, len(self.span)))
            self._index = index
            self._seconds += time.monotonic() - started
        return self._block

    def _decoded(self, draws: Block) -> Float32[np.ndarray, "n D"]:
        unit = self.item.decode(draws.points).numpy()
        if not np.isfinite(unit).all():
            raise SamplingError("decoded samples must be finite, some are not; fit the model anew")
        return unit

    def _chosen(self, draws: Block, until: int) -> Piece:
        """Return those of the next draws that are kept, and note what became of all of them."""
        unit, before = self._decoded(draws), self.position
        rows, looked_at, found = np.arange(len(unit)), len(unit), None
        exact = near = 0
        if self.comparison is not None:
            found = self.comparison.compare(unit)
            if self.drop:
                missing = until - before.kept
                rows = np.flatnonzero(~found.is_copy)[:missing]
                # what follows the last sample that is needed was not looked at, whatever the batch
                looked_at = int(rows[-1]) + 1 if len(rows) == missing else len(unit)
                exact, near = (int((found.flags[:looked_at] == flag).sum()) for flag in ("exact", "near"))
            found = found.take(rows)
        self.position = Position(
            before.kept + len(rows),
            before.seen + looked_at,
            before.exact + exact,
            before.near + near,
            self._seconds,
        )
        return Piece(unit[rows], draws.take(_as_tensor(rows)), found)


def _as_tensor(rows: Int64[np.ndarray, " n"]) -> torch.Tensor:
    return torch.from_numpy(rows)
