"""Files that appear whole or not at all: written beside their place, then moved there in one step."""

import ctypes
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

_LONGEST_KEPT_SUFFIX = 16
_flushes_each: ContextVar[bool] = ContextVar("flushes_each", default=True)
_LEFTOVER = re.compile(r"\.tmp-[0-9a-f]{12}(\.\w+)?\Z")


def _temporary_sibling(path: Path) -> Path:
    # hidden, so no reader takes it for a sample; short, so it fits wherever the final name fits
    suffix = path.suffix if len(path.suffix) <= _LONGEST_KEPT_SUFFIX else ""
    return path.parent / f".tmp-{secrets.token_hex(6)}{suffix}"


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def flushed_later() -> Iterator[None]:
    """Leave the flush of files that are written in the block to a later `flush_file_system`.

    A flush for each of many small files takes longer than to write them. Files are whole or absent all the
    same if the process is killed; after a power cut those of an unfinished stretch may not be.
    """
    token = _flushes_each.set(False)
    try:
        yield
    finally:
        _flushes_each.reset(token)


def flush_file_system(folder: str | os.PathLike[str]) -> None:
    """Return once all that was written to the file system of `folder` is on the disk.

    Where the system has no such call, the files of `folder` and below are flushed one by one.

    Raises
    ------
    OSError
        The folder is missing, or the disk did not take what was written.
    """
    syncfs = _syncfs()
    if syncfs is None:
        for path in Path(folder).rglob("*"):
            if path.is_file():
                _flush_to_disk(path)
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), os.fspath(folder))
    finally:
        os.close(descriptor)


@cache
def _syncfs() -> Callable[[int], int] | None:
    """Return the call of Linux that flushes one file system and tells of errors; None elsewhere."""
    try:
        return ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, TypeError, AttributeError):
        return None


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to, which becomes `path` when the block ends well.

    The file reaches the disk before it gets its name, so neither a killed process nor a power cut
    leaves half a file under `path` (but see `flushed_later`). An existing `path` is replaced. If the
    block raises, `path` stays as it was and the temporary file is removed.

    Parameters
    ----------
    path : str or path
        The file to write; its folder must exist.

    Yields
    ------
    Path
        A file name in the same folder with the same suffix. The block must create it.

    Raises
    ------
    OSError
        The folder is missing or not writable, or the disk is full.
    """
    target = Path(path)
    temporary = _temporary_sibling(target)
    try:
        yield temporary
        if _flushes_each.get():
            _flush_to_disk(temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path`, whole or not at all (see `atomic_path`)."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def atomic_write_text(path: str | os.PathLike[str], content: str) -> None:
    r"""Write `content` to `path` as UTF-8 with \n line ends, whole or not at all (see `atomic_path`)."""
    atomic_write_bytes(path, content.encode())


def remove_leftovers(folder: str | os.PathLike[str]) -> int:
    """Remove the temporary files that a killed process left in `folder` and below; return how many."""
    found = [
        path for path in Path(folder).rglob(".tmp-*") if _LEFTOVER.match(path.name) and not path.is_dir()
    ]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)
