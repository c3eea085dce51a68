"""Names of unknown origin: which class names can be folders, and which file names stay inside one."""

import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

from riemaug.data.listing import is_ignored, quote_some
from riemaug.errors import InvalidInputError

# what the top of an output folder holds beside the class folders
RESERVED_NAMES = frozenset(
    {
        "metadata.csv",
        "manifest.csv",
        "manifest.parquet",
        "report.html",
        "model.safetensors",
        "model.json",
        "run.json",
        "run.log",
        "model_card.md",
    }
)
_MAX_NAME_BYTES = 255
_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories of control characters, halves of characters and separators of lines."""
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of those after them, so that a name looks like another one."""
_PORTS = (f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))
_DEVICES = frozenset({"con", "prn", "aux", "nul", *_PORTS})
"""What Windows opens in place of a file, whatever the folder and the suffix."""
_NOT_ON_WINDOWS = frozenset('<>:"|?*')
_SPLIT_WORDS = (
    *("train", "training", "validation", "valid", "dev", "val"),
    *("test", "testing", "eval", "evaluation"),
)
_LIKE_A_SPLIT = re.compile(rf"(.*[-._ 0-9])?({'|'.join(_SPLIT_WORDS)})([-._ 0-9].*)?", re.DOTALL)
"""What the package datasets takes for a part of the data, in names of folders and files (`data_files.py` of
its version 5): one of the words, bounded by the ends of the name or by these signs."""


def check_class_names(class_names: Iterable[str]) -> None:
    """Refuse class names that cannot be folders of an output.

    Raises
    ------
    InvalidInputError
        A name that is empty, leads to another folder, is hidden, too long, looks other than it is, is the
        name of a file that riemaug writes beside the class folders, or, on Windows, cannot be a folder.
    """
    for name in class_names:
        reason = _name_fault(name)
        if reason:
            raise InvalidInputError(
                f"a class name becomes a folder name, {name!r} {reason}: rename the class"
            )


def check_case(class_names: Iterable[str], out: Path) -> None:
    """Refuse classes whose files would meet on a disk that does not tell upper and lower case apart.

    Parameters
    ----------
    class_names : iterable of str
    out : Path
        Where the files are to lie; it need not be there yet.

    Raises
    ------
    InvalidInputError
        Two names differ in case alone, and the disk of `out` takes them for one.
    """
    alike: dict[str, list[str]] = {}
    for name in class_names:
        alike.setdefault(name.casefold(), []).append(name)
    for names in alike.values():
        if len(names) > 1 and ignores_case(out):
            raise InvalidInputError(
                f"files of different classes need different names, {quote_some(names)} differ in upper and"
                f" lower case alone, which the disk of {str(out)!r} does not tell apart: rename one, or give"
                " a folder on another disk"
            )


def split_like_notes(class_names: Iterable[str]) -> tuple[str, ...]:
    """Return the note on classes of which Hugging Face's datasets would load one or some alone, if any."""
    found = [name for name in class_names if _LIKE_A_SPLIT.fullmatch(name)]
    if not found:
        return ()
    subject = "The class {} is" if len(found) == 1 else "The classes {} are"
    note = (
        f"{subject.format(quote_some(found))} named like a part of a data set: of OUT, Hugging Face's"
        " load_dataset would load no other class, and no labels. Give it data_files={'train': 'OUT/*/*'},"
        " or rename the class."
    )
    return (note,)


def ignores_case(folder: Path) -> bool:
    """Tell whether a disk takes "cat" and "Cat" for one name; nothing is written to it."""
    absolute = folder.absolute()
    for path in (absolute, *absolute.parents):
        other = path.with_name(path.name.swapcase()) if path.name else path
        if path.exists() and other != path:
            return other.exists() and other.samefile(path)
    return False


def _name_fault(name: str) -> str:
    if not name or "/" in name or "\\" in name or name in (".", ".."):
        return "is no single folder"
    if any(unicodedata.category(char) in _UNSEEN or char in _TURNING for char in name):
        return "has characters that control how text is shown"
    if is_ignored(name):
        return "would be hidden"
    if name.casefold() in RESERVED_NAMES:
        return "is a file that riemaug writes there"
    if len(name.encode()) > _MAX_NAME_BYTES:
        return f"is longer than {_MAX_NAME_BYTES} bytes"
    return "is no folder on Windows" if os.name == "nt" and not _is_windows_name(name) else ""


def _is_windows_name(name: str) -> bool:
    stem = name.split(".")[0].rstrip().casefold()
    return not (stem in _DEVICES or name[-1] in ". " or _NOT_ON_WINDOWS & set(name))


def file_inside(folder: Path, name: str, is_folder: bool = False) -> Path:
    """Return where a file, or a folder that is read as one, lies that a table in `folder` names.

    Raises
    ------
    InvalidInputError
        The name leads out of the folder, also by links, or to no regular file; the message does not hold it.
    """
    path = PurePosixPath(name)
    leaves = path.is_absolute() or ".." in path.parts or bool(PureWindowsPath(name).drive) or "\0" in name
    if leaves or not Path(os.path.realpath(folder / path)).is_relative_to(os.path.realpath(folder)):
        raise InvalidInputError("it lies outside of the folder")
    if not (os.path.isdir if is_folder else os.path.isfile)(folder / path):
        raise InvalidInputError("it is no file, or missing")
    return folder / path
