"""Which images or volumes a data folder holds, and of which class: read from its sub-folders."""

import re
import unicodedata
from collections import Counter
from pathlib import Path

from riemaug.data.file_choice import EVERY_FILE, FileChoice
from riemaug.data.listing import (
    SPLIT_NAMES,
    TRAIN_NAMES,
    UNREAD_IMAGE_SUFFIXES,
    UNREAD_VOLUME_SUFFIXES,
    ListedFile,
    Listing,
    SampleKind,
    common_kind_of,
    entries_of,
    files_below,
    is_folder,
    is_sample,
    quote_some,
    sort_key,
)
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

_WHOLE_SUFFIXES = (".npz", ".csv", ".tsv", ".parquet")
"""Of files that are a data set each."""
_LIKE_A_MASK = re.compile(r"[-_. ](masks?|seg|segmentation|roi)(?![a-z])", re.IGNORECASE)
"""In the name of a file: it marks a region of the picture beside it."""


def list_class_folders(
    root: Path, limits: Limits = DEFAULT_LIMITS, chosen: FileChoice = EVERY_FILE
) -> Listing:
    """List a folder with one sub-folder per class.

    Parameters
    ----------
    root : Path
        The data folder.
    limits : Limits
        Whether links to folders outside are followed.
    chosen : FileChoice
        Which files are read. A folder of which none is left is no class.

    Raises
    ------
    InvalidInputError
        No class folders, a train/val/test layout, a class folder without images, or names that
        cannot be told apart.
    """
    top_samples: list[str] = []
    others: list[str] = []
    samples_of: dict[str, list[str]] = {}
    for entry in entries_of(root):
        if is_folder(entry):
            below = list(files_below(root, Path(entry.path), limits))
            samples_of[entry.name] = [name for name, holds_sample in below if holds_sample]
            others += [name for name, holds_sample in below if not holds_sample]
        elif is_sample(entry):
            top_samples.append(entry.name)
        else:
            others.append(entry.name)
    samples_of, left_out_notes = _sifted(samples_of, chosen)
    top_samples, others = ([name for name in names if chosen.takes(name)] for names in (top_samples, others))
    _check_layout(root, samples_of, top_samples, others)
    kind = common_kind_of(root, (name for names in samples_of.values() for name in names))
    _check_class_folders(samples_of, kind)
    files = [
        ListedFile(name, unicodedata.normalize("NFC", folder))
        for folder, names in samples_of.items()
        for name in sorted(names, key=sort_key)
    ]
    notes = (*_listing_notes(samples_of, kind, top_samples, others), *left_out_notes)
    return Listing(tuple(files), kind, False, notes)


def _sifted(samples_of: dict[str, list[str]], chosen: FileChoice) -> tuple[dict[str, list[str]], list[str]]:
    """Return the samples that are to be read, by their folder, and notes on the others."""
    taken, notes = chosen.sift(name for names in samples_of.values() for name in names)
    kept = set(taken)
    sifted = {folder: [name for name in names if name in kept] for folder, names in samples_of.items()}
    return {folder: names for folder, names in sifted.items() if names or not samples_of[folder]}, notes


def _check_layout(
    root: Path, samples_of: dict[str, list[str]], top_samples: list[str], others: list[str]
) -> None:
    if not any(samples_of.values()):
        if top_samples:
            raise InvalidInputError(
                f"a data folder has one sub-folder per class, {str(root)!r} holds {len(top_samples)}"
                f" {common_kind_of(root, top_samples)} and no class folders: move each file into the folder"
                " of its class, or add a metadata.csv"
            )
        raise InvalidInputError(_nothing_found(root, others))
    split_folders = [name for name in samples_of if name.casefold() in SPLIT_NAMES and samples_of[name]]
    nested = [
        name
        for name in split_folders
        if any(path.count("/") > 1 for path in samples_of[name]) or f"{name}/metadata.csv" in others
    ]
    others_with_samples = [name for name in samples_of if samples_of[name] and name not in split_folders]
    has_train = any(name.casefold() in TRAIN_NAMES for name in nested)
    if nested and (has_train or len(nested) > 1 or not others_with_samples):
        train = min(nested, key=lambda name: (name.casefold() not in TRAIN_NAMES, name))
        raise InvalidInputError(
            f"{str(root)!r} holds the split folders {quote_some(split_folders)}, not classes: give"
            f" {str(root / train)!r}"
        )
    if split_folders and not others_with_samples:
        raise InvalidInputError(
            f"{str(root)!r} holds only the split folders {quote_some(split_folders)}, and these hold no"
            " class folders:"
            f" put one sub-folder per class into {str(root / split_folders[0])!r} and give that"
        )


def _nothing_found(root: Path, others: list[str]) -> str:
    readable = "png, jpg, tiff, bmp, gif, npy, NIfTI or DICOM files"
    arrays = [name for name in others if name.casefold().endswith(_WHOLE_SUFFIXES)]
    if arrays:
        first = min(arrays, key=lambda name: Path(name).stem.casefold() not in TRAIN_NAMES)
        return f"{str(root)!r} holds no {readable}: to read one of its files give {str(root / first)!r}"
    if any(_suffix(name) in UNREAD_VOLUME_SUFFIXES for name in others):
        return (
            f"{str(root)!r} holds scans in a format that is not read and no {readable}: convert them to NIfTI"
            " (.nii.gz)"
        )
    if not others:
        return f"{str(root)!r} is empty: give a folder with one sub-folder of images per class"
    suffixes = Counter(_suffix(name) or "no suffix" for name in others)
    found = ", ".join(f"{count} of {suffix}" for suffix, count in suffixes.most_common(3))
    return f"{str(root)!r} holds no {readable}, only other files ({found}): convert them to png"


def _suffix(name: str) -> str:
    return Path(name).suffix.casefold()


def _check_class_folders(samples_of: dict[str, list[str]], kind: SampleKind) -> None:
    empty = [name for name, names in samples_of.items() if not names]
    if empty:
        raise InvalidInputError(
            f"a class needs at least 2 {kind}, the class folder {quote_some(empty)} holds none: add"
            f" {kind} or remove it"
        )
    alike = Counter(unicodedata.normalize("NFC", name) for name in samples_of)
    twice = [name for name, count in alike.items() if count > 1]
    if twice:
        raise InvalidInputError(
            f"class folders must have different names, {quote_some(twice)} exists in two Unicode"
            " spellings: rename one"
        )


def _listing_notes(
    samples_of: dict[str, list[str]], kind: SampleKind, top_samples: list[str], others: list[str]
) -> list[str]:
    notes = []
    not_read = UNREAD_IMAGE_SUFFIXES | UNREAD_VOLUME_SUFFIXES
    unread = [name for name in others if _suffix(name) in not_read]
    if unread:
        formats = ", ".join(sorted({_suffix(name) for name in unread}))
        notes.append(
            f"{len(unread)} files in formats that are not read ({formats}) were ignored: {quote_some(unread)}"
            f"; to have them read convert them to what the other {kind} are."
        )
    rest = [name for name in others if _suffix(name) not in not_read]
    if rest:
        notes.append(f"{len(rest)} files that are no {kind} were ignored: {quote_some(rest)}.")
    if top_samples:
        notes.append(
            f"{len(top_samples)} files outside any class folder were not read: {quote_some(top_samples)}."
        )
    notes += _notes_on_masks(samples_of, kind)
    folded = Counter(name.casefold() for name in samples_of)
    alike = [name for name in samples_of if folded[name.casefold()] > 1]
    if alike:
        notes.append(f"The classes {quote_some(alike)} differ only in upper and lower case.")
    return notes


def _notes_on_masks(samples_of: dict[str, list[str]], kind: SampleKind) -> list[str]:
    names = [name for names in samples_of.values() for name in names]
    masks = [name for name in names if _LIKE_A_MASK.search(Path(name).stem)]
    if not masks or len(masks) == len(names):
        return []
    called = _LIKE_A_MASK.search(Path(masks[0]).stem)
    assert called is not None
    found = f"{len(masks)} of the {len(names)} {kind} are called like masks, such as {masks[0]!r}"
    return [f"{found}: if they are masks, give --exclude '*{called[0]}*'."]
