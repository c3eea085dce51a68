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
    of_each,
    part_of,
    sort_out,
)
from riemaug.data.listing import Listing
from riemaug.data.nifti import VolumeHeader, read_volume_header, read_voxels
from riemaug.data.regridding import onto_grid
from riemaug.data.resampling import resized
from riemaug.data.sizes import SizeOptions
from riemaug.data.volumes import CommonGrid, check_volume_memory, common_grid

_VALUES_AT_ONCE = 2**26
"""Voxels that may be unpacked at a time, at their own size, by all threads."""
_MAX_THREADS = 8


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
    names = names_of(listing)
    found = of_each(lambda row: read_volume_header(root / names[row]), len(names))
    headers, rows, notes = sort_out(listing, found, skip_bad)
    readable = part_of(listing, rows)
    kept = names_of(readable)

    def load(row: int, meant: bool) -> np.ndarray:
        return read_voxels(root / kept[row], headers[row], meant)

    samples = read_volumes(readable, headers, load, size, skip_bad)
    kept_rows = [rows[row] for row in samples.rows]
    return replace(samples, rows=kept_rows, notes=(*notes, *samples.notes))


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
    check_volume_memory(len(names), fmt)
    samples = np.empty((len(names), *fmt.model_shape), fmt.dtype)

    def fill(row: int) -> None:
        voxels = load(row, common.meant_values)
        if row in common.elsewhere:
            voxels = onto_grid(voxels, headers[row].affine, common.sides, common.header.affine)
        samples[row] = voxels if fmt.fit_shape is None else resized(voxels, fmt.fit_shape)

    at_once = max(1, min(_MAX_THREADS, _VALUES_AT_ONCE // max(math.prod(item.shape) for item in headers)))
    _, good, bad_notes = sort_out(listing, of_each(fill, len(names), at_once), skip_bad)
    whole = len(good) == len(names)
    notes = (*bad_notes, *common.notes, *fit_notes(fmt, "volumes"))
    return FileSamples(samples if whole else samples[good], good, fmt, notes)


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
