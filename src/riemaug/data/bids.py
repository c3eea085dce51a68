"""A BIDS data set: which volumes it holds, and of which class, read from its participants.tsv."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from riemaug.data.bids_names import DATATYPES, BidsNames
from riemaug.data.bids_participants import (
    MISSING,
    NO_PARTICULARS,
    PARTICIPANTS_NAME,
    SUBJECT_COLUMN,
    Particulars,
    Row,
    label_column,
    read_participants,
    synthetic_subjects,
)
from riemaug.data.bids_versions import choose_volumes, mixed_spaces
from riemaug.data.file_choice import EVERY_FILE, FileChoice
from riemaug.data.listing import ListedFile, Listing, list_samples, quote_some, sort_key
from riemaug.data.metadata_table import METADATA_NAME
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

DESCRIPTION_NAME = "dataset_description.json"
_MISSING = ("", MISSING)
_EXTENSIONS = (".nii.gz", ".nii")
_SUBJECT, _SESSION = "sub-", "ses-"


@dataclass(frozen=True)
class BidsOptions:
    """What the user wishes of a BIDS data set.

    Parameters
    ----------
    label_from : str, optional
        Column of participants.tsv that holds the class.
    suffix : str, optional
        End of the names of the volumes to read, such as "T1w" or "desc-preproc_T1w", or some of their
        entities and the suffix.
    participants : Path, optional
        A participants.tsv for a data set that has none of its own.
    """

    label_from: str | None = None
    suffix: str | None = None
    participants: Path | None = None

    def check_unused(self, layout: str | None) -> None:
        """Raise InvalidInputError for wishes that no other folder can meet."""
        if self.label_from is not None:
            raise InvalidInputError(
                "--label-from is for tables, metadata.csv and BIDS folders (participants.tsv), class folders"
                " say the class themselves: leave it out"
            )
        if self.suffix is not None and layout != "bids":
            raise InvalidInputError(
                "--bids-suffix is for BIDS folders (dataset_description.json and participants.tsv), or with"
                " --layout bids: leave it out"
            )
        if self.participants is not None:
            raise InvalidInputError(
                "--participants is for BIDS folders (sub-01, sub-02, ...), class folders and metadata.csv say"
                " the class themselves: leave it out"
            )

    def participants_of(self, root: Path) -> Path:
        """Return where the participants.tsv of a data set is.

        Raises
        ------
        InvalidInputError
            It has none, and no other was named, or there is no such file.
        """
        own, other = root / PARTICIPANTS_NAME, self.participants
        if other is not None and not os.path.isfile(other):
            raise InvalidInputError(
                f"--participants must be a participants.tsv, {str(other)!r} is no file: check the path"
            )
        if os.path.isfile(own):
            return own
        if other is not None:
            return other
        raise InvalidInputError(
            f"participants.tsv says the class of each subject of a BIDS data set, {str(root)!r} has none:"
            " give --participants PATH, such as that of the raw data, or name volumes and classes in a"
            " metadata.csv"
        )


NO_BIDS = BidsOptions()


def is_bids(root: Path) -> bool:
    """Tell whether a folder is a BIDS data set; a metadata.csv in it says otherwise what to read.

    Folders of subjects tell it, too: derivatives often have no participants.tsv, and subjects are no classes.
    """
    if os.path.isfile(root / METADATA_NAME):
        return False
    described = os.path.isfile(root / DESCRIPTION_NAME)
    if described and os.path.isfile(root / PARTICIPANTS_NAME):
        return True
    try:
        with os.scandir(root) as entries:
            subjects = [entry for entry in entries if entry.name.startswith(_SUBJECT) and entry.is_dir()]
        return any(described or _is_of_subject(Path(entry.path)) for entry in subjects)
    except OSError:
        return False  # told by whatever lists it


def _is_of_subject(folder: Path) -> bool:
    """Tell whether a folder holds what that of a subject holds: sessions, kinds of data, or its volumes."""
    with os.scandir(folder) as entries:
        return any(
            entry.name in DATATYPES or entry.name.startswith(_SESSION)
            if entry.is_dir()
            else entry.name.startswith(f"{folder.name}_") and entry.name.casefold().endswith(_EXTENSIONS)
            for entry in entries
        )


def list_bids(
    root: Path,
    options: BidsOptions,
    limits: Limits = DEFAULT_LIMITS,
    chosen: FileChoice = EVERY_FILE,
) -> Listing:
    """List the volumes of one kind of all subjects that have a class.

    Parameters
    ----------
    root : Path
        The data set. Sessions and runs are samples of their own, of one group: the subject.
    options : BidsOptions
    limits : Limits
    chosen : FileChoice
        Which volumes are looked at.

    Raises
    ------
    InvalidInputError
        A participants.tsv that is not there, cannot be read or has no clear column of classes; no volumes;
        or volumes of several kinds or versions and no word which.
    """
    told = options.participants_of(root)
    rows = read_participants(told, limits)
    column = label_column(rows, options.label_from)
    label_of = {row[SUBJECT_COLUMN]: row[column] for row in rows if row[column] not in _MISSING}
    found = [name for name in list_samples(root, limits) if name.casefold().endswith(_EXTENSIONS)]
    volumes, left_out_notes = chosen.sift(found)
    of_subjects = [name for name in volumes if PurePosixPath(name).parts[0] in label_of]
    if not of_subjects:
        raise InvalidInputError(
            f"{str(root)!r} holds no NIfTI volumes of the subjects that participants.tsv gives a class: check"
            " the names of their folders (sub-...)"
        )
    suffix, meant = choose_volumes(of_subjects, options.suffix)
    files = [
        ListedFile(name, label_of[subject], subject)
        for name in sorted(meant, key=sort_key)
        for subject in [PurePosixPath(name).parts[0]]
    ]
    names = BidsNames(column, suffix.rpartition("_")[2], _datatype(files))
    notes = [*_notes(rows, label_of, column, files, volumes), *left_out_notes]
    if options.participants not in (None, told):
        notes.append("The data set has a participants.tsv of its own: that of --participants was not read.")
    return Listing(tuple(files), "volumes", True, tuple(notes), bids=names)


def _datatype(files: Sequence[ListedFile]) -> str:
    folder = PurePosixPath(files[0].name).parent.name
    return folder if folder in DATATYPES else DATATYPES[0]


def _notes(
    rows: Sequence[Row],
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
    synthetic = synthetic_subjects(rows)
    mixed = mixed_spaces([file.name for file in files if file.group not in synthetic])
    if mixed:
        notes.append(f"Volumes of several spaces or resolutions were read: {mixed}.")
    marked = sum(file.group in synthetic for file in files)
    if marked:
        notes.append(f"{marked} of the {len(files)} volumes are marked as synthetic in participants.tsv.")
    return notes


def particulars_of(root: Path, label: str, options: BidsOptions, limits: Limits) -> Particulars:
    """Return what a BIDS data set says of its subjects beside their class; nothing of other data."""
    if not is_bids(root):
        return NO_PARTICULARS
    return Particulars.read(options.participants_of(root), label, limits)


def bids_groups(listing: Listing) -> tuple[tuple[str, ...], list[str]]:
    """Return the subject of each file of a BIDS listing, and the note on them."""
    groups = tuple(str(file.group) for file in listing.files)
    return groups, [f"{len(set(groups))} groups (subjects) were read from participants.tsv."]
