"""Which images or volumes a data folder holds, and of which class: read from its metadata.csv."""

import csv
import io
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from riemaug.data.cells import unescape_cell
from riemaug.data.file_choice import EVERY_FILE, FileChoice
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
from riemaug.nearest import did_you_mean

METADATA_NAME = "metadata.csv"
_FILE, _LABEL, _GROUP = "file_name", "label", "group"
_DELIMITERS = ",;\t"

Row = dict[str, str]


@dataclass(frozen=True)
class _Roles:
    """Which columns of a table say the class and, if there is such a one, the subject."""

    label: str
    group: str | None


def list_metadata(
    root: Path,
    limits: Limits = DEFAULT_LIMITS,
    label_from: str | None = None,
    group_from: str | None = None,
    chosen: FileChoice = EVERY_FILE,
) -> Listing:
    """List the images or volumes that `root`/metadata.csv names.

    The table has the columns file_name and label, and may have group, split and others. With a split column
    only the rows of the training split are taken. Names of columns are compared in lower case.

    Parameters
    ----------
    root : Path
        The data folder; every file_name is relative to it.
    limits : Limits
    label_from : str, optional
        The column that says the class, if not label.
    group_from : str, optional
        The column that says the subject, if it is one, else group; see `riemaug.data.groups`.
    chosen : FileChoice
        Which files are read; rows of others play no part.

    Raises
    ------
    InvalidInputError
        A table that cannot be read, missing columns or cells, a file that lies outside the folder,
        one file with two labels, or images beside volumes.
    """
    rows = _read_rows(root / METADATA_NAME, limits)
    columns = tuple(name for name in rows[0] if name)
    roles = _roles(columns, label_from, group_from)
    rows, notes = _training_rows(rows)
    rows, left_out_notes = _chosen_rows(root, rows, chosen, limits)
    notes += left_out_notes
    files = _files_of(root, rows, roles, limits)
    kind = common_kind_of(root, files)
    synthetic = sum(row.get("synthetic", "").casefold() in ("true", "1") for row in rows)
    if synthetic:
        notes.append(f"{synthetic} of the {len(rows)} {kind} are marked as synthetic in metadata.csv.")
    if len(files) < len(rows):
        notes.append(f"{len(rows) - len(files)} rows of metadata.csv repeat others and were dropped.")
    found = list_samples(root, limits, skip_outside=True)
    unlisted = [name for name in found if name not in files and chosen.takes(name)]
    if unlisted and "split" not in columns:
        notes.append(
            f"{len(unlisted)} files that metadata.csv does not name were not read: {quote_some(unlisted)}."
        )
    ordered = sorted(files.values(), key=lambda file: sort_key(file.name))
    return Listing(tuple(ordered), kind, True, tuple(notes), columns=columns, group_column=roles.group)


def _chosen_rows(
    root: Path, rows: list[Row], chosen: FileChoice, limits: Limits
) -> tuple[list[Row], list[str]]:
    if chosen == EVERY_FILE:
        return rows, []
    names = [_file_name(root, row, limits) for row in rows]
    taken, notes = chosen.sift(dict.fromkeys(names))
    kept = set(taken)
    return [row for row, name in zip(rows, names, strict=True) if name in kept], notes


def _roles(columns: Sequence[str], label_from: str | None, group_from: str | None) -> _Roles:
    label = _LABEL if label_from is None else label_from.strip().casefold()
    if label not in columns and label_from is None:
        raise InvalidInputError(
            f"metadata.csv needs the columns file_name and label, it has {quote_some(list(columns))}: add"
            " label, name another one with --label-from COLUMN, or rename the file to read class folders"
        )
    if label not in columns:
        raise InvalidInputError(
            f"--label-from must name a column of metadata.csv, which has {quote_some(list(columns))},"
            f" got {label_from!r}{did_you_mean(label, columns)}"
        )
    group = _group_column(columns, group_from)
    if group == label:
        raise InvalidInputError(
            f"labels and subjects must be in two columns of metadata.csv, {label!r} is both: correct"
            " --label-from or --group-from"
        )
    return _Roles(label, group)


def _group_column(columns: Sequence[str], group_from: str | None) -> str | None:
    if group_from == "folder":
        return None
    wanted = _GROUP if group_from in (None, "column") else group_from.strip().casefold()
    return wanted if wanted in columns else None


def _files_of(root: Path, rows: list[Row], roles: _Roles, limits: Limits) -> dict[str, ListedFile]:
    files: dict[str, ListedFile] = {}
    for row in rows:
        listed = _listed_file(root, row, roles, limits)
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
    """Read a metadata.csv with all columns; the errors are those of `list_metadata`, but none of labels."""
    rows = _read_rows(root / METADATA_NAME, limits)
    text, delimiter = _read_text(root / METADATA_NAME, limits)
    header, *cells = [
        row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if row
    ]
    return PlainTable(delimiter, header, cells, [_file_name(root, row, limits) for row in rows])


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
    if _FILE not in columns:
        missing = "file_name" if _LABEL in columns else "file_name and label"
        raise InvalidInputError(
            f"metadata.csv needs the columns file_name and label, it has {quote_some(columns)}: add"
            f" {missing}, or rename the file to read class folders"
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


def _listed_file(root: Path, row: Row, roles: _Roles, limits: Limits) -> ListedFile:
    name, label = _file_name(root, row, limits), unescape_cell(_cell(row, roles.label))
    return ListedFile(name, label, None if roles.group is None else _cell(row, roles.group))


def _file_name(root: Path, row: Row, limits: Limits) -> str:
    return _safe_name(root, _cell(row, _FILE), limits)


def _cell(row: Row, column: str) -> str:
    if not row[column]:
        raise InvalidInputError(
            f"every row of metadata.csv needs a {column}, row {row['']} has none: fill it in"
        )
    return row[column]


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
