"""How far synthetic samples lie from the training data, beside the training samples themselves, in words.

The thresholds
--------------
Far
    A median distance more than twice that among the training samples. A new real sample is about as far from
    the training set as its samples are from each other; noise and a model that has learned little are
    further away. Between once and twice lies what small training sets and few dimensions do by chance.
Close
    Four times the 5 % that are expected of new real samples of the same law.
Poor reconstructions
    The run calls a sample near if it lies closer to a training sample than the model's own reconstruction of
    that one does. Where more than a quarter of the samples do, though they are no closer to the training
    data than its samples are to each other, it is the reconstructions that are far off, not the samples that
    are close.
"""

from dataclasses import dataclass

import numpy as np

from riemaug.report.data import ClassReport
from riemaug.report.formats import number, percent
from riemaug.report.words import Grade

CLOSE_QUANTILE = 0.05
CLOSE_FACTOR = 4.0
FAR_RATIO = 2.0
POOR_NEAR_SHARE = 0.25


@dataclass(frozen=True)
class Closeness:
    """Distances to the nearest training sample: synthetic ones against training ones (leave-one-out).

    Parameters
    ----------
    synthetic_median, real_median : float or None
        None where there are no finite distances.
    close_share : float or None
        Share of the synthetic samples that lie closer to a training sample than 95 % of the training samples
        lie to each other; about 0.05 for fresh samples of the same law.
    """

    synthetic_median: float | None
    real_median: float | None
    close_share: float | None

    @property
    def ratio(self) -> float | None:
        """Median distance of the synthetic samples in units of that of the training samples."""
        if self.synthetic_median is None or not self.real_median:
            return None
        return self.synthetic_median / self.real_median


def closeness(report: ClassReport) -> Closeness:
    """Return how close the synthetic samples lie to the training ones; only finite distances count."""
    synthetic = report.nearest_distances[np.isfinite(report.nearest_distances)]
    real = report.real_nearest_distances[np.isfinite(report.real_nearest_distances)]
    share = None
    if len(synthetic) and len(real):
        share = float(np.mean(synthetic < np.quantile(real, CLOSE_QUANTILE)))
    return Closeness(
        float(np.median(synthetic)) if len(synthetic) else None,
        float(np.median(real)) if len(real) else None,
        share,
    )


def distance_grade(report: ClassReport) -> Grade:
    """Return whether synthetic samples lie where the data are: "fair" from twice as far on."""
    ratio = closeness(report).ratio
    if ratio is None:
        return "info"
    return "fair" if ratio > FAR_RATIO else "good"


def reconstructs_poorly(report: ClassReport) -> bool:
    """Return whether near samples are so many and so far away that the model's reconstructions are poor."""
    ratio = closeness(report).ratio
    if ratio is None or not report.num_synthetic:
        return False
    return report.copies_near / report.num_synthetic > POOR_NEAR_SHARE and ratio >= 1


def closeness_sentence(report: ClassReport) -> str:
    """Return the comparison of the two sets of distances in words."""
    close = closeness(report)
    if close.close_share is None:
        return "The distances do not allow a comparison."
    medians = f"{number(close.synthetic_median)} for synthetic ones, {number(close.real_median)} among"
    sentence = (
        f"Median distance to the nearest training sample: {medians} the training samples themselves. "
        f"{percent(close.close_share)} of the synthetic ones lie closer to a training sample than 95 % of "
        "the training samples do to each other; about 5 % would be expected of new real samples."
    )
    if close.close_share > CLOSE_FACTOR * CLOSE_QUANTILE:
        sentence += (
            " That is more than expected: either the samples are near copies, or they are smoother than real "
            "ones (smooth samples lie close to everything)."
        )
        if report.synthetic is not None and report.nearest is not None:
            sentence += " Look at the pairs to tell which."
    if close.ratio is not None and close.ratio > FAR_RATIO:
        sentence += (
            f" The synthetic median is {number(close.ratio, 2)} times the other, more than {FAR_RATIO:g}: "
            "the samples are unlike the data."
        )
    return sentence
