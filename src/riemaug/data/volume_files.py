"""NIfTI files as the samples of a data set."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from riemaug.data.dataset import SampleFormat
from riemaug.data.file_samples import (
    FileSamples,
    fit_notes,
    fit_shape_for,
    names_of,
    read_samples,
    readable_part,
)
from riemaug.data.listing import Listing
from riemaug.data.nifti import VolumeHeader, read_filled_voxels, read_volume_header
from riemaug.data.regridding import onto_grid
from riemaug.data.sizes import SizeOptions
from riemaug.data.volumes import CommonGrid, check_volume_memory, common_grid


def read_volume_files(root: Path, listing: Listing, size: SizeOptions, skip_bad: bool) -> FileSamples:
    """Read the NIfTI volumes of a listing, all of one grid.

    Raises
    ------
    InvalidInputError
        A file that cannot be read, volumes of several grids or kinds of number, or wishes that volumes
        cannot meet.
    ResourceError
        They do not fit the memory.
    """
    size.check_axes(3, "volumes")
    part, headers, rows, notes = readable_part(
        listing, lambda name: read_volume_header(root / name, size.limits), skip_bad
    )
    names = names_of(part)

    filled = [0] * len(names)

    def load(row: int, meant: bool) -> np.ndarray:
        voxels, filled[row] = read_filled_voxels(root / names[row], headers[row], meant, size.nan)
        return voxels

    read = read_volumes(part, headers, load, size, skip_bad)
    num_filled = sum(count > 0 for count in filled)
    if num_filled:
        notes.append(
            f"NaN in {num_filled} volumes ({sum(filled)} voxels) was taken for {size.nan:g} as asked."
        )
    return read.within(rows, notes)


def read_volumes(
    listing: Listing,
    headers: Sequence[VolumeHeader],
    load: Callable[[int, bool], Shaped[np.ndarray, "X Y Z"]],
    size: SizeOptions,
    skip_bad: bool,
) -> FileSamples:
    """Read volumes whose headers are known, one after the other into one array.

    Parameters
    ----------
    listing : Listing
        The volumes.
    headers : sequence of VolumeHeader
        Of each.
    load : callable
        (row, meant) -> voxels, as stored or with slope and intercept applied; raises InvalidInputError.
    size : SizeOptions
    skip_bad : bool

    Raises
    ------
    InvalidInputError, ResourceError
        See `read_volume_files`.
    """
    names = names_of(listing)
    common = common_grid(headers, names, size.resample)
    fmt = volume_format(names, common, size)
    check_volume_memory(fmt)

    def load_on_grid(row: int) -> np.ndarray:
        voxels = load(row, common.meant_values)
        if row not in common.elsewhere:
            return voxels
        return onto_grid(voxels, headers[row].affine, common.sides, common.header.affine)

    most = max(math.prod(header.shape) for header in headers)
    fix = "give --fit-shape XxYxZ, or fewer volumes"
    read = read_samples(listing, fmt, load_on_grid, most, skip_bad, fix)
    return replace(read, notes=(*read.notes, *common.notes, *fit_notes(fmt, "volumes")))


def volume_format(names: Sequence[str], common: CommonGrid, size: SizeOptions) -> SampleFormat:
    """Return the format of volumes on their common grid."""
    first = common.header
    return SampleFormat(
        kind="volumes",
        shape=first.shape,
        dtype="float32" if common.meant_values else first.dtype.name,
        suffix=".nii" if all(name.casefold().endswith(".nii") for name in names) else ".nii.gz",
        array_keys=None,
        grey_as_rgb=False,
        fit_shape=fit_shape_for(size.fit_shape, common.sides),
        grid=common.grid,
    )
