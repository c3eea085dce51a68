"""The classifier two-sample test: chance on equal laws, sure on different ones, of the level it states."""

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC

from riemaug.errors import InvalidInputError
from riemaug.evaluation.two_sample import classifier_two_sample_test


def normal(num: int, dim: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(num, dim)) + shift).astype(np.float32)


def test_equal_laws_cannot_be_told_apart() -> None:
    # the standard error of the AUC of 300 against 200 is 0.026; farther than 4.5 of them: probability 7e-6
    found = classifier_two_sample_test(normal(300, 5, 0), normal(200, 5, 1))
    assert abs(found.auc - 0.5) < 0.12
    assert abs(found.accuracy - 0.5) < 0.12
    assert found.p_value > 1e-5
    assert found.evidence == "held-out half"


@pytest.mark.parametrize("classifier", [None, GaussianNB(), SVC(class_weight="balanced")])
def test_a_difference_of_spread_is_seen(classifier) -> None:
    found = classifier_two_sample_test(normal(120, 6, 0), 3 * normal(90, 6, 1), classifier)
    assert found.auc > 0.9
    assert found.accuracy > 0.8
    assert found.p_value < 1e-5


def test_sets_apart_are_told_apart_without_fail() -> None:
    found = classifier_two_sample_test(normal(30, 2, 0), normal(60, 2, 1, 50.0), LogisticRegression(), 3)
    assert (found.accuracy, found.auc) == (1.0, 1.0)
    assert found.classifier == "LogisticRegression()"
    assert found.to_dict()["num_folds"] == 3


@pytest.mark.slow
@pytest.mark.statistics
@pytest.mark.parametrize(("num_permutations", "tests"), [(0, 200), (9, 50)])
def test_the_level(num_permutations: int, tests: int) -> None:
    # of tests of equal laws no more have p <= 0.2 than a binomial law allows but with probability 1e-5
    p_values = [
        classifier_two_sample_test(
            normal(12, 2, 2 * i), normal(16, 2, 2 * i + 1), GaussianNB(), 2, num_permutations, i
        ).p_value
        for i in range(tests)
    ]
    assert (np.array(p_values) <= 0.2 + 1e-9).sum() <= stats.binom(tests, 0.2).ppf(1 - 1e-5)


def test_permutations_give_the_smallest_p_value_they_can() -> None:
    found = classifier_two_sample_test(normal(30, 2, 0), normal(30, 2, 1, 3.0), GaussianNB(), 3, 19)
    assert found.p_value == 1 / 20
    assert (found.evidence, found.num_permutations) == ("permutations", 19)


def test_samples_that_are_all_the_same_are_no_evidence() -> None:
    found = classifier_two_sample_test(np.ones((20, 2)), np.ones((10, 2)), num_folds=2)
    assert found.auc == 0.5
    assert found.p_value == 1.0


@pytest.mark.slow
def test_a_seed_decides_all_and_the_users_classifier_is_left_alone() -> None:
    classifier = GaussianNB()
    real, synthetic = normal(40, 3, 0), normal(40, 3, 1)
    first = classifier_two_sample_test(real, synthetic, classifier, random_state=3)
    assert first == classifier_two_sample_test(real, synthetic, classifier, random_state=3)
    assert first != classifier_two_sample_test(real, synthetic, classifier, random_state=4)
    assert "theta_" not in vars(classifier)
    trees = [classifier_two_sample_test(real, synthetic, random_state=3) for _ in range(2)]
    assert trees[0] == trees[1]
    assert trees[0].classifier == "ExtraTreesClassifier(class_weight='balanced', n_estimators=200)"


def test_a_fit_that_stops_early_raises_no_warning() -> None:
    found = classifier_two_sample_test(normal(30, 9, 0), normal(30, 9, 1), LogisticRegression(max_iter=1))
    assert 0.0 <= found.accuracy <= 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_folds": 1}, "num_folds must be at least 2, got 1"),
        (
            {"num_folds": 5},
            "with 5 folds needs at least 10 synthetic samples, got 8: pass more samples or use",
        ),
        ({"num_permutations": -1}, "num_permutations must be 0 or more"),
        ({"classifier": LinearRegression()}, "needs a scikit-learn classifier, got LinearRegression"),
    ],
)
def test_refusals(settings: dict, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        classifier_two_sample_test(normal(20, 2, 0), normal(8, 2, 1), **settings)
