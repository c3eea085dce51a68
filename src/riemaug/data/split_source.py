"""A data set as it is split: what each file or row is, without changing or keeping any of it."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int64, Shaped

from riemaug.data.array_files import read_array_file
from riemaug.data.arrays import TRAINING_KEYS, read_arrays
from riemaug.data.bids import BidsOptions
from riemaug.data.bids_split import BidsFrame, with_sidecars
from riemaug.data.dicom import exact_dtype
from riemaug.data.dicom_files import read_series, read_series_voxels
from riemaug.data.file_choice import FileChoice
from riemaug.data.file_samples import class_names_of, labels_of, of_each, sort_out
from riemaug.data.folder import FolderOptions, groups_of, list_folder
from riemaug.data.images import decode_image
from riemaug.data.likeness import Signature, Signatures, signature
from riemaug.data.listing import Listing, SampleKind
from riemaug.data.metadata_table import METADATA_NAME, PlainTable, read_plain_table
from riemaug.data.names import check_class_names
from riemaug.data.nifti import read_filled_voxels, read_volume_header
from riemaug.data.npz_file import read_every_array
from riemaug.data.sizes import SizeOptions
from riemaug.data.source_kind import check_column_options, check_no_choice, check_no_volumes, source_kind
from riemaug.data.stack_files import read_stack
from riemaug.data.table_rows import TableRows
from riemaug.data.tables import read_table
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

_IMAGES_AT_ONCE = 8
_VOLUMES_AT_ONCE = 2


@dataclass(frozen=True, eq=False)
class SplitSource:
    """What is split.

    Attributes
    ----------
    path : Path
        The folder, npz file or table.
    what : str
        What a sample is called: "images", "stacks", "arrays", "volumes", "series" or "rows".
    labels : ndarray (n,)
        Index of each sample's class in `class_names`.
    class_names : tuple of str
    signatures : Signatures
        Names, groups and what the samples are recognised by.
    notes : tuple of str
        For the user.
    table : PlainTable, optional
        The metadata.csv that lists the samples.
    arrays : dict of str to ndarray, optional
        All of the npz file; rows are the samples in those as long as the data.
    cells : TableRows, optional
        All of the table.
    members : mapping of str to tuple of str
        All files of samples that have several, by the one that they are named by.
    bids : BidsFrame, optional
        What surrounds the volumes of a BIDS data set.
    """

    path: Path
    what: str
    labels: Int64[np.ndarray, " n"]
    class_names: tuple[str, ...]
    signatures: Signatures
    notes: tuple[str, ...]
    table: PlainTable | None = None
    arrays: dict[str, Shaped[np.ndarray, "..."]] | None = None
    cells: TableRows | None = None
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bids: BidsFrame | None = None

    @property
    def file_suffix(self) -> str:
        """Suffix of the file that a part is written to; "" for a folder."""
        if self.cells is not None:
            return self.cells.suffix
        return "" if self.arrays is None else ".npz"

    def files_of(self, name: str) -> tuple[str, ...]:
        """Return all files of a sample."""
        return self.members.get(name, (name,))


def read_split_source(
    path: Path,
    *,
    skip_bad: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    group_from: str | None = None,
    label_from: str | None = None,
    drop_columns: Sequence[str] = (),
    missing: Sequence[str] | None = None,
    bids_suffix: str | None = None,
    participants: Path | None = None,
    min_slices: int | None = None,
    nan: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> SplitSource:
    """Read what `riemaug.data.read_dataset` reads, one sample after the other; sizes may differ.

    Parameters
    ----------
    path : Path
    skip_bad : bool
        Leave out files that cannot be read.
    include, exclude, group_from, label_from, drop_columns, missing
        See `riemaug.data.read_dataset`.
    bids_suffix, participants, min_slices, nan, limits
        See `riemaug.data.read_dataset`.

    Raises
    ------
    InvalidInputError
        As `riemaug.data.read_dataset`, or data that are split already.
    """
    kind = source_kind(path)
    check_column_options(path, kind, label_from, drop_columns, missing)
    if kind == "folder":
        bids = BidsOptions(label_from, bids_suffix, participants)
        chosen = FileChoice(tuple(include), tuple(exclude))
        options = FolderOptions(bids, group_from, chosen, min_slices=min_slices)
        return _read_folder(path, skip_bad, options, SizeOptions(limits=limits, nan=nan))
    check_no_choice(include, exclude)
    check_no_volumes(
        {
            "--bids-suffix": bids_suffix,
            "--participants": participants,
            "--min-slices": min_slices,
            "--nan": nan,
        }
    )
    if kind == "table":
        dataset = read_table(
            path,
            label_from=label_from,
            group_from=group_from,
            drop_columns=drop_columns,
            missing=missing,
            limits=limits,
        )
        return SplitSource(
            path,
            "rows",
            dataset.labels,
            dataset.class_names,
            Signatures.of(dataset),
            dataset.notes,
            cells=TableRows.read(path),
        )
    return _read_npz(path, group_from, limits)


def _read_folder(root: Path, skip_bad: bool, options: FolderOptions, size: SizeOptions) -> SplitSource:
    size.check()
    limits = size.limits
    table = read_plain_table(root, limits) if os.path.isfile(root / METADATA_NAME) else None
    if table is not None and any(cell.strip().casefold() == "split" for cell in table.header):
        raise InvalidInputError(
            f"{str(root / METADATA_NAME)!r} has a column split, so these data are split already: remove the"
            " column to split them anew"
        )
    listing = list_folder(root, options, limits)
    class_names = class_names_of(listing)
    if listing.bids is None:
        check_class_names(class_names)
    labels_of(listing.files, class_names, listing.kind)
    groups, group_notes = groups_of(listing, options.group_from)
    items, rows, skip_notes = _sign(root, listing, skip_bad, size)
    files = [listing.files[row] for row in rows]
    signatures = Signatures(
        tuple(file.name for file in files),
        tuple(items),
        None if groups is None else tuple(groups[row] for row in rows),
    )
    labels = labels_of(files, class_names, listing.kind)
    notes = (*listing.notes, *group_notes, *skip_notes)
    source = SplitSource(root, listing.kind, labels, class_names, signatures, notes, table)
    if listing.bids is None:
        return replace(source, members=listing.members)
    frame = BidsFrame.read(root, options.bids.participants_of(root), limits)
    return replace(source, members=with_sidecars(root, signatures.names), bids=frame)


def _sign(
    root: Path, listing: Listing, skip_bad: bool, size: SizeOptions
) -> tuple[list[Signature], list[int], list[str]]:
    """Return the signatures of the readable files, their places in the listing, and notes."""
    if listing.kind != "volumes":
        size.check_no_nan(listing.kind)
    at_once = _IMAGES_AT_ONCE if listing.kind == "images" else _VOLUMES_AT_ONCE

    def sign(row: int) -> Signature:
        name = listing.files[row].name
        if listing.kind == "series":
            return signature(_read_series(root, listing.members[name], size.limits))
        if listing.kind == "volumes":
            return signature(_read_volume(root / name, size))
        return signature(_READERS[listing.kind](root / name, size.limits))

    # Pillow and pydicom warn about harmless oddities of files
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = of_each(sign, len(listing.files), at_once)
    return sort_out(listing, found, skip_bad)


def _read_image(path: Path, limits: Limits) -> np.ndarray:
    return decode_image(path, limits=limits).pixels


def _read_volume(path: Path, size: SizeOptions) -> np.ndarray:
    return read_filled_voxels(path, read_volume_header(path, size.limits), False, size.nan)[0]


def _read_series(root: Path, names: Sequence[str], limits: Limits) -> np.ndarray:
    series = read_series(root, names, limits)
    return read_series_voxels(root, series, exact_dtype(series.slices))


_READERS: dict[SampleKind, Callable[[Path, Limits], np.ndarray]] = {
    "images": _read_image,
    "stacks": read_stack,
    "arrays": read_array_file,
}
"""Of samples that are one file each, but for NIfTI."""


def _read_npz(path: Path, group_from: str | None, limits: Limits) -> SplitSource:
    dataset = read_arrays(path, group_from=group_from, limits=limits)
    keys = dataset.format.array_keys or ("", "")
    if keys[0] in TRAINING_KEYS:
        raise InvalidInputError(
            f"{str(path)!r} holds {keys[0]} and {keys[1]}, so these data are split already: rename them to X"
            " and y, without the other parts, to split them anew"
        )
    check_class_names(dataset.class_names)
    return SplitSource(
        path,
        "rows",
        dataset.labels,
        dataset.class_names,
        Signatures.of(dataset),
        dataset.notes,
        arrays=read_every_array(path, limits),
    )
