"""The samples of a class compared with the whole training set: nearest one, distance, copy flag."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64, Shaped

from riemaug.class_model import ClassModel
from riemaug.data import RangeScaler
from riemaug.evaluation.copying import copy_flags, nearest_neighbours


@dataclass(frozen=True, eq=False)
class Compared:
    """What a comparison found, one entry a sample.

    Attributes
    ----------
    nearest : ndarray (n,)
        Index of the nearest training sample.
    distance : ndarray (n,)
        To it, Euclidean, of values scaled to [0, 1], at the size that is modelled.
    flags : ndarray (n,) of str
        "exact", "near" or "no"; see `riemaug.evaluation.copying.copy_flags`.
    """

    nearest: Int64[np.ndarray, " n"]
    distance: Float64[np.ndarray, " n"]
    flags: Shaped[np.ndarray, " n"]

    @classmethod
    def joined(cls, parts: Sequence["Compared"]) -> "Compared":
        """Return several one after the other; of none, an empty one."""
        return cls(
            np.concatenate([part.nearest for part in parts] or [np.empty(0, np.int64)]),
            np.concatenate([part.distance for part in parts] or [np.empty(0)]),
            np.concatenate([part.flags for part in parts] or [np.empty(0, "<U5")]),
        )

    def take(self, rows: Int64[np.ndarray, " m"]) -> "Compared":
        """Return the entries of these samples."""
        return Compared(self.nearest[rows], self.distance[rows], self.flags[rows])

    @property
    def is_copy(self) -> Bool[np.ndarray, " n"]:
        """Whether a sample is flagged, as exact or near."""
        return self.flags != "no"


class TrainingComparison:
    """Compares samples of one class with all training samples, never with a part of them.

    The nearest of all training samples is found, and a sample is an exact copy if it equals that one. It is a
    near copy only where that one is of its own class: the generator of this class has a reconstruction of no
    other.

    Parameters
    ----------
    samples : ndarray (m, *shape)
        The whole training set, in the user's dtype, at the size that is modelled.
    labels : ndarray (m,)
        Index of each one's class.
    scaler : RangeScaler
    item : ClassModel
        The class's generator.
    index : int
        Of the class.
    settle : callable, optional
        From values in the user's range to what files of the user's format can hold; None if all of them.
    """

    def __init__(
        self,
        samples: Shaped[np.ndarray, "m *shape"],
        labels: Int64[np.ndarray, " m"],
        scaler: RangeScaler,
        item: ClassModel,
        index: int,
        settle: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self.samples, self.scaler, self.settle = samples, scaler, settle
        self.own: Int64[np.ndarray, " k"] = np.flatnonzero(labels == index)
        self._rows = scaler.transform(np.asarray(samples)).reshape(len(samples), -1)
        self._limits = self._reconstruction_distances(item)

    def real_distances(self) -> Float[np.ndarray, " k"]:
        """Return the distance of each training sample of the class to its nearest other one of the class."""
        rows = self._rows[self.own]
        return nearest_neighbours(rows, rows, leave_one_out=True).distance

    def compare(self, unit: Float32[np.ndarray, "n ..."]) -> Compared:
        """Compare samples given in [0, 1], flat or not: near as they are, exact as they are written."""
        found = nearest_neighbours(unit.reshape(len(unit), -1), self._rows)
        shaped = unit.reshape(len(unit), *self.samples.shape[1:])
        written, originals = self.scaler.inverse(shaped), self.samples[found.index]
        if self.settle is not None:
            written = self.settle(written)
        identical = [bool(np.array_equal(a, b)) for a, b in zip(written, originals, strict=True)]
        flags = copy_flags(found.distance, np.array(identical, dtype=bool), self._limits[found.index])
        return Compared(found.index, found.distance, np.array(flags, dtype="<U5"))

    def _reconstruction_distances(self, item: ClassModel) -> Float64[np.ndarray, " m"]:
        """Return the distance of each training sample of the class to its reconstruction, NaN of others."""
        distances, data = np.full(len(self._rows), np.nan), self._rows[self.own]
        gaps = item.reconstruct(torch.from_numpy(data)).numpy().astype(np.float64) - data
        distances[self.own] = np.sqrt(np.square(gaps).sum(1))
        return distances
