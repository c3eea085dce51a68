"""Which samples belong together: the images of one subject must never be split."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from riemaug.data.listing import SPLIT_NAMES, ListedFile, Listing, quote_some, split_suffix
from riemaug.data.table_names import may_name_subjects, written_option
from riemaug.errors import InvalidInputError
from riemaug.nearest import did_you_mean

_LAST_NUMBERED_PART = re.compile(r"[-_. ]+[A-Za-z]*\d+[A-Za-z]?\Z")
_SUSPICIOUS_SHARE = 0.6


def find_groups(listing: Listing, group_from: str | None) -> tuple[tuple[str, ...] | None, list[str]]:
    """Tell the group of each file.

    Parameters
    ----------
    listing : Listing
        The samples. Where a metadata.csv lists them, it was read with the same `group_from`.
    group_from : str, optional
        "folder" (the first folder below that of the class), "column" (the column group of metadata.csv), the
        name of another column of it, or a regular expression with one group that is searched in the
        relative path. None: the column group if there is one. A text that is both a column and an
        expression is the column.

    Returns
    -------
    tuple of (tuple of str or None, list of str)
        The groups, None if unknown, and notes.

    Raises
    ------
    InvalidInputError
        The groups cannot be told as asked.
    """
    if listing.group_column is not None:
        groups = tuple(str(file.group) for file in listing.files)
        source = f"the column {listing.group_column} of metadata.csv"
    elif group_from is None:
        return None, _suspicion(listing)
    else:
        groups, source = _asked_groups(listing, group_from), f"--group-from {group_from}"
    found = len(set(groups))
    what = "1 group (subject) was" if found == 1 else f"{found} groups (subjects) were"
    return groups, [f"{what} read from {source}."]


def _asked_groups(listing: Listing, group_from: str) -> tuple[str, ...]:
    if group_from == "column":
        raise InvalidInputError(
            "--group-from column needs a metadata.csv with a column group, there is none: add it, name"
            " another column, or use folder or a regular expression"
        )
    if group_from == "folder":
        pairs = zip(listing.files, _folders_above(listing), strict=True)
        return tuple(_folder_group(file, number) for file, number in pairs)
    return _pattern_groups(listing, group_from)


def _folders_above(listing: Listing) -> list[int]:
    """Return how many folders of each path come before that of a subject.

    They are the folder of the class, and of a metadata.csv, where folders need not be classes, those that
    all files lie in, but for the last one of a path.
    """
    folders = [PurePosixPath(file.name).parts[:-1] for file in listing.files]
    if not listing.from_metadata:
        return [1] * len(folders)
    shared, most = 0, min(map(len, folders), default=0) - 1
    while shared < most and len({parts[shared] for parts in folders}) == 1:
        shared += 1
    return [
        shared + (parts[shared : shared + 1] == (file.class_name,))
        for file, parts in zip(listing.files, folders, strict=True)
    ]


def _subject_folder(file: ListedFile, above: int) -> str | None:
    folders = PurePosixPath(file.name).parts[above:-1]
    return folders[0] if folders else None


def _folder_group(file: ListedFile, above: int) -> str:
    folder = _subject_folder(file, above)
    if folder is None:
        raise InvalidInputError(
            f"--group-from folder needs one sub-folder per subject, {file.name!r} lies in none:"
            " move it into one, or give a regular expression"
        )
    return folder


def _pattern_groups(listing: Listing, text: str) -> tuple[str, ...]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise InvalidInputError(
            "--group-from takes folder, column, the name of a column or a regular expression,"
            f" {text!r} is none: {error}"
        ) from None
    if pattern.groups != 1:
        raise InvalidInputError(
            f"the expression of --group-from needs one group in brackets, {text!r} has {pattern.groups}:"
            rf" write it like '(sub\d+)_'{_or_a_column(listing, text)}"
        )
    groups = tuple(_captured(pattern, file.name, _class_span(listing, file)) for file in listing.files)
    without = [file.name for file, group in zip(listing.files, groups, strict=True) if not group]
    if without:
        raise InvalidInputError(
            "the expression of --group-from must match every file, below the folder of its class,"
            f" {text!r} finds nothing in {len(without)} of them, the first {without[0]!r}: correct it"
        )
    return groups


def _or_a_column(listing: Listing, text: str) -> str:
    """Return what to say of columns where an expression may be the misspelt name of one."""
    if not listing.columns or not re.fullmatch(r"[\w \-]+", text):
        return ""
    columns = quote_some(list(listing.columns))
    return f"; the columns of metadata.csv are {columns}{did_you_mean(text, listing.columns)}"


def _class_span(listing: Listing, file: ListedFile) -> tuple[int, int]:
    """Return where in the path of a file the folder of its class begins and ends; (0, 0) if there is none.

    The path and the class of the file alone say it: a file must have the same subject whatever other files
    are read with it, such as those of a test set of one patient.
    """
    folders = PurePosixPath(file.name).parts[:-1]
    if not listing.from_metadata:
        return 0, len(folders[0])
    if file.class_name not in folders:
        return 0, 0
    begin = sum(len(folder) + 1 for folder in folders[: folders.index(file.class_name)])
    return begin, begin + len(file.class_name)


def _captured(pattern: re.Pattern[str], name: str, of_class: tuple[int, int]) -> str:
    """Return what the group of an expression finds in a path; the class is no subject.

    The whole path is searched first, so that an expression may begin with the class. If the group then holds
    a part of the folder of the class, or nothing is found, what is below that folder is searched alone.
    """
    begin, end = of_class
    match = pattern.search(name)
    if match is None or (match.start(1) < end and match.end(1) > begin):
        match = pattern.search(name[end + 1 :] if end else name)
    return (match.group(1) or "") if match else ""


def _suspicion(listing: Listing) -> list[str]:
    """Return a note when columns, folders or names look like several images a subject.

    What the note says to give must work.
    """
    files, reason = listing.files, "and keep every subject on one side when you hold data back to test on."
    columns = [name for name in listing.columns if may_name_subjects(name)]
    if columns:
        option = written_option("--group-from", columns[0])
        return [f"Column {columns[0]!r} of metadata.csv may name subjects: if so, give {option}, {reason}"]
    above = _folders_above(listing)
    folders = [_subject_folder(file, number) for file, number in zip(files, above, strict=True)]
    named = [None if folder and folder.casefold() in SPLIT_NAMES else folder for folder in folders]
    if _looks_shared([(file.class_name, folder) for file, folder in zip(files, named, strict=True)]):
        found = "Sub-folders inside the classes look like subjects with several images each"
        loose = [file.name for file, folder in zip(files, folders, strict=True) if folder is None]
        move = f"move {loose[0]!r} and such files into one, too, and " if loose else ""
        return [f"{found}: if so, {move}give --group-from folder, {reason}"]
    subjects = [(file.class_name, _subject_name(file)) for file in files]
    if _looks_shared(subjects):
        example = next(file.name for file, (_, subject) in zip(files, subjects, strict=True) if subject)
        found = f"File names such as {example!r} look like several images a subject"
        return [f"{found}: if so, give --group-from with a regular expression, {reason}"]
    return []


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
