"""Tasks on their way to workers: large arrays lie in files that all of them map, not in each message.

joblib would share them through memory (/dev/shm). The folder of a run is removed with it; if all processes
are killed at once, by the run that goes on, or by the next one of this machine.
"""

import hashlib
import io
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from cloudpickle import CloudPickler

from riemaug.atomic import atomic_path, flushed_later

LARGE = 2**20
"""Bytes from which on an array is put into a file."""


class _Pickler(CloudPickler):
    """Puts the large arrays of what it pickles into files of a folder, equal ones into one file."""

    def __init__(self, file: io.BytesIO, store: "ArrayStore") -> None:
        super().__init__(file)
        self._store = store

    def reducer_override(self, obj: Any) -> Any:
        """Return how an object is made anew; the name is the standard library's."""
        is_plain = isinstance(obj, np.ndarray) and not obj.dtype.hasobject
        if not is_plain or obj.nbytes < LARGE:
            return super().reducer_override(obj)
        return _open_array, (str(self._store.path_of(obj)),)


class ArrayStore:
    """Large arrays as files of a folder that outlives them, one file for equal ones.

    Arrays are taken not to change as long as the store is used: each is looked at once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[int, tuple[weakref.ref[np.ndarray], Path]] = {}

    def packed(self, value: Any) -> bytes:
        """Return a value as bytes for pickle, its large arrays by their files."""
        buffer = io.BytesIO()
        _Pickler(buffer, self).dump(value)
        return buffer.getvalue()

    def path_of(self, array: np.ndarray) -> Path:
        """Return the file of an array, which is written if it is not there."""
        known = self._known.get(id(array))
        if known is not None and known[0]() is array:
            return known[1]
        path = _array_file(np.ascontiguousarray(array), self.folder)
        self._known[id(array)] = weakref.ref(array), path
        return path


def _array_file(array: np.ndarray, folder: Path) -> Path:
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    digest.update(array.reshape(-1).view(np.uint8).data)
    path = folder / f"array-{digest.hexdigest()[:32]}.npy"
    if not path.exists():
        with flushed_later(), atomic_path(path) as temporary:  # no use after a power cut
            np.save(temporary, array, allow_pickle=False)
    return path


def _open_array(path: str) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False)
