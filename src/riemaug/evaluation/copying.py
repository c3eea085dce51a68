"""How close samples lie to the training data: nearest neighbours, what counts as a copy, dropping copies."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

QUERY_BLOCK = 256
REFERENCE_BLOCK = 1024
ROUNDING = 64.0 * float(np.finfo(np.float32).eps)
"""Two float32 scores that differ by less than this times |x| |y| may be in the wrong order."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest reference row of each query: its index (n,), and the Euclidean distance (n,)."""

    index: Int64[np.ndarray, " n"]
    distance: Float[np.ndarray, " n"]


def nearest_neighbours(
    queries: Float32[np.ndarray, "n D"], reference: Float32[np.ndarray, "m D"], leave_one_out: bool = False
) -> Neighbours:
    """Return the nearest row of `reference`, never sub-sampled, for each query.

    Candidates come from the |x|^2 - 2 xy + |y|^2 form in padded blocks of fixed size, in float32 and,
    where rounding could hide the nearest among look-alikes, once more in float64; the distance of the
    winner is then computed directly, so an exact copy is at exactly 0.

    Parameters
    ----------
    queries, reference : ndarray (n, D), (m, D)
    leave_one_out : bool
        `queries` are the rows of `reference` themselves: a row is not its own neighbour (m >= 2).
    """
    return _nearest(queries, reference, np.arange(len(queries))[:, None] if leave_one_out else None)


def nearest_other_neighbours(
    queries: Float32[np.ndarray, "n D"],
    reference: Float32[np.ndarray, "m D"],
    excluded: Int64[np.ndarray, "n c"],
) -> Neighbours:
    """Return for each query the nearest row of `reference` that is none of its `excluded` ones.

    Parameters
    ----------
    queries, reference : ndarray (n, D), (m, D)
    excluded : ndarray (n, c)
        Indices of reference rows; the same one may come twice. At least one row must be left.
    """
    return _nearest(queries, reference, excluded)


def _nearest(queries: np.ndarray, reference: np.ndarray, excluded: np.ndarray | None) -> Neighbours:
    squares = np.einsum("ij,ij->i", reference, reference, dtype=np.float64)
    longest = np.sqrt(squares.max())
    index = np.empty(len(queries), np.int64)
    distance = np.empty(len(queries))
    for start in range(0, len(queries), QUERY_BLOCK):
        block = queries[start : start + QUERY_BLOCK]
        padded = np.zeros((QUERY_BLOCK, queries.shape[1]), np.float32)
        padded[: len(block)] = block
        left_out = None if excluded is None else excluded[start : start + len(block)]
        scores = _scores(squares, padded @ reference.T, left_out)[: len(block)]
        slack = ROUNDING * np.linalg.norm(block, axis=1) * longest
        if len(reference) > 1 and (_lead(scores) <= slack).any():
            scores = _scores(squares, _products_in_double(padded, reference), left_out)[: len(block)]
        rows = slice(start, start + len(block))
        index[rows] = scores.argmin(1)
        gaps = (block - reference[index[rows]]).astype(np.float64)
        distance[rows] = np.sqrt(np.einsum("ij,ij->i", gaps, gaps))
    return Neighbours(index, distance)


def _scores(squares: np.ndarray, products: np.ndarray, left_out: np.ndarray | None) -> np.ndarray:
    """Return |y|^2 - 2 xy, infinite where the reference row is left out for the query."""
    scores = squares - 2.0 * products
    if left_out is not None:
        scores[np.arange(len(left_out))[:, None], left_out] = np.inf
    return scores


def _lead(scores: np.ndarray) -> np.ndarray:
    """Return by how much the lowest score of each row is below the second lowest."""
    lowest = np.partition(scores, 1, axis=1)[:, :2]
    return lowest[:, 1] - lowest[:, 0]


def _products_in_double(block: np.ndarray, reference: np.ndarray) -> np.ndarray:
    exact = block.astype(np.float64)
    parts = range(0, len(reference), REFERENCE_BLOCK)
    return np.concatenate([exact @ reference[i : i + REFERENCE_BLOCK].astype(np.float64).T for i in parts], 1)


def copy_flags(
    distance: Float[np.ndarray, " n"],
    is_identical: Bool[np.ndarray, " n"],
    reconstruction_distance: Float[np.ndarray, " n"],
) -> list[str]:
    """Return "exact", "near" or "no" for each sample.

    "exact": the written sample equals its nearest training sample. "near": it lies closer to that training
    sample than the model's own reconstruction of it does, so it is as good a copy as the model can make.
    Distances between real samples would not do as a measure: decoded means have none of their noise.

    Parameters
    ----------
    distance : ndarray (n,)
        To the nearest training sample.
    is_identical : ndarray (n,) of bool
        Whether the written sample equals that training sample.
    reconstruction_distance : ndarray (n,)
        From each sample's nearest training sample to that one's reconstruction; NaN for a training sample of
        another class.
    """
    return [
        "exact" if identical else "near" if gap < limit else "no"
        for gap, identical, limit in zip(distance, is_identical, reconstruction_distance, strict=True)
    ]


@dataclass(frozen=True)
class DroppedCopies:
    """What dropping copies did to the samples of one class.

    Attributes
    ----------
    wanted : int
        Samples asked for.
    drawn : int
        Draws that were looked at, up to the last one that was kept, or all that were allowed.
    exact, near : int
        Draws among them that were flagged so and dropped.
    """

    wanted: int
    drawn: int
    exact: int
    near: int

    @property
    def count(self) -> int:
        """Draws dropped."""
        return self.exact + self.near

    @property
    def kept(self) -> int:
        """Samples that are left."""
        return self.drawn - self.count

    @property
    def missing(self) -> int:
        """Samples asked for that the draws allowed did not give."""
        return self.wanted - self.kept

    @property
    def share(self) -> float:
        """Share of the draws that was dropped, in [0, 1].

        It estimates how far the law of what is kept is from the sampler's in total variation: the law given
        that no flag is set differs from the law itself by the probability of a flag.
        """
        return self.count / self.drawn if self.drawn else 0.0

    def describe(self) -> str:
        """Return what was dropped, in a clause."""
        return (
            f"{self.count:,} of {self.drawn:,} draws dropped as copies ({self.exact:,} exact, {self.near:,} "
            "near)"
        )

    def describe_missing(self) -> str:
        """Return, in a sentence without its full stop, why samples are missing and what to do."""
        return (
            f"{self.kept:,} of {self.wanted:,} samples: {100 * self.share:.0f} % of {self.drawn:,} draws "
            "were copies of training samples and dropped, more are not drawn; train longer "
            "or on more samples, or leave --drop-copies out"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: the numbers, and the share."""
        return asdict(self) | {"share": round(self.share, 6)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "DroppedCopies":
        """Return what `to_dict` described."""
        return cls(**{name: fields[name] for name in ("wanted", "drawn", "exact", "near")})
