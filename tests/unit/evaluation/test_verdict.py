"""Intervals against values worked out by hand and by simulation; what may be claimed, in words."""

import json

import numpy as np
import pytest

from riemaug.errors import InvalidInputError
from riemaug.evaluation.verdict import Difference, Verdict, folds_difference, held_out_difference

LABELS = np.repeat([0, 1], [4, 2])


def verdict(difference: Difference, num_seeds: int = 5, num_folds: int = 0) -> Verdict:
    return Verdict("small-cnn", "both", "real", difference, num_seeds, num_folds)


def test_mean_and_standard_error_by_hand() -> None:
    gaps = np.array([[1, 0, 0, 0, 1, 0], [1, 1, 0, 0, 0, 0]])
    found = held_out_difference(gaps, LABELS)
    # seeds: (1/4 + 1/2) / 2 and (2/4 + 0) / 2; the class of two counts as much as that of four
    assert found.mean == pytest.approx((0.375 + 0.25) / 2)
    seeds = (0.375 - 0.25) ** 2 / 2 / 2
    first = np.var([1, 0.5, 0, 0], ddof=1) / 4 / 4
    second = np.var([0.5, 0], ddof=1) / 2 / 4
    assert found.standard_error == pytest.approx((seeds + first + second) ** 0.5)
    degrees = (seeds + first + second) ** 2 / (seeds**2 + first**2 / 3 + second**2)
    assert found.degrees == pytest.approx(degrees)
    assert found.num_changed == 3
    assert found.low is not None
    assert found.high is not None
    assert (found.low + found.high) / 2 == pytest.approx(found.mean)


def test_folds_by_hand() -> None:
    of_folds, gaps = np.array([0.02, 0.04, 0.06]), np.tile([0.1, 0.0], 300)
    found = folds_difference(of_folds, gaps, np.repeat([0, 1], 300), 100)
    assert found.mean == pytest.approx(0.04)
    assert found.standard_error == pytest.approx(((1 / 3 + 1 / 2) * 0.0004) ** 0.5)
    assert found.degrees == 2.0


def test_folds_that_agree_by_chance_do_not_make_the_error_vanish() -> None:
    gaps = np.tile([1.0, 0.0, -1.0, 0.0], 10)
    found = folds_difference(np.array([0.1, 0.1]), gaps, np.repeat([0, 1], 20), 20)
    assert found.standard_error is not None
    assert found.standard_error == pytest.approx((2 * np.var(gaps[:20], ddof=1) / 20 / 4) ** 0.5)


def crossed_answers(
    rng: np.random.Generator, effect: float, labels: np.ndarray, num_seeds: int
) -> np.ndarray:
    """Return gaps of answers that depend on the seed, on the sample and on both."""
    of_seeds = rng.normal(0, 0.5, (2, num_seeds, 1))
    of_samples = rng.normal(0.5, 1.5, len(labels)) + rng.normal(0, 0.7, (2, 1, len(labels)))
    logits = of_seeds + of_samples + np.array([effect, 0.0])[:, None, None]
    right = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    return right[0].astype(int) - right[1].astype(int)


def test_without_an_effect_the_interval_leaves_zero_out_in_five_of_a_hundred_at_most() -> None:
    rng, labels = np.random.default_rng(0), np.repeat([0, 1, 2], [60, 40, 20])
    claims = [
        held_out_difference(crossed_answers(rng, 0.0, labels, 5), labels).effect != "no effect shown"
        for _ in range(1000)
    ]
    # 5 % of 1,000 with three standard deviations
    assert 0.01 * len(claims) < sum(claims) < 0.07 * len(claims)


def test_an_effect_is_found_and_its_sign_is_right() -> None:
    rng, labels = np.random.default_rng(1), np.repeat([0, 1, 2], [300, 200, 100])
    for effect, told in ((2.0, "helps"), (-2.0, "harms")):
        found = [held_out_difference(crossed_answers(rng, effect, labels, 5), labels) for _ in range(20)]
        assert {item.effect for item in found} == {told}


def test_few_seeds_are_not_enough_for_a_claim_that_the_test_set_alone_would_allow() -> None:
    labels = np.repeat([0, 1], 500)
    lucky, unlucky = np.zeros(1000, int), np.zeros(1000, int)
    lucky[:200], lucky[500:700] = 1, 1
    unlucky[:100], unlucky[500:600] = -1, -1
    assert held_out_difference(np.stack([lucky, unlucky]), labels).effect == "no effect shown"
    assert held_out_difference(np.stack([lucky, lucky]), labels).effect == "helps"


def test_five_changed_answers_show_nothing() -> None:
    labels = np.repeat([0, 1], 5)
    gaps = np.tile(np.repeat([1, 0], 5), (3, 1))
    few = held_out_difference(gaps, labels)
    assert (few.standard_error, few.effect) == (0.0, "no effect shown")
    assert "5 test samples are answered differently" in verdict(few).words
    more = held_out_difference(np.tile(np.repeat([1, 0], 6), (3, 1)), np.repeat([0, 1], 6))
    assert more.effect == "helps"


def test_one_seed_one_fold_or_one_sample_a_class_give_no_interval() -> None:
    one_seed = held_out_difference(np.ones((1, 6), int), LABELS)
    one_sample = held_out_difference(np.ones((3, 3), int), np.array([0, 0, 1]))
    one_fold = folds_difference(np.array([0.1]), np.ones(6), LABELS, 6)
    for found, told in ((one_seed, "2 seeds"), (one_sample, "2 test samples"), (one_fold, "2 folds")):
        assert found.low is None
        assert found.effect == "no verdict"
        assert told in verdict(found, 1).words


def test_equal_answers_are_no_effect() -> None:
    found = held_out_difference(np.zeros((3, 6), int), LABELS)
    assert (found.mean, found.low, found.high, found.effect) == (0.0, 0.0, 0.0, "no effect shown")


def test_words() -> None:
    clear = Difference(0.018, 0.006, 20.0, 0.006, 0.03, 40)
    assert verdict(clear).words == "helps: +1.8 points of balanced accuracy (0.6 to 3.0; 5 seeds, small-cnn)"
    harm = Difference(-0.018, 0.006, 20.0, -0.03, -0.006, 40)
    told = "harms: -1.8 points of balanced accuracy (-3.0 to -0.6; 5 folds x 1 seed, small-cnn)"
    assert verdict(harm, 1, 5).words == told
    unclear = Difference(0.003, 0.006, 20.0, -0.01, 0.016, 40)
    assert verdict(unclear).words == (
        "no effect shown: +0.3 points of balanced accuracy (-1.0 to 1.6; 5 seeds, small-cnn); a change of "
        "less than 1.3 points could not be seen"
    )
    document = json.loads(json.dumps(verdict(clear).to_dict()))
    assert (document["effect"], document["difference"]["low"]) == ("helps", 0.006)


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="seeds and test samples"):
        held_out_difference(np.zeros((0, 6), int), LABELS)
