"""Volumes brought from one grid in space to another, by their affines."""

import numpy as np
from jaxtyping import Float, Shaped
from scipy.ndimage import affine_transform

from riemaug.errors import InvalidInputError


def onto_grid(
    voxels: Shaped[np.ndarray, "X Y Z"],
    affine: Float[np.ndarray, "4 4"],
    sides: tuple[int, ...],
    target: Float[np.ndarray, "4 4"],
) -> Shaped[np.ndarray, "A B C"]:
    """Return a volume as it looks on another grid, by linear interpolation, in its own dtype.

    What lies outside the volume gets its lowest value. Linear interpolation stays within the values' range.

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
        The two grids do not overlap, or the volume's affine flattens space; the message does not name
        the file.
    """
    try:
        steps = np.linalg.solve(affine, target)
    except np.linalg.LinAlgError:
        raise InvalidInputError("its affine flattens space: it cannot be resampled") from None
    exact = np.float64 if voxels.dtype.itemsize > 2 and voxels.dtype != np.float32 else np.float32
    lowest = voxels.min()
    moved = affine_transform(
        voxels.astype(exact), steps, output_shape=sides, order=1, mode="constant", cval=float(lowest)
    )
    if voxels.max() > lowest and moved.max() == moved.min():
        raise InvalidInputError("does not overlap the grid that most volumes have: check its affine")
    moved = np.clip(moved, lowest, voxels.max())
    return (moved if voxels.dtype.kind == "f" else np.rint(moved)).astype(voxels.dtype)
