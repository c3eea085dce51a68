"""How close samples lie to the training data: nearest neighbours, and what counts as a copy."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

QUERY_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest reference row of each query: its index (n,), and the Euclidean distance (n,)."""

    index: Int64[np.ndarray, " n"]
    distance: Float[np.ndarray, " n"]


def nearest_neighbours(
    queries: Float32[np.ndarray, "n D"], reference: Float32[np.ndarray, "m D"], leave_one_out: bool = False
) -> Neighbours:
    """Return the nearest row of `reference`, never sub-sampled, for each query.

    Candidates come from the |x|^2 - 2 xy + |y|^2 form in padded blocks of fixed size; the distance of
    the winner is then computed directly, so an exact copy is at exactly 0.

    Parameters
    ----------
    queries, reference : ndarray (n, D), (m, D)
    leave_one_out : bool
        `queries` are the rows of `reference` themselves: a row is not its own neighbour (m >= 2).
    """
    squares = np.einsum("ij,ij->i", reference, reference, dtype=np.float64)
    index = np.empty(len(queries), np.int64)
    distance = np.empty(len(queries))
    for start in range(0, len(queries), QUERY_BLOCK):
        block = queries[start : start + QUERY_BLOCK]
        padded = np.zeros((QUERY_BLOCK, queries.shape[1]), np.float32)
        padded[: len(block)] = block
        scores = (squares - 2.0 * (padded @ reference.T))[: len(block)]
        if leave_one_out:
            scores[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        rows = slice(start, start + len(block))
        index[rows] = scores.argmin(1)
        gaps = (block - reference[index[rows]]).astype(np.float64)
        distance[rows] = np.sqrt(np.einsum("ij,ij->i", gaps, gaps))
    return Neighbours(index, distance)


def copy_flags(
    distance: Float[np.ndarray, " n"], is_identical: np.ndarray, real_distance: Float[np.ndarray, " m"]
) -> list[str]:
    """Return "exact", "near" or "no" for each sample.

    "exact": the written sample equals its nearest training sample. "near": it lies closer to a training
    sample than any two (different) training samples of its class lie to each other.

    Parameters
    ----------
    distance : ndarray (n,)
        To the nearest training sample.
    is_identical : ndarray (n,) of bool
        Whether the written sample equals that training sample.
    real_distance : ndarray (m,)
        Leave-one-out nearest distances among the training samples of the class.
    """
    positive = real_distance[real_distance > 0]
    threshold = float(positive.min()) if len(positive) else 0.0
    return [
        "exact" if identical else "near" if gap < threshold else "no"
        for gap, identical in zip(distance, is_identical, strict=True)
    ]
