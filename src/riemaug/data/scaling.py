"""The user's value range to [0, 1] and back, without loss."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Shaped

from riemaug.data.blocks import blocks_of, forget_pages, row_blocks
from riemaug.errors import InvalidInputError

OUTLIER_SHARE = 1e-4
OUTLIER_DISTANCE = 2.0
_EXACT_INTEGERS = 2**53  # integers up to here are float64 numbers
_SINGLE_LEVELS = 2**24


@dataclass(frozen=True, eq=False)
class RangeScaler:
    """A fitted, invertible map from the input's values to [0, 1].

    Use `RangeScaler.fit`.

    Parameters
    ----------
    low, high : ndarray
        Values that become 0 and 1; float64, of shape () or of one sample.
    dtype : str
        numpy name of the input's dtype.
    clipped_fraction : float
        Share of the fitted values that lie outside [low, high].
    notes : tuple of str
        Sentences for the user.
    """

    low: np.ndarray
    high: np.ndarray
    dtype: str
    clipped_fraction: float = 0.0
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(cls, samples: Shaped[np.ndarray, "n *shape"], per_feature: bool = False) -> "RangeScaler":
        """Learn the range of the samples.

        Parameters
        ----------
        samples : ndarray (n, ...)
            bool, integers or finite floats; at least one row.
        per_feature : bool
            False (images): one range for all values, from the smallest to the largest, but a few
            outlying pixels do not count: fewer than `OUTLIER_SHARE` of all values, further from the
            rest than `OUTLIER_DISTANCE` times its range. True (tables): the range of each column;
            constant columns become 0 and come back exactly.

        Raises
        ------
        InvalidInputError
            No values, values that are not finite, or a range that float64 cannot hold.
        """
        _check_fittable(samples)
        notes: list[str] = []
        clipped = 0
        if per_feature:
            low, high = samples.min(axis=0), samples.max(axis=0)
        else:
            low, high, clipped = _range_without_outliers(samples)
        scaler = cls(
            np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64), samples.dtype.name
        )
        scaler._check_range()
        if clipped:
            notes.append(
                f"{clipped} outlying values ({100 * clipped / samples.size:.2g} %) were clipped to the range"
                f" {low} to {high} of the others."
            )
        if samples.dtype.kind in "iu" and scaler._widest() > _SINGLE_LEVELS:
            notes.append("Integers that span more than 2^24 steps come back rounded to about 7 digits.")
        return cls(scaler.low, scaler.high, scaler.dtype, clipped / samples.size, tuple(notes))

    def _widest(self) -> float:
        with np.errstate(over="ignore"):
            return float(np.max(self.high - self.low))

    def _check_range(self) -> None:
        if np.dtype(self.dtype).kind in "iu" and max(-self.low.min(), self.high.max()) > _EXACT_INTEGERS:
            raise InvalidInputError("integers beyond 2^53 cannot be scaled without loss: subtract an offset")
        if not math.isfinite(self._widest()):
            raise InvalidInputError(
                f"the values must span a range that float64 holds, they go from {self.low.min():.3g} to"
                f" {self.high.max():.3g}: rescale them"
            )

    def transform(self, samples: Shaped[np.ndarray, "n *shape"]) -> Float32[np.ndarray, "n *shape"]:
        """Return the samples as float32 in [0, 1]; values outside the learned range are clipped."""
        result = np.empty(samples.shape, np.float32)
        span = self.high - self.low
        divisor = np.where(span > 0, span, 1.0)
        for rows in row_blocks(samples.shape):
            result[rows] = np.clip((samples[rows].astype(np.float64) - self.low) / divisor, 0.0, 1.0)
        forget_pages(samples)
        return result

    def inverse(self, unit_values: Float[np.ndarray, "n *shape"]) -> Shaped[np.ndarray, "n *shape"]:
        """Return values of [0, 1] in the input's range and dtype.

        What lies outside [0, 1] is clamped, so 1.02 becomes the highest value and never wraps around;
        integers are rounded.

        Raises
        ------
        InvalidInputError
            NaN among the values.
        """
        dtype = np.dtype(self.dtype)
        result = np.empty(unit_values.shape, dtype)
        for rows in row_blocks(unit_values.shape):
            block = unit_values[rows].astype(np.float64)
            if np.isnan(block).any():
                raise InvalidInputError("values to scale back must be numbers, some are NaN")
            values = self.low + np.clip(block, 0.0, 1.0) * (self.high - self.low)
            values = np.clip(values, self.low, self.high)
            result[rows] = values if dtype.kind == "f" else np.rint(values)
        return result

    def to_dict(self) -> dict[str, Any]:
        """Return the scaler as JSON types."""
        return {
            "low": self.low.tolist(),
            "high": self.high.tolist(),
            "dtype": self.dtype,
            "clipped_fraction": self.clipped_fraction,
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "RangeScaler":
        """Return the scaler that `to_dict` described.

        Raises
        ------
        InvalidInputError
            A field is missing or impossible.
        """
        try:
            low = np.asarray(fields["low"], dtype=np.float64)
            high = np.asarray(fields["high"], dtype=np.float64)
            dtype = np.dtype(str(fields["dtype"]))
            clipped, notes = float(fields["clipped_fraction"]), tuple(map(str, fields["notes"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInputError(f"a scaler lacks or misstates a field: {error}") from None
        if dtype.kind not in "biuf" or low.shape != high.shape or not _is_range_of(low, high, dtype):
            raise InvalidInputError(f"a scaler must map to a finite range of {dtype.name}, this one does not")
        return cls(low, high, dtype.name, clipped, notes)


def is_binary(samples: Shaped[np.ndarray, "n ..."]) -> bool:
    """Return whether each feature has at most two values, its smallest and its largest one."""
    low = high = samples[0]
    for block in blocks_of(samples):
        low, high = np.minimum(low, block.min(0)), np.maximum(high, block.max(0))
    return all(bool(((block == low) | (block == high)).all()) for block in blocks_of(samples))


def _is_range_of(low: np.ndarray, high: np.ndarray, dtype: np.dtype) -> bool:
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all()):
        return False
    if dtype.kind not in "iu":
        return True
    limits = np.iinfo(dtype)
    return bool((low >= limits.min).all() and (high <= limits.max).all())


def _check_fittable(samples: np.ndarray) -> None:
    if samples.size == 0:
        raise InvalidInputError(f"a scaler needs at least one value, got an array of shape {samples.shape}")
    if samples.dtype.kind not in "biuf":
        raise InvalidInputError(f"a scaler takes real numbers, got {samples.dtype}")
    if samples.dtype.kind == "f" and not all(np.isfinite(block).all() for block in blocks_of(samples)):
        raise InvalidInputError("a scaler takes finite numbers, some are NaN or infinite")


def _range_without_outliers(samples: np.ndarray) -> tuple[Any, Any, int]:
    """Return (low, high, number of values outside)."""
    tail = OUTLIER_SHARE * samples.size
    lowest, highest = _ends(samples, int(tail) + 1)
    # the rest: what is left when the largest and smallest OUTLIER_SHARE of the values are put aside
    rest_low, rest_high = float(lowest[-1]), float(highest[0])
    reach = OUTLIER_DISTANCE * (rest_high - rest_low)
    if reach == 0:
        return lowest[0], highest[-1], 0
    too_low = int((lowest.astype(np.float64) < rest_low - reach).sum())
    too_high = int((highest.astype(np.float64) > rest_high + reach).sum())
    too_low, too_high = (count if count < tail else 0 for count in (too_low, too_high))
    return lowest[too_low], highest[len(highest) - 1 - too_high], too_low + too_high


def _ends(samples: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the `count` smallest and the `count` largest values, each in rising order."""
    lowest = highest = np.empty(0, samples.dtype)
    for rows in blocks_of(samples):
        block = rows.ravel()
        for_low, for_high = np.concatenate([lowest, block]), np.concatenate([highest, block])
        lowest = np.partition(for_low, min(count, len(for_low)) - 1)[:count]
        highest = np.partition(for_high, max(len(for_high) - count, 0))[-count:]
    return np.sort(lowest), np.sort(highest)
