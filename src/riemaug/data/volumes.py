"""Rules that the volumes of one data set keep together: one grid, one kind of number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from riemaug.data.checks import check_memory
from riemaug.data.dataset import SampleFormat
from riemaug.data.grids import SAME_GRID, VolumeGrid, grid_distance
from riemaug.data.nifti import NUM_SIDES, VolumeHeader
from riemaug.errors import InvalidInputError

_COPIES = 3
"""Of a volume while it is unpacked: its bytes, its array, and what comes of resampling it."""


@dataclass(frozen=True)
class CommonGrid:
    """The grid of a set of volumes.

    Attributes
    ----------
    grid : VolumeGrid
        As it is written.
    meant_values : bool
        The files' scale factors differ, so that only the values they mean can be compared.
    notes : tuple of str
    """

    grid: VolumeGrid
    meant_values: bool
    notes: tuple[str, ...]


def common_grid(headers: Sequence[VolumeHeader], names: Sequence[str]) -> CommonGrid:
    """Return what a set of volumes has in common.

    Raises
    ------
    InvalidInputError
        Two files differ in shape, affine or kind of number; the message names them.
    """
    first = headers[0]
    for header, name in zip(headers, names, strict=True):
        _check_alike(first, header, names[0], name)
    grid = first.grid
    if all(header.grid.scale == grid.scale for header in headers):
        return CommonGrid(grid, False, ())
    note = (
        "The scale factors in the headers differ from file to file: the values they lead to are modelled and"
        " written, as 32-bit floats."
    )
    return CommonGrid(replace(grid, scale=(0.0, 0.0)), True, (note,))


def _check_alike(first: VolumeHeader, other: VolumeHeader, first_name: str, name: str) -> None:
    if other.shape != first.shape:
        sides, others = ("x".join(map(str, header.shape)) for header in (first, other))
        raise InvalidInputError(
            f"all volumes must have one grid, {first_name!r} has {sides} voxels, {name!r} {others}: resample"
            " them to one grid"
        )
    distance = grid_distance(first.affine, other.affine, first.shape[:NUM_SIDES])
    if distance > SAME_GRID * _shortest_edge(first.affine):
        raise InvalidInputError(
            f"all volumes must have one grid, by their affines the voxels of {first_name!r} and {name!r} lie"
            f" up to {distance:.3g} apart: resample them to one grid"
        )
    if other.dtype != first.dtype:
        raise InvalidInputError(
            f"all volumes must have one kind of number, {first_name!r} has {first.dtype.name}, {name!r}"
            f" {other.dtype.name}: convert them to one"
        )


def _shortest_edge(affine: np.ndarray) -> float:
    return float(np.sqrt(np.square(affine[:3, :3]).sum(0)).min())


def check_volume_memory(count: int, fmt: SampleFormat) -> None:
    """Raise ResourceError if so many volumes, and one of them at its own size, do not fit the free memory."""
    voxels = count * math.prod(fmt.model_shape) + _COPIES * math.prod(fmt.shape)
    needed = voxels * np.dtype(fmt.dtype).itemsize
    check_memory(needed, "volumes", "give --fit-shape XxYxZ, or fewer volumes")
