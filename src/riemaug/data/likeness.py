"""What makes two samples the same or nearly so: a hash of their values, and small standardised pictures."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64, Shaped
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from riemaug.data.checks import check_memory
from riemaug.data.dataset import Dataset
from riemaug.data.resampling import resample

NEAR_CORRELATION = 0.995
"""Samples that correlate at least so much are near duplicates; docs/split.md says what that rests on."""
_LEAST_VALUES = 64
_LONG_AXIS = 4
_MOST_SIDE = {1: 4096, 2: 64}
_MOST_SIDE_OF_VOLUMES = 32
_COLOURS = 3
_BLOCK = 1024
_ROUNDING = 1e-4
"""A correlation in single precision may be wrong by so much: what comes near the limit is computed again."""


@dataclass(frozen=True, eq=False)
class Signature:
    """What one sample is recognised by.

    Attributes
    ----------
    digest : bytes
        Hash of its values, shape and dtype: the same for the same pixels in any file format.
    thumbnail : ndarray or None
        Its values averaged over larger cells; None for rows of tables, in which any two rows may
        correlate, and for samples of fewer than 64 values.
    is_row : bool
        Whether it is a row of numbers, not an image or a volume.
    """

    digest: bytes
    thumbnail: Float[np.ndarray, "..."] | None
    is_row: bool = False


def signature(sample: Shaped[np.ndarray, "..."]) -> Signature:
    """Return the signature of one sample of any shape."""
    head = f"{sample.dtype.str}{sample.shape}".encode()
    digest = hashlib.blake2b(head + np.ascontiguousarray(sample).tobytes(), digest_size=16).digest()
    if sample.ndim < 2 or sample.size < _LEAST_VALUES:
        return Signature(digest, None, sample.ndim < 2)
    num_long = sum(side > _LONG_AXIS for side in sample.shape)
    most = _MOST_SIDE.get(num_long, _MOST_SIDE_OF_VOLUMES)
    return Signature(digest, resample(sample, tuple(min(side, most) for side in sample.shape)))


@dataclass(frozen=True, eq=False)
class Signatures:
    """The signatures of some samples, with their names and, if known, subjects."""

    names: tuple[str, ...]
    items: tuple[Signature, ...]
    groups: tuple[str, ...] | None = None

    @classmethod
    def of(cls, dataset: Dataset) -> "Signatures":
        """Return the signatures of a data set in memory."""
        return cls(dataset.names, tuple(map(signature, dataset.samples)), dataset.groups)

    def take(self, rows: Sequence[int] | Int64[np.ndarray, " m"]) -> "Signatures":
        """Return those of some samples."""
        groups = None if self.groups is None else tuple(self.groups[row] for row in rows)
        return Signatures(
            tuple(self.names[row] for row in rows), tuple(self.items[row] for row in rows), groups
        )

    def __len__(self) -> int:
        return len(self.items)


def standardised(parts: Sequence[Signatures]) -> list[Float32[np.ndarray, "n D"]]:
    """Return the thumbnails of each part as rows of mean 0 and length 1, so that products are correlations.

    Thumbnails of different sizes are brought to the most common one, colour to grey where some are grey.
    A sample without a thumbnail or of one value is a row of zeros: it correlates with nothing.

    Raises
    ------
    ResourceError
        The rows do not fit the memory.
    """
    pictures = [[item.thumbnail for item in part.items] for part in parts]
    shapes = Counter(picture.shape for part in pictures for picture in part if picture is not None)
    if not shapes:
        return [np.zeros((len(part), 1), np.float32) for part in pictures]
    fewest = min(map(len, shapes))
    grey = len({len(shape) for shape in shapes}) > 1
    alike: Counter[tuple[int, ...]] = Counter()
    for shape, count in shapes.items():
        alike[shape[:fewest] if grey else shape] += count
    shape = min(alike, key=lambda shape: (-alike[shape], shape))
    count = sum(map(len, pictures))
    check_memory(4 * count * math.prod(shape), "small pictures of the samples", "split a part of the data")
    return [_rows(part, shape) for part in pictures]


def _rows(
    pictures: Sequence[Float[np.ndarray, "..."] | None], shape: tuple[int, ...]
) -> Float32[np.ndarray, "n D"]:
    rows = np.zeros((len(pictures), math.prod(shape)), np.float32)
    for row, picture in enumerate(pictures):
        plain = picture
        if plain is not None and plain.ndim > len(shape) and plain.shape[-1] == _COLOURS:
            plain = plain.mean(-1)
        if plain is None or plain.ndim != len(shape):
            continue
        flat = resample(plain, shape).ravel().astype(np.float64)
        spread = float(np.ptp(flat))
        if spread == 0 or not np.isfinite(spread):
            continue
        # by the range first: squares of very large or small values leave the range of floats
        flat = (flat - flat.min()) / spread
        flat -= flat.mean()
        rows[row] = flat / np.linalg.norm(flat)
    return rows


def near_pairs(
    first: Float32[np.ndarray, "n D"],
    second: Float32[np.ndarray, "m D"],
    least: float = NEAR_CORRELATION,
    same: bool = False,
) -> Iterator[tuple[Int64[np.ndarray, " k"], Int64[np.ndarray, " k"], Float[np.ndarray, " k"]]]:
    """Yield, block by block, the rows of the pairs that correlate at least so much, and their correlations.

    Parameters
    ----------
    first, second : ndarray (n, D), (m, D)
        Of `standardised`.
    least : float
        The limit.
    same : bool
        Both are the same rows: each pair comes once, and no row is compared with itself.
    """
    for start in range(0, len(first), _BLOCK):
        for begin in range(start if same else 0, len(second), _BLOCK):
            block, other = first[start : start + _BLOCK], second[begin : begin + _BLOCK]
            a, b = np.nonzero(block @ other.T >= least - _ROUNDING)
            if same and start == begin:
                a, b = a[a < b], b[a < b]
            for piece in range(0, len(a), _BLOCK):
                rows = slice(piece, piece + _BLOCK)
                exact = np.einsum("ij,ij->i", block[a[rows]], other[b[rows]], dtype=np.float64)
                near = exact >= least
                if near.any():
                    yield a[rows][near] + start, b[rows][near] + begin, exact[near]


def alike_sets(
    signatures: Signatures, near: bool = True, least: float = NEAR_CORRELATION
) -> Int64[np.ndarray, " n"]:
    """Return the number of each sample's set of exact copies and, if wished, near duplicates, (n,).

    Sets are closed: what is alike through others is in one set.
    """
    sets = connect([item.digest for item in signatures.items])
    if near:
        (rows,) = standardised([signatures])
        for a, b, _ in near_pairs(rows, rows, least, same=True):
            sets = _joined(sets, sets[a], sets[b])
    return sets


def connect(*keys: Sequence[object] | Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Return the number of each sample's set, (n,): samples with any key in common are in one set."""
    numbers = [_numbers(key) for key in keys]
    sets = numbers[0]
    for other in numbers[1:]:
        # a sample joins all of its set with the first sample that has its other key
        _, first = np.unique(other, return_index=True)
        sets = _joined(sets, sets, sets[first][other])
    return sets


def _numbers(key: Sequence[object] | Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    seen: dict[object, int] = {}
    values = key.tolist() if isinstance(key, np.ndarray) else key
    return np.array([seen.setdefault(value, len(seen)) for value in values], dtype=np.int64)


def _joined(
    sets: Int64[np.ndarray, " n"], a: Int64[np.ndarray, " k"], b: Int64[np.ndarray, " k"]
) -> Int64[np.ndarray, " n"]:
    """Return the sets after those numbered `a` and `b` became one, pair by pair."""
    size = int(sets.max(initial=-1)) + 1
    edges = coo_array((np.ones(len(a), bool), (a, b)), shape=(size, size))
    return connected_components(edges, directed=False)[1].astype(np.int64)[sets]
