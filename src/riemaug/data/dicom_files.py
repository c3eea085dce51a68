"""DICOM series as the samples of a data set: all volumes on one grid."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from riemaug.data.dicom import (
    Slice,
    affine_of,
    exact_dtype,
    in_order,
    read_pixels,
    read_slice,
    volume_header,
)
from riemaug.data.file_samples import FileSamples, names_of, readable_part
from riemaug.data.listing import Listing
from riemaug.data.nifti import VolumeHeader
from riemaug.data.sizes import SizeOptions
from riemaug.data.volume_files import read_volumes
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

_AS_PICTURES = "save them as 16-bit grey png"
"""What to do with pictures that are to be modelled as such."""


@dataclass(frozen=True, eq=False)
class Series:
    """The slices of one volume in the order in which they lie.

    Attributes
    ----------
    names : tuple of str
        Files relative to the data folder.
    slices : tuple of Slice
    """

    names: tuple[str, ...]
    slices: tuple[Slice, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows and slices."""
        return self.slices[0].columns, self.slices[0].rows, len(self.slices)


def read_series_files(root: Path, listing: Listing, size: SizeOptions, skip_bad: bool) -> FileSamples:
    """Read the series of a listing as volumes of one grid, slope and intercept applied.

    Raises
    ------
    InvalidInputError
        A series that cannot be read or makes no volume, or several grids.
    ResourceError
        They do not fit the memory.
    """
    _check_wishes(listing, size)
    with warnings.catch_warnings(action="ignore"):
        part, series, rows, notes = readable_part(
            listing, lambda name: read_series(root, listing.members[name], size.limits), skip_bad
        )
        slices = [item for one in series for item in one.slices]
        dtype, inverted = exact_dtype(slices), sum(item.inverted for item in slices)
        headers = [header_of(item, dtype) for item in series]
        notes += _picture_notes(names_of(part), series, size)

        def load(row: int, meant: bool) -> np.ndarray:
            return read_series_voxels(root, series[row], dtype)

        read = read_volumes(part, headers, load, size, skip_bad)
    if inverted:
        notes.append(
            f"{inverted} DICOM files with the lowest value for white: inverted, so that it is black."
        )
    return read.within(rows, notes)


def _check_wishes(listing: Listing, size: SizeOptions) -> None:
    """Raise InvalidInputError for wishes that series cannot meet."""
    size.check_no_nan("DICOM series")
    single = all(len(listing.members[name]) == 1 for name in names_of(listing))
    if single and (size.resize is not None or size.pad or size.crop):
        raise InvalidInputError(
            "--resize, --pad and --crop are for image files, DICOM of one slice is read as volumes:"
            f" {_AS_PICTURES}"
        )
    size.check_axes(3, "volumes")


def _picture_notes(names: Sequence[str], series: Sequence[Series], size: SizeOptions) -> list[str]:
    """Return the note on volumes that are pictures; InvalidInputError if these have several sizes."""
    if any(len(item.slices) > 1 for item in series):
        return []
    first = series[0]
    for name, item in zip(names, series, strict=True):
        if item.shape != first.shape and not size.resample:
            sides, others = (f"{one.slices[0].rows}x{one.slices[0].columns}" for one in (first, item))
            raise InvalidInputError(
                f"DICOM of one slice must have one size, {names[0]!r} has {sides} pixels, {name!r} {others}:"
                f" {_AS_PICTURES} and give --resize HxW"
            )
    return [f"All series have one slice and are modelled as volumes. As images? Then {_AS_PICTURES}."]


def read_series(root: Path, names: Sequence[str], limits: Limits = DEFAULT_LIMITS) -> Series:
    """Read what the files of one series say, and put them in order.

    Raises
    ------
    InvalidInputError
        A file cannot be read, or they make no volume.
    """
    slices = [read_slice(root / name, limits) for name in names]
    order = in_order(slices)
    series = Series(tuple(names[row] for row in order), tuple(slices[row] for row in order))
    if math.prod(series.shape) > limits.pixels:
        told = "x".join(map(str, series.shape))
        raise InvalidInputError(
            f"a volume may have up to {limits.pixels} voxels, this one promises {told}: make it smaller;"
            f" {limits.way_out('pixels')}"
        )
    return series


def header_of(series: Series, dtype: np.dtype) -> VolumeHeader:
    """Return the header of the volume that a series makes."""
    return volume_header(series.shape, dtype, affine_of(series.slices))


def read_series_voxels(root: Path, series: Series, dtype: np.dtype) -> np.ndarray:
    """Return the volume (columns, rows, slices) of a series; raises as `read_pixels`."""
    voxels = np.empty(series.shape, dtype)
    for place, (name, item) in enumerate(zip(series.names, series.slices, strict=True)):
        voxels[:, :, place] = read_pixels(root / name, item, dtype).T
    return voxels
