"""npy files, one sample a file: pictures of two sides or volumes of three, of any real dtype."""

import math
import os
import threading
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from riemaug.atomic import atomic_path
from riemaug.data.dataset import SampleFormat
from riemaug.data.file_samples import FileSamples
from riemaug.data.images import MAX_PIXELS
from riemaug.data.listing import Listing
from riemaug.data.plain_files import PlainHeader, PlainKind, read_plain_files
from riemaug.data.sizes import SizeOptions
from riemaug.errors import InvalidInputError

_READ_ERRORS = (OSError, ValueError, TypeError, EOFError, OverflowError, SyntaxError, MemoryError)
_ONE_HEADER_AT_A_TIME = threading.Lock()
"""numpy parses headers by `ast`, which is not safe in threads before Python 3.12 (CPython's gh-106905)."""
_REAL_KINDS = "biuf"
_MOST_BYTES = 8


def read_array_files(root: Path, listing: Listing, size: SizeOptions, skip_bad: bool) -> FileSamples:
    """Read the npy files of a listing; see `riemaug.data.plain_files.read_plain_files`."""
    kind = PlainKind("arrays", _peek, read_array_file, _format)
    return read_plain_files(root, listing, size, skip_bad, kind)


def _format(shape: tuple[int, ...], dtype: np.dtype, fit_shape: tuple[int, ...] | None) -> SampleFormat:
    return SampleFormat("npy", shape, dtype.name, ".npy", None, False, fit_shape)


def _peek(path: Path) -> PlainHeader:
    mapped = _mapped(path)
    return PlainHeader(mapped.shape, mapped.dtype.newbyteorder("="))


def read_array_file(path: Path) -> Shaped[np.ndarray, "..."]:
    """Return the values of one npy file in the machine's byte order; the file is mapped, not read whole.

    Raises
    ------
    InvalidInputError
        The file is damaged or too large, holds Python objects, no real numbers, or other than two or
        three sides, or values are not finite; the message does not name the file.
    """
    mapped = _mapped(path)
    values = np.array(mapped, dtype=mapped.dtype.newbyteorder("="), order="C")
    missing = int(values.size - np.count_nonzero(np.isfinite(values)))
    if missing:
        raise InvalidInputError(f"values must be finite numbers, {missing} are NaN or infinite: replace them")
    return values


def _mapped(path: Path) -> np.memmap:
    if not os.path.isfile(path):
        raise InvalidInputError("is no regular file" if os.path.exists(path) else "the file does not exist")
    try:
        with _ONE_HEADER_AT_A_TIME:
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except _READ_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InvalidInputError(f"no npy file of plain numbers ({reason}): save it again") from None
    if not isinstance(mapped, np.memmap):
        mapped.close()
        raise InvalidInputError("an npz file by its content: give the npz file itself as the data")
    _check(mapped)
    return mapped


def _check(mapped: np.memmap) -> None:
    told = "x".join(map(str, mapped.shape))
    if mapped.dtype.kind not in _REAL_KINDS or mapped.dtype.itemsize > _MOST_BYTES:
        raise InvalidInputError(f"values must be real numbers of up to 64 bits, these are {mapped.dtype}")
    if mapped.ndim not in (2, 3):
        raise InvalidInputError(
            f"one npy file must be one picture (H, W) or volume (Z, H, W), this one has the shape"
            f" ({', '.join(map(str, mapped.shape))}): save one sample a file"
        )
    if math.prod(mapped.shape) > MAX_PIXELS:
        raise InvalidInputError(
            f"an array may have up to {MAX_PIXELS} values, this one promises {told}: make it smaller"
        )


def write_array_file(path: Path, sample: Shaped[np.ndarray, "..."], fmt: SampleFormat) -> None:
    """Write one sample as an npy file, whole or not at all; equal values give equal bytes.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    sample : ndarray (*fmt.sample_shape)
        In the dtype of the format.
    fmt : SampleFormat
        Format of npy files.
    """
    values = np.ascontiguousarray(sample, dtype=np.dtype(fmt.dtype).newbyteorder("<"))
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array(file, values, allow_pickle=False)
