"""How tables of an evaluation are read: as the run that made the synthetic one read its own."""

import json
import os
import shlex
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from riemaug.data.table_files import column_names, is_csv, is_table
from riemaug.limits import JSON_BYTES, read_bounded
from riemaug.run.request import ReadOptions
from riemaug.run.workdir import RUN_NAME


def reading_as_made(
    reading: ReadOptions, data: Path, synthetic: Path, test: Path | None
) -> tuple[ReadOptions, tuple[str, ...]]:
    """Add to the options those roles of a table's columns that run.json tells and that were not given.

    A column that the generator did not model is none of the synthetic table's, so it must not be one of the
    real table's that are compared.

    Parameters
    ----------
    reading : ReadOptions
        As given.
    data, synthetic, test : Path
        Real samples, synthetic ones and, if there are any, held-out real ones.

    Returns
    -------
    ReadOptions
    notes : tuple of str
        One for the user if something was added.

    Raises
    ------
    InvalidInputError
        A table cannot be read.
    """
    paths = [data] if test is None else [data, test]
    if not all(os.path.isfile(path) and is_table(path) for path in paths):
        return reading, ()
    told = _reading_of(synthetic)
    names = [set(column_names(path)) for path in paths]
    added: dict[str, Any] = {}
    if reading.label_from is None and told.label_from in set.intersection(*names):
        added["label_from"] = told.label_from
    dropped = tuple(name for name in told.drop_columns if name in names[0] and name != reading.label_from)
    if not reading.drop_columns and dropped:
        added["drop_columns"] = dropped
    others = (*reading.drop_columns, *dropped, reading.label_from)
    in_all = told.group_from in set.intersection(*names)
    if reading.group_from is None and in_all and told.group_from not in others:
        added["group_from"] = told.group_from
    if reading.missing is None and told.missing is not None and all(map(is_csv, paths)):
        added["missing"] = told.missing
    if not added:
        return reading, ()
    given = " ".join(option for key, value in added.items() for option in _as_typed(key, value))
    note = f"Columns play the parts that they had when the synthetic samples were made: {given}."
    return reading.model_copy(update=added), (note,)


def _as_typed(key: str, value: str | tuple[str, ...]) -> list[str]:
    """Return an option as it is given on the command line."""
    repeats = key == "missing"
    values = value if repeats else [value if isinstance(value, str) else ",".join(value)]
    return [f"--{key.replace('_', '-')} {shlex.quote(each)}" for each in values]


def _reading_of(out: Path) -> ReadOptions:
    """Return how the run in a folder read its data; no options where that cannot be told."""
    try:
        run = json.loads(read_bounded(out / RUN_NAME, JSON_BYTES, RUN_NAME))
        return ReadOptions(**run["request"]["reading"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ValidationError):
        return ReadOptions()
