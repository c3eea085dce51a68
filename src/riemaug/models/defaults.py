"""Constants chosen from the data: latent dimension, bandwidth, regularization, likelihood.

The "paper" preset takes none of them: its constants are those of the paper's Table 4. What each rule was
measured on stands in docs/tuning.md, made by benchmarks/defaults.py.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemaug.models.base import LatentModel
from riemaug.models.condition import Condition
from riemaug.models.config import LEAST_BANDWIDTH, MOST_BANDWIDTH, LikelihoodName
from riemaug.models.rhvae import RHVAE

USUAL_LATENT_DIM = 8
LARGEST_FLAT_SHARE = 0.01
PAPER_REGULARIZATION = 1e-3
"""lambda of the paper's Table 4, kept wherever its flat part is small."""

SAME_PLACE = 1e-5
"""Centroids this near to each other, as a share of the longest one, are one place: rounding moves them so."""

_ROWS_AT_ONCE = 1024


def default_latent_dim(data_dim: int) -> int:
    """Return d for samples of `data_dim` features: eight, but at most a quarter of the features or two."""
    return min(USUAL_LATENT_DIM, max(2, data_dim // 4), data_dim)


def flat_share(regularization: float, latent_dim: int) -> float:
    """Return the share of the law's mass that lambda alone holds up, for one kernel with M = I.

    lambda^(d/2) |S| / Z with S the ball of radius T sqrt(log(1/lambda)) and Z = (2 pi T^2 / d)^(d/2):
    (d lambda log(1/lambda) / 2)^(d/2) / Gamma(d/2 + 1). Neither T nor the number of kernels matters,
    as long as they do not overlap; where they do the share is smaller.
    """
    half = latent_dim / 2.0
    decay = max(math.log(1.0 / regularization), 1.0)
    return math.exp(half * math.log(half * regularization * decay) - math.lgamma(half + 1.0))


def default_regularization(latent_dim: int, most: float = PAPER_REGULARIZATION) -> float:
    """Return `most`, or less where its flat part would hold more than `LARGEST_FLAT_SHARE` of the mass.

    Of the paper's lambda only d = 1 needs less. In many dimensions more would be harmless, but nothing is
    gained by it.
    """
    regularization = most
    while flat_share(regularization, latent_dim) > LARGEST_FLAT_SHARE:
        regularization /= 10.0**0.5
    return regularization


def default_likelihood(is_table: bool, is_binary: bool = False) -> LikelihoodName:
    """Return the likelihood of images and volumes, or of tables.

    Bernoulli for images, volumes and for tables of zeros and ones; for other tables a Gaussian of fixed
    scale: learned from few samples it shrinks to what is left of the very samples it is learned from.
    """
    return "gaussian" if is_table and not is_binary else "bernoulli"


def median_gap(centroids: Float[Tensor, "N dim"], group: Int[Tensor, " N"] | None = None) -> float:
    """Return the median distance of a centroid to the nearest unlike one of its group; 0 if there is none.

    Those of samples that are there twice are alike but for rounding: a gap of theirs would tell nothing of
    the distances between samples.
    """
    groups = centroids.new_zeros(len(centroids)) if group is None else group
    gaps = []
    for value in groups.unique():
        members = centroids[groups == value].double()
        if len(members) > 1:
            gaps.append(_nearest_gaps(members))
    found = torch.cat(gaps) if gaps else centroids.new_zeros(0)
    found = found[found.isfinite()]
    return float(found.median()) if len(found) else 0.0


@torch.no_grad()
def adapt_bandwidth(
    model: LatentModel, data: Float[Tensor, "n D"], condition: Condition | None = None
) -> None:
    """Set T of a trained RHVAE to its `bandwidth_factor` times the median gap of its centroids.

    Before `build_metric`, with the training samples of all classes. Nothing happens without a factor, or
    where no class has two unlike samples.
    """
    factor = model.config.bandwidth_factor
    if not isinstance(model, RHVAE) or factor is None:
        return
    parts = []
    for start in range(0, len(data), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        parts.append(model.embed(data[rows], None if condition is None else condition[rows]))
    gap = median_gap(torch.cat(parts), None if condition is None else condition.group)
    if 0.0 < gap < math.inf:
        bandwidth = min(max(factor * gap, LEAST_BANDWIDTH), MOST_BANDWIDTH)
        model.config = model.config.model_copy(update={"bandwidth": bandwidth})


def _nearest_gaps(points: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
    """Return the distance of each point to the nearest one at another place, infinite if there is none."""
    alike = SAME_PLACE * torch.linalg.vector_norm(points, dim=1).max()
    parts = []
    for start in range(0, len(points), _ROWS_AT_ONCE):
        block = points[start : start + _ROWS_AT_ONCE]
        distances = torch.cdist(block, points, compute_mode="donot_use_mm_for_euclid_dist")
        parts.append(distances.masked_fill(distances <= alike, math.inf).amin(1))
    return torch.cat(parts)
