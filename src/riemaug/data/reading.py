"""The one way in: whatever the user points at becomes a data set, or one line that says what to do."""

import os
from collections.abc import Sequence
from pathlib import Path

from riemaug.data.arrays import read_arrays
from riemaug.data.bids import BidsOptions
from riemaug.data.bids_names import Layout
from riemaug.data.dataset import Dataset, SampleFormat
from riemaug.data.file_choice import FileChoice
from riemaug.data.folder import FolderOptions, read_folder
from riemaug.data.sizes import SizeOptions
from riemaug.data.source_kind import check_column_options, check_no_choice, check_no_volumes, source_kind
from riemaug.data.table_files import is_csv
from riemaug.data.tables import read_table
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits


def read_dataset(
    path: str | os.PathLike[str],
    *,
    resize: tuple[int, int] | None = None,
    pad: bool = False,
    crop: bool = False,
    fit_shape: tuple[int, ...] | None = None,
    resample: bool = False,
    skip_bad: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    group_from: str | None = None,
    label_from: str | None = None,
    drop_columns: Sequence[str] = (),
    missing: Sequence[str] | None = None,
    bids_suffix: str | None = None,
    participants: str | os.PathLike[str] | None = None,
    layout: Layout | None = None,
    min_slices: int | None = None,
    nan: float | None = None,
    like: SampleFormat | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Dataset:
    """Read a labelled data set.

    Parameters
    ----------
    path : path
        A folder with one sub-folder per class of images, npy files, NIfTI volumes, multi-page TIFF or
        DICOM series; a BIDS data set; a folder with a metadata.csv
        (columns file_name and label, optionally group, split and others); an npz file with X and y, or
        images and labels; or a table as .csv, .tsv or .parquet.
    resize : tuple of int, optional
        (H, W) to bring all images to, by area averaging or linear interpolation.
    pad, crop : bool
        Where sizes differ, centre in the largest height and width, filled with the most common
        corner value; or cut the centre of the smallest height and width.
    fit_shape : tuple of int, optional
        (H, W) or (X, Y, Z) to model images or volumes at. They are read at that size, and what is
        written has their own again.
    resample : bool
        Bring volumes of different grids to the one that most of them have.
    skip_bad : bool
        Leave out images and volumes that cannot be read, and name them in the notes.
    include, exclude : sequence of str
        Of a folder: patterns of the files to read alone, and of those to leave out, such as "*_mask.nii.gz";
        see `riemaug.data.file_choice`.
    group_from : str, optional
        How to tell the subject of a sample: "folder" (first sub-folder below the class), "column"
        (the column group, or the array groups), the name of another column of a table or of metadata.csv,
        or a regular expression with one group, searched in the relative path; the class is no subject.
    label_from : str, optional
        Of a table, a metadata.csv or a BIDS data set the column that holds the labels; by default the one
        called label, of a table also class, target or y, of BIDS also group, diagnosis, class or dx.
    drop_columns : sequence of str
        Columns of a table that are not read, such as identifiers.
    missing : sequence of str, optional
        Texts of a CSV table's cells that are missing, beside empty ones; None takes those that pandas does,
        such as NA, None and null.
    bids_suffix : str, optional
        Of a BIDS folder: end of the names of the volumes to read, such as "T1w", or some of their entities
        and the suffix. With layout "bids" also the suffix of those to write.
    participants : path, optional
        Of a BIDS folder: its participants.tsv, where that lies elsewhere; not read where it has one of its
        own.
    layout : {"folders", "bids"}, optional
        How new volumes are to be laid out: in class folders or as a BIDS derivative; None: as the input.
    min_slices : int, optional
        Of DICOM: leave out series of fewer slices, such as localizers.
    nan : float, optional
        What voxels of NIfTI volumes that are NaN are taken for.
    like : SampleFormat, optional
        Of the data that these are to be compared with: the rows of a table become the same numbers as
        theirs, and options that only such other data have a use for are ignored.
    limits : Limits
        How large files may be, and whether links to folders outside `path` are followed.

    Returns
    -------
    Dataset
        In the same order on any file system.

    Raises
    ------
    InvalidInputError
        The data breaks a rule; the message is one line: the rule, what was found, the fix.
    ResourceError
        The images or volumes do not fit the memory.
    """
    source = Path(path)
    kind = source_kind(source)
    if like is None:
        check_column_options(source, kind, label_from, drop_columns, missing)
    if kind == "folder":
        size = SizeOptions(resize, pad, crop, fit_shape, resample, limits, nan)
        told = None if participants is None else Path(participants)
        chosen = FileChoice(tuple(include), tuple(exclude))
        bids = BidsOptions(label_from, bids_suffix, told)
        options = FolderOptions(bids, group_from, chosen, layout, min_slices, for_others=like is not None)
        return read_folder(source, size, options, skip_bad)
    if like is None:
        check_no_choice(include, exclude)
        _check_no_sizes(resize, pad, crop, fit_shape)
        check_no_volumes(
            {
                "--bids-suffix": bids_suffix,
                "--participants": participants,
                "--layout": layout,
                "--min-slices": min_slices,
                "--nan": nan,
            }
        )
    if kind == "table":
        columns = None if like is None else like.table
        missing = missing if like is None or is_csv(source) else None
        return read_table(
            source,
            label_from=label_from,
            group_from=group_from,
            drop_columns=drop_columns,
            missing=missing,
            like=columns,
            limits=limits,
        )
    return read_arrays(source, group_from=group_from, limits=limits)


def _check_no_sizes(resize: object, pad: bool, crop: bool, fit_shape: object) -> None:
    if resize is not None or pad or crop or fit_shape is not None:
        raise InvalidInputError(
            "--resize, --pad, --crop and --fit-shape are for folders of images or volumes, the samples of an"
            " npz file or a table have one shape: leave them out"
        )
