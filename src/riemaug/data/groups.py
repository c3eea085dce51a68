"""Which samples belong together: the images of one subject must never be split."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from riemaug.data.listing import ListedFile, split_suffix
from riemaug.errors import InvalidInputError

_LAST_NUMBERED_PART = re.compile(r"[-_. ]+[A-Za-z]*\d+[A-Za-z]?\Z")
_SUSPICIOUS_SHARE = 0.6


def find_groups(
    files: Sequence[ListedFile], group_from: str | None, from_metadata: bool
) -> tuple[tuple[str, ...] | None, list[str]]:
    """Tell the group of each file.

    Parameters
    ----------
    files : sequence of ListedFile
        The samples.
    group_from : str, optional
        "folder" (the first sub-folder below the class), "column" (the group column of metadata.csv),
        or a regular expression with one group that is searched in the relative path. None: the group
        column if there is one.
    from_metadata : bool
        Whether the files were listed by a metadata.csv.

    Returns
    -------
    tuple of (tuple of str or None, list of str)
        The groups, None if unknown, and notes.

    Raises
    ------
    InvalidInputError
        The groups cannot be told as asked.
    """
    if group_from == "folder":
        groups = tuple(_folder_group(file, from_metadata) for file in files)
    elif group_from == "column":
        groups = tuple(_column_group(file) for file in files)
    elif group_from is not None:
        groups = _pattern_groups(files, group_from)
    elif files and all(file.group is not None for file in files):
        groups = tuple(str(file.group) for file in files)
    else:
        return None, _suspicion(files)
    source = f"--group-from {group_from}" if group_from else "the group column of metadata.csv"
    return groups, [f"{len(set(groups))} groups (subjects) were read from {source}."]


def _folder_group(file: ListedFile, from_metadata: bool) -> str:
    folders = PurePosixPath(file.name).parts[:-1]
    if not from_metadata or (folders and folders[0] == file.class_name):
        folders = folders[1:]
    if not folders:
        raise InvalidInputError(
            f"--group-from folder needs one sub-folder per subject, {file.name!r} lies in none:"
            " move it into one, or give a regular expression"
        )
    return folders[0]


def _column_group(file: ListedFile) -> str:
    if file.group is None:
        raise InvalidInputError(
            "--group-from column needs a metadata.csv with a column group, there is none: add it,"
            " or use folder or a regular expression"
        )
    return file.group


def _pattern_groups(files: Sequence[ListedFile], text: str) -> tuple[str, ...]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise InvalidInputError(
            f"--group-from takes folder, column or a regular expression, {text!r} is none: {error}"
        ) from None
    if pattern.groups != 1:
        raise InvalidInputError(
            f"the expression of --group-from needs one group in brackets, {text!r} has {pattern.groups}:"
            r" write it like '(sub\d+)_'"
        )
    found = [pattern.search(file.name) for file in files]
    groups = tuple(match.group(1) or "" if match else "" for match in found)
    without = [file.name for file, group in zip(files, groups, strict=True) if not group]
    if without:
        raise InvalidInputError(
            f"the expression of --group-from must match every file, {text!r} finds nothing in"
            f" {len(without)} of them,"
            f" the first {without[0]!r}: correct it"
        )
    return groups


def _suspicion(files: Sequence[ListedFile]) -> list[str]:
    """Return a note when folders or names look like several images a subject."""
    reason = "and keep every subject on one side when you hold data back to test on."
    if _looks_shared([(file.class_name, _subject_folder(file)) for file in files]):
        found = "Sub-folders inside the classes look like subjects with several images each"
        return [f"{found}: if so, give --group-from folder, {reason}"]
    subjects = [(file.class_name, _subject_name(file)) for file in files]
    if _looks_shared(subjects):
        example = next(file.name for file, (_, subject) in zip(files, subjects, strict=True) if subject)
        found = f"File names such as {example!r} look like several images a subject"
        return [f"{found}: if so, give --group-from with a regular expression, {reason}"]
    return []


def _subject_folder(file: ListedFile) -> str | None:
    folders = PurePosixPath(file.name).parts[1:-1]
    return folders[0] if folders else None


def _subject_name(file: ListedFile) -> str | None:
    # "sub01_003", "sub-01_slice3": a beginning that holds a number, then one more numbered part
    stem, _ = split_suffix(PurePosixPath(file.name).name)
    match = _LAST_NUMBERED_PART.search(stem)
    subject = stem[: match.start()] if match else ""
    return subject if any(character.isdigit() for character in subject) else None


def _looks_shared(subjects: Sequence[tuple[str, str | None]]) -> bool:
    images_of: dict[tuple[str, str], int] = defaultdict(int)
    subjects_of: dict[str, set[str]] = defaultdict(set)
    for class_name, subject in subjects:
        if subject is not None:
            images_of[class_name, subject] += 1
            subjects_of[class_name].add(subject)
    # one beginning for a whole class is a naming habit, not a subject
    shared = sum(
        count
        for (class_name, _), count in images_of.items()
        if count > 1 and len(subjects_of[class_name]) > 1
    )
    return shared > 0 and shared >= _SUSPICIOUS_SHARE * len(subjects)
