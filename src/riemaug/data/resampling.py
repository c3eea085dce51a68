"""Pictures and volumes brought to another number of pixels, one axis after the other."""

import numpy as np
from jaxtyping import Float, Float32, Shaped
from scipy.sparse import csr_array

from riemaug.data.dataset import SampleFormat
from riemaug.data.scaling import RangeScaler
from riemaug.errors import InvalidInputError

_CUBIC = -0.5
"""Slope of the cubic kernel at distance 1: the value that reproduces straight and parabolic courses."""
_SINGLE_BITS = 16
"""Integers of up to so many bits are single-precision numbers, with room for sums of them."""


def resample(values: Shaped[np.ndarray, "*sides"], sides: tuple[int, ...]) -> Float[np.ndarray, "*new_sides"]:
    """Return the sample with its first axes brought to the lengths `sides`.

    An axis that shrinks is averaged over what each new cell covers, so nothing aliases and means are
    kept; one that grows is interpolated by cubic convolution, which passes through the old values. Old
    and new cells fill the same space, so shrinking and growing back moves nothing. Growing may overshoot
    the range of the values at sharp edges.

    Parameters
    ----------
    values : ndarray (*old sides, ...)
        Real numbers.
    sides : tuple of int
        New length of each of the first axes, at least 1; further axes (colours) stay.

    Returns
    -------
    ndarray (*sides, ...)
        float32, or float64 where float32 does not hold the values.
    """
    exact = values.dtype.itemsize * 8 > _SINGLE_BITS and values.dtype not in (np.float16, np.float32)
    result = values.astype(np.float64 if exact else np.float32)
    for axis, side in enumerate(sides):
        if result.shape[axis] != side:
            result = _along(result, axis, _weights(result.shape[axis], side, result.dtype))
    return np.ascontiguousarray(result)


def _along(values: np.ndarray, axis: int, weights: csr_array) -> np.ndarray:
    first = np.moveaxis(values, axis, 0)
    # a sparse product sums in one order on any machine and number of threads
    product = weights @ first.reshape(len(first), -1)
    return np.moveaxis(product.reshape(len(product), *first.shape[1:]), 0, axis)


def _weights(old: int, new: int, dtype: np.dtype) -> csr_array:
    """Return the weight of each old cell in each new one, (new, old); rows sum to 1."""
    values, rows, columns = _shrinking(old, new) if new < old else _growing(old, new)
    return csr_array((values.astype(dtype), (rows, columns)), shape=(new, old))


def _shrinking(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights and their rows and columns."""
    # in units of 1 / new of an old cell all borders are whole numbers
    borders = np.unique(np.concatenate([np.arange(old + 1) * new, np.arange(new + 1) * old]))
    starts, lengths = borders[:-1], np.diff(borders)
    return lengths / old, starts // old, starts // new


def _growing(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights and their rows and columns."""
    centres = (np.arange(new) + 0.5) * (old / new) - 0.5
    taps = np.floor(centres)[:, None].astype(np.int64) + np.arange(-1, 3)
    weights = _cubic_kernel(np.abs(centres[:, None] - taps))
    rows = np.repeat(np.arange(new), 4)
    # beyond the border the outermost value goes on
    columns = np.clip(taps, 0, old - 1).ravel()
    return weights.ravel(), rows, columns


def _cubic_kernel(distance: np.ndarray) -> np.ndarray:
    near = (_CUBIC + 2) * distance**3 - (_CUBIC + 3) * distance**2 + 1
    far = _CUBIC * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


def resized(values: Shaped[np.ndarray, "*sides"], sides: tuple[int, ...]) -> Shaped[np.ndarray, "*new_sides"]:
    """Return the sample with the sides `sides`, in its own dtype and range; see `resample`."""
    result = np.clip(resample(values, sides), values.min(), values.max())
    return (result if values.dtype.kind == "f" else np.rint(result)).astype(values.dtype)


def restore_samples(
    unit: Float32[np.ndarray, "n *shape"], scaler: RangeScaler, fmt: SampleFormat
) -> Shaped[np.ndarray, "n *sample_shape"]:
    """Return modelled samples as they are written: at the format's own size, in its range and dtype.

    Parameters
    ----------
    unit : ndarray (n, *fmt.model_shape)
        Samples in [0, 1]; what lies outside is clamped.
    scaler : RangeScaler
        Of the training data; for a format with a `fit_shape` one range for all values.
    fmt : SampleFormat
        How the samples are written.

    Raises
    ------
    InvalidInputError
        NaN among the values, or a scaler with a range for each value of the modelled size.
    """
    if fmt.fit_shape is None:
        return fmt.settled(scaler.inverse(unit))
    if scaler.low.ndim:
        raise InvalidInputError(
            f"samples of {fmt.sample_shape} that are modelled at another size need one range for all values,"
            f" this scaler has {scaler.low.shape}: fit the model anew"
        )
    sides = fmt.sample_shape[: len(fmt.fit_shape)]
    restored = np.empty((len(unit), *fmt.sample_shape), np.dtype(fmt.dtype))
    for row, sample in enumerate(unit):
        # one after the other: a sample's bytes do not depend on its neighbours, and memory stays small
        restored[row] = scaler.inverse(resample(sample, sides)[None])[0]
    return restored
