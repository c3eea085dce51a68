"""What the readers of all kinds of files share: many files at once, and what comes of those that are bad."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from jaxtyping import Shaped

from riemaug.data.checks import check_class_sizes
from riemaug.data.dataset import SampleFormat
from riemaug.data.listing import ListedFile, Listing, one_of
from riemaug.data.resampling import resized
from riemaug.data.scratch import SampleRows
from riemaug.errors import InvalidInputError

_MAX_THREADS = 8
_VALUES_AT_ONCE = 2**26
"""Values that may be unpacked at a time, at their own size, by all threads."""
_SHOWN_PROBLEMS = 3
_Result = TypeVar("_Result")


@dataclass(frozen=True, eq=False)
class FileSamples:
    """What the files of a listing hold.

    Attributes
    ----------
    samples : ndarray (m, *model_shape)
    rows : list of int
        Places of the samples in the listing; others were skipped as asked.
    format : SampleFormat
    notes : tuple of str
    """

    samples: Shaped[np.ndarray, "m ..."]
    rows: list[int]
    format: SampleFormat
    notes: tuple[str, ...]

    def within(self, rows: Sequence[int], notes: Sequence[str]) -> "FileSamples":
        """Return the same as of the longer listing whose entries `rows` were read; its notes come first."""
        return replace(self, rows=[rows[row] for row in self.rows], notes=(*notes, *self.notes))


def class_names_of(listing: Listing) -> tuple[str, ...]:
    """Return the classes of a listing, sorted."""
    return tuple(sorted({file.class_name for file in listing.files}))


def names_of(listing: Listing) -> list[str]:
    """Return the files of a listing."""
    return [file.name for file in listing.files]


def part_of(listing: Listing, rows: Sequence[int]) -> Listing:
    """Return the listing of some of its files."""
    return replace(listing, files=tuple(listing.files[row] for row in rows))


def labels_of(files: Sequence[ListedFile], class_names: Sequence[str], what: str) -> np.ndarray:
    """Return the index of each file's class, (n,); InvalidInputError for a class of fewer than two."""
    index_of = {name: index for index, name in enumerate(class_names)}
    labels = np.array([index_of[file.class_name] for file in files], dtype=np.int64)
    check_class_sizes(labels, class_names, what)
    return labels


def of_each(
    read: Callable[[int], _Result], count: int, most_threads: int = _MAX_THREADS
) -> list[_Result | InvalidInputError]:
    """Call `read` with 0, 1, ... in threads; in the place of a result may stand why there is none."""

    def attempt(row: int) -> _Result | InvalidInputError:
        try:
            return read(row)
        except InvalidInputError as problem:
            return problem

    with ThreadPoolExecutor(min(most_threads, os.cpu_count() or 1)) as pool:
        return list(pool.map(attempt, range(count)))


def sort_out(
    listing: Listing, results: Sequence[_Result | InvalidInputError], skip_bad: bool
) -> tuple[list[_Result], list[int], list[str]]:
    """Return the good results, their places, and the note on those that were skipped as asked."""
    good = [result for result in results if not isinstance(result, InvalidInputError)]
    rows = [row for row, result in enumerate(results) if not isinstance(result, InvalidInputError)]
    names = names_of(listing)
    bad = [
        f"{name!r} ({problem})"
        for name, problem in zip(names, results, strict=True)
        if isinstance(problem, InvalidInputError)
    ]
    if not bad:
        return good, rows, []
    if skip_bad:
        labels_of([listing.files[row] for row in rows], class_names_of(listing), listing.kind)
        return good, rows, [f"{len(bad)} files were skipped as asked: {'; '.join(bad)}."]
    more = f" and {len(bad) - _SHOWN_PROBLEMS} more" if len(bad) > _SHOWN_PROBLEMS else ""
    raise InvalidInputError(
        f"every {one_of(listing.kind)} must be readable, {len(bad)} of {len(names)} are not:"
        f" {'; '.join(bad[:_SHOWN_PROBLEMS])}{more}:"
        " repair or remove them, or give --skip-bad"
    )


def readable_part(
    listing: Listing, read: Callable[[str], _Result], skip_bad: bool
) -> tuple[Listing, list[_Result], list[int], list[str]]:
    """Call `read` with the name of each file of a listing.

    Returns
    -------
    tuple
        The listing of the files that can be read, what was read of them, their places in the first
        listing, and the note on others, which were skipped as asked.

    Raises
    ------
    InvalidInputError
        Files cannot be read and may not be skipped.
    """
    names = names_of(listing)
    results = of_each(lambda row: read(names[row]), len(names))
    good, rows, notes = sort_out(listing, results, skip_bad)
    return part_of(listing, rows), good, rows, notes


def read_samples(
    listing: Listing,
    fmt: SampleFormat,
    load: Callable[[int], Shaped[np.ndarray, "..."]],
    most_values: int,
    skip_bad: bool,
    fix: str,
) -> FileSamples:
    """Read the samples of a listing one after the other into one array, at the size that is modelled.

    Each file is unpacked once. What memory does not hold of them lies on the disk, mapped; see
    `riemaug.data.scratch`.

    Parameters
    ----------
    listing : Listing
    fmt : SampleFormat
        Of all of them.
    load : callable
        (row) -> sample (*fmt.sample_shape); raises InvalidInputError.
    most_values : int
        In one of the files, at its own size.
    skip_bad : bool
    fix : str
        What the user can do where there is no room for them.

    Raises
    ------
    InvalidInputError
        Files cannot be read and may not be skipped.
    ResourceError
        Neither memory nor the disk has room for them.
    """
    count = len(listing.files)
    samples = SampleRows((count, *fmt.model_shape), np.dtype(fmt.dtype), listing.kind, fix)

    def fill(row: int) -> None:
        values = load(row)
        samples.put(row, values if fmt.fit_shape is None else resized(values, fmt.fit_shape))

    at_once = max(1, min(_MAX_THREADS, _VALUES_AT_ONCE // most_values))
    _, good, notes = sort_out(listing, of_each(fill, count, at_once), skip_bad)
    return FileSamples(samples.finished(good), good, fmt, tuple(notes))


def fit_notes(fmt: SampleFormat, what: str) -> list[str]:
    """Return the note on samples that are modelled at another size than they are written at."""
    if fmt.fit_shape is None:
        return []
    fitted, written = ("x".join(map(str, sides)) for sides in (fmt.fit_shape, fmt.sample_shape))
    return [f"The {what} are modelled at {fitted} and written at their own {written}."]


def fit_shape_for(asked: tuple[int, ...] | None, sides: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the sides to model samples of `sides` at, None where they are the samples' own."""
    return None if asked == sides else asked
