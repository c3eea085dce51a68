"""Single samples read back from shards, anybody's ones, by the names that the manifest has for them."""

import io
import math
import tarfile
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Shaped

from riemaug.data import SampleFormat
from riemaug.data.npz_file import check_contents, load_members, read_members
from riemaug.errors import InvalidInputError
from riemaug.limits import Limits
from riemaug.run.sample_names import ZARR_NAME
from riemaug.run.zarr_rows import zarr_row

MOST_OF_A_HEADER = 2**20
"""Bytes that a file of one sample may take beside its values."""


def member_of_tar(path: Path, member: str, fmt: SampleFormat) -> io.BytesIO:
    """Return a member of a WebDataset shard; KeyError, ValueError or tarfile.TarError if that is none."""
    most = 2 * math.prod(fmt.sample_shape) * np.dtype(fmt.dtype).itemsize + MOST_OF_A_HEADER
    changed = path.stat()
    entry = _members_of_tar(path, changed.st_mtime_ns, changed.st_size)[member]
    if not entry.isreg() or entry.sparse is not None or entry.size > most:
        raise ValueError(f"{member} is no file of one sample")
    with path.open("rb") as file:
        file.seek(entry.offset_data)
        return io.BytesIO(file.read(entry.size))


@lru_cache(maxsize=1)
def _members_of_tar(path: Path, modified: int, size: int) -> dict[str, tarfile.TarInfo]:
    """Return what a shard holds, by name, looked through once as long as the file is the same."""
    with path.open("rb") as file, tarfile.open(fileobj=_ShortReads(file), mode="r:") as tar:  # not compressed
        return {entry.name: entry for entry in tar}


class _ShortReads(io.RawIOBase):
    """A file of which nobody reads much at once: headers of tar files may say that they take gigabytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; ValueError if they are more than headers have."""
        if not 0 <= size <= MOST_OF_A_HEADER:
            raise ValueError("a header of the tar file is larger than headers are")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()


def row_of_shard(
    path: Path, key: str, row: int, fmt: SampleFormat, limits: Limits
) -> Shaped[np.ndarray, "..."]:
    """Return a row of an npz shard or of a Zarr store.

    Parameters
    ----------
    path : Path
    key : str
        Name of the array of samples.
    row : int
    fmt : SampleFormat
        Of the samples.
    limits : Limits
        How large an npz shard may be, which is read whole.

    Raises
    ------
    InvalidInputError
        The row is not there, or the file is damaged or no shard of such samples.
    """
    try:
        if row < 0:
            raise IndexError(f"there is no row {row}")
        if path.name == ZARR_NAME:
            return zarr_row(path, key, row, fmt.sample_shape, fmt.dtype)
        changed = path.stat()
        return _npz_rows(path, key, changed.st_mtime_ns, changed.st_size, limits.bytes)[row]
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise InvalidInputError(str(error)) from None


@lru_cache(maxsize=1)
def _npz_rows(path: Path, key: str, modified: int, size: int, most_bytes: int) -> np.ndarray:
    """Return an array of a file, read once as long as the file is the same."""
    wanted = {key: read_members(path)[key]}
    check_contents(path, wanted, Limits(bytes=most_bytes))
    return load_members(path, wanted)[key]
