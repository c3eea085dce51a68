"""Rules that every data set must keep, whatever it was read from."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64, Shaped

from riemaug.data.blocks import blocks_of, row_blocks
from riemaug.data.listing import quote_some
from riemaug.errors import InvalidInputError, ResourceError
from riemaug.free_memory import free_memory

MIN_PER_CLASS = 2


def check_memory(needed: int, what: str, fix: str) -> None:
    """Refuse to read what does not fit the free memory.

    Parameters
    ----------
    needed : int
        Bytes.
    what, fix : str
        What is read, in the plural; what the user can do.

    Raises
    ------
    ResourceError
        More is needed than is free.
    """
    free = free_memory()
    if needed > free:
        raise ResourceError(
            f"the {what} need {needed / 2**30:.3g} GiB of memory, {free / 2**30:.3g} GiB are free: {fix}"
        )


def check_is_file(path: Path) -> None:
    """Raise InvalidInputError unless there is a regular file; the message does not name it."""
    if not os.path.isfile(path):
        raise InvalidInputError("is no regular file" if os.path.exists(path) else "the file does not exist")


def check_class_sizes(labels: Int64[np.ndarray, " n"], class_names: Sequence[str], what: str) -> None:
    """Refuse a class with fewer than two samples.

    Parameters
    ----------
    labels : ndarray (n,)
        Index of each sample's class.
    class_names : sequence of str
        The classes.
    what : str
        What a sample is called: "images" or "rows".

    Raises
    ------
    InvalidInputError
        A class with fewer than two samples.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    small = [str(name) for name, count in zip(class_names, counts, strict=True) if count < MIN_PER_CLASS]
    if small:
        have, it = ("has", "it") if len(small) == 1 else ("have", "them")
        raise InvalidInputError(
            f"a class needs at least {MIN_PER_CLASS} {what}, {quote_some(small)} {have} fewer: add {what} or"
            f" leave {it} out"
        )


def check_variation(
    samples: Shaped[np.ndarray, "n *shape"],
    labels: Int64[np.ndarray, " n"],
    class_names: Sequence[str],
    what: str,
) -> None:
    """Refuse a data set of one value, and a class whose samples are all the same.

    Raises
    ------
    InvalidInputError
        Nothing varies, so nothing can be learned.
    """
    first = samples[:1]
    if (first == first.flat[0]).all() and _all_equal_to(samples, first):
        raise InvalidInputError(
            f"{what} must differ, all of this data set hold the one value {first.flat[0]}: check the export"
        )
    for index, name in enumerate(class_names):
        rows = np.flatnonzero(labels == index)
        reference = samples[rows[:1]]
        blocks = row_blocks((len(rows), *samples.shape[1:]))
        if all((samples[rows[block]] == reference).all() for block in blocks):
            raise InvalidInputError(
                f"the {what} of a class must differ, all {len(rows)} of class {name!r} are identical:"
                " add others or leave the class out"
            )


def _all_equal_to(samples: np.ndarray, value: np.ndarray) -> bool:
    return all(bool((block == value).all()) for block in blocks_of(samples))


def find_oddities(
    samples: Shaped[np.ndarray, "n *shape"],
    labels: Int64[np.ndarray, " n"],
    class_names: Sequence[str],
    names: Sequence[str],
    what: str = "images",
) -> list[str]:
    """Return notes on samples that occur twice and on images of one value; `what` is what they are called."""
    rows_of: dict[bytes, list[int]] = defaultdict(list)
    constant: list[str] = []
    are_images = samples.ndim > 2
    for row, sample in enumerate(sample for block in blocks_of(samples) for sample in block):
        flat = np.ascontiguousarray(sample)
        rows_of[hashlib.blake2b(flat.data, digest_size=16).digest()].append(row)
        if are_images and (flat == flat.flat[0]).all():
            constant.append(names[row])
    notes = []
    repeated = [rows for rows in rows_of.values() if len(rows) > 1]
    crossing = [rows for rows in repeated if len({int(labels[row]) for row in rows}) > 1]
    if crossing:
        rows = crossing[0]
        other = next(row for row in rows if labels[row] != labels[rows[0]])
        notes.append(
            f"{len(crossing)} samples occur in more than one class, such as {names[rows[0]]!r}"
            f" ({class_names[labels[rows[0]]]}) and {names[other]!r} ({class_names[labels[other]]}):"
            " check the labels."
        )
    extra = sum(len(rows) - 1 for rows in repeated)
    if are_images and extra:
        notes.append(f"{extra} {what} are exact copies of others, such as {names[repeated[0][1]]!r}.")
    if constant:
        notes.append(f"{len(constant)} {what} hold one single value: {quote_some(constant)}.")
    return notes
