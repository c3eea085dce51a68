"""Membership inference: the AUC against pairs, its interval by repetition."""

import numpy as np
import pytest
from scipy import stats

from riemaug.evaluation.membership import membership_inference
from riemaug.evaluation.ranks import rank_auc, rank_p_value


def test_the_auc_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    lower, higher = rng.integers(0, 6, 13).astype(float), rng.integers(1, 8, 7).astype(float)
    pairs = [(a < b) + 0.5 * (a == b) for a in lower for b in higher]
    assert rank_auc(lower, higher) == pytest.approx(np.mean(pairs))
    assert rank_auc(higher, lower) == pytest.approx(1 - np.mean(pairs))


def test_equal_values_are_no_evidence() -> None:
    assert rank_auc(np.ones(4), np.ones(3)) == 0.5
    assert rank_p_value(np.ones(4), np.ones(3)) == 1.0


def test_members_that_lie_closer_are_told() -> None:
    rng = np.random.default_rng(0)
    found = membership_inference(rng.random(60), rng.random(40) + 0.5)
    assert found.low < found.auc < found.high
    assert found.low > 0.7
    assert found.p_value < 1e-5
    assert (found.num_members, found.num_non_members, found.confidence) == (60, 40, 0.95)
    assert found == membership_inference(rng_values(60, 0, 0.0), rng_values(40, 0, 0.5, skip=60))


def rng_values(num: int, seed: int, shift: float, skip: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(skip + num)[skip:] + shift


@pytest.mark.slow
@pytest.mark.statistics
def test_the_interval_covers() -> None:
    # AUC of N(0, 1) against N(1, 1) is Phi(1 / sqrt 2). Percentile intervals of 95 % cover a little less at
    # 40 values: of 200, fewer than 170 cover with probability 1e-6 if each does with 0.93
    true = stats.norm.cdf(1 / np.sqrt(2))
    rng = np.random.default_rng(1)
    covers = 0
    for seed in range(200):
        found = membership_inference(rng.normal(size=40), rng.normal(size=40) + 1, 200, seed)
        covers += found.low <= true <= found.high
    assert 170 <= covers < 200
