"""Volumes brought from one grid in space to another, by their affines.

A voxel of the new grid is the mean of one or more points in it, spread evenly along its axes and hardly
further apart than the voxels of the volume: so nothing aliases on a coarser grid, and on one about as fine
the only point is the voxel's centre. At a point the volume is interpolated linearly. It fills the space that
its voxels fill: beyond the outermost centres the outermost values go on for half a voxel.
"""

import math

import numpy as np
from jaxtyping import Float, Float64, Shaped
from scipy.ndimage import map_coordinates

from riemaug.data.grids import SAME_GRID
from riemaug.errors import InvalidInputError

_MOST_POINTS = 32
"""Points along an axis of a new voxel; voxels that are longer still tell of a wrong unit of length."""
_TO_SPARE = 0.1
"""Voxels of the volume by which a new voxel may exceed its number of points: a second one would only blur."""


def onto_grid(
    voxels: Shaped[np.ndarray, "X Y Z"],
    affine: Float[np.ndarray, "4 4"],
    sides: tuple[int, ...],
    target: Float[np.ndarray, "4 4"],
) -> Shaped[np.ndarray, "A B C"]:
    """Return a volume as it looks on another grid, in its own dtype and range.

    A voxel that the volume reaches into in part gets the mean of that part, one outside of it the volume's
    lowest value.

    Parameters
    ----------
    voxels : ndarray (X, Y, Z)
        Finite numbers.
    affine : ndarray (4, 4)
        From their indices to millimetres.
    sides : tuple of 3 int
        Of the other grid.
    target : ndarray (4, 4)
        From its indices to millimetres.

    Raises
    ------
    InvalidInputError
        The two grids do not overlap, the volume's voxels are far too small for the grid, or its affine
        flattens space; the message does not name the file.
    """
    try:
        steps = np.linalg.solve(affine, target)
    except np.linalg.LinAlgError:
        raise InvalidInputError("its affine flattens space: it cannot be resampled") from None
    points = _points_along(steps)
    exact = np.float64 if voxels.dtype.itemsize > 2 and voxels.dtype != np.float32 else np.float32
    source, lowest = voxels.astype(exact), voxels.min()
    moved, met = np.empty(sides, exact), False
    for place in range(sides[0]):
        # one layer after the other: the points of all voxels together could be many times the volume
        sums, counts = _layer(source, steps, place, (sides[1], sides[2]), points)
        moved[place] = np.where(counts > 0, sums / np.maximum(counts, 1), lowest)
        met = met or bool(counts.any())
    if not met:
        raise InvalidInputError("does not overlap the grid that most volumes have: check its affine")
    moved = np.clip(moved, lowest, voxels.max())
    return (moved if voxels.dtype.kind == "f" else np.rint(moved)).astype(voxels.dtype)


def _points_along(steps: Float64[np.ndarray, "4 4"]) -> tuple[int, int, int]:
    """Return how many points a new voxel has along each of its axes."""
    lengths = np.sqrt(np.square(steps[:3, :3]).sum(0))
    if not lengths.max() <= _MOST_POINTS:
        raise InvalidInputError(
            f"the grid that most volumes have has voxels up to {lengths.max():.3g} times as long as its own,"
            f" {_MOST_POINTS} times is the most: check the unit of its affine"
        )
    first, second, third = (max(1, math.ceil(length - _TO_SPARE)) for length in lengths)
    return first, second, third


def _layer(
    source: Float[np.ndarray, "X Y Z"],
    steps: Float64[np.ndarray, "4 4"],
    place: int,
    sides: tuple[int, int],
    points: tuple[int, int, int],
) -> tuple[Float64[np.ndarray, "B C"], Shaped[np.ndarray, "B C"]]:
    """Return the sums over those points of a layer's voxels that lie in the volume, and how many do."""
    sums, counts = np.zeros(sides), np.zeros(sides, dtype=np.int64)
    across, down = (_spread(np.arange(side), number) for side, number in zip(sides, points[1:], strict=True))
    for first in _spread(np.array([place]), points[0]):
        indices = [row[0] * first + row[1] * across[:, None] + row[2] * down + row[3] for row in steps[:3]]
        inside = np.ones((len(across), len(down)), dtype=bool)
        for index, side in zip(indices, source.shape, strict=True):
            inside &= (index >= -0.5 - SAME_GRID) & (index <= side - 0.5 + SAME_GRID)
        values = np.zeros(inside.shape)
        values[inside] = map_coordinates(
            source, [index[inside] for index in indices], order=1, mode="nearest"
        )
        cells = (sides[0], points[1], sides[1], points[2])
        sums += values.reshape(cells).sum((1, 3))
        counts += inside.reshape(cells).sum((1, 3))
    return sums, counts


def _spread(centres: Shaped[np.ndarray, " n"], number: int) -> Float64[np.ndarray, " m"]:
    """Return the places of `number` points a voxel along one axis, in indices of the voxels."""
    within = (np.arange(number) + 0.5) / number - 0.5
    return (centres[:, None] + within).ravel()
