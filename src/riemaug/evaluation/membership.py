"""Membership inference: an attacker who sees the synthetic samples guesses who was in the training set.

Score of a real sample: minus its distance to the nearest synthetic one. Hilprecht et al., Monte Carlo and
reconstruction membership inference attacks against generative models, PoPETs 2019; Chen et al., GAN-Leaks,
CCS 2020.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from riemaug.evaluation.ranks import rank_auc, rank_p_value
from riemaug.random import Stream, as_stream

RESAMPLES = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class MembershipInference:
    """How well training samples are told from held-out ones by their distance to the synthetic samples.

    Attributes
    ----------
    auc : float
        Probability that a training sample lies closer to its nearest synthetic one than a held-out sample
        does (ties count half), in [0, 1]; 0.5: nothing is given away.
    low, high : float
        Bootstrap interval of the AUC at `confidence`: training and held-out samples are drawn anew,
        the synthetic ones are kept.
    p_value : float
        Of "nothing is given away", one-sided, by ranks (Mann-Whitney).
    confidence : float
    num_members, num_non_members : int
    """

    auc: float
    low: float
    high: float
    p_value: float
    confidence: float
    num_members: int
    num_non_members: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def membership_inference(
    members: Float[np.ndarray, " n"],
    non_members: Float[np.ndarray, " h"],
    num_resamples: int = RESAMPLES,
    random_state: int | Stream = 0,
) -> MembershipInference:
    """Return the attack's success.

    Parameters
    ----------
    members, non_members : ndarray (n,), (h,)
        Distances of all training samples, and of held-out real ones, to their nearest synthetic sample; one
        of each at least.
    num_resamples : int
        Of the bootstrap, at least 1.
    random_state : int or Stream
    """
    rng = np.random.default_rng(as_stream(random_state).child("membership").generator_seed())
    resampled = [
        rank_auc(rng.choice(members, len(members)), rng.choice(non_members, len(non_members)))
        for _ in range(num_resamples)
    ]
    tails = [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2]
    low, high = np.quantile(resampled, tails)
    return MembershipInference(
        rank_auc(members, non_members),
        float(low),
        float(high),
        rank_p_value(members, non_members),
        CONFIDENCE,
        len(members),
        len(non_members),
    )
