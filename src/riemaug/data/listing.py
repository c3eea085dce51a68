"""Which image files a data folder holds, and of which class: read from its sub-folders."""

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from riemaug.data.images import IMAGE_SUFFIXES
from riemaug.errors import InvalidInputError

SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
TRAIN_NAMES = frozenset({"train", "training"})
_SYSTEM_NAMES = frozenset({"__macosx", "thumbs.db", "desktop.ini", "ehthumbs.db"})
_VOLUME_SUFFIXES = (".nii", ".nii.gz", ".dcm", ".mha", ".nrrd")
_SHOWN = 5


@dataclass(frozen=True)
class ListedFile:
    """One sample as the data folder declares it.

    Parameters
    ----------
    name : str
        Path relative to the data folder, with forward slashes.
    class_name : str
        Its class.
    group : str, optional
        What the `group` column of metadata.csv says.
    """

    name: str
    class_name: str
    group: str | None = None


@dataclass(frozen=True)
class Listing:
    """The samples of a data folder, in an order that does not depend on the file system."""

    files: tuple[ListedFile, ...]
    from_metadata: bool
    notes: tuple[str, ...]


def quote_some(names: list[str]) -> str:
    """Return up to five of the names, quoted, and how many more there are."""
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def sort_key(name: str) -> tuple[str, str]:
    """Return what to sort names by: file systems store the same accents in two ways."""
    return unicodedata.normalize("NFC", name), name


def is_ignored(name: str) -> bool:
    """Tell whether a file or folder is hidden or the operating system's own."""
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if not is_ignored(entry.name)]
    except OSError as error:
        raise InvalidInputError(f"folder {str(folder)!r} cannot be listed: {error.strerror}") from None
    for entry in entries:
        if not _is_utf8(entry.name):
            raise InvalidInputError(f"file names must be valid UTF-8, found {entry.name!r}: rename it")
    return sorted(entries, key=lambda entry: sort_key(entry.name))


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a symbolic link to itself


def _is_image_name(entry: os.DirEntry[str]) -> bool:
    if Path(entry.name).suffix.casefold() not in IMAGE_SUFFIXES:
        return False
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return True  # a broken link: listed here, reported when it is read


def _files_below(root: Path, folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield (path relative to `root`, is an image) of all files below `folder`; links are followed.

    Each real folder is entered once, so links in a circle end.
    """
    seen = {_identity(root)}
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        identity = _identity(current)
        if identity in seen:
            continue
        seen.add(identity)
        for entry in _entries(current):
            if _is_folder(entry):
                waiting.append(Path(entry.path))
            else:
                yield Path(entry.path).relative_to(root).as_posix(), _is_image_name(entry)


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise InvalidInputError(f"folder {str(folder)!r} cannot be listed: {error.strerror}") from None
    return status.st_dev, status.st_ino


def list_images(root: Path) -> list[str]:
    """Return the paths of all image files below `root`, relative to it."""
    return [
        name
        for entry in _entries(root)
        for name, is_image in (
            _files_below(root, Path(entry.path))
            if _is_folder(entry)
            else [(entry.name, _is_image_name(entry))]
        )
        if is_image
    ]


def list_class_folders(root: Path) -> Listing:
    """List a folder with one sub-folder per class.

    Parameters
    ----------
    root : Path
        The data folder.

    Raises
    ------
    InvalidInputError
        No class folders, a train/val/test layout, a class folder without images, or names that
        cannot be told apart.
    """
    top_images: list[str] = []
    others: list[str] = []
    images_of: dict[str, list[str]] = {}
    for entry in _entries(root):
        if _is_folder(entry):
            below = list(_files_below(root, Path(entry.path)))
            images_of[entry.name] = [name for name, is_image in below if is_image]
            others += [name for name, is_image in below if not is_image]
        elif _is_image_name(entry):
            top_images.append(entry.name)
        else:
            others.append(entry.name)
    _check_layout(root, images_of, top_images, others)
    _check_class_folders(images_of)
    files = [
        ListedFile(name, unicodedata.normalize("NFC", folder))
        for folder, names in images_of.items()
        for name in sorted(names, key=sort_key)
    ]
    return Listing(tuple(files), False, tuple(_listing_notes(images_of, top_images, others)))


def _check_layout(
    root: Path, images_of: dict[str, list[str]], top_images: list[str], others: list[str]
) -> None:
    if not any(images_of.values()):
        if top_images:
            raise InvalidInputError(
                f"a data folder has one sub-folder per class, {str(root)!r} holds {len(top_images)}"
                " images and no"
                " class folders: move each image into the folder of its class, or add a metadata.csv"
            )
        raise InvalidInputError(_nothing_found(root, others))
    split_folders = [name for name in images_of if name.casefold() in SPLIT_NAMES and images_of[name]]
    nested = [name for name in split_folders if any(path.count("/") > 1 for path in images_of[name])]
    others_with_images = [name for name in images_of if images_of[name] and name not in split_folders]
    has_train = any(name.casefold() in TRAIN_NAMES for name in nested)
    if nested and (has_train or len(nested) > 1 or not others_with_images):
        train = min(nested, key=lambda name: (name.casefold() not in TRAIN_NAMES, name))
        raise InvalidInputError(
            f"{str(root)!r} holds the split folders {quote_some(split_folders)}, not classes: give"
            f" {str(root / train)!r}"
        )
    if split_folders and not others_with_images:
        raise InvalidInputError(
            f"{str(root)!r} holds only the split folders {quote_some(split_folders)}, and these hold no"
            " class folders:"
            f" put one sub-folder per class into {str(root / split_folders[0])!r} and give that"
        )


def _nothing_found(root: Path, others: list[str]) -> str:
    readable = "png, jpg, tiff, bmp or gif"
    arrays = [name for name in others if name.casefold().endswith(".npz")]
    if arrays:
        return f"{str(root)!r} holds no {readable} images: to read its arrays give {str(root / arrays[0])!r}"
    if any(name.casefold().endswith(_VOLUME_SUFFIXES) for name in others):
        return (
            f"{str(root)!r} holds volumes and no {readable} images: volumes are not read by this version,"
            " export slices as 16-bit png or tiff"
        )
    if not others:
        return f"{str(root)!r} is empty: give a folder with one sub-folder of images per class"
    suffixes = Counter(Path(name).suffix.casefold() or "no suffix" for name in others)
    found = ", ".join(f"{count} of {suffix}" for suffix, count in suffixes.most_common(3))
    return f"{str(root)!r} holds no {readable} images, only other files ({found}): convert them to png"


def _check_class_folders(images_of: dict[str, list[str]]) -> None:
    empty = [name for name, images in images_of.items() if not images]
    if empty:
        raise InvalidInputError(
            f"a class needs at least 2 images, the class folder {quote_some(empty)} holds none: add"
            " images or remove it"
        )
    alike = Counter(unicodedata.normalize("NFC", name) for name in images_of)
    twice = [name for name, count in alike.items() if count > 1]
    if twice:
        raise InvalidInputError(
            f"class folders must have different names, {quote_some(twice)} exists in two Unicode"
            " spellings: rename one"
        )


def _listing_notes(images_of: dict[str, list[str]], top_images: list[str], others: list[str]) -> list[str]:
    notes = []
    if others:
        notes.append(f"{len(others)} files that are no images were ignored: {quote_some(others)}.")
    if top_images:
        notes.append(
            f"{len(top_images)} images outside any class folder were not read: {quote_some(top_images)}."
        )
    folded = Counter(name.casefold() for name in images_of)
    alike = [name for name in images_of if folded[name.casefold()] > 1]
    if alike:
        notes.append(f"The classes {quote_some(alike)} differ only in upper and lower case.")
    return notes
