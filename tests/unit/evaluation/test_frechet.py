"""The Fréchet distance between sets whose moments are exactly those of known Gaussians."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from riemaug.errors import InvalidInputError
from riemaug.evaluation.frechet import LEAST_SAMPLES, frechet_distance


def with_moments(mean: np.ndarray, covariance: np.ndarray, num: int, seed: int) -> np.ndarray:
    """Rows whose mean and (unbiased) covariance are exactly these."""
    rows = np.random.default_rng(seed).normal(size=(num, len(mean)))
    rows -= rows.mean(0)
    whitened = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows.T))).T
    return whitened @ np.linalg.cholesky(covariance).T + mean


def covariance(dim: int, seed: int) -> np.ndarray:
    factor = np.random.default_rng(seed).normal(size=(dim, dim))
    return factor @ factor.T + 0.1 * np.eye(dim)


def test_gaussians_with_known_answer() -> None:
    # diagonal covariances: |m1 - m2|^2 + sum (s1 - s2)^2
    first = with_moments(np.array([1.0, 0.0, 2.0]), np.diag([1.0, 4.0, 9.0]), 50, 0)
    second = with_moments(np.array([0.0, 2.0, 2.0]), np.diag([4.0, 4.0, 0.25]), 70, 1)
    assert frechet_distance(first, second).value == pytest.approx(1 + 4 + 1 + 0 + 2.5**2)


def test_gaussians_whose_covariances_do_not_commute() -> None:
    one, other = covariance(6, 0), covariance(6, 1)
    first, second = with_moments(np.zeros(6), one, 40, 0), with_moments(np.ones(6), other, 30, 1)
    expected = 6 + np.trace(one + other - 2 * np.real(sqrtm(one @ other)))
    assert frechet_distance(first, second).value == pytest.approx(expected)
    assert frechet_distance(second, first).value == pytest.approx(expected)


def test_more_features_than_samples() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(12, 300)), rng.normal(size=(9, 300)) + 1
    rotation = np.linalg.qr(rng.normal(size=(300, 300)))[0]
    value = frechet_distance(first, second).value
    assert value == pytest.approx(frechet_distance(first @ rotation, second @ rotation).value)
    # in the 20 dimensions that the rows span it is the same
    centre = np.concatenate([first, second])
    basis = np.linalg.svd(centre - centre.mean(0), full_matrices=False)[2][:20]
    reduced = [(rows - centre.mean(0)) @ basis.T for rows in (first, second)]
    one, other = np.cov(reduced[0].T), np.cov(reduced[1].T)
    roots = np.linalg.eigvals(one @ other)
    shift = np.square(reduced[0].mean(0) - reduced[1].mean(0)).sum()
    expected = shift + np.trace(one + other) - 2 * np.sqrt(np.maximum(roots.real, 0)).sum()
    assert value == pytest.approx(expected, rel=1e-5)


def test_a_set_is_at_zero_from_itself() -> None:
    rows = np.random.default_rng(0).normal(size=(30, 50)).astype(np.float32)
    assert frechet_distance(rows, rows).value == pytest.approx(0.0, abs=1e-9)


def test_small_sets_carry_a_note() -> None:
    rows = np.random.default_rng(0).normal(size=(LEAST_SAMPLES, 2))
    assert frechet_distance(rows, rows).note == ""
    note = frechet_distance(rows, rows[:-1]).note
    assert "2048 real and 2047 synthetic" in note
    assert "prefer KID" in note
    assert frechet_distance(rows, rows[:-1]).to_dict()["note"] == note


def test_one_sample_has_no_covariance() -> None:
    with pytest.raises(InvalidInputError, match="needs at least 2 synthetic samples, got 1"):
        frechet_distance(np.zeros((5, 2)), np.zeros((1, 2)))
