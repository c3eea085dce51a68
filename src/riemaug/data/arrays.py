"""One npz file as a data set."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from riemaug.data.blocks import forget_pages, row_blocks
from riemaug.data.checks import check_class_sizes, check_variation, find_oddities
from riemaug.data.dataset import Dataset, SampleFormat
from riemaug.data.listing import quote_some
from riemaug.data.npy_header import NpyHeader
from riemaug.data.npz_file import check_contents, load_members, read_members
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

GROUPS_KEY = "groups"

_KEY_PAIRS = (
    *((samples, labels) for samples in ("X", "x") for labels in ("y", "Y")),
    *(("images", labels) for labels in ("labels", "label")),
    ("train_images", "train_labels"),
    ("X_train", "y_train"),
    ("x_train", "y_train"),
)
TRAINING_KEYS = frozenset({"train_images", "X_train", "x_train"})
_REAL_KINDS = "biuf"
_LABEL_KINDS = "biufUS"
_LAST_CHARACTER = 0x10FFFF


def read_arrays(path: Path, *, group_from: str | None = None, limits: Limits = DEFAULT_LIMITS) -> Dataset:
    """Read an npz file with samples and labels.

    Samples that it stores uncompressed stay on disk; see `riemaug.data.npz_file.load_members`.

    Parameters
    ----------
    path : Path
        The file. Keys: X and y, or images and labels; of a file with training and test arrays (such
        as train_images and train_labels) the training ones. Optional: groups.
    group_from : str, optional
        None or "column": the array groups.
    limits : Limits

    Raises
    ------
    InvalidInputError
        Anything but two fitting arrays of finite real numbers and of labels, with at least two rows
        a class that are not all the same.
    """
    members = read_members(path)
    keys = _choose_keys(path, members)
    wanted = {key: members[key] for key in (*keys, GROUPS_KEY) if key in members}
    check_contents(path, wanted, limits)
    _check_kinds(members[keys[0]].header, members[keys[1]].header, keys)
    arrays = load_members(path, wanted)
    dataset = dataset_of_arrays(arrays[keys[0]], arrays[keys[1]], keys)
    forget_pages(dataset.samples)
    groups, notes = _groups(arrays.get(GROUPS_KEY), len(dataset.samples), group_from)
    if keys[0] in TRAINING_KEYS:
        notes = [f"Only {keys[0]} and {keys[1]} were read, no other array of the file.", *notes]
    return replace(dataset, groups=groups, notes=(*notes, *dataset.notes))


def dataset_of_arrays(samples: np.ndarray, labels: np.ndarray, keys: tuple[str, str] = ("X", "y")) -> Dataset:
    """Return arrays as a data set.

    Samples in C order and the machine's byte order are kept as they are, mapped ones on disk. Others are
    copied: torch takes no other byte order, and in Fortran order every row is spread over the whole array.

    Parameters
    ----------
    samples : ndarray (n, ...)
        Real numbers of any shape and dtype.
    labels : ndarray (n,)
        Whole numbers, text or bool.
    keys : tuple of str
        What the two are called in messages and in files written like them.

    Raises
    ------
    InvalidInputError
        As `read_arrays`.
    """
    _check_kinds(samples, labels, keys)
    _check_text(labels, keys[1])
    samples = np.ascontiguousarray(samples)
    samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    _check_finite(samples, keys[0])
    labels, label_values, class_names = encode_labels(labels, keys[1])
    names = tuple(f"row {row}" for row in range(len(samples)))
    check_class_sizes(labels, class_names, "rows")
    check_variation(samples, labels, class_names, "rows")
    notes = tuple(find_oddities(samples, labels, class_names, names))
    fmt = SampleFormat("arrays", samples.shape[1:], samples.dtype.name, "", keys, False)
    return Dataset(samples, labels, class_names, names, None, fmt, label_values, notes)


def _choose_keys(path: Path, found: Collection[str]) -> tuple[str, str]:
    pairs = [pair for pair in _KEY_PAIRS if pair[0] in found and pair[1] in found]
    if len(pairs) == 1:
        return pairs[0]
    if not pairs:
        raise InvalidInputError(
            f"an npz file needs the keys X and y, or images and labels, {str(path)!r} has"
            f" {quote_some(sorted(found)) or 'no arrays'}: rename them"
        )
    listed = "; ".join(" and ".join(pair) for pair in pairs)
    raise InvalidInputError(
        f"an npz file needs one pair of samples and labels, {str(path)!r} has {listed}: keep one"
    )


def _check_kinds(
    samples: NpyHeader | np.ndarray, labels: NpyHeader | np.ndarray, keys: tuple[str, str]
) -> None:
    if samples.dtype.kind not in _REAL_KINDS or samples.dtype.names:
        raise InvalidInputError(f"{keys[0]} must hold real numbers, it holds {samples.dtype}: convert it")
    if len(samples.shape) < 2 or 0 in samples.shape:
        raise InvalidInputError(
            f"{keys[0]} must have rows and at least one value in each, its shape is {samples.shape}:"
            " reshape it to (rows, ...)"
        )
    if labels.dtype.kind not in _LABEL_KINDS:
        raise InvalidInputError(
            f"{keys[1]} must hold whole numbers, text or bool, it holds {labels.dtype}: convert it"
        )
    rows = samples.shape[0]
    if labels.shape not in ((rows,), (rows, 1)):
        raise InvalidInputError(
            f"{keys[1]} must hold one label for each of the {rows} rows of {keys[0]}, its shape is"
            f" {labels.shape}: correct it"
        )


def _check_finite(samples: np.ndarray, key: str) -> None:
    if samples.dtype.kind != "f":
        return
    bad, first = 0, -1
    for rows in row_blocks(samples.shape):
        block = ~np.isfinite(samples[rows])
        found = int(np.count_nonzero(block))
        if found and not bad:
            first = rows.start + int(np.flatnonzero(block.reshape(len(block), -1).any(axis=1))[0])
        bad += found
    if bad:
        raise InvalidInputError(
            f"{key} must hold finite numbers, {bad} values are NaN or infinite, the first in row {first}:"
            " fill them in or drop the rows"
        )


def _check_text(values: np.ndarray, key: str) -> None:
    """Refuse text whose numbers are no characters: numpy keeps any number as it stands in the file."""
    if values.dtype.kind != "U" or not values.dtype.itemsize:
        return
    codes = np.ascontiguousarray(values).reshape(-1).view(f"{values.dtype.byteorder}u4")
    wrong = int(((codes > _LAST_CHARACTER) | ((codes >= 0xD800) & (codes < 0xE000))).sum())
    if wrong:
        raise InvalidInputError(
            f"{key} must hold text, {wrong} of its characters are none: save the file again"
        )


def encode_labels(labels: np.ndarray, key: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return the class index of each row, the label value and the name of each class, sorted by value.

    Parameters
    ----------
    labels : ndarray (n,) or (n, 1)
        Whole numbers, text or bool.
    key : str
        What messages call them.

    Raises
    ------
    InvalidInputError
        A number that is not whole, or an empty text.
    """
    flat = labels.reshape(-1)
    if flat.dtype.kind == "f":
        wrong = np.flatnonzero(~np.isfinite(flat) | (flat != np.rint(flat)))
        if len(wrong):
            raise InvalidInputError(
                f"{key} must hold classes, row {wrong[0]} holds {flat[wrong[0]]}: use whole numbers or text"
            )
    values, index = np.unique(flat, return_inverse=True)
    if values.dtype.kind == "f":
        names = [str(int(value)) for value in values]
    elif values.dtype.kind == "S":
        names = [value.decode("utf-8", "backslashreplace") for value in values.tolist()]
    else:
        names = [str(value) for value in values.tolist()]
    if "" in names:
        raise InvalidInputError(
            f"{key} must name a class for every row, row"
            f" {int(np.flatnonzero(index == names.index(''))[0])} is empty: fill it in"
        )
    return index.reshape(-1).astype(np.int64), values, tuple(names)


def _groups(
    values: np.ndarray | None, rows: int, group_from: str | None
) -> tuple[tuple[str, ...] | None, list[str]]:
    if group_from not in (None, "column"):
        raise InvalidInputError(
            f"--group-from of an npz file can only be column (its array groups), got {group_from!r}: give it"
        )
    if values is None:
        if group_from == "column":
            raise InvalidInputError(
                "--group-from column needs an array groups in the npz file, there is none: add it"
            )
        return None, []
    if values.shape not in ((rows,), (rows, 1)):
        raise InvalidInputError(
            f"groups must hold one value for each of the {rows} rows, its shape is {values.shape}: correct it"
        )
    _check_text(values, GROUPS_KEY)
    groups = tuple(str(value) for value in values.reshape(-1).tolist())
    return groups, [f"{len(set(groups))} groups (subjects) were read from the array groups."]
