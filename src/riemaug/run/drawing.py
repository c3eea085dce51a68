"""From a class's generator to its samples: draw, decode, compare, and drop copies where that is asked for."""

import time
from collections.abc import Iterator
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
        Samples so far.
    seen : int
        Draws that were looked at.
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
    alone, so pieces do not change what is kept, nor does a break in between.

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
        self.position = Position()
        started = time.monotonic()
        self._source = item.sampler(config).source(item.draw_stream(config.seed))
        self._seconds = time.monotonic() - started
        self._index, self._block = -1, None
        self._limit = most_draws(count) if drop else count

    def resume(self, position: Position, state: State) -> None:
        """Go on from a position at which `state` was returned, in this process or another."""
        self.position, self._seconds = position, self._seconds + position.seconds
        index, is_within = divmod(position.seen, self._source.block_size)
        if is_within:
            self._whole_block(index, None)
        self._source.resume(state)  # after that block, which has been counted already

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
        until = self.count if until is None else min(until, self.count)
        length = self._source.block_size
        while self.position.kept < until and self.position.seen < self._limit:
            index, offset = divmod(self.position.seen, length)
            block = self._whole_block(index, progress)
            end = min(offset + size, length, self._limit - index * length)
            if not self.drop:
                end = min(end, offset + until - self.position.kept)
            piece = self._chosen(block.rows(offset, end), until)
            if self.position.seen % length == 0:
                self._source.take(block)
            if len(piece.unit):
                yield piece

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to draw."""
        return self.position.kept == self.count or self.position.seen == self._limit

    @property
    def dropped(self) -> DroppedCopies | None:
        """What was dropped; None where nothing was to be."""
        found = self.position
        return DroppedCopies(self.count, found.seen, found.exact, found.near) if self.drop else None

    def finish(self) -> Diagnostics:
        """Return what is known about all draws that were looked at; for once, after the last piece."""
        rest = self.position.seen % self._source.block_size
        if rest:
            assert self._block is not None
            self._source.take(self._block.first(rest))
        return self._source.diagnostics()

    def _whole_block(self, index: int, progress: ProgressCallback | None) -> Block:
        if index != self._index or self._block is None:
            started = time.monotonic()
            self._block = self._source.block(index, teller(progress, self.position.kept, self.count))
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
