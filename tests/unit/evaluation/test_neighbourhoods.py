"""Precision, recall, density and coverage on sets where the answer is known, and against all distances."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from riemaug.errors import InvalidInputError
from riemaug.evaluation.neighbourhoods import neighbourhood_scores


def normal(num: int, dim: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(num, dim)) + shift).astype(np.float32)


def test_points_on_a_line() -> None:
    # k = 1: balls [-1, 1], [0, 2], [1, 5], [3, 11] about the real points
    real = np.array([[0.0], [1.0], [3.0], [7.0]])
    # -0.5 lies in the first ball, 2 on the edge of the second and in the third, the others in none;
    # their own balls are [-3, 2], [-0.5, 4.5], and short ones far away: 7 is in none of them
    synthetic = np.array([[-0.5], [2.0], [20.0], [20.5]])
    scores = neighbourhood_scores(real, synthetic, k=1)
    assert (scores.precision, scores.recall) == (0.5, 0.75)
    assert (scores.density, scores.coverage) == (0.75, 0.75)
    assert scores.to_dict()["num_synthetic"] == 4


@pytest.mark.parametrize(
    ("num", "synthetic_num", "dim", "k"), [(7, 9, 2, 3), (60, 45, 5, 5), (300, 20, 784, 1)]
)
def test_against_all_distances(num: int, synthetic_num: int, dim: int, k: int) -> None:
    real, synthetic = normal(num, dim, 0), normal(synthetic_num, dim, 1, 0.3)
    scores = neighbourhood_scores(real, synthetic, k)
    real_radius = np.sort(cdist(real, real), 1)[:, k]
    synthetic_radius = np.sort(cdist(synthetic, synthetic), 1)[:, k]
    across = cdist(real, synthetic)
    inside = across <= real_radius[:, None]
    assert scores.precision == inside.any(0).mean()
    assert scores.recall == (across <= synthetic_radius).any(1).mean()
    assert scores.density == pytest.approx(inside.sum() / (k * synthetic_num))
    assert scores.coverage == inside.any(1).mean()


def test_a_set_and_itself_agree_wholly() -> None:
    real = normal(40, 6, 2)
    real[3] = real[5]
    scores = neighbourhood_scores(real, real, 3)
    assert (scores.precision, scores.recall, scores.coverage) == (1.0, 1.0, 1.0)
    # far from the origin rounding may not empty the balls
    moved = neighbourhood_scores(real.astype(np.float64) + 1e6, real.astype(np.float64) + 1e6, 3)
    assert moved == scores


def test_copies_of_duplicates_are_inside() -> None:
    # all radii are 0 but for rounding: an exact copy still belongs
    samples = normal(7, 300, 3, 0.5)
    scores = neighbourhood_scores(np.repeat(samples, 5, 0), np.tile(samples, (40, 1)), 2)
    assert (scores.precision, scores.recall, scores.coverage) == (1.0, 1.0, 1.0)
    assert scores.density == 5 / 2


def test_few_modes_cost_recall_and_strangers_precision() -> None:
    real = np.concatenate([normal(50, 4, 0), normal(50, 4, 1, 50.0)])
    one_mode = neighbourhood_scores(real, normal(100, 4, 2))
    assert one_mode.precision > 0.9
    assert 0.4 <= one_mode.recall <= 0.5
    assert 0.4 <= one_mode.coverage <= 0.5
    strangers = neighbourhood_scores(real, normal(100, 4, 3, 500.0))
    assert (strangers.precision, strangers.recall, strangers.density, strangers.coverage) == (
        0.0,
        0.0,
        0.0,
        0.0,
    )


def test_coverage_and_density_under_one_law() -> None:
    # means over 2,000 pairs of sets; each z-score exceeds 4.5 by chance with probability 7e-6
    rng = np.random.default_rng(0)
    found = [neighbourhood_scores(rng.normal(size=(6, 2)), rng.normal(size=(4, 2)), 2) for _ in range(2000)]
    expected = 1 - (4 / 8) * (5 / 9)
    assert found[0].expected_coverage == pytest.approx(expected)
    for values, mean in (([s.coverage for s in found], expected), ([s.density for s in found], 1.0)):
        assert abs(np.mean(values) - mean) < 4.5 * np.std(values) / np.sqrt(2000)


def test_memory_does_not_hold_all_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    real, synthetic = normal(50, 3, 0), normal(30, 3, 1)
    whole = neighbourhood_scores(real, synthetic)
    monkeypatch.setattr("riemaug.data.blocks.row_blocks.__defaults__", (70,))
    assert neighbourhood_scores(real, synthetic) == whole


@pytest.mark.parametrize(
    ("real", "synthetic", "k", "message"),
    [
        (
            normal(5, 2, 0),
            normal(9, 2, 0),
            5,
            "k = 5 needs at least 6 real samples, got 5: pass more samples or",
        ),
        (normal(9, 2, 0), normal(3, 2, 0), 3, "k = 3 needs at least 4 synthetic samples, got 3"),
        (normal(9, 2, 0), normal(9, 3, 0), 3, "must have the same width, got 2 and 3"),
        (normal(9, 2, 0), normal(9, 2, 0) * np.nan, 3, "synthetic features must be finite"),
        (normal(9, 2, 0), normal(9, 2, 0), 0, "k must be at least 1, got 0"),
    ],
)
def test_refusals(real: np.ndarray, synthetic: np.ndarray, k: int, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        neighbourhood_scores(real, synthetic, k)
