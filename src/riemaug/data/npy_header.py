"""The header of an npy file or of a member of an npz file: read without trust in any number of it."""

import io
import math
import struct
import threading
import tokenize
import warnings
from dataclasses import dataclass
from typing import IO

import numpy as np

HEADER_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    OverflowError,
    LookupError,
    SyntaxError,
    RecursionError,
    MemoryError,
    tokenize.TokenError,
    struct.error,
)
"""What numpy may raise over a header that is none: it parses a Python literal."""
_MOST_HEADER_BYTES = 2**16
_LENGTHS = {(1, 0): "<H", (2, 0): "<I", (3, 0): "<I"}
_ONE_AT_A_TIME = threading.Lock()
"""numpy parses headers by `ast`, which is not safe in threads before Python 3.12 (CPython's gh-106905)."""


@dataclass(frozen=True)
class NpyHeader:
    """What an array on disk promises.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
    fortran_order : bool
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran_order: bool

    @property
    def promised_bytes(self) -> int:
        """Bytes that the values take in memory."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npy_header(file: io.BufferedIOBase | IO[bytes]) -> NpyHeader:
    """Read the header of an array that begins where the file stands, and leave the file at its values.

    Parameters
    ----------
    file : binary file
        It may be the unpacked side of a compressed member: no more than 64 KiB is read of it, where numpy
        would read as much as the header says that it is long.

    Raises
    ------
    one of HEADER_ERRORS
        This is no header.
    """
    version = np.lib.format.read_magic(file)
    if version not in _LENGTHS:
        raise ValueError(f"version {version}")
    packed = _exactly(file, struct.calcsize(_LENGTHS[version]))
    (length,) = struct.unpack(_LENGTHS[version], packed)
    if length > _MOST_HEADER_BYTES:
        raise ValueError(f"a header of {length:,} bytes")
    whole = io.BytesIO(packed + _exactly(file, length))
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with _ONE_AT_A_TIME, warnings.catch_warnings(action="ignore"):
        shape, fortran_order, dtype = read(whole)
    if any(type(side) is not int or side < 0 for side in shape):
        raise ValueError(f"an array of shape {shape}")
    return NpyHeader(shape, dtype, fortran_order)


def _exactly(file: io.BufferedIOBase | IO[bytes], count: int) -> bytes:
    content = file.read(count)
    if len(content) != count:
        raise EOFError("the header is cut off")
    return content
