"""Samples of any shape as 8-bit pictures for the report, where they can be seen as pictures."""

import numpy as np
from jaxtyping import Float32, UInt8

from riemaug.data.resampling import resample

SMALLEST_SIDE = 4
LONGEST_CUBIC_SIDE = 160
"""In pixels; slices of voxels that are no cubes grow up to here, for smaller pictures are shown anyway."""
_CUBIC = 0.01
"""Voxels whose sides differ by a smaller share are shown as cubes."""
_CHANNELS = (1, 3)


def as_pictures(
    unit: Float32[np.ndarray, "n *shape"],
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    are_volumes: bool = False,
) -> UInt8[np.ndarray, "n H W *channels"] | None:
    """Return pictures of samples scaled to [0, 1]; None if they are not images.

    (H, W), (H, W, 1), (H, W, 3), (1, H, W) and (3, H, W) are taken as images. Of a volume (D, H, W),
    with or without channels, the middle slices across its three axes are shown side by side: (H, W),
    then (D, W), then (D, H), each in the middle of the common height. NIfTI volumes are to be turned first:
    see `riemaug.data.upright_samples`.

    Parameters
    ----------
    unit : ndarray (n, *shape)
    spacing : tuple of 3 float
        Length of a voxel along each axis of volumes, in any unit: slices are as wide and as high as they are
        in the body.
    are_volumes : bool
        The samples are known to be grey volumes (D, H, W): a side of 1 or 3 is no channels.
    """
    planes = _middle_slices(unit[..., None], spacing) if are_volumes else _as_planes(unit, spacing)
    if planes is None or min(planes.shape[1:3]) < SMALLEST_SIDE:
        return None
    if planes.shape[-1] == 1:
        planes = planes[..., 0]
    return np.rint(np.clip(planes, 0.0, 1.0) * 255.0).astype(np.uint8)


def _as_planes(unit: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray | None:
    num_axes = unit.ndim - 1
    if num_axes in (3, 4) and unit.shape[-1] in _CHANNELS:
        num_sides, channels_last = num_axes - 1, unit
    elif num_axes in (3, 4) and unit.shape[1] in _CHANNELS:
        num_sides, channels_last = num_axes - 1, np.moveaxis(unit, 1, -1)
    else:
        num_sides, channels_last = num_axes, unit[..., None]
    if num_sides not in (2, 3):
        return None
    return channels_last if num_sides == 2 else _middle_slices(channels_last, spacing)


def _middle_slices(volumes: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray | None:
    """Return slices of (n, D, H, W, channels) side by side; those too thin to show anything are left out."""
    sides = _cubic_sides(volumes.shape[1:4], spacing)
    slices = [
        _resized(np.take(volumes, volumes.shape[axis] // 2, axis), sides[: axis - 1] + sides[axis:])
        for axis in (1, 2, 3)
    ]
    shown = [plane for plane in slices if min(plane.shape[1:3]) >= SMALLEST_SIDE]
    if not shown:
        return None
    height = max(plane.shape[1] for plane in shown)
    return np.concatenate([_in_the_middle(plane, height) for plane in shown], axis=2)


def _cubic_sides(sides: tuple[int, ...], spacing: tuple[float, float, float]) -> tuple[int, ...]:
    """Return the sides in voxels that are cubes, as long as the shortest side of the given ones or longer."""
    if max(spacing) <= (1 + _CUBIC) * min(spacing):
        return sides
    lengths = [side * length for side, length in zip(sides, spacing, strict=True)]
    longest = max(LONGEST_CUBIC_SIDE, *sides)
    voxel = max(min(spacing), max(lengths) / longest)
    # never too thin to be shown
    return tuple(
        max(min(side, SMALLEST_SIDE), round(length / voxel))
        for side, length in zip(sides, lengths, strict=True)
    )


def _resized(planes: np.ndarray, sides: tuple[int, ...]) -> np.ndarray:
    return planes if planes.shape[1:3] == sides else np.stack([resample(plane, sides) for plane in planes])


def _in_the_middle(planes: np.ndarray, height: int) -> np.ndarray:
    above = (height - planes.shape[1]) // 2
    below = height - planes.shape[1] - above
    return np.pad(planes, ((0, 0), (above, below), (0, 0), (0, 0)))
