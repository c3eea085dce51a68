"""One npz file as a data set."""

import lzma
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from riemaug.data.blocks import row_blocks
from riemaug.data.checks import check_class_sizes, check_memory, check_variation, find_oddities
from riemaug.data.dataset import Dataset, SampleFormat
from riemaug.data.listing import quote_some
from riemaug.data.npy_header import HEADER_ERRORS, NpyHeader, read_npy_header
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
_MOST_MEMBERS = 10_000
_READ_ERRORS = (*HEADER_ERRORS, zipfile.BadZipFile, RuntimeError, zlib.error, lzma.LZMAError)


def read_arrays(path: Path, *, group_from: str | None = None, limits: Limits = DEFAULT_LIMITS) -> Dataset:
    """Read an npz file with samples and labels.

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
    headers = _read_headers(path)
    keys = _choose_keys(path, headers)
    _check_headers(path, headers, keys, limits)
    arrays = _load(path, [*keys, *([GROUPS_KEY] if GROUPS_KEY in headers else [])])
    dataset = dataset_of_arrays(arrays[keys[0]], arrays[keys[1]], keys)
    groups, notes = _groups(arrays.get(GROUPS_KEY), len(dataset.samples), group_from)
    if keys[0] in TRAINING_KEYS:
        notes = [f"Only {keys[0]} and {keys[1]} were read, no other array of the file.", *notes]
    return replace(dataset, groups=groups, notes=(*notes, *dataset.notes))


def dataset_of_arrays(samples: np.ndarray, labels: np.ndarray, keys: tuple[str, str] = ("X", "y")) -> Dataset:
    """Return arrays in memory as a data set.

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
    _check_kinds(*(NpyHeader(array.shape, array.dtype, False) for array in (samples, labels)), keys)
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


def _unreadable(path: Path, error: object) -> InvalidInputError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return InvalidInputError(
        f"{str(path)!r} must be an npz file, it cannot be read ({reason}): save it again"
    )


def _read_headers(path: Path) -> dict[str, NpyHeader]:
    """Read what each array of the file claims to be, without unpacking any."""
    headers: dict[str, NpyHeader] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith(".npy")]
            if len(members) > _MOST_MEMBERS or len(members) > len(set(members)):
                raise ValueError(f"{len(members)} arrays, of which {len(set(members))} have different names")
            for member in members:
                headers[member.removesuffix(".npy")] = _read_header(archive, member)
    except _READ_ERRORS as error:
        raise _unreadable(path, error) from None
    return headers


def _read_header(archive: zipfile.ZipFile, member: str) -> NpyHeader:
    with archive.open(member) as file:
        header = read_npy_header(file)
        begins = file.tell()
    there = archive.getinfo(member).file_size - begins
    # memory is taken by the header's word, and no byte of it would come
    if not header.dtype.hasobject and header.promised_bytes > there:
        raise EOFError(f"{member} promises {header.promised_bytes:,} bytes, {max(there, 0):,} are there")
    return header


def _choose_keys(path: Path, headers: dict[str, NpyHeader]) -> tuple[str, str]:
    pairs = [pair for pair in _KEY_PAIRS if pair[0] in headers and pair[1] in headers]
    if len(pairs) == 1:
        return pairs[0]
    if not pairs:
        found = quote_some(sorted(headers)) or "no arrays"
        raise InvalidInputError(
            f"an npz file needs the keys X and y, or images and labels, {str(path)!r} has {found}: rename"
            " them"
        )
    listed = "; ".join(" and ".join(pair) for pair in pairs)
    raise InvalidInputError(
        f"an npz file needs one pair of samples and labels, {str(path)!r} has {listed}: keep one"
    )


def _check_headers(path: Path, headers: dict[str, NpyHeader], keys: tuple[str, str], limits: Limits) -> None:
    _check_contents(path, {key: headers[key] for key in (*keys, GROUPS_KEY) if key in headers}, limits)
    _check_kinds(headers[keys[0]], headers[keys[1]], keys)


def _check_contents(path: Path, wanted: dict[str, NpyHeader], limits: Limits) -> None:
    for key, header in wanted.items():
        if header.dtype.hasobject:
            raise InvalidInputError(
                f"arrays must be plain numbers or text, {key} of {str(path)!r} holds Python objects:"
                " convert it"
                " with .astype and save again"
            )
    promised = sum(header.promised_bytes for header in wanted.values())
    if promised > limits.bytes:
        raise InvalidInputError(
            f"the arrays of an npz file may unpack to {limits.bytes / 2**30:.3g} GiB, those of {str(path)!r}"
            f" promise {promised / 2**30:.3g} GiB: save a smaller part; {limits.way_out('bytes')}"
        )
    check_memory(promised, "arrays", "save a smaller part")


def _check_kinds(samples: NpyHeader, labels: NpyHeader, keys: tuple[str, str]) -> None:
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
            f" {labels.shape}:"
            " correct it"
        )


def read_every_array(path: Path, limits: Limits = DEFAULT_LIMITS) -> dict[str, np.ndarray]:
    """Return all arrays of an npz file by name, as they are.

    Raises
    ------
    InvalidInputError
        The file cannot be read, promises more than `limits` allow, or an array holds Python objects.
    ResourceError
        The arrays do not fit the memory.
    """
    headers = _read_headers(path)
    _check_contents(path, headers, limits)
    return _load(path, list(headers))


def _load(path: Path, keys: list[str]) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in keys}
    except _READ_ERRORS as error:
        raise _unreadable(path, error) from None


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
            f" {int(np.flatnonzero(index == names.index(''))[0])} is empty:"
            " fill it in"
        )
    return index.reshape(-1).astype(np.int64), values, tuple(names)


def _groups(
    values: np.ndarray | None, rows: int, group_from: str | None
) -> tuple[tuple[str, ...] | None, list[str]]:
    if group_from not in (None, "column"):
        raise InvalidInputError(
            f"--group-from of an npz file can only be column (its array groups), got {group_from!r}: give"
            " that"
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
    groups = tuple(str(value) for value in values.reshape(-1).tolist())
    return groups, [f"{len(set(groups))} groups (subjects) were read from the array groups."]
