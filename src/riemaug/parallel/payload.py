"""Tasks on their way to workers: large arrays lie in files that all of them map, not in each message.

joblib would share them through memory (/dev/shm), where data stay if all processes are killed at once; the
folder of a run is removed by the run that goes on.
"""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from cloudpickle import CloudPickler

from riemaug.atomic import atomic_path, flushed_later

LARGE = 2**20
"""Bytes from which on an array is put into a file."""


class _Pickler(CloudPickler):
    """Puts the large arrays of what it pickles into files of a folder, equal ones into one file."""

    def __init__(self, file: io.BytesIO, folder: Path) -> None:
        super().__init__(file)
        self._folder = folder

    def reducer_override(self, obj: Any) -> Any:
        """Return how an object is made anew; the name is the standard library's."""
        is_plain = isinstance(obj, np.ndarray) and not obj.dtype.hasobject
        if not is_plain or obj.nbytes < LARGE:
            return super().reducer_override(obj)
        return _open_array, (str(_array_file(np.ascontiguousarray(obj), self._folder)),)


def packed(value: Any, folder: Path) -> bytes:
    """Return a value as bytes for pickle; its large arrays are left in `folder`, which must outlive them."""
    buffer = io.BytesIO()
    _Pickler(buffer, folder).dump(value)
    return buffer.getvalue()


def _array_file(array: np.ndarray, folder: Path) -> Path:
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    digest.update(array.data.cast("B"))
    path = folder / f"array-{digest.hexdigest()[:32]}.npy"
    if not path.exists():
        with flushed_later(), atomic_path(path) as temporary:  # no use after a power cut
            np.save(temporary, array, allow_pickle=False)
    return path


def _open_array(path: str) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False)
