"""Where samples lie once they are decoded: in memory, or where they are many in a file without a name."""

import math
import mmap
import shutil
import tempfile
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO

import numpy as np
from jaxtyping import Shaped

from riemaug.data.blocks import row_blocks
from riemaug.disk import refusal
from riemaug.errors import ResourceError
from riemaug.free_memory import free_memory

MOST_IN_MEMORY = 2**28
"""Bytes of decoded samples that are held in memory at most, however much is free."""
LEFT_FREE = 2**28
"""Bytes of the disk that are not taken: others keep temporary files there, too."""
_SHARE_IN_MEMORY = 0.25
"""Of the free memory: what is done with the samples afterwards needs the rest."""
_ALIGNMENT = 64


def memory_for_samples() -> int:
    """Return how many bytes of decoded samples are held in memory; more of them lie in a file."""
    return min(MOST_IN_MEMORY, int(_SHARE_IN_MEMORY * free_memory()))


@dataclass(eq=False)
class ScratchFile:
    """A file for temporary data that has no name: it is gone with the last array that is mapped from it.

    It lies in the folder for temporary files (`TMPDIR`). Threads may write to different places at a time.

    Parameters
    ----------
    what : str
        What is kept in it, in the plural, for messages.
    fix : str
        What the user can do where the disk is too small.
    needed : int
        Bytes that will be written, if that is known.

    Raises
    ------
    ResourceError
        The disk has less room, or the file cannot be made.
    """

    what: str
    fix: str
    needed: int = 0
    _file: IO[bytes] = field(init=False)
    _content: mmap.mmap | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _end: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._check_room(self.needed)
        try:
            # what is written must be there when it is mapped: no buffer of Python's own in between
            self._file = tempfile.TemporaryFile(prefix="riemaug-", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise self._refused(refusal(error)) from None
        weakref.finalize(self, self._file.close)  # arrays that are mapped keep the content

    def reserve(self, num_bytes: int) -> int:
        """Return where the next so many bytes may be written; ResourceError where the disk has no room."""
        self._check_room(num_bytes)
        with self._lock:
            begin = -(-self._end // _ALIGNMENT) * _ALIGNMENT
            self._end = begin + num_bytes
            return begin

    def write(self, begin: int, values: Shaped[np.ndarray, "..."]) -> None:
        """Write values from byte `begin` on.

        Raises
        ------
        ResourceError
            The disk is full.
        """
        rest = memoryview(values.tobytes())
        try:
            with self._lock:
                self._file.seek(begin)
                while rest:
                    rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise self._refused(refusal(error)) from None

    def mapped(self, shape: Sequence[int], dtype: np.dtype, begin: int = 0) -> Shaped[np.ndarray, "..."]:
        """Return what was written as a read-only array that stays on the disk; for after all of it was."""
        count = math.prod(shape)
        if not count:
            return np.empty(shape, dtype)
        if self._content is None:
            # no np.memmap: joblib would have its workers open the file by a name
            self._content = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(self._content, dtype, count, begin).reshape(shape)

    def _check_room(self, num_bytes: int) -> None:
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if num_bytes + LEFT_FREE > free:
            raise self._refused(
                f"it has {free / 2**20:,.0f} MiB free, {num_bytes / 2**20:,.0f} are needed, and"
                f" {LEFT_FREE / 2**20:,.0f} left to others"
            )

    def _refused(self, found: str) -> ResourceError:
        return ResourceError(
            f"{self.what} that memory does not hold are kept in the folder for temporary files,"
            f" {tempfile.gettempdir()!r} does not take them ({found}): set TMPDIR to a folder on a larger"
            f" disk, or {self.fix}"
        )


class SampleRows:
    """An array of samples while it is filled row by row, in any order and by several threads.

    Parameters
    ----------
    shape : tuple of int
        (n, *sample shape).
    dtype : dtype
    what, fix : str
        See `ScratchFile`.

    Raises
    ------
    ResourceError
        Neither memory nor the disk has room for them.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, what: str, fix: str) -> None:
        self.shape, self.dtype = shape, dtype
        self._row_bytes = math.prod(shape[1:]) * dtype.itemsize
        needed = shape[0] * self._row_bytes
        is_small = needed <= memory_for_samples()
        self._array = np.empty(shape, dtype) if is_small else None
        self._file = None if is_small else ScratchFile(what, fix, needed)

    def put(self, row: int, values: Shaped[np.ndarray, "..."]) -> None:
        """Set one sample, of any dtype that can be written as this one.

        Raises
        ------
        ResourceError
            The disk is full.
        """
        if self._array is not None:
            self._array[row] = values
            return
        assert self._file is not None
        own = np.empty(self.shape[1:], self.dtype)
        own[...] = values
        self._file.write(row * self._row_bytes, own)

    def finished(self, rows: Sequence[int]) -> Shaped[np.ndarray, "m ..."]:
        """Return the samples of these rows, which ascend; for once, after all of them were set."""
        array = self._array
        if array is None:
            assert self._file is not None
            array = self._file.mapped((max(rows, default=-1) + 1, *self.shape[1:]), self.dtype)
        if len(rows) == len(array):
            return array
        if self._file is None:
            return array[list(rows)]
        for block in row_blocks((len(rows), *self.shape[1:])):
            # no row moves up to where one that is yet to be moved lies
            self._file.write(block.start * self._row_bytes, array[list(rows[block])])
        return array[: len(rows)]
