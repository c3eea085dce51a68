"""A BIDS data set: which volumes it holds, and of which class, read from its participants.tsv."""

import csv
import io
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from riemaug.data.bids_names import DATATYPES, BidsNames
from riemaug.data.listing import ListedFile, Listing, list_samples, quote_some, sort_key, split_suffix
from riemaug.data.metadata_table import METADATA_NAME
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits, read_text_table

DESCRIPTION_NAME, PARTICIPANTS_NAME = "dataset_description.json", "participants.tsv"
SUBJECT_COLUMN = "participant_id"
_LABEL_COLUMNS = ("group", "diagnosis", "label", "class", "dx")
_MISSING = ("", "n/a")
_EXTENSIONS = (".nii.gz", ".nii")

_Row = dict[str, str]


@dataclass(frozen=True)
class BidsOptions:
    """What the user wishes of a BIDS data set.

    Parameters
    ----------
    label_from : str, optional
        Column of participants.tsv that holds the class.
    suffix : str, optional
        End of the names of the volumes to read, such as "T1w" or "desc-preproc_T1w".
    """

    label_from: str | None = None
    suffix: str | None = None

    def check_unused(self, layout: str | None) -> None:
        """Raise InvalidInputError for wishes that no other folder can meet."""
        if self.label_from is not None:
            raise InvalidInputError(
                "--label-from is for tables and BIDS folders (dataset_description.json and participants.tsv),"
                " class folders and metadata.csv say the class themselves: leave it out"
            )
        if self.suffix is not None and layout != "bids":
            raise InvalidInputError(
                "--bids-suffix is for BIDS folders (dataset_description.json and participants.tsv), or with"
                " --layout bids: leave it out"
            )


NO_BIDS = BidsOptions()


def is_bids(root: Path) -> bool:
    """Tell whether a folder is a BIDS data set; a metadata.csv in it says otherwise what to read."""
    return (
        os.path.isfile(root / DESCRIPTION_NAME)
        and os.path.isfile(root / PARTICIPANTS_NAME)
        and not os.path.isfile(root / METADATA_NAME)
    )


def list_bids(root: Path, options: BidsOptions, limits: Limits = DEFAULT_LIMITS) -> Listing:
    """List the volumes of one kind of all subjects that have a class.

    Parameters
    ----------
    root : Path
        The data set. Sessions and runs are samples of their own, of one group: the subject.
    options : BidsOptions
    limits : Limits

    Raises
    ------
    InvalidInputError
        A participants.tsv that cannot be read or has no clear column of classes, no volumes, or volumes
        of several kinds and no word which.
    """
    rows = _read_participants(root / PARTICIPANTS_NAME, limits)
    column = _label_column(rows, options.label_from)
    label_of = {row[SUBJECT_COLUMN]: row[column] for row in rows if row[column] not in _MISSING}
    volumes = [name for name in list_samples(root, limits) if name.casefold().endswith(_EXTENSIONS)]
    of_subjects = [name for name in volumes if PurePosixPath(name).parts[0] in label_of]
    suffix, chosen = _chosen(root, of_subjects, options.suffix)
    files = [
        ListedFile(name, label_of[subject], subject)
        for name in sorted(chosen, key=sort_key)
        for subject in [PurePosixPath(name).parts[0]]
    ]
    names = BidsNames(column, suffix.rpartition("_")[2], _datatype(files))
    notes = _notes(rows, label_of, column, files, volumes)
    return Listing(tuple(files), "volumes", True, tuple(notes), bids=names)


def _read_participants(path: Path, limits: Limits) -> list[_Row]:
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


def _label_column(rows: Sequence[_Row], asked: str | None) -> str:
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


def _chosen(root: Path, names: Sequence[str], asked: str | None) -> tuple[str, list[str]]:
    """Return the suffix of the volumes to read, and these."""
    found = Counter(_suffix_of(name) for name in names)
    listed = ", ".join(f"{count} of {suffix}" for suffix, count in found.most_common(5))
    if not found:
        raise InvalidInputError(
            f"{str(root)!r} holds no NIfTI volumes of the subjects that participants.tsv gives a class: check"
            " the names of their folders (sub-...)"
        )
    if asked is None:
        if len(found) > 1:
            raise InvalidInputError(
                f"a data set holds volumes of one kind, this one has {listed}: give --bids-suffix"
            )
        asked = next(iter(found))
    chosen = [name for name in names if f"_{split_suffix(PurePosixPath(name).name)[0]}".endswith(f"_{asked}")]
    if not chosen:
        raise InvalidInputError(
            f"--bids-suffix must be the end of a volume's name, none ends in {asked!r}: there are {listed}"
        )
    return asked, chosen


def _suffix_of(name: str) -> str:
    return split_suffix(PurePosixPath(name).name)[0].rpartition("_")[2]


def _datatype(files: Sequence[ListedFile]) -> str:
    folder = PurePosixPath(files[0].name).parent.name
    return folder if folder in DATATYPES else DATATYPES[0]


def _notes(
    rows: Sequence[_Row],
    label_of: dict[str, str],
    column: str,
    files: Sequence[ListedFile],
    volumes: Sequence[str],
) -> list[str]:
    notes = [f"The class was read from the column {column} of participants.tsv."]
    if len(label_of) < len(rows):
        notes.append(f"{len(rows) - len(label_of)} subjects without a class there were left out.")
    without = sorted(set(label_of) - {str(file.group) for file in files})
    if without:
        notes.append(
            f"{len(without)} subjects of participants.tsv have no such volume: {quote_some(without)}."
        )
    if len(files) < len(volumes):
        notes.append(f"{len(volumes) - len(files)} other volumes were not read.")
    synthetic = {row[SUBJECT_COLUMN] for row in rows if row.get("synthetic", "").casefold() in ("true", "1")}
    marked = sum(file.group in synthetic for file in files)
    if marked:
        notes.append(f"{marked} of the {len(files)} volumes are marked as synthetic in participants.tsv.")
    return notes


def bids_groups(listing: Listing) -> tuple[tuple[str, ...], list[str]]:
    """Return the subject of each file of a BIDS listing, and the note on them."""
    groups = tuple(str(file.group) for file in listing.files)
    return groups, [f"{len(set(groups))} groups (subjects) were read from participants.tsv."]
