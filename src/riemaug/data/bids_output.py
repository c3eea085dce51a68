"""The files at the top of an output that is a BIDS derivative."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from riemaug._version import __version__
from riemaug.atomic import atomic_path, atomic_write_text
from riemaug.data.bids import DESCRIPTION_NAME
from riemaug.data.bids_names import BidsNames
from riemaug.data.bids_participants import (
    NO_PARTICULARS,
    PARTICIPANTS_NAME,
    SUBJECT_COLUMN,
    SYNTHETIC_COLUMN,
    Particulars,
)

BIDS_VERSION = "1.9.0"
_IGNORED = ("manifest.*", "report.html", "model.*", "MODEL_CARD.md", "run.*")
"""What riemaug writes beside the data set: a BIDS validator is not to look at it."""


def write_bids_tables(
    out: Path,
    names: BidsNames,
    entries: Iterable[tuple[str, str, bool]],
    particulars: Particulars = NO_PARTICULARS,
) -> None:
    """Write dataset_description.json, participants.tsv with participants.json, and .bidsignore.

    Parameters
    ----------
    out : Path
        The output folder.
    names : BidsNames
        Its layout.
    entries : iterable of (str, str, bool)
        Path of each volume relative to `out`, its class, and whether it is synthetic. The class is written as
        it is, also where a spreadsheet would take it for a formula: it is the user's own category.
    particulars : Particulars
        What else is said of real subjects; of synthetic ones it is "n/a".
    """
    found = ((PurePosixPath(name).parts[0], label, str(made).lower()) for name, label, made in entries)
    rows = dict.fromkeys(found)  # a subject may have several volumes
    with (
        atomic_path(out / PARTICIPANTS_NAME) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow((SUBJECT_COLUMN, names.column, SYNTHETIC_COLUMN, *particulars.columns))
        writer.writerows((*row, *particulars.of(row[0])) for row in rows)
    _write_json(out / "participants.json", {**particulars.descriptions, **_columns(names)})
    _write_json(out / DESCRIPTION_NAME, _description())
    atomic_write_text(out / ".bidsignore", "\n".join(_IGNORED) + "\n")


def _columns(names: BidsNames) -> dict[str, dict[str, str]]:
    return {
        names.column: {"Description": "Class of the training samples that the generator learned"},
        "synthetic": {"Description": "true: drawn from a model, the scan of nobody; false: a real scan"},
    }


def _description() -> dict[str, object]:
    return {
        "Name": "Synthetic volumes",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {"Name": "riemaug", "Version": __version__, "Description": "Drawn from generative models"}
        ],
    }


def _write_json(path: Path, content: object) -> None:
    atomic_write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
