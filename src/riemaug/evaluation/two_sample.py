"""The classifier two-sample test: a classifier tries to tell synthetic samples from real ones.

Lopez-Paz and Oquab, Revisiting classifier two-sample tests, ICLR 2017.
"""

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float64, Int64
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from riemaug.errors import InvalidInputError
from riemaug.evaluation.pairwise import check_pair
from riemaug.evaluation.ranks import rank_p_value
from riemaug.random import Stream, as_stream

Evidence = Literal["held-out half", "permutations"]


@dataclass(frozen=True)
class ClassifierTest:
    """How well a classifier tells synthetic from real samples that it was not trained on.

    Attributes
    ----------
    accuracy : float
        Cross-validated balanced accuracy, in [0, 1]; 0.5 is chance.
    auc : float
        Cross-validated area under the ROC curve, averaged over the folds, in [0, 1]; 0.5 is chance.
    p_value : float
        Of equal laws, one-sided.
    evidence : str
        "held-out half": by the ranks (Mann-Whitney) of the half that a classifier of the other half scores.
        "permutations": the share of permuted labels with as large a cross-validated AUC.
    classifier : str
        As scikit-learn writes it.
    num_folds, num_permutations : int
    """

    accuracy: float
    auc: float
    p_value: float
    evidence: Evidence
    classifier: str
    num_folds: int
    num_permutations: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def classifier_two_sample_test(
    real: Float[np.ndarray, "n D"],
    synthetic: Float[np.ndarray, "m _"],
    classifier: BaseEstimator | None = None,
    num_folds: int = 5,
    num_permutations: int = 0,
    random_state: int | Stream = 0,
) -> ClassifierTest:
    """Train a classifier to tell the two sets apart, and test whether it can.

    Parameters
    ----------
    real, synthetic : ndarray (n, D), (m, D)
        Features.
    classifier : scikit-learn classifier, optional
        With `predict_proba` or `decision_function`; cloned, never fitted itself. None: 200 extremely
        randomised trees, which see differences of spread and shape as well as of the mean, at any scale.
    num_folds : int
        At least 2.
    num_permutations : int
        0: the p-value comes from one held-out half, valid for any classifier at the price of one more
        fit. Otherwise every permutation of the labels is cross-validated like the true ones.
    random_state : int or Stream

    Raises
    ------
    InvalidInputError
        Not a classifier, fewer samples than twice the folds, other widths, values that are not finite.
    """
    if num_folds < 2:
        raise InvalidInputError(f"num_folds must be at least 2, got {num_folds}: choose 5")
    if num_permutations < 0:
        raise InvalidInputError(f"num_permutations must be 0 or more, got {num_permutations}: choose 0")
    stream = as_stream(random_state).child("two-sample test")
    model = _checked(classifier, stream)
    purpose = f"the two-sample test with {num_folds} folds"
    check_pair(real, synthetic, 2 * num_folds, purpose, " or use fewer folds")
    rows = np.concatenate([real, synthetic]).astype(np.float64)
    labels = np.repeat(np.array([0, 1]), [len(real), len(synthetic)])
    folds = _folds(labels, num_folds, stream.child("folds"))
    accuracy, auc = _cross_validated(model, rows, labels, folds)
    if num_permutations:
        rng = np.random.default_rng(stream.child("permutations").generator_seed())
        shuffled = [rng.permutation(labels) for _ in range(num_permutations)]
        seeds = [_folds(other, num_folds, stream.child("folds").block(i)) for i, other in enumerate(shuffled)]
        others = [_cross_validated(model, rows, *pair)[1] for pair in zip(shuffled, seeds, strict=True)]
        p_value = (1 + sum(other >= auc for other in others)) / (1 + num_permutations)
    else:
        p_value = _held_out_p_value(model, rows, labels, stream.child("half"))
    evidence: Evidence = "permutations" if num_permutations else "held-out half"
    return ClassifierTest(accuracy, auc, p_value, evidence, _described(model), num_folds, num_permutations)


def _checked(classifier: BaseEstimator | None, stream: Stream) -> BaseEstimator:
    if classifier is None:
        seed = stream.child("trees").generator_seed()
        return ExtraTreesClassifier(n_estimators=200, class_weight="balanced", random_state=seed)
    if not (is_classifier(classifier) and isinstance(classifier, BaseEstimator)):
        raise InvalidInputError(
            f"the two-sample test needs a scikit-learn classifier, got {type(classifier).__name__}: pass "
            "one, such as LogisticRegression()"
        )
    return classifier


def _described(model: BaseEstimator) -> str:
    """Return scikit-learn's text on one line, the seed left out."""
    parameters = model.get_params(deep=False)
    shown: Any = clone(model)
    if "random_state" in parameters:
        shown.set_params(random_state=None)
    return " ".join(str(shown).split())


def _folds(labels: Int64[np.ndarray, " N"], num_folds: int, stream: Stream) -> list[np.ndarray]:
    """Return the test rows of each fold, both sets dealt evenly."""
    splitter = StratifiedKFold(num_folds, shuffle=True, random_state=stream.generator_seed())
    return [test for _, test in splitter.split(labels, labels)]


def _cross_validated(
    model: BaseEstimator,
    rows: Float64[np.ndarray, "N D"],
    labels: Int64[np.ndarray, " N"],
    folds: Sequence[np.ndarray],
) -> tuple[float, float]:
    """Return the balanced accuracy of all rows, and the mean AUC of the folds: scales differ between fits."""
    predicted, areas = np.empty_like(labels), []
    for test in folds:
        train = np.setdiff1d(np.arange(len(labels)), test)
        predicted[test], scores = _fitted_scores(model, rows[train], labels[train], rows[test])
        areas.append(roc_auc_score(labels[test], scores))
    return float(balanced_accuracy_score(labels, predicted)), float(np.mean(areas))


def _fitted_scores(
    model: BaseEstimator, rows: np.ndarray, labels: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit a fresh copy, and return the labels and the scores that it gives `test`."""
    fresh: Any = clone(model)
    with warnings.catch_warnings():
        # a classifier that stopped early is a weaker one; the test stays valid
        warnings.simplefilter("ignore", ConvergenceWarning)
        fresh.fit(rows, labels)
    probabilities = getattr(fresh, "predict_proba", None)
    scores = fresh.decision_function(test) if probabilities is None else probabilities(test)[:, 1]
    return fresh.predict(test), scores


def _held_out_p_value(
    model: BaseEstimator, rows: np.ndarray, labels: Int64[np.ndarray, " N"], stream: Stream
) -> float:
    """Return the p-value that the scores of one half, by a classifier of the other, rank by chance."""
    test, train = _folds(labels, 2, stream)
    _, scores = _fitted_scores(model, rows[train], labels[train], rows[test])
    is_synthetic = labels[test] == 1
    return rank_p_value(scores[~is_synthetic], scores[is_synthetic])
