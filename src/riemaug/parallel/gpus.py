"""Which of several GPUs a task computes on: the one with the fewest, by locks that end with their holder."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any

import torch

from riemaug.file_lock import HAS_LOCKS, try_lock


def num_gpus() -> int:
    """Return how many CUDA devices this process sees."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def on_a_gpu(device: str) -> Any:
    """Return a context in which "cuda" is the GPU with the fewest tasks of this machine.

    Parameters
    ----------
    device : str
        Of the task. Only "cuda" alone leaves a choice, and only where several GPUs are visible.
    """
    if device != "cuda" or num_gpus() < 2:
        return nullcontext()
    return _on_free_gpu(num_gpus())


@contextmanager
def _on_free_gpu(num_visible: int) -> Iterator[None]:
    with leased(num_visible) as index, torch.cuda.device(index):
        yield


@contextmanager
def leased(num_visible: int, folder: Path | None = None) -> Iterator[int]:
    """Give the number of a GPU: of those with the fewest leases the first; the lease ends with the block.

    Nobody waits: with more tasks than GPUs each gets a second task before any gets a third. A process
    that is killed loses its lease. Without locks, or where their folder is not this user's alone, the number
    of the process decides.

    Parameters
    ----------
    num_visible : int
    folder : Path, optional
        Of the locks: by default one of this user and machine, so that runs know of each other.
    """
    place = folder or _lock_folder()
    if not HAS_LOCKS or not _is_ours(place):
        yield os.getpid() % num_visible
        return
    descriptor, index = next(
        (held, index)
        for layer in count()
        for index in range(num_visible)
        if (held := _try_lock(place / f"{_identity(index)}.{layer}")) is not None
    )
    try:
        yield index
    finally:
        os.close(descriptor)


def _lock_folder() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else os.getlogin()
    return Path(tempfile.gettempdir()) / f"riemaug-gpus-{user}"


def _is_ours(place: Path) -> bool:
    """Return whether a folder, made if need be, is this user's alone; others may write to its parent."""
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = place.lstat()
    except OSError:
        return False
    is_private = not stat.S_IMODE(found.st_mode) & 0o022
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and is_private


def _identity(index: int) -> str:
    """Return a name of a visible GPU; processes may see different ones under the same number."""
    if index >= num_gpus():  # a number that is only counted with
        return str(index)
    return str(getattr(torch.cuda.get_device_properties(index), "uuid", index))


def _try_lock(path: Path) -> int | None:
    """Return the descriptor that holds a lock, None if another one does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    return descriptor if try_lock(descriptor) else None
