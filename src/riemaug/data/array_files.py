"""npy files, one sample a file: pictures of two sides or volumes of three, of any real dtype."""

import math
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from riemaug.atomic import atomic_path
from riemaug.data.checks import check_is_file
from riemaug.data.dataset import SampleFormat
from riemaug.data.file_samples import FileSamples
from riemaug.data.listing import Listing
from riemaug.data.npy_header import HEADER_ERRORS, read_npy_header
from riemaug.data.plain_files import PlainHeader, PlainKind, read_plain_files
from riemaug.data.sizes import SizeOptions
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

_ZIP_MAGIC = b"PK"
_REAL_KINDS = "biuf"
_MOST_BYTES = 8


def read_array_files(root: Path, listing: Listing, size: SizeOptions, skip_bad: bool) -> FileSamples:
    """Read the npy files of a listing; see `riemaug.data.plain_files.read_plain_files`."""
    limits = size.limits
    kind = PlainKind(
        "arrays", partial(_peek, limits=limits), partial(read_array_file, limits=limits), _format
    )
    return read_plain_files(root, listing, size, skip_bad, kind)


def _format(shape: tuple[int, ...], dtype: np.dtype, fit_shape: tuple[int, ...] | None) -> SampleFormat:
    return SampleFormat("npy", shape, dtype.name, ".npy", None, False, fit_shape)


def _peek(path: Path, limits: Limits) -> PlainHeader:
    mapped = _mapped(path, limits)
    return PlainHeader(mapped.shape, mapped.dtype.newbyteorder("="))


def read_array_file(path: Path, limits: Limits = DEFAULT_LIMITS) -> Shaped[np.ndarray, "..."]:
    """Return the values of one npy file in the machine's byte order; the file is mapped, not read whole.

    Raises
    ------
    InvalidInputError
        The file is damaged or too large, holds Python objects, no real numbers, or other than two or
        three sides, or values are not finite; the message does not name the file.
    """
    mapped = _mapped(path, limits)
    values = np.array(mapped, dtype=mapped.dtype.newbyteorder("="), order="C")
    missing = int(values.size - np.count_nonzero(np.isfinite(values)))
    if missing:
        raise InvalidInputError(f"values must be finite numbers, {missing} are NaN or infinite: replace them")
    return values


def _mapped(path: Path, limits: Limits) -> np.memmap:
    check_is_file(path)
    try:
        with path.open("rb") as file:
            if file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC:
                raise InvalidInputError("an npz file by its content: give the npz file itself as the data")
            file.seek(0)
            header = read_npy_header(file)
            _check(header.shape, header.dtype, limits)
            offset = file.tell()
        order = "F" if header.fortran_order else "C"
        return np.memmap(path, header.dtype, "r", offset, header.shape, order)
    except InvalidInputError:
        raise
    except HEADER_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InvalidInputError(f"no npy file of plain numbers ({reason}): save it again") from None


def _check(shape: tuple[int, ...], dtype: np.dtype, limits: Limits) -> None:
    if dtype.kind not in _REAL_KINDS or dtype.itemsize > _MOST_BYTES:
        raise InvalidInputError(f"values must be real numbers of up to 64 bits, these are {dtype}")
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise InvalidInputError(
            f"one npy file must be one picture (H, W) or volume (Z, H, W), this one has the shape"
            f" ({', '.join(map(str, shape))}): save one sample a file"
        )
    if math.prod(shape) > limits.pixels:
        raise InvalidInputError(
            f"an array may have up to {limits.pixels} values, this one promises {'x'.join(map(str, shape))}:"
            f" make it smaller; {limits.way_out('pixels')}"
        )


def write_array_file(path: Path, sample: Shaped[np.ndarray, "..."], fmt: SampleFormat) -> None:
    """Write one sample as an npy file. See `riemaug.data.sample_writer.SampleWriter`."""
    values = np.ascontiguousarray(sample, dtype=np.dtype(fmt.dtype).newbyteorder("<"))
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array(file, values, allow_pickle=False)
