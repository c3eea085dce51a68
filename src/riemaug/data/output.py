"""Rules for the output: which folder may be written to."""

import os
import secrets
from pathlib import Path

from riemaug.data.listing import is_ignored
from riemaug.errors import InvalidInputError

OWN_PREFIX = ".riemaug"
"""How the folders begin that a run keeps in OUT as long as it lasts."""


def check_output_folder(
    out: str | os.PathLike[str], data: str | os.PathLike[str] | None = None, *, allow_existing: bool = False
) -> None:
    """Refuse an output folder in which something could be lost; leaves nothing behind.

    Parameters
    ----------
    out : path
        The folder to write to.
    data : path, optional
        The data set that is read.
    allow_existing : bool
        Accept a folder that is not empty: a run that is resumed.

    Raises
    ------
    InvalidInputError
        `out` is no folder, not empty, inside `data` or around it, or cannot be written to; or what bears the
        name of a run's own folder in it is none.
    """
    target = Path(out)
    if data is not None:
        _check_apart(target, Path(data))
    if os.path.islink(target) and not os.path.exists(target):
        raise InvalidInputError(f"OUT must be a folder, {str(target)!r} is a broken link: remove it")
    if os.path.exists(target) and not os.path.isdir(target):
        raise InvalidInputError(f"OUT must be a folder, {str(target)!r} is a file: give another name")
    if not allow_existing and os.path.isdir(target) and _holds_something(target):
        raise InvalidInputError(f"OUT must be new or empty, {str(target)!r} is not: give another folder")
    _check_own_folders(target)
    _check_writable(target)


def _check_own_folders(target: Path) -> None:
    """Refuse a link under a name of our own: a run empties these folders, and would empty another's."""
    for entry in _entries(target) if os.path.isdir(target) else ():
        if entry.name.startswith(OWN_PREFIX) and (entry.is_symlink() or not entry.is_dir()):
            what = "a link" if entry.is_symlink() else "a file"
            raise InvalidInputError(
                f"what is called {OWN_PREFIX}... in OUT must be a folder of riemaug's own, {entry.path!r} is "
                f"{what}: remove it, or give another folder"
            )


def _check_apart(out: Path, data: Path) -> None:
    real_out, real_data = out.resolve(), data.resolve()
    if real_out == real_data:
        raise InvalidInputError(f"OUT must not be the data folder itself ({str(out)!r}): give another folder")
    if real_out.is_relative_to(real_data):
        raise InvalidInputError(
            f"OUT must lie outside the data folder, {str(out)!r} is inside {str(data)!r}: give a folder"
            " beside it"
        )
    if real_data.is_relative_to(real_out):
        raise InvalidInputError(
            f"OUT must not contain the data, {str(out)!r} holds {str(data)!r}: give a folder beside it"
        )


def _holds_something(folder: Path) -> bool:
    return any(not is_ignored(entry.name) for entry in _entries(folder))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise InvalidInputError(
            f"OUT must be a folder that can be read, {str(folder)!r} cannot: {error.strerror}"
        ) from None


def _check_writable(target: Path) -> None:
    folder = target
    while not os.path.exists(folder) and folder != folder.parent:
        folder = folder.parent
    # permissions, read-only disks and quotas: only a real file tells
    probe = folder / f".tmp-{secrets.token_hex(6)}"
    try:
        probe.write_bytes(b"\0")
        probe.unlink()
    except OSError as error:
        raise InvalidInputError(
            f"OUT must be writable, {str(folder)!r} is not ({error.strerror}): give another folder"
        ) from None


def prepare_output(
    out: str | os.PathLike[str], data: str | os.PathLike[str] | None = None, *, allow_existing: bool = False
) -> Path:
    """Check the output folder (see `check_output_folder`), make it, and return its path."""
    check_output_folder(out, data, allow_existing=allow_existing)
    target = Path(out)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(f"OUT {str(target)!r} cannot be made: {error.strerror}") from None
    return target
