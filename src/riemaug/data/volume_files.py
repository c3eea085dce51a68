"""NIfTI files as the samples of a data set."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

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
    headers, rows, skip_notes = sort_out(listing, found, skip_bad)
    readable = part_of(listing, rows)
    kept = names_of(readable)
    common = common_grid(headers, kept)
    fmt = volume_format(headers[0], kept, common, size)
    check_volume_memory(len(kept), fmt)
    samples = np.empty((len(kept), *fmt.model_shape), fmt.dtype)

    def fill(row: int) -> None:
        path = root / kept[row]
        samples[row] = read_voxels(path, headers[row], common.meant_values, fmt.fit_shape)

    _, good, more_notes = sort_out(readable, of_each(fill, len(kept), volumes_at_once(fmt)), skip_bad)
    notes = (*skip_notes, *more_notes, *common.notes, *fit_notes(fmt, "volumes"))
    whole = len(good) == len(kept)
    return FileSamples(samples if whole else samples[good], [rows[row] for row in good], fmt, notes)


def volumes_at_once(fmt: SampleFormat) -> int:
    """Return how many volumes are unpacked at a time: so many threads, or fewer where they are large."""
    return max(1, min(_MAX_THREADS, _VALUES_AT_ONCE // math.prod(fmt.shape)))


def volume_format(
    first: VolumeHeader, names: Sequence[str], common: CommonGrid, size: SizeOptions
) -> SampleFormat:
    """Return the format of volumes like `first` on their common grid."""
    return SampleFormat(
        kind="volumes",
        shape=first.shape,
        dtype="float32" if common.meant_values else first.dtype.name,
        suffix=".nii" if all(name.casefold().endswith(".nii") for name in names) else ".nii.gz",
        array_keys=None,
        grey_as_rgb=False,
        fit_shape=fit_shape_for(size.fit_shape, first.shape[:3]),
        grid=common.grid,
    )
