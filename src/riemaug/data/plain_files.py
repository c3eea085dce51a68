"""Files that hold one plain array each, all of one shape and dtype, as the samples of a data set."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
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
    of_each,
    part_of,
    sort_out,
)
from riemaug.data.images import conversion_notes
from riemaug.data.listing import Listing
from riemaug.data.resampling import resized
from riemaug.data.sizes import SizeOptions
from riemaug.errors import InvalidInputError

_VALUES_AT_ONCE = 2**26
"""Values that may be unpacked at a time, at their own size, by all threads."""
_MAX_THREADS = 8


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
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    conversions: tuple[str, ...] = ()


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
    names = names_of(listing)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of harmless oddities of files
        found = of_each(lambda row: kind.peek(root / names[row]), len(names))
        headers, rows, skip_notes = sort_out(listing, found, skip_bad)
        readable = part_of(listing, rows)
        kept = names_of(readable)
        header = _common_header(headers, kept, kind.what)
        size.check_plain(len(header.shape), kind.what)
        fmt = kind.format(header.shape, header.dtype, fit_shape_for(size.fit_shape, header.shape))
        samples = _room_for(len(kept), fmt, kind.what)

        def fill(row: int) -> None:
            values = kind.load(root / kept[row])
            samples[row] = values if fmt.fit_shape is None else resized(values, fmt.fit_shape)

        at_once = max(1, min(_MAX_THREADS, _VALUES_AT_ONCE // math.prod(fmt.shape)))
        _, good, more_notes = sort_out(readable, of_each(fill, len(kept), at_once), skip_bad)
    whole = len(good) == len(kept)
    converted = conversion_notes(item for header in headers for item in header.conversions)
    notes = (*skip_notes, *converted, *more_notes, *fit_notes(fmt, kind.what))
    return FileSamples(samples if whole else samples[good], [rows[row] for row in good], fmt, notes)


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


def _room_for(count: int, fmt: SampleFormat, what: str) -> np.ndarray:
    needed = count * math.prod(fmt.model_shape) * np.dtype(fmt.dtype).itemsize
    check_memory(needed, what, "give --fit-shape, or fewer of them")
    return np.empty((count, *fmt.model_shape), fmt.dtype)
