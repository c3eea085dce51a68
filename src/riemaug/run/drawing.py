"""From a class's generator to its samples: draw, decode, compare, and drop copies where that is asked for."""

import math
import time
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float32, Int64

from riemaug.class_model import ClassModel
from riemaug.config import SamplingConfig
from riemaug.errors import SamplingError
from riemaug.evaluation.copying import DroppedCopies
from riemaug.run.comparison import Compared, TrainingComparison
from riemaug.samplers import Draws
from riemaug.samplers.base import ProgressCallback

DRAWS_PER_SAMPLE = 10
"""Where copies are dropped: so many draws at most for each sample asked for."""
LEAST_LIMIT = 100
"""But always so many: of a few draws all may be copies by chance."""


def most_draws(count: int) -> int:
    """Return how many draws `count` samples may take where copies are dropped."""
    return max(DRAWS_PER_SAMPLE * count, LEAST_LIMIT) if count else 0


class Drawing:
    """The samples of one class, made batch by batch.

    Without dropping, these are the first `count` draws of the class's stream. With it, those of them that
    are no copies, then further draws of the same stream that are none: draw i depends on the seed and on i
    alone, so neither batches nor the number of draws made at once change what is kept. After the last
    batch `kept`, `compared` and `dropped` say what it was.

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
    sampler_seconds : float
        Time that the draws took.
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
        self.sampler_seconds = 0.0
        self._seen = 0
        self._rows: list[Int64[np.ndarray, " n"]] = []
        self._parts: list[Compared] = []
        self._flags = {"exact": 0, "near": 0}

    def batches(
        self, size: int, progress: ProgressCallback | None = None
    ) -> Iterator[Float32[np.ndarray, "n D"]]:
        """Yield the samples in [0, 1], at most `size` (>= 1) at once, flat.

        Raises
        ------
        SamplingError
            Decoded samples are not finite.
        """
        sampler, stream = self.item.sampler(self.config), self.item.draw_stream(self.config.seed)
        limit, total = most_draws(self.count) if self.drop else self.count, self.count
        while True:
            started = time.monotonic()
            self._draws = sampler.sample(total, stream, progress)
            self.sampler_seconds += time.monotonic() - started
            while self._seen < total and self.num_kept < self.count:
                kept = self._chosen(self._decoded(self._seen, min(self._seen + size, total)))
                if len(kept):
                    yield kept
            if self.num_kept == self.count or total == limit:
                return
            # blocks are drawn whole anyway
            total = min(math.ceil(2 * total / sampler.block_size) * sampler.block_size, limit)

    @property
    def num_kept(self) -> int:
        """Samples so far."""
        return sum(map(len, self._rows))

    @property
    def kept(self) -> Draws:
        """The draws behind the samples; the diagnostics are of all draws that were made."""
        draws = self._draws
        rows = torch.from_numpy(np.concatenate([*self._rows, np.empty(0, np.int64)]))
        return Draws(
            draws.points[rows],
            draws.log_density[rows],
            draws.origin[rows],
            draws.acceptance[rows],
            draws.diagnostics,
        )

    @property
    def compared(self) -> Compared | None:
        """What was found of the samples; None where nothing was compared."""
        return None if self.comparison is None else Compared.joined(self._parts)

    @property
    def dropped(self) -> DroppedCopies | None:
        """What was dropped; None where nothing was to be."""
        return DroppedCopies(self.count, self._seen, **self._flags) if self.drop else None

    def _decoded(self, start: int, end: int) -> Float32[np.ndarray, "n D"]:
        unit = self.item.decode(self._draws.points[start:end]).numpy()
        if not np.isfinite(unit).all():
            raise SamplingError("decoded samples must be finite, some are not; fit the model anew")
        return unit

    def _chosen(self, unit: Float32[np.ndarray, "n D"]) -> Float32[np.ndarray, "m D"]:
        """Return the next samples that are kept, and note what became of all of them."""
        rows = np.arange(len(unit))
        if self.comparison is not None:
            found = self.comparison.compare(unit)
            if self.drop:
                missing = self.count - self.num_kept
                rows = np.flatnonzero(~found.is_copy)[:missing]
                # what follows the last sample that is needed was not looked at, whatever the batch
                looked_at = rows[-1] + 1 if len(rows) == missing else len(unit)
                found, unit = found.take(np.arange(looked_at)), unit[:looked_at]
                for flag in self._flags:
                    self._flags[flag] += int((found.flags == flag).sum())
            self._parts.append(found.take(rows))
        self._rows.append(self._seen + rows)
        self._seen += len(unit)
        return unit[rows]
