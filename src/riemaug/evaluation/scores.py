"""Scores of a classifier's predictions on a test set."""

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from riemaug.errors import InvalidInputError

CALIBRATION_BINS = 15
"""Equal bins of the confidence, as in Guo et al. 2017, "On calibration of modern neural networks"."""
_SUM_TOLERANCE = 1e-4


@dataclass(frozen=True)
class ClassificationScores:
    """How good predicted probabilities are.

    Attributes
    ----------
    accuracy : float
        Share of the samples that are given their class.
    balanced_accuracy : float
        Mean over the classes of the test set of the same share within the class.
    macro_f1 : float
        Mean over the same classes of 2 TP / (2 TP + FP + FN).
    auc : float or None
        Area under the ROC curve; with more than two classes the mean over one class against all others.
        None for a test set of one class.
    expected_calibration_error : float
        Mean gap between confidence and accuracy over `CALIBRATION_BINS` bins of the confidence, which is
        the largest probability.
    brier : float
        Mean over the samples of the squared distance between the probabilities and the true class's
        indicator (Brier 1950), in [0, 2].
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    auc: float | None
    expected_calibration_error: float
    brier: float

    def to_dict(self) -> dict[str, float | None]:
        """Return the scores by name, JSON-safe."""
        return asdict(self)


def classification_scores(
    probabilities: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"]
) -> ClassificationScores:
    """Return the scores of predicted probabilities.

    Parameters
    ----------
    probabilities : ndarray (n, classes)
        Rows of sum 1.
    labels : ndarray (n,)
        Numbers of the true classes, from 0; a class may be absent.

    Raises
    ------
    InvalidInputError
        No samples, labels that are no columns of the probabilities, or rows that are no probabilities.
    """
    shares = _checked(probabilities, labels)
    predicted = shares.argmax(1)
    right = predicted == labels
    present = np.unique(labels)
    return ClassificationScores(
        accuracy=float(right.mean()),
        balanced_accuracy=float(np.mean([right[labels == label].mean() for label in present])),
        macro_f1=float(np.mean([_f1(predicted == label, labels == label) for label in present])),
        auc=_area(shares, labels, present),
        expected_calibration_error=_calibration_error(shares.max(1), right),
        brier=float(np.square(shares - np.eye(shares.shape[1])[labels]).sum(1).mean()),
    )


def _checked(
    probabilities: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"]
) -> Float64[np.ndarray, "n classes"]:
    shares, num_classes = probabilities.astype(np.float64), probabilities.shape[1]
    if not len(labels):
        raise InvalidInputError("scores need at least one sample, got none: pass some")
    if labels.min() < 0 or labels.max() >= num_classes:
        raise InvalidInputError(
            f"labels must be numbers from 0 to {num_classes - 1}, one for each column of the probabilities, "
            f"got {labels.min()} to {labels.max()}: number the classes"
        )
    # NaN fails both comparisons
    valid = (shares >= -_SUM_TOLERANCE).all(1) & (np.abs(shares.sum(1) - 1) <= _SUM_TOLERANCE)
    if not valid.all():
        row = int(np.flatnonzero(~valid)[0])
        raise InvalidInputError(
            f"probabilities must be 0 or more and add up to 1, row {row} is {shares[row].tolist()}: normalise"
            " them, for example by a softmax"
        )
    return shares


def _f1(predicted: Bool[np.ndarray, " n"], true: Bool[np.ndarray, " n"]) -> float:
    return float(2 * (predicted & true).sum() / (predicted.sum() + true.sum()))


def _area(
    shares: Float64[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"], present: np.ndarray
) -> float | None:
    if len(present) < 2:
        return None
    from sklearn.metrics import roc_auc_score  # takes a second to import, also for those who read results

    # of two classes both areas are the same
    judged = present[1:] if shares.shape[1] == 2 else present
    return float(np.mean([roc_auc_score(labels == label, shares[:, label]) for label in judged]))


def _calibration_error(confidence: Float64[np.ndarray, " n"], right: np.ndarray) -> float:
    # bins (a, b], so that a confidence of exactly 1 is in the last one
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))
