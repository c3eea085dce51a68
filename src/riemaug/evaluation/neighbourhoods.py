"""Precision, recall, density and coverage: two sets seen through balls about their samples.

A sample's ball reaches to its k-th nearest neighbour within its own set, that neighbour included.
Precision and recall: Kynkäänniemi et al., Improved precision and recall metric for assessing generative
models, NeurIPS 2019. Density and coverage: Naeem et al., Reliable fidelity and diversity metrics for
generative models, ICML 2020.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from riemaug.errors import InvalidInputError
from riemaug.evaluation.pairwise import (
    ROUNDING,
    centred_pair,
    check_pair,
    largest_square,
    squared_distance_blocks,
)

DEFAULT_K = 5


@dataclass(frozen=True)
class NeighbourhoodScores:
    """What the balls about real and about synthetic samples hold.

    Attributes
    ----------
    precision : float
        Share of the synthetic samples inside the ball of some real one, in [0, 1].
    recall : float
        Share of the real samples inside the ball of some synthetic one, in [0, 1].
    density : float
        Mean number of real balls that a synthetic sample is in, divided by k: 0 or more; its
        expectation is 1 if both sets follow one law.
    coverage : float
        Share of the real balls with a synthetic sample inside, in [0, 1].
    expected_coverage : float
        What coverage is on average if both sets follow one (continuous) law; below 1 by chance alone.
    k, num_real, num_synthetic : int
    """

    precision: float
    recall: float
    density: float
    coverage: float
    expected_coverage: float
    k: int
    num_real: int
    num_synthetic: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def neighbourhood_scores(
    real: Float[np.ndarray, "n D"], synthetic: Float[np.ndarray, "m _"], k: int = DEFAULT_K
) -> NeighbourhoodScores:
    """Return precision, recall, density and coverage by exact neighbours.

    Parameters
    ----------
    real, synthetic : ndarray (n, D), (m, D)
        Features.
    k : int
        Which neighbour a ball reaches to, at least 1.

    Raises
    ------
    InvalidInputError
        k below 1, k or fewer samples in a set, other widths, values that are not finite.
    """
    if k < 1:
        raise InvalidInputError(f"k must be at least 1, got {k}: choose 3 or 5")
    check_pair(real, synthetic, k + 1, f"k = {k}", " or choose a smaller k")
    real, synthetic = centred_pair(real, synthetic)
    slack = ROUNDING * largest_square(real, synthetic)
    real_radius = _squared_radius(real, k) + slack
    synthetic_radius = _squared_radius(synthetic, k) + slack
    inside_any_real = np.zeros(len(synthetic), bool)
    holds_any, inside_any_synthetic, num_inside = [], [], 0
    for part, squares in squared_distance_blocks(real, synthetic):
        inside = squares <= real_radius[part, None]
        num_inside += int(inside.sum())
        inside_any_real |= inside.any(0)
        holds_any.append(inside.any(1))
        inside_any_synthetic.append((squares <= synthetic_radius).any(1))
    return NeighbourhoodScores(
        precision=float(inside_any_real.mean()),
        recall=float(np.concatenate(inside_any_synthetic).mean()),
        density=num_inside / (k * len(synthetic)),
        coverage=float(np.concatenate(holds_any).mean()),
        expected_coverage=_expected_coverage(len(real), len(synthetic), k),
        k=k,
        num_real=len(real),
        num_synthetic=len(synthetic),
    )


def _squared_radius(rows: Float64[np.ndarray, "n D"], k: int) -> Float64[np.ndarray, " n"]:
    """Return the squared distance of each row to its k-th nearest other row."""
    radius = np.empty(len(rows))
    for part, squares in squared_distance_blocks(rows, rows):
        num = len(squares)
        squares[np.arange(num), part.start + np.arange(num)] = np.inf
        radius[part] = np.partition(squares, k - 1, axis=1)[:, k - 1]
    return radius


def _expected_coverage(num_real: int, num_synthetic: int, k: int) -> float:
    """Return 1 - P(the k nearest samples of a real one are all real), all orders being equally likely."""
    real = num_real - 1 - np.arange(k)
    return float(1.0 - np.prod(real / (real + num_synthetic)))
