"""The one way in: whatever the user points at becomes a data set, or one line that says what to do."""

import os
import zipfile
from pathlib import Path

from riemaug.data.arrays import read_arrays
from riemaug.data.dataset import Dataset
from riemaug.data.folder import read_folder
from riemaug.data.metadata_table import METADATA_NAME
from riemaug.data.sizes import SizeOptions
from riemaug.errors import InvalidInputError


def read_dataset(
    path: str | os.PathLike[str],
    *,
    resize: tuple[int, int] | None = None,
    pad: bool = False,
    crop: bool = False,
    fit_shape: tuple[int, ...] | None = None,
    skip_bad: bool = False,
    group_from: str | None = None,
) -> Dataset:
    """Read a labelled data set.

    Parameters
    ----------
    path : path
        A folder with one sub-folder of images or NIfTI volumes per class; a folder with a metadata.csv
        (columns file_name and label, optionally group and split); or an npz file with X and y, or
        images and labels.
    resize : tuple of int, optional
        (H, W) to bring all images to, by area averaging or linear interpolation.
    pad, crop : bool
        Where sizes differ, centre in the largest height and width, filled with the most common
        corner value; or cut the centre of the smallest height and width.
    fit_shape : tuple of int, optional
        (H, W) or (X, Y, Z) to model images or volumes at. They are read at that size, and what is
        written has their own again.
    skip_bad : bool
        Leave out images and volumes that cannot be read, and name them in the notes.
    group_from : str, optional
        How to tell the subject of a sample: "folder" (first sub-folder below the class), "column"
        (the column group, or the array groups), or a regular expression with one group, searched in
        the relative path.

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
    if os.path.isdir(source):
        size = SizeOptions(resize, pad, crop, fit_shape)
        return read_folder(source, size, skip_bad=skip_bad, group_from=group_from)
    if not os.path.isfile(source):
        raise InvalidInputError(
            f"the data must be a folder or an npz file, {str(source)!r} does not exist: check the path"
        )
    if source.suffix.casefold() != ".npz" and not _is_archive_of_arrays(source):
        raise InvalidInputError(_other_file(source))
    if resize is not None or pad or crop or fit_shape is not None:
        raise InvalidInputError(
            "--resize, --pad, --crop and --fit-shape are for folders of images or volumes, the arrays of an"
            " npz file have one shape: leave them out"
        )
    return read_arrays(source, group_from=group_from)


def _is_archive_of_arrays(source: Path) -> bool:
    try:
        with zipfile.ZipFile(source) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def _other_file(source: Path) -> str:
    rule = f"the data must be a folder or an npz file, {str(source)!r} is neither"
    if source.name.casefold() == METADATA_NAME:
        return f"{rule}: give its folder {str(source.parent)!r}"
    fixes = {
        ".npy": "save samples and labels together with numpy.savez(path, X=X, y=y)",
        ".csv": "save its columns with numpy.savez(path, X=X, y=y)",
        ".zip": "unpack it and give the folder",
    }
    return f"{rule}: {fixes.get(source.suffix.casefold(), 'give the folder that holds the class folders')}"
