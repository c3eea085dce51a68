"""KID and MMD against direct double sums; standard error and level of the test by repetition."""

import itertools

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist, pdist

from riemaug.errors import InvalidInputError
from riemaug.evaluation import kernel_distances
from riemaug.evaluation.kernel_distances import discrepancy_test, kernel_inception_distance
from riemaug.random import Stream


def normal(num: int, dim: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(num, dim)) + shift).astype(np.float32)


def double_sum(first: np.ndarray, second: np.ndarray, kernel) -> float:
    """The unbiased squared MMD, pair by pair."""
    within = [
        np.mean([kernel(x, y) for x, y in itertools.permutations(rows.astype(float), 2)])
        for rows in (first, second)
    ]
    across = np.mean([kernel(x, y) for x in first.astype(float) for y in second.astype(float)])
    return within[0] + within[1] - 2 * across


def gaussian(x: np.ndarray, y: np.ndarray, bandwidth: float) -> float:
    return np.exp(-((x - y) ** 2).sum() / (2 * bandwidth**2))


@pytest.mark.parametrize(("num", "synthetic_num", "dim"), [(4, 4, 1), (13, 9, 5), (25, 31, 12)])
def test_kid_is_the_double_sum(num: int, synthetic_num: int, dim: int) -> None:
    real, synthetic = normal(num, dim, 0), normal(synthetic_num, dim, 1, 0.5)
    expected = double_sum(real, synthetic, lambda x, y: (x @ y / dim + 1) ** 3)
    assert kernel_inception_distance(real, synthetic).value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("num_blocks", [2, 5])
def test_its_standard_error_is_the_jackknife(num_blocks: int) -> None:
    # sorted beforehand by a deal of our own, left out one block at a time
    real, synthetic = normal(20, 3, 0), normal(10, 3, 1)
    found = kernel_inception_distance(real, synthetic, num_blocks)
    rng = np.random.default_rng(Stream(0).child("kid blocks").generator_seed())
    dealt = [rows[rng.permutation(len(rows))] for rows in (real, synthetic)]
    values = []
    for block in range(num_blocks):
        kept = [
            np.concatenate([b for i, b in enumerate(np.split(rows, num_blocks)) if i != block])
            for rows in dealt
        ]
        values.append(double_sum(*kept, lambda x, y: (x @ y / 3 + 1) ** 3))
    assert found.num_blocks == num_blocks
    assert found.standard_error == pytest.approx(np.sqrt((num_blocks - 1) * np.var(values)), rel=1e-9)


@pytest.mark.statistics
@pytest.mark.parametrize(("shift", "least", "most"), [(1.0, 0.6, 1.7), (0.0, 0.6, 3.0)])
def test_the_standard_error_is_the_spread_of_repetitions(shift: float, least: float, most: float) -> None:
    # the variance of 300 values has a relative standard error of 8 % for a normal law; without a shift the
    # law is skewed and the jackknife about twice too large. Mean over all: each bound is 4 such errors away
    found = [
        kernel_inception_distance(normal(60, 4, 2 * seed), normal(40, 4, 2 * seed + 1, shift))
        for seed in range(300)
    ]
    values, errors = np.array([(f.value, f.standard_error) for f in found]).T
    assert least < np.mean(errors**2) / values.var() < most
    if shift == 0.0:
        assert abs(values.mean()) < 4.5 * values.std() / np.sqrt(300)


@pytest.mark.parametrize("num_permutations", [1, 40])
def test_the_gaussian_discrepancy_is_the_double_sum(num_permutations: int) -> None:
    real, synthetic = normal(12, 3, 0), normal(9, 3, 1, 1.0)
    found = discrepancy_test(real, synthetic, 1.3, num_permutations)
    expected = double_sum(real, synthetic, lambda x, y: gaussian(x, y, 1.3))
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert found.bandwidth == 1.3


def test_permuted_values_are_those_of_permuted_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    real, synthetic = normal(8, 2, 0), normal(6, 2, 1)
    pooled = np.concatenate([real, synthetic]).astype(float)
    rng = np.random.default_rng(0)
    labels = np.stack([rng.permutation(np.repeat([1.0, 0.0], [8, 6])) for _ in range(5)], 1)
    for values in (None, 10):
        if values:
            monkeypatch.setattr("riemaug.data.blocks.row_blocks.__defaults__", (values,))
        found = kernel_distances._discrepancies(pooled, labels, 1.0)
        for value, marks in zip(found, labels.T, strict=True):
            direct = double_sum(pooled[marks == 1], pooled[marks == 0], lambda x, y: gaussian(x, y, 1.0))
            assert value == pytest.approx(direct, rel=1e-9)


def test_the_median_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    real, synthetic = normal(30, 4, 0), normal(40, 4, 1)
    median = np.median(pdist(np.concatenate([real, synthetic]).astype(float)))
    assert discrepancy_test(real, synthetic, num_permutations=1).bandwidth == pytest.approx(median)
    # of many pairs some are drawn: the median of 1,000 of these distances is within 0.3 of it
    monkeypatch.setattr(kernel_distances, "MEDIAN_PAIRS", 1000)
    assert discrepancy_test(real, synthetic, num_permutations=1).bandwidth == pytest.approx(median, abs=0.3)
    # of samples that are all the same, and of sets most of which are
    assert discrepancy_test(np.ones((5, 2)), np.ones((5, 2)), num_permutations=9).bandwidth == 1.0
    few = np.ones((9, 2))
    few[0] = 4.0
    assert discrepancy_test(few, few, num_permutations=9).bandwidth == pytest.approx(3 * np.sqrt(2))


@pytest.mark.statistics
def test_the_level_of_the_permutation_test() -> None:
    # p-values of equal laws are uniform on 1/20, ..., 1: the number of 400 at or below 1/5 leaves the central
    # 1 - 2e-5 of a binomial law by chance with probability 2e-5
    p_values = np.array(
        [
            discrepancy_test(normal(14, 3, 2 * i), normal(20, 3, 2 * i + 1), None, 19, random_state=i).p_value
            for i in range(400)
        ]
    )
    low, high = stats.binom(400, 0.2).ppf([1e-5, 1 - 1e-5])
    assert low <= (p_values <= 0.2 + 1e-9).sum() <= high
    assert p_values.min() >= 1 / 20 - 1e-12


def test_different_laws_are_told_apart_by_mean_and_by_spread() -> None:
    real = normal(80, 3, 0)
    for other in (normal(60, 3, 1, 0.8), 2.5 * normal(60, 3, 1)):
        found = discrepancy_test(real, other, num_permutations=199)
        assert found.p_value == 1 / 200
        assert found.value > 0.02


def test_equal_sets_are_no_evidence() -> None:
    same = np.ones((6, 2))
    assert discrepancy_test(same, same, num_permutations=20).p_value == 1.0
    assert kernel_inception_distance(same, same).value == pytest.approx(0.0, abs=1e-12)


def test_a_seed_decides_and_is_taken_as_a_stream() -> None:
    real, synthetic = normal(20, 3, 0), normal(20, 3, 1)
    assert discrepancy_test(real, synthetic, random_state=1) == discrepancy_test(
        real, synthetic, random_state=1
    )
    first, other = (kernel_inception_distance(real, synthetic, random_state=seed) for seed in (0, 1))
    assert first.value == pytest.approx(other.value)
    assert first.standard_error != other.standard_error


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernel_inception_distance(normal(3, 2, 0), normal(9, 2, 0)), "KID needs at least 4 real"),
        (
            lambda: kernel_inception_distance(normal(9, 2, 0), normal(9, 2, 0), 1),
            "num_blocks must be at least 2",
        ),
        (lambda: discrepancy_test(normal(9, 2, 0), normal(3, 2, 0)), "needs at least 4 synthetic"),
        (lambda: discrepancy_test(normal(9, 2, 0), normal(9, 3, 0)), "same width"),
        (lambda: discrepancy_test(normal(9, 2, 0), normal(9, 2, 0), 0.0), "bandwidth must be above 0"),
        (lambda: discrepancy_test(normal(9, 2, 0), normal(9, 2, 0), None, 0), "num_permutations must be"),
    ],
)
def test_refusals(call, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        call()


def test_distances_in_blocks_are_the_distances() -> None:
    real, synthetic = normal(30, 6, 0).astype(float), normal(20, 6, 1).astype(float)
    blocks = [block.copy() for _, block in kernel_distances.squared_distance_blocks(real, synthetic)]
    assert np.allclose(np.concatenate(blocks), cdist(real, synthetic, "sqeuclidean"))
