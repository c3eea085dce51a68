"""Rules that the volumes of one data set keep together: one grid, one kind of number."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from riemaug.data.checks import check_memory
from riemaug.data.dataset import SampleFormat
from riemaug.data.grids import VolumeGrid, grid_distance, is_same_grid
from riemaug.data.nifti import NUM_SIDES, VolumeHeader
from riemaug.errors import InvalidInputError

_COPIES = 3
"""Of a volume while it is unpacked: its bytes, its array, and what comes of resampling it."""


_SCALES_DIFFER = (
    "The scale factors in the headers differ from file to file: the values they lead to are modelled and"
    " written, as 32-bit floats."
)


@dataclass(frozen=True, eq=False)
class CommonGrid:
    """The grid of a set of volumes.

    Attributes
    ----------
    header : VolumeHeader
        Of the first volume that lies on it.
    grid : VolumeGrid
        As it is written.
    meant_values : bool
        The files' scale factors differ, so that only the values they mean can be compared.
    elsewhere : frozenset of int
        Which volumes lie on another grid and are to be resampled.
    notes : tuple of str
    """

    header: VolumeHeader
    grid: VolumeGrid
    meant_values: bool
    elsewhere: frozenset[int]
    notes: tuple[str, ...]

    @property
    def sides(self) -> tuple[int, ...]:
        """Number of voxels along each of the three axes."""
        return self.header.shape[:NUM_SIDES]


def common_grid(
    headers: Sequence[VolumeHeader], names: Sequence[str], may_resample: bool = False
) -> CommonGrid:
    """Return what a set of volumes has in common.

    Parameters
    ----------
    headers : sequence of VolumeHeader
    names : sequence of str
        The file of each.
    may_resample : bool
        Where grids differ take the one that most volumes have, of several such the first.

    Raises
    ------
    InvalidInputError
        Two files differ in kind of number, or in shape or affine that may not; the message names them.
    """
    for header, name in zip(headers, names, strict=True):
        _check_numbers(headers[0], header, names[0], name)
    chosen = _most_common_grid(headers) if may_resample else 0
    first, elsewhere = headers[chosen], set[int]()
    for row, (header, name) in enumerate(zip(headers, names, strict=True)):
        difference = _grid_difference(first, header, names[chosen], name)
        if difference and not may_resample:
            raise InvalidInputError(f"all volumes must have one grid, {difference}: give --resample")
        if difference:
            elsewhere.add(row)
    alike = all(header.grid.scale == first.grid.scale for header in headers)
    notes = []
    if elsewhere:
        own = names[chosen]
        notes.append(
            f"{len(elsewhere)} volumes on other grids were resampled (linearly) to that of {own!r}"
            f"{_smallest(headers, names, elsewhere, first)}."
        )
    if not alike:
        notes.append(_SCALES_DIFFER)
    grid = first.grid if alike else replace(first.grid, scale=(0.0, 0.0))
    return CommonGrid(first, grid, not alike, frozenset(elsewhere), tuple(notes))


def _most_common_grid(headers: Sequence[VolumeHeader]) -> int:
    """Return the row of the first volume on the grid that most have."""
    members: dict[int, int] = {}
    for row, header in enumerate(headers):
        own = next((first for first in members if not _grid_difference(headers[first], header)), row)
        members[own] = members.get(own, 0) + 1
    return max(members, key=lambda first: (members[first], -first))


def _smallest(
    headers: Sequence[VolumeHeader], names: Sequence[str], rows: Collection[int], common: VolumeHeader
) -> str:
    """Return which of the resampled volumes has the fewest voxels, if they are fewer than the grid's own.

    What is far smaller is likely no image of the same kind, but a localizer.
    """
    row = min(rows, key=lambda row: (math.prod(headers[row].shape), row))
    if math.prod(headers[row].shape) >= math.prod(common.shape):
        return ""
    sides, own = ("x".join(map(str, header.shape)) for header in (headers[row], common))
    return f", the smallest, {names[row]!r}, from {sides} to {own} voxels"


def _grid_difference(first: VolumeHeader, other: VolumeHeader, first_name: str = "", name: str = "") -> str:
    """Return in what the grids of two volumes differ, "" if in nothing."""
    if other.shape[:NUM_SIDES] != first.shape[:NUM_SIDES]:
        sides, others = ("x".join(map(str, header.shape)) for header in (first, other))
        return f"{first_name!r} has {sides} voxels, {name!r} {others}"
    if not is_same_grid(first.affine, other.affine, first.shape[:NUM_SIDES]):
        distance = grid_distance(first.affine, other.affine, first.shape[:NUM_SIDES])
        return f"by their affines the voxels of {first_name!r} and {name!r} lie up to {distance:.3g} apart"
    return ""


def _check_numbers(first: VolumeHeader, other: VolumeHeader, first_name: str, name: str) -> None:
    if other.dtype != first.dtype:
        raise InvalidInputError(
            f"all volumes must have one kind of number, {first_name!r} has {first.dtype.name}, {name!r}"
            f" {other.dtype.name}: convert them to one"
        )


def check_volume_memory(fmt: SampleFormat) -> None:
    """Raise ResourceError if one volume at its own size, as it is read, does not fit the free memory."""
    needed = _COPIES * math.prod(fmt.shape) * np.dtype(fmt.dtype).itemsize
    check_memory(needed, "voxels of one volume", "make the volumes smaller")
