"""The first samples of a class, which the report shows; kept beside its stretches."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from riemaug.atomic import atomic_path
from riemaug.run.drawing import Piece
from riemaug.run.latent_map import SHOWN_DRAWS
from riemaug.run.segments import Segment
from riemaug.run.shown import SHOWN_PICTURES
from riemaug.run.workdir import WorkDir


def preview_path(work: WorkDir, segment: Segment) -> Path:
    """Return where the first samples of a segment are kept for the report."""
    return work.path / f"{segment.stem}.preview.npz"


@dataclass
class Preview:
    """The first samples and latent points, as many as a report shows.

    Attributes
    ----------
    units, points, nearest : list of ndarray
        Of each piece: samples (n, D), latent points (m, d), and the nearest training samples' indices.
    """

    units: list[np.ndarray] = field(default_factory=list)
    points: list[np.ndarray] = field(default_factory=list)
    nearest: list[np.ndarray] = field(default_factory=list)

    def add(self, piece: Piece) -> None:
        """Keep what is needed of the next piece."""
        missing = SHOWN_PICTURES - sum(map(len, self.units))
        if missing > 0:
            self.units.append(piece.unit[:missing].copy())
            if piece.compared is not None:
                self.nearest.append(piece.compared.nearest[:missing].copy())
        missing = SHOWN_DRAWS - sum(map(len, self.points))
        if missing > 0:
            self.points.append(piece.draws.points[:missing].numpy().copy())

    def extend(self, other: "Preview") -> None:
        """Keep what is needed of the samples that come next."""
        for kept, more, most in (
            (self.units, other.units, SHOWN_PICTURES),
            (self.nearest, other.nearest, SHOWN_PICTURES),
            (self.points, other.points, SHOWN_DRAWS),
        ):
            for part in more:
                kept.append(part[: most - sum(map(len, kept))])

    def size(self) -> int:
        """Return how much was kept so far, to tell whether it grew."""
        return sum(map(len, self.units)) + sum(map(len, self.points))

    def unit(self, width: int) -> Float32[np.ndarray, "n D"]:
        """Return the samples, of `width` values each."""
        return np.concatenate([np.empty((0, width), np.float32), *self.units])

    def latent(self, dim: int) -> Float[Tensor, "m dim"]:
        """Return the latent points, of `dim` coordinates."""
        return torch.from_numpy(np.concatenate([np.empty((0, dim)), *self.points]))

    def nearest_indices(self) -> Int64[np.ndarray, " n"]:
        """Return the index of the training sample that is nearest to each."""
        return np.concatenate([np.empty(0, np.int64), *self.nearest])

    def save(self, path: Path, width: int, dim: int) -> None:
        """Keep all in a file."""
        arrays = {"unit": self.unit(width), "points": self.latent(dim).numpy()}
        with atomic_path(path) as temporary:
            np.savez(temporary, allow_pickle=False, nearest=self.nearest_indices(), **arrays)

    @classmethod
    def load(cls, path: Path, kept: int) -> "Preview":
        """Return what a file keeps of the first `kept` samples: it may know of some that are not recorded."""
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            unit, points, nearest = (arrays[name][:kept] for name in ("unit", "points", "nearest"))
        return cls([unit], [points], [nearest] if len(nearest) else [])
