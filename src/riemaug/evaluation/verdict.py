"""Whether one training set is better than another: paired differences, their intervals, and words."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from riemaug.errors import InvalidInputError

CONFIDENCE = 0.95
LEAST_CHANGED = 6
"""Test samples that must be answered differently before an effect is claimed: with five, all to one side, the
sign test still has p = 0.06."""

Effect = Literal["helps", "harms", "no effect shown", "no verdict"]


@dataclass(frozen=True)
class Difference:
    """How much higher the balanced accuracy is, in shares: 0.01 is one point.

    Attributes
    ----------
    mean : float
    standard_error, degrees : float or None
        Of the mean, and degrees of freedom of its t interval; None where they cannot be told.
    low, high : float or None
        Ends of the 95 % interval.
    num_changed : int
        Test samples that some run answers rightly after one training set and wrongly after the other.
    reason : str
        Why there is no interval; "" if there is one.
    """

    mean: float
    standard_error: float | None
    degrees: float | None
    low: float | None
    high: float | None
    num_changed: int
    reason: str = ""

    @property
    def effect(self) -> Effect:
        """What may be claimed."""
        if self.low is None or self.high is None:
            return "no verdict"
        if self.num_changed < LEAST_CHANGED or self.low <= 0.0 <= self.high:
            return "no effect shown"
        return "helps" if self.low > 0.0 else "harms"


@dataclass(frozen=True)
class Verdict:
    """One training set compared with another, by one classifier.

    Attributes
    ----------
    classifier : str
    trained_on, compared_with : str
        Names of the training sets.
    difference : Difference
    num_seeds : int
    num_folds : int
        0 where a test set was given.
    """

    classifier: str
    trained_on: str
    compared_with: str
    difference: Difference
    num_seeds: int
    num_folds: int = 0

    @property
    def effect(self) -> Effect:
        """What may be claimed."""
        return self.difference.effect

    @property
    def words(self) -> str:
        """The verdict as a sentence."""
        gap, effect = self.difference, self.effect
        points = f"{effect}: {100 * gap.mean:+.1f} points of balanced accuracy"
        if gap.low is None or gap.high is None:
            return f"{points} ({self._basis}); {gap.reason}"
        told = f"{points} ({100 * gap.low:.1f} to {100 * gap.high:.1f}; {self._basis})"
        if effect != "no effect shown":
            return told
        if gap.num_changed < LEAST_CHANGED:
            return (
                f"{told}; {gap.num_changed} test samples are answered differently, fewer than "
                f"{LEAST_CHANGED} show nothing"
            )
        return f"{told}; a change of less than {50 * (gap.high - gap.low):.1f} points could not be seen"

    @property
    def _basis(self) -> str:
        folds = f"{self.num_folds} folds x " if self.num_folds else ""
        return f"{folds}{self.num_seeds} seed{'' if self.num_seeds == 1 else 's'}, {self.classifier}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"effect": self.effect, "words": self.words}


def held_out_difference(
    gaps: Int[np.ndarray, "seeds n"] | Float[np.ndarray, "seeds n"], labels: Int[np.ndarray, " n"]
) -> Difference:
    """Return the difference on one test set.

    The squared standard error is the variance of the seeds' differences over their number (randomness of
    the classifiers) plus the variance, class by class, of the test samples' mean differences over their
    number (finiteness of the test set). Noise of single answers is in both, so the interval is somewhat too
    wide, never too narrow for that. Its degrees of freedom are Satterthwaite's (1946).

    Parameters
    ----------
    gaps : ndarray (seeds, n)
        For each seed and test sample: right (1) or wrong (0) after the one training set, less the same
        after the other.
    labels : ndarray (n,)
        Classes of the test samples.

    Raises
    ------
    InvalidInputError
        No seeds or no test samples.
    """
    if 0 in gaps.shape:
        raise InvalidInputError(f"a difference needs seeds and test samples, got {gaps.shape}: pass some")
    of_seeds = _class_means(gaps, labels).mean(1)
    mean, changed = float(of_seeds.mean()), int((gaps != 0).any(0).sum())
    if len(gaps) < 2:
        return _without_interval(mean, changed, "an interval needs 2 seeds or more")
    test, counts = _test_variances(gaps.mean(0), labels)
    if counts.min() < 2:
        return _without_interval(mean, changed, "an interval needs 2 test samples of each class or more")
    parts = np.append(test, of_seeds.var(ddof=1) / len(gaps))
    total = float(parts.sum())
    used = np.append(counts, len(gaps)) - 1
    degrees = total**2 / float((parts**2 / used).sum()) if total > 0 else float(used.min())
    return _with_interval(mean, total**0.5, degrees, changed)


def folds_difference(
    of_folds: Float64[np.ndarray, " folds"],
    sample_gaps: Float[np.ndarray, " n"],
    labels: Int[np.ndarray, " n"],
    num_changed: int,
) -> Difference:
    """Return the mean difference of a cross-validation.

    Folds share most of their training samples, so their differences are not independent: the variance is
    corrected by the ratio of test to training samples (Nadeau and Bengio 2003, "Inference for the
    generalization error"), (1 / k + 1 / (k - 1)) times that of the k folds. It is never taken to be less
    than what the finite number of test samples alone gives.

    Parameters
    ----------
    of_folds : ndarray (folds,)
        Difference of balanced accuracy in each fold, mean over its seeds.
    sample_gaps : ndarray (n,)
        For each sample, when its fold is the test set: share of seeds that answer rightly after the one
        training set, less the same after the other.
    labels : ndarray (n,)
    num_changed : int
        See `Difference`.
    """
    mean, k = float(of_folds.mean()), len(of_folds)
    if k < 2:
        return _without_interval(mean, num_changed, "an interval needs 2 folds or more")
    test, counts = _test_variances(sample_gaps, labels)
    if counts.min() < 2:
        return _without_interval(mean, num_changed, "an interval needs 2 samples of each class or more")
    variance = max((1 / k + 1 / (k - 1)) * float(of_folds.var(ddof=1)), float(test.sum()))
    return _with_interval(mean, variance**0.5, float(k - 1), num_changed)


def _class_means(
    gaps: Int[np.ndarray, "seeds n"] | Float[np.ndarray, "seeds n"], labels: Int[np.ndarray, " n"]
) -> Float64[np.ndarray, "seeds present"]:
    """Return the mean over the test samples of each class that is there."""
    return np.stack([gaps[:, labels == label].mean(1) for label in np.unique(labels)], 1)


def _test_variances(
    gaps: Float[np.ndarray, " n"], labels: Int[np.ndarray, " n"]
) -> tuple[Float64[np.ndarray, " present"], Int64[np.ndarray, " present"]]:
    """Return what each class adds to the variance of the balanced mean, and its number of samples."""
    present, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        return np.zeros(len(present)), counts
    spread = np.array([gaps[labels == label].var(ddof=1) for label in present])
    return spread / counts / len(present) ** 2, counts


def _without_interval(mean: float, num_changed: int, reason: str) -> Difference:
    return Difference(mean, None, None, None, None, num_changed, reason)


def _with_interval(mean: float, error: float, degrees: float, num_changed: int) -> Difference:
    from scipy import stats  # takes long to import, also for those who read results

    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, degrees)) * error
    return Difference(mean, error, degrees, mean - half, mean + half, num_changed)
