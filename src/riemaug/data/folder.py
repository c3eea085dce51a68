"""A folder of images or of volumes as a data set."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from riemaug.data.array_files import read_array_files
from riemaug.data.bids import NO_BIDS, BidsOptions, bids_groups, is_bids, list_bids
from riemaug.data.bids_names import Layout, laid_out
from riemaug.data.blocks import forget_pages
from riemaug.data.checks import check_variation, find_oddities
from riemaug.data.class_folders import list_class_folders
from riemaug.data.dataset import Dataset, SampleFormat
from riemaug.data.dicom_files import read_series_files
from riemaug.data.dicom_series import list_series
from riemaug.data.file_choice import EVERY_FILE, FileChoice
from riemaug.data.file_samples import FileSamples, class_names_of, labels_of
from riemaug.data.groups import find_groups
from riemaug.data.image_files import read_image_files
from riemaug.data.listing import Listing, SampleKind
from riemaug.data.metadata_table import METADATA_NAME, list_metadata
from riemaug.data.names import check_class_names
from riemaug.data.sizes import SizeOptions
from riemaug.data.stack_files import are_stacks, read_stack_files
from riemaug.data.volume_files import read_volume_files
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

_READERS: dict[SampleKind, Callable[[Path, Listing, SizeOptions, bool], FileSamples]] = {
    "images": read_image_files,
    "stacks": read_stack_files,
    "arrays": read_array_files,
    "volumes": read_volume_files,
    "series": read_series_files,
}


@dataclass(frozen=True)
class FolderOptions:
    """What the user wishes of a folder: which files are samples, and of what.

    Parameters
    ----------
    bids : BidsOptions
        Its `label_from` may be a column of metadata.csv, too.
    group_from : str, optional
        See `riemaug.data.groups.find_groups`.
    chosen : FileChoice
        Which files are read.
    layout : {"folders", "bids"}, optional
        Of what is written.
    min_slices : int, optional
        Of DICOM: the fewest of a series.
    for_others : bool
        These are the wishes for other data that the folder is compared with: those that it has no use for are
        ignored.
    """

    bids: BidsOptions = NO_BIDS
    group_from: str | None = None
    chosen: FileChoice = EVERY_FILE
    layout: Layout | None = None
    min_slices: int | None = None
    for_others: bool = False

    def check_no_bids(self, bids: BidsOptions) -> None:
        """Raise InvalidInputError for some of the wishes that only a BIDS data set can meet."""
        if not self.for_others:
            bids.check_unused(self.layout)

    def check_no_series(self) -> None:
        """Raise InvalidInputError for wishes that only DICOM series can meet."""
        if self.min_slices is not None and not self.for_others:
            raise InvalidInputError("--min-slices is for DICOM series, there are none here: leave it out")


NO_WISHES = FolderOptions()


def read_folder(
    root: Path, size: SizeOptions, options: FolderOptions = NO_WISHES, skip_bad: bool = False
) -> Dataset:
    """Read a folder of images or volumes; see `riemaug.data.read_dataset` for the rules and errors.

    Headers are read first where they say enough, then each file once. Samples that memory does not hold
    stay on the disk; see `riemaug.data.scratch`.
    """
    size.check()
    listing, layout = list_folder(root, options, size.limits), options.layout
    size = size.of_use_to(listing.kind) if options.for_others else size
    class_names = class_names_of(listing)
    if layout == "folders" or (layout is None and listing.bids is None):
        check_class_names(class_names)
    labels_of(listing.files, class_names, listing.kind)
    groups, group_notes = groups_of(listing, options.group_from)
    found = _READERS[listing.kind](root, listing, size, skip_bad)
    _check_written_size(found.format)
    fmt = laid_out(found.format, layout, listing.bids, options.bids.suffix)
    files = [listing.files[row] for row in found.rows]
    labels = labels_of(files, class_names, listing.kind)
    names = tuple(file.name for file in files)
    check_variation(found.samples, labels, class_names, listing.kind)
    oddities = find_oddities(found.samples, labels, class_names, names, listing.kind)
    forget_pages(found.samples)
    return Dataset(
        samples=found.samples,
        labels=labels,
        class_names=class_names,
        names=names,
        groups=None if groups is None else tuple(groups[row] for row in found.rows),
        format=fmt,
        label_values=None,
        notes=(*listing.notes, *group_notes, *found.notes, *oddities),
    )


def _check_written_size(fmt: SampleFormat) -> None:
    """Refuse to model small what would be written larger than any reader of ours takes by default."""
    if fmt.fit_shape is not None and math.prod(fmt.shape) > DEFAULT_LIMITS.pixels:
        raise InvalidInputError(
            f"with --fit-shape new samples have the input's own size, of at most {DEFAULT_LIMITS.pixels}"
            f" pixels or voxels, these have {'x'.join(map(str, fmt.shape))}: give --resize HxW, or make them"
            " smaller"
        )


def list_folder(root: Path, options: FolderOptions = NO_WISHES, limits: Limits = DEFAULT_LIMITS) -> Listing:
    """List the samples of a data folder: of a BIDS data set, by a metadata.csv, or by class folders.

    Files that together are one sample (DICOM) are one entry.

    Raises
    ------
    InvalidInputError
        See `riemaug.data.bids`, `riemaug.data.metadata_table`, `riemaug.data.class_folders` and
        `riemaug.data.dicom_series`; or options for BIDS or DICOM where there is none.
    """
    bids, chosen = options.bids, options.chosen
    if is_bids(root):
        options.check_no_series()
        return list_bids(root, bids, limits, chosen)
    if os.path.isfile(root / METADATA_NAME):
        options.check_no_bids(replace(bids, label_from=None))
        listing = list_metadata(root, limits, bids.label_from, options.group_from, chosen)
    else:
        options.check_no_bids(bids)
        listing = list_class_folders(root, limits, chosen)
    if listing.kind == "series":
        return list_series(root, listing, options.min_slices)
    options.check_no_series()
    if listing.kind == "images" and are_stacks(root, listing, limits):
        return replace(listing, kind="stacks")
    return listing


def groups_of(listing: Listing, group_from: str | None) -> tuple[tuple[str, ...] | None, list[str]]:
    """Return the group of each file, None if unknown, and notes; see `riemaug.data.groups.find_groups`."""
    if listing.bids is not None and group_from in (None, "column"):
        return bids_groups(listing)
    return find_groups(listing, group_from)
