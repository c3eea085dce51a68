"""DICOM series as the samples of a data set: which files make one volume, and all volumes on one grid."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from riemaug.data.dicom import (
    Slice,
    affine_of,
    check_pydicom,
    exact_dtype,
    in_order,
    read_pixels,
    read_series_id,
    read_slice,
    volume_header,
)
from riemaug.data.file_samples import FileSamples, names_of, of_each, readable_part
from riemaug.data.listing import ListedFile, Listing
from riemaug.data.nifti import VolumeHeader
from riemaug.data.sizes import SizeOptions
from riemaug.data.volume_files import read_volumes
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits


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


def list_series(root: Path, listing: Listing) -> Listing:
    """Return the listing with one entry a series, by the name of the first of its files.

    Raises
    ------
    InvalidInputError
        pydicom is not installed, or no file holds a picture.
    """
    check_pydicom()
    names = names_of(listing)
    with warnings.catch_warnings(action="ignore"):
        found = of_each(lambda row: read_series_id(root / names[row]), len(names))
    files_of: dict[tuple[str, ...], list[ListedFile]] = {}
    for file, series in zip(listing.files, found, strict=True):
        if series is not None:
            # a file that cannot be read is a series of its own, so that it is named when it is read
            key = file.name if isinstance(series, InvalidInputError) else series
            folder = PurePosixPath(file.name).parent.as_posix()
            files_of.setdefault((file.class_name, folder, key), []).append(file)
    if not files_of:
        raise InvalidInputError(f"the DICOM files of {str(root)!r} hold no pictures: give a folder of images")
    without = sum(series is None for series in found)
    notes = [f"{without} DICOM files without a picture were left out."] if without else []
    entries = [files[0] for files in files_of.values()]
    notes.append(
        f"{len(names) - without} DICOM files make {len(entries)} series; new volumes are NIfTI files."
    )
    members = {files[0].name: tuple(file.name for file in files) for files in files_of.values()}
    listed = replace(listing, files=tuple(entries), notes=(*listing.notes, *notes), members=members)
    return listed


def read_series_files(root: Path, listing: Listing, size: SizeOptions, skip_bad: bool) -> FileSamples:
    """Read the series of a listing as volumes of one grid, slope and intercept applied.

    Raises
    ------
    InvalidInputError
        A series that cannot be read or makes no volume, or several grids.
    ResourceError
        They do not fit the memory.
    """
    size.check_axes(3, "volumes")
    with warnings.catch_warnings(action="ignore"):
        part, series, rows, notes = readable_part(
            listing, lambda name: read_series(root, listing.members[name], size.limits), skip_bad
        )
        slices = [item for one in series for item in one.slices]
        dtype, inverted = exact_dtype(slices), sum(item.inverted for item in slices)
        headers = [header_of(item, dtype) for item in series]

        def load(row: int, meant: bool) -> np.ndarray:
            return read_series_voxels(root, series[row], dtype)

        read = read_volumes(part, headers, load, size, skip_bad)
    if inverted:
        notes.append(
            f"{inverted} DICOM files with the lowest value for white: inverted, so that it is black."
        )
    return read.within(rows, notes)


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
