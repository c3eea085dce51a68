"""Files that hold one plain array each, all of one shape and dtype, as the samples of a data set."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from riemaug.data.checks import check_memory
from riemaug.data.dataset import SampleFormat
from riemaug.data.file_samples import (
    FileSamples,
    fit_notes,
    fit_shape_for,
    names_of,
    read_samples,
    readable_part,
)
from riemaug.data.images import conversion_notes
from riemaug.data.listing import Listing
from riemaug.data.resolution import Resolution, common_resolution
from riemaug.data.sizes import SizeOptions
from riemaug.errors import InvalidInputError

_COPIES = 2
"""Of a sample at its own size, while it is read."""
_SMALLER = "make them smaller"


@dataclass(frozen=True)
class PlainHeader:
    """What a file promises.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
        In the machine's byte order.
    conversions : tuple of str
        What is done to its values at reading: keys of `riemaug.data.images.CONVERSION_NOTES`.
    resolution : Resolution, optional
        How large its voxels are.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    conversions: tuple[str, ...] = ()
    resolution: Resolution | None = None


@dataclass(frozen=True)
class PlainKind:
    """One kind of such files.

    Attributes
    ----------
    what : str
        What the files are called, in the plural.
    peek : callable
        (path) -> PlainHeader, without the values.
    load : callable
        (path) -> ndarray. Both raise InvalidInputError without naming the file.
    format : callable
        (shape, dtype, fit_shape) -> SampleFormat.
    """

    what: str
    peek: Callable[[Path], PlainHeader]
    load: Callable[[Path], Shaped[np.ndarray, "..."]]
    format: Callable[[tuple[int, ...], np.dtype, tuple[int, ...] | None], SampleFormat]


def read_plain_files(
    root: Path, listing: Listing, size: SizeOptions, skip_bad: bool, kind: PlainKind
) -> FileSamples:
    """Read the files of a listing, one after the other into one array.

    Raises
    ------
    InvalidInputError
        A file that cannot be read, files of several shapes or dtypes, or wishes that they cannot meet.
    ResourceError
        They do not fit the memory.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of harmless oddities of files
        part, headers, rows, notes = readable_part(listing, lambda name: kind.peek(root / name), skip_bad)
        names = names_of(part)
        header = _common_header(headers, names, kind.what)
        size.check_plain(len(header.shape), kind.what)
        fmt = kind.format(header.shape, header.dtype, fit_shape_for(size.fit_shape, header.shape))
        resolution, told = common_resolution([header.resolution for header in headers], kind.what)
        fmt = replace(fmt, resolution=resolution)
        most = math.prod(fmt.shape)
        check_memory(_COPIES * most * header.dtype.itemsize, f"values of one of the {kind.what}", _SMALLER)
        fix = "give --fit-shape, or fewer of them"
        read = read_samples(part, fmt, lambda row: kind.load(root / names[row]), most, skip_bad, fix)
    converted = conversion_notes(item for header in headers for item in header.conversions)
    read = replace(read, notes=(*converted, *told, *read.notes, *fit_notes(fmt, kind.what)))
    return read.within(rows, notes)


def _common_header(headers: list[PlainHeader], names: list[str], what: str) -> PlainHeader:
    first = headers[0]
    for header, name in zip(headers, names, strict=True):
        for rule, own, other in (
            ("shape", first.shape, header.shape),
            ("kind of number", first.dtype.name, header.dtype.name),
        ):
            if own != other:
                own_told, other_told = (
                    "x".join(map(str, value)) if isinstance(value, tuple) else value for value in (own, other)
                )
                raise InvalidInputError(
                    f"all {what} must have one {rule}, {names[0]!r} has {own_told}, {name!r} {other_told}:"
                    " convert them to one"
                )
    return first
