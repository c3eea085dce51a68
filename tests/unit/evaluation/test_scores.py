"""Scores against values worked out by hand, scikit-learn's, and what a score must do."""

import json

import numpy as np
import pytest
from sklearn import metrics

from riemaug.errors import InvalidInputError
from riemaug.evaluation.scores import classification_scores


def random_predictions(num_samples: int, num_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(num_classes, 0.5), num_samples)
    drawn = [rng.choice(num_classes, p=row) for row in shares]  # labels that follow the probabilities
    return shares, np.array(drawn)


def test_four_samples_by_hand() -> None:
    shares = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
    scores = classification_scores(shares, np.array([0, 0, 1, 1]))
    assert scores.accuracy == 0.75
    assert scores.balanced_accuracy == 0.75
    assert scores.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert scores.auc == 1.0
    # confidences 0.9, 0.8, 0.6, 0.7 are in four bins: gaps 0.1, 0.2, 0.6, 0.3
    assert scores.expected_calibration_error == pytest.approx(0.3)
    assert scores.brier == pytest.approx(2 * (0.01 + 0.04 + 0.36 + 0.09) / 4)


def test_each_class_counts_the_same_in_the_balanced_accuracy() -> None:
    labels = np.array([0] * 8 + [1] * 2)
    shares = np.tile([1.0, 0.0], (10, 1))
    scores = classification_scores(shares, labels)
    assert scores.accuracy == 0.8
    assert scores.balanced_accuracy == 0.5


@pytest.mark.parametrize("num_classes", [2, 5])
def test_the_scores_are_scikit_learns(num_classes: int) -> None:
    shares, labels = random_predictions(300, num_classes, 0)
    scores, predicted = classification_scores(shares, labels), shares.argmax(1)
    assert scores.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert scores.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))
    assert scores.macro_f1 == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    given = shares[:, 1] if num_classes == 2 else shares
    assert scores.auc == pytest.approx(metrics.roc_auc_score(labels, given, multi_class="ovr"))


def test_a_class_that_the_test_set_lacks_counts_nowhere() -> None:
    shares, labels = random_predictions(200, 3, 1)
    wider = np.insert(shares, 1, 0.0, axis=1)
    scores = classification_scores(wider, np.array([0, 2, 3])[labels]).to_dict()
    assert scores == pytest.approx(classification_scores(shares, labels).to_dict())


def test_one_class_has_no_area_and_stays_json() -> None:
    scores = classification_scores(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0]))
    assert scores.auc is None
    assert json.loads(json.dumps(scores.to_dict(), allow_nan=False))["accuracy"] == 0.5


def test_calibrated_probabilities_have_little_error_and_sharpened_ones_much() -> None:
    shares, labels = random_predictions(20_000, 4, 2)
    sharp = shares**3 / (shares**3).sum(1, keepdims=True)
    honest, boasting = classification_scores(shares, labels), classification_scores(sharp, labels)
    assert honest.expected_calibration_error < 0.02
    assert boasting.expected_calibration_error > 0.1
    assert boasting.accuracy == honest.accuracy
    assert boasting.brier > honest.brier


def test_a_confidence_of_one_that_is_right_is_calibrated() -> None:
    scores = classification_scores(np.eye(3), np.arange(3))
    assert (scores.accuracy, scores.expected_calibration_error, scores.brier) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("shares", "labels", "told"),
    [
        (np.zeros((0, 2)), np.zeros(0, int), "at least one sample"),
        (np.array([[0.5, 0.5]]), np.array([2]), "from 0 to 1"),
        (np.array([[0.5, 0.4]]), np.array([0]), "row 0"),
        (np.array([[0.5, 0.5], [np.nan, 0.5]]), np.array([0, 1]), "row 1"),
        (np.array([[1.5, -0.5]]), np.array([0]), "row 0"),
    ],
)
def test_what_are_no_probabilities_is_refused(shares: np.ndarray, labels: np.ndarray, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        classification_scores(shares, labels)
