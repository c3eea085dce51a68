"""Which images or volumes a data folder holds, and of which class: read from its sub-folders."""

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from riemaug.data.bids_names import BidsNames
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
TRAIN_NAMES = frozenset({"train", "training"})
_SYSTEM_NAMES = frozenset({"__macosx", "thumbs.db", "desktop.ini", "ehthumbs.db"})
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif"})
VOLUME_SUFFIXES = (".nii", ".nii.gz")
ARRAY_SUFFIX = ".npy"
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
_DICOM_MAGIC_AT, _DICOM_MAGIC = 128, b"DICM"
_OTHER_VOLUME_SUFFIXES = (".mha", ".mhd", ".nrrd", ".mgz", ".hdr", ".img")
_WHOLE_SUFFIXES = (".npz", ".csv", ".tsv", ".parquet")
"""Of files that are a data set each."""
_SHOWN = 5

SampleKind = Literal["images", "stacks", "arrays", "volumes", "series"]
"""Of files: images, multi-page TIFF, npy, NIfTI, DICOM (the files of a series are one sample)."""
_KIND_WORDS = {"arrays": "npy arrays", "volumes": "volumes", "series": "DICOM files"}


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
    """The samples of a data folder, in an order that does not depend on the file system.

    Attributes
    ----------
    files : tuple of ListedFile
    kind : SampleKind
    from_metadata : bool
        A table says the classes, not the first folder of each path.
    notes : tuple of str
    members : mapping of str to tuple of str
        Of DICOM series: all files of each, by the file that it is named by.
    bids : BidsNames, optional
        Of a BIDS data set.
    """

    files: tuple[ListedFile, ...]
    kind: SampleKind
    from_metadata: bool
    notes: tuple[str, ...]
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bids: BidsNames | None = None


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


def kind_of_name(name: str) -> SampleKind | None:
    """Return what a file's name says that it holds; None for no kind of sample."""
    folded = name.casefold()
    if folded.endswith(VOLUME_SUFFIXES):
        return "volumes"
    if folded.endswith(ARRAY_SUFFIX):
        return "arrays"
    if folded.endswith(DICOM_SUFFIXES):
        return "series"
    return "images" if Path(folded).suffix in IMAGE_SUFFIXES else None


def _kind_of_file(path: str | os.PathLike[str]) -> SampleKind | None:
    """Return what a file holds by its name, or by its beginning: DICOM files often have no suffix."""
    name = os.path.basename(path)
    kind = kind_of_name(name)
    suffix = PurePosixPath(name).suffix[1:]
    has_suffix = suffix and not suffix.isdecimal()
    # a pipe would wait for a writer for ever
    if kind is not None or has_suffix or name.casefold() == "dicomdir" or not os.path.isfile(path):
        return kind
    try:
        with open(path, "rb") as file:
            file.seek(_DICOM_MAGIC_AT)
            return "series" if file.read(len(_DICOM_MAGIC)) == _DICOM_MAGIC else None
    except OSError:
        return None


def one_of(kind: SampleKind) -> str:
    """Return the word for one sample of a kind."""
    return "series" if kind == "series" else kind[:-1]


def split_suffix(name: str) -> tuple[str, str]:
    """Return a file's name without its suffix, and the suffix in lower case; ".nii.gz" is one."""
    for suffix in VOLUME_SUFFIXES:
        if name.casefold().endswith(suffix):
            return name[: -len(suffix)], suffix
    path = PurePosixPath(name)
    return name.removesuffix(path.suffix), path.suffix.lower()


def common_kind_of(root: Path, names: Iterable[str]) -> SampleKind:
    """Return what all the files below `root` are; images where there are none.

    Raises
    ------
    InvalidInputError
        Images and volumes, or two other kinds, in one data set.
    """
    names_of: dict[SampleKind, list[str]] = {}
    for name in names:
        kind = _kind_of_file(root / name)
        # a file of any name that metadata.csv calls a sample is tried as an image
        names_of.setdefault("images" if kind is None else kind, []).append(name)
    if len(names_of) > 1:
        first, second = sorted(names_of)[:2]
        told, other = (_KIND_WORDS.get(kind, kind) for kind in (first, second))
        raise InvalidInputError(
            f"a data set holds {told} or {other}, this one has {len(names_of[first])} {told} such as"
            f" {names_of[first][0]!r} and {len(names_of[second])} {other} such as {names_of[second][0]!r}:"
            " move one kind away, or name the files to read in a metadata.csv"
        )
    return next(iter(names_of)) if names_of else "images"


def _is_sample_name(entry: os.DirEntry[str]) -> bool:
    try:
        if not stat.S_ISREG(entry.stat().st_mode):
            return False
    except OSError:
        # a broken link: listed here, reported when it is read
        return kind_of_name(entry.name) is not None
    return _kind_of_file(entry.path) is not None


def _files_below(
    root: Path, folder: Path, limits: Limits, skip_outside: bool = False
) -> Iterator[tuple[str, bool]]:
    """Yield (path relative to `root`, is a sample) of all files below `folder`.

    Links are followed, to folders outside `root` if the limits say so. Each real folder is entered once, so
    links in a circle end.

    Raises
    ------
    InvalidInputError
        A link to a folder leads out of `root`.
    """
    seen = {_identity(root)}
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        identity = _identity(current)
        if identity in seen:
            continue
        if skip_outside and _leads_out(root, current):
            continue
        check_link(root, current, limits)
        seen.add(identity)
        for entry in _entries(current):
            if _is_folder(entry):
                waiting.append(Path(entry.path))
            else:
                yield Path(entry.path).relative_to(root).as_posix(), _is_sample_name(entry)


def check_link(root: Path, folder: Path, limits: Limits) -> None:
    """Refuse a folder below `root` that is a link to one outside, unless such links are to be followed.

    Whoever unpacks data of unknown origin would else train on, and show, whatever folder of theirs a link
    in it names.
    """
    if not limits.follow_links and _leads_out(root, folder):
        raise InvalidInputError(
            f"a link to a folder must not lead out of the data folder, {str(folder)!r} leads to"
            f" {os.path.realpath(folder)!r}: copy that folder, or give --follow-links if you made the link"
        )


def _leads_out(root: Path, folder: Path) -> bool:
    is_link = folder.is_symlink()
    return is_link and not Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(root))


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise InvalidInputError(f"folder {str(folder)!r} cannot be listed: {error.strerror}") from None
    return status.st_dev, status.st_ino


def list_samples(root: Path, limits: Limits = DEFAULT_LIMITS, skip_outside: bool = False) -> list[str]:
    """Return the paths of all images and volumes below `root`, relative to it.

    Links to folders outside are left out if `skip_outside`; else see `check_link`.
    """
    return [
        name
        for entry in _entries(root)
        for name, is_sample in (
            _files_below(root, Path(entry.path), limits, skip_outside)
            if _is_folder(entry)
            else [(entry.name, _is_sample_name(entry))]
        )
        if is_sample
    ]


def list_class_folders(root: Path, limits: Limits = DEFAULT_LIMITS) -> Listing:
    """List a folder with one sub-folder per class.

    Parameters
    ----------
    root : Path
        The data folder.
    limits : Limits
        Whether links to folders outside are followed.

    Raises
    ------
    InvalidInputError
        No class folders, a train/val/test layout, a class folder without images, or names that
        cannot be told apart.
    """
    top_samples: list[str] = []
    others: list[str] = []
    samples_of: dict[str, list[str]] = {}
    for entry in _entries(root):
        if _is_folder(entry):
            below = list(_files_below(root, Path(entry.path), limits))
            samples_of[entry.name] = [name for name, is_sample in below if is_sample]
            others += [name for name, is_sample in below if not is_sample]
        elif _is_sample_name(entry):
            top_samples.append(entry.name)
        else:
            others.append(entry.name)
    _check_layout(root, samples_of, top_samples, others)
    kind = common_kind_of(root, (name for names in samples_of.values() for name in names))
    _check_class_folders(samples_of, kind)
    files = [
        ListedFile(name, unicodedata.normalize("NFC", folder))
        for folder, names in samples_of.items()
        for name in sorted(names, key=sort_key)
    ]
    return Listing(tuple(files), kind, False, tuple(_listing_notes(samples_of, kind, top_samples, others)))


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
    if any(name.casefold().endswith(_OTHER_VOLUME_SUFFIXES) for name in others):
        return (
            f"{str(root)!r} holds scans in a format that is not read and no {readable}: convert them to NIfTI"
            " (.nii.gz)"
        )
    if not others:
        return f"{str(root)!r} is empty: give a folder with one sub-folder of images per class"
    suffixes = Counter(Path(name).suffix.casefold() or "no suffix" for name in others)
    found = ", ".join(f"{count} of {suffix}" for suffix, count in suffixes.most_common(3))
    return f"{str(root)!r} holds no {readable}, only other files ({found}): convert them to png"


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
    if others:
        notes.append(f"{len(others)} files that are no {kind} were ignored: {quote_some(others)}.")
    if top_samples:
        notes.append(
            f"{len(top_samples)} files outside any class folder were not read: {quote_some(top_samples)}."
        )
    folded = Counter(name.casefold() for name in samples_of)
    alike = [name for name in samples_of if folded[name.casefold()] > 1]
    if alike:
        notes.append(f"The classes {quote_some(alike)} differ only in upper and lower case.")
    return notes
