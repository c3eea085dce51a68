"""What a data folder holds: its samples as they are listed, and the files below it by their kind."""

import os
import stat
import unicodedata
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
UNREAD_IMAGE_SUFFIXES = frozenset(
    {
        *(
            ".webp",
            ".heic",
            ".heif",
            ".avif",
            ".jp2",
            ".j2k",
            ".jxl",
            ".jfif",
            ".svg",
            ".psd",
            ".tga",
            ".pcx",
        ),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".exr", ".ico", ".dng", ".cr2", ".nef", ".arw"),
    }
)
VOLUME_SUFFIXES = (".nii", ".nii.gz")
UNREAD_VOLUME_SUFFIXES = frozenset({".mha", ".mhd", ".nrrd", ".mgz", ".hdr", ".img"})
ARRAY_SUFFIX = ".npy"
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
_DICOM_MAGIC_AT, _DICOM_MAGIC = 128, b"DICM"
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
        What the column of subjects of metadata.csv or of participants.tsv says.
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
    columns : tuple of str
        Of metadata.csv: the names of its columns, folded to lower case.
    group_column : str, optional
        Of metadata.csv: the column that tells the subjects.
    """

    files: tuple[ListedFile, ...]
    kind: SampleKind
    from_metadata: bool
    notes: tuple[str, ...]
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bids: BidsNames | None = None
    columns: tuple[str, ...] = ()
    group_column: str | None = None


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


def entries_of(folder: Path) -> list[os.DirEntry[str]]:
    """Return what lies in a folder, sorted, without what is hidden; InvalidInputError for names not UTF-8."""
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


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a folder, or a link to one."""
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


def is_sample(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a file that holds a sample, by its name or its beginning."""
    try:
        if not stat.S_ISREG(entry.stat().st_mode):
            return False
    except OSError:
        # a broken link: listed here, reported when it is read
        return kind_of_name(entry.name) is not None
    return _kind_of_file(entry.path) is not None


def files_below(
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
        for entry in entries_of(current):
            if is_folder(entry):
                waiting.append(Path(entry.path))
            else:
                yield Path(entry.path).relative_to(root).as_posix(), is_sample(entry)


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
        for entry in entries_of(root)
        for name, holds_sample in (
            files_below(root, Path(entry.path), limits, skip_outside)
            if is_folder(entry)
            else [(entry.name, is_sample(entry))]
        )
        if holds_sample
    ]
