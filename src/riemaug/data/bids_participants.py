"""participants.tsv of a BIDS data set: a row for each subject, one column of which is the class."""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from riemaug.data.listing import quote_some
from riemaug.errors import InvalidInputError
from riemaug.limits import JSON_BYTES, Limits, read_bounded, read_text_table

PARTICIPANTS_NAME = "participants.tsv"
SUBJECT_COLUMN, SYNTHETIC_COLUMN = "participant_id", "synthetic"
MISSING = "n/a"
_LABEL_COLUMNS = ("group", "diagnosis", "label", "class", "dx")
_YES = ("true", "1")

Row = dict[str, str]


def read_participants(path: Path, limits: Limits) -> list[Row]:
    """Return the cells of each subject by their columns.

    Raises
    ------
    InvalidInputError
        The file cannot be read, is no such table, or names a subject twice.
    """
    text = read_text_table(path, limits)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t", strict=True)
        rows = [
            {
                (name or "").strip(): (cell or "").strip()
                for name, cell in row.items()
                if isinstance(name, str)
            }
            for row in reader
        ]
    except csv.Error as error:
        raise InvalidInputError(f"{str(path)!r} is no valid table: {error}") from None
    if not rows or SUBJECT_COLUMN not in rows[0]:
        raise InvalidInputError(
            f"participants.tsv must have a column participant_id and a row a subject, {str(path)!r} has not:"
            " separate its columns by tabs"
        )
    found = Counter(row[SUBJECT_COLUMN] for row in rows)
    repeated = [subject for subject, count in found.items() if count > 1]
    if repeated:
        raise InvalidInputError(
            f"participants.tsv must name a subject once, {quote_some(repeated)} is there twice: correct it"
        )
    return rows


def label_column(rows: Sequence[Row], asked: str | None) -> str:
    """Return the column that holds the class.

    Raises
    ------
    InvalidInputError
        There is none of the name that was asked for; or none, or several, of a usual name.
    """
    columns = [name for name in rows[0] if name != SUBJECT_COLUMN]
    if asked is not None:
        if asked not in columns:
            raise InvalidInputError(
                f"--label-from must be a column of participants.tsv, {asked!r} is none: it has"
                f" {quote_some(columns)}"
            )
        return asked
    usual = [name for name in columns if name.casefold() in _LABEL_COLUMNS]
    if len(usual) != 1:
        none = f"has no usual name ({', '.join(_LABEL_COLUMNS)})"
        found = f"could be {quote_some(usual)}" if usual else none
        raise InvalidInputError(
            f"the class of a BIDS data set is a column of participants.tsv, it {found}: give --label-from"
            f" with one of {quote_some(columns)}"
        )
    return usual[0]


def synthetic_subjects(rows: Sequence[Row]) -> frozenset[str]:
    """Return the subjects that the column synthetic says are made."""
    return frozenset(row[SUBJECT_COLUMN] for row in rows if row.get(SYNTHETIC_COLUMN, "").casefold() in _YES)


@dataclass(frozen=True)
class Particulars:
    """What participants.tsv says of real subjects beside their class, such as age and sex.

    Attributes
    ----------
    columns : tuple of str
    cells : mapping of str to Row
        Of each subject.
    descriptions : mapping of str to Any
        What participants.json says of the columns.
    """

    columns: tuple[str, ...] = ()
    cells: Mapping[str, Row] = field(default_factory=dict)
    descriptions: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, label: str, limits: Limits) -> "Particulars":
        """Read those that stand beside the column `label`; raises as `read_participants`."""
        rows = read_participants(path, limits)
        said_anyway = (SUBJECT_COLUMN, SYNTHETIC_COLUMN, label, "")
        columns = tuple(name for name in rows[0] if name not in said_anyway)
        told = _descriptions(path.with_suffix(".json"))
        return cls(
            columns,
            {row[SUBJECT_COLUMN]: row for row in rows},
            {name: told[name] for name in columns if name in told},
        )

    def of(self, subject: str) -> tuple[str, ...]:
        """Return the cells of a subject; "n/a" where there are none."""
        row = self.cells.get(subject, {})
        return tuple(row.get(name) or MISSING for name in self.columns)


NO_PARTICULARS = Particulars()


def _descriptions(path: Path) -> dict[str, Any]:
    """Return the content of participants.json; nothing of one that is absent or cannot be read."""
    if not os.path.isfile(path):
        return {}
    try:
        content = json.loads(read_bounded(path, JSON_BYTES, path.name))
    except (OSError, ValueError, RecursionError, InvalidInputError):
        return {}  # for people to read, and no part of the data
    return content if isinstance(content, dict) else {}
