"""Whether the values of one set are lower than those of another, by their ranks alone."""

import numpy as np
from jaxtyping import Float
from scipy import stats


def rank_auc(lower: Float[np.ndarray, " n"], higher: Float[np.ndarray, " h"]) -> float:
    """Return P(a value of `lower` < one of `higher`) + P(they are equal) / 2."""
    ordered = np.sort(higher)
    not_above = np.searchsorted(ordered, lower, side="right")
    below = np.searchsorted(ordered, lower, side="left")
    return float(1.0 - (not_above.mean() + below.mean()) / (2 * len(ordered)))


def rank_p_value(lower: Float[np.ndarray, " n"], higher: Float[np.ndarray, " h"]) -> float:
    """Return the one-sided Mann-Whitney p-value that `lower` is lower by chance; 1 where all are equal."""
    if min(lower.min(), higher.min()) == max(lower.max(), higher.max()):
        return 1.0
    return float(stats.mannwhitneyu(lower, higher, alternative="less").pvalue)
