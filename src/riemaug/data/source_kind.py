"""What a path to data leads to: a folder, a table or an npz file."""

import os
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from riemaug.data.metadata_table import METADATA_NAME
from riemaug.data.table_files import is_csv, is_table
from riemaug.errors import InvalidInputError

SourceKind = Literal["folder", "table", "npz"]
_FIXES = {
    ".npy": "save samples and labels together with numpy.savez(path, X=X, y=y)",
    ".xlsx": "save it as CSV UTF-8",
    ".pq": "rename it to end in .parquet",
    ".gz": "unpack it",
    ".zip": "unpack it and give the folder",
}
"""What to do with other files, by their suffix."""


def source_kind(path: Path) -> SourceKind:
    """Return what the data at a path are.

    Raises
    ------
    InvalidInputError
        There is nothing, or something else.
    """
    rule = "the data must be a folder, an npz file or a table"
    if os.path.isdir(path):
        return "folder"
    if not os.path.isfile(path):
        raise InvalidInputError(f"{rule}, {str(path)!r} does not exist: check the path")
    if path.name.casefold() == METADATA_NAME:
        raise InvalidInputError(
            f"{rule}, {str(path)!r} is none of them: give its folder {str(path.parent)!r}"
        )
    if is_table(path):
        return "table"
    if path.suffix.casefold() == ".npz" or _is_archive_of_arrays(path):
        return "npz"
    fix = _FIXES.get(path.suffix.casefold(), "give the folder that holds the class folders")
    raise InvalidInputError(f"{rule}, {str(path)!r} is none of them: {fix}")


def _is_archive_of_arrays(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, LookupError, struct.error):
        return False


def check_column_options(
    path: Path,
    kind: SourceKind,
    label_from: str | None,
    drop_columns: Sequence[str],
    missing: Sequence[str] | None = None,
) -> None:
    """Raise InvalidInputError for options on columns where there are none."""
    if drop_columns and kind != "table":
        raise InvalidInputError(
            f"--drop-columns is for tables (.csv, .tsv or .parquet), {str(path)!r} is none: leave it out"
        )
    if missing is not None and not (kind == "table" and is_csv(path)):
        raise InvalidInputError(
            f"--missing is for tables as .csv or .tsv, {str(path)!r} is none: leave it out (Parquet files"
            " mark missing cells themselves)"
        )
    if label_from is not None and kind == "npz":
        raise InvalidInputError(
            "--label-from is for tables, metadata.csv and BIDS data sets, the labels of an npz file are its"
            " array y or labels: leave it out"
        )


def check_no_choice(include: Sequence[str], exclude: Sequence[str]) -> None:
    """Raise InvalidInputError for patterns of files where there is one file."""
    if include or exclude:
        raise InvalidInputError("--include and --exclude are for folders, DATA is one file: leave them out")


def check_no_volumes(given: Mapping[str, object]) -> None:
    """Raise InvalidInputError for options of volumes, by their names, as there is a table or an npz file."""
    wrong = [name for name, value in given.items() if value is not None]
    if wrong:
        raise InvalidInputError(
            f"{wrong[0]} is for folders of volumes, npz files and tables hold none: leave it out"
        )
