"""Which images or volumes a data folder holds, and of which class: read from its metadata.csv."""

import csv
import io
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from riemaug.data.cells import unescape_cell
from riemaug.data.listing import (
    TRAIN_NAMES,
    ListedFile,
    Listing,
    check_link,
    common_kind_of,
    list_samples,
    quote_some,
    sort_key,
)
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits, read_text_table

METADATA_NAME = "metadata.csv"
_REQUIRED = ("file_name", "label")
_DELIMITERS = ",;\t"

Row = dict[str, str]


def list_metadata(root: Path, limits: Limits = DEFAULT_LIMITS) -> Listing:
    """List the images or volumes that `root`/metadata.csv names.

    The table has the columns file_name and label, and may have group and split. With a split column
    only the rows of the training split are taken.

    Parameters
    ----------
    root : Path
        The data folder; every file_name is relative to it.
    limits : Limits

    Raises
    ------
    InvalidInputError
        A table that cannot be read, missing columns or cells, a file that lies outside the folder,
        one file with two labels, or images beside volumes.
    """
    rows = _read_rows(root / METADATA_NAME, limits)
    rows, notes = _training_rows(rows)
    files = _files_of(root, rows, limits)
    kind = common_kind_of(root, files)
    synthetic = sum(row.get("synthetic", "").casefold() in ("true", "1") for row in rows)
    if synthetic:
        notes.append(f"{synthetic} of the {len(rows)} {kind} are marked as synthetic in metadata.csv.")
    if len(files) < len(rows):
        notes.append(f"{len(rows) - len(files)} rows of metadata.csv repeat others and were dropped.")
    unlisted = [name for name in list_samples(root, limits, skip_outside=True) if name not in files]
    if unlisted and not any("split" in row for row in rows):
        notes.append(
            f"{len(unlisted)} files that metadata.csv does not name were not read: {quote_some(unlisted)}."
        )
    ordered = sorted(files.values(), key=lambda file: sort_key(file.name))
    return Listing(tuple(ordered), kind, True, tuple(notes))


def _files_of(root: Path, rows: list[Row], limits: Limits) -> dict[str, ListedFile]:
    files: dict[str, ListedFile] = {}
    for row in rows:
        listed = _listed_file(root, row, limits)
        former = files.setdefault(listed.name, listed)
        if former != listed:
            raise InvalidInputError(
                f"metadata.csv must name a file once, {listed.name!r} is there as {former.class_name!r}"
                f" and as {listed.class_name!r}, or with two groups: correct it"
            )
    return files


@dataclass(frozen=True)
class PlainTable:
    """A metadata.csv cell by cell, as it was typed.

    Attributes
    ----------
    delimiter : str
    header : list of str
    rows : list of list of str
        Without empty ones.
    names : list of str
        The file of each row, as in a `Listing`.
    """

    delimiter: str
    header: list[str]
    rows: list[list[str]]
    names: list[str]


def read_plain_table(root: Path, limits: Limits = DEFAULT_LIMITS) -> PlainTable:
    """Read a metadata.csv that `list_metadata` takes, with all columns; the same errors."""
    rows = _read_rows(root / METADATA_NAME, limits)
    text, delimiter = _read_text(root / METADATA_NAME, limits)
    header, *cells = [
        row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if row
    ]
    return PlainTable(delimiter, header, cells, [_listed_file(root, row, limits).name for row in rows])


def _read_text(path: Path, limits: Limits) -> tuple[str, str]:
    """Return the text of a table and its delimiter."""
    text = read_text_table(path, limits)
    header = text.split("\n", 1)[0]
    return text, max(_DELIMITERS, key=header.count)


def _read_rows(path: Path, limits: Limits) -> list[Row]:
    text, delimiter = _read_text(path, limits)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        columns = [(name or "").strip().casefold() for name in reader.fieldnames or []]
        reader.fieldnames = columns
        rows = [
            {name: (cell or "").strip() for name, cell in row.items() if isinstance(name, str)}
            | {"": str(line)}
            for line, row in enumerate(reader, start=2)
        ]
    except csv.Error as error:
        raise InvalidInputError(f"{str(path)!r} is no valid CSV table: {error}") from None
    missing = [name for name in _REQUIRED if name not in columns]
    if missing:
        raise InvalidInputError(
            f"metadata.csv needs the columns file_name and label, it has {quote_some(columns)}: add"
            f" {' and '.join(missing)}, or rename the file to read class folders"
        )
    if not rows:
        raise InvalidInputError(f"{str(path)!r} has a header and no rows: add one row per image")
    return rows


def _training_rows(rows: list[Row]) -> tuple[list[Row], list[str]]:
    if "split" not in rows[0]:
        return rows, []
    kept = [row for row in rows if row["split"].casefold() in TRAIN_NAMES]
    found = sorted(Counter(row["split"] for row in rows))
    if not kept:
        raise InvalidInputError(
            f"the split column of metadata.csv must have rows of train, it has {quote_some(found)}:"
            " correct or remove the column"
        )
    return kept, [
        f"metadata.csv has a split column: {len(kept)} of {len(rows)} rows, those of train, were used."
    ]


def _listed_file(root: Path, row: Row, limits: Limits) -> ListedFile:
    name, label = row["file_name"], unescape_cell(row["label"])
    if not name or not label:
        lacking = "label" if name else "file_name"
        raise InvalidInputError(
            f"every row of metadata.csv needs a {lacking}, row {row['']} has none: fill it in"
        )
    group = row.get("group")
    if group == "":
        raise InvalidInputError(
            f"every row of metadata.csv needs a group when there is such a column, row {row['']} has"
            " none: fill it in"
        )
    return ListedFile(_safe_name(root, name, limits), label, group)


def _safe_name(root: Path, name: str, limits: Limits) -> str:
    """Return the path in forward slashes, after making sure that it stays inside the folder.

    The last part of it may be a link to a file elsewhere, as in a class folder.
    """
    if "\\" in name and not os.path.exists(root / name):
        name = name.replace("\\", "/")  # a table made on Windows
    path = PurePosixPath(name)
    leaves = path.is_absolute() or ".." in path.parts or bool(PureWindowsPath(name).drive) or "\0" in name
    if leaves or not path.name:
        raise InvalidInputError(
            f"file names in metadata.csv must stay inside the data folder, {name!r} leads out of it:"
            " correct it"
        )
    for folder in path.parents[:-1]:
        check_link(root, root / folder, limits)
    return path.as_posix()
