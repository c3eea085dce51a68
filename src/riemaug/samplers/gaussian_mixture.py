"""A mixture of normals and a flat part over S, used as a proposal whose density is known."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug import linalg
from riemaug._typing import Point, Scalar
from riemaug.samplers.envelope import Proposal
from riemaug.samplers.flat import FlatPart


@dataclass(frozen=True)
class GaussianMixture:
    """K normals N(m_k, S_k) and a flat part.

    Attributes
    ----------
    means : Tensor (K, d)
    covariance_factors : Tensor (K, d, d)
        Lower Cholesky factors of S_k.
    log_weights : Tensor (K + 1,)
        Normalised; the last one is the flat part's.
    flat : FlatPart
    center : Tensor (d,)
        Origin of the expanded squares below, so that they do not cancel.
    precisions, slopes, offsets : Tensor (K, d * d), (K, d), (K,)
        With y = z - center: log weight + log N(z; m_k, S_k) = offset + slope . y - y^T precision y / 2.
    """

    means: Float[Tensor, "K dim"]
    covariance_factors: Float[Tensor, "K dim dim"]
    log_weights: Float[Tensor, " components"]
    flat: FlatPart
    center: Float[Tensor, " dim"]
    precisions: Float[Tensor, "K square"]
    slopes: Float[Tensor, "K dim"]
    offsets: Float[Tensor, " K"]

    @classmethod
    def of(
        cls,
        means: Float[Tensor, "K dim"],
        covariances: Float[Tensor, "K dim dim"],
        log_weights: Float[Tensor, " components"],
        flat: FlatPart,
    ) -> "GaussianMixture":
        """Factor the covariances, normalise the weights, expand the squares."""
        factors = linalg.cholesky_factor(covariances)
        weights = log_weights.log_softmax(0)
        whitening = linalg.inverse_lower(factors)
        center = means.mean(0)
        whitened = (whitening @ (means - center)[..., None])[..., 0]
        slopes = (whitening.mT @ whitened[..., None])[..., 0]
        constant = -0.5 * (linalg.log_det_of_factor(factors) + means.shape[1] * math.log(2.0 * math.pi))
        offsets = weights[:-1] + constant - 0.5 * (whitened * whitened).sum(-1)
        precisions = (whitening.mT @ whitening).flatten(1)
        return cls(means, factors, weights, flat, center, precisions, slopes, offsets)

    def with_tails(self, share: float, variance: float) -> "GaussianMixture":
        """Return the mixture with a `share` of each normal given `variance` times its covariance.

        Components K to 2K - 1 are the wide ones.
        """
        covariances = self.covariance_factors @ self.covariance_factors.mT
        normals, flat = self.log_weights[:-1], self.log_weights[-1:]
        log_weights = torch.cat([normals + math.log1p(-share), normals + math.log(share), flat])
        both = torch.cat([covariances, variance * covariances])
        return GaussianMixture.of(torch.cat([self.means, self.means]), both, log_weights, self.flat)

    def draw(self, num: int, generator: torch.Generator) -> Proposal:
        """Return `num` independent draws; `origin` is the component, -1 for the flat part."""
        device, (count, dim) = self.means.device, self.means.shape
        uniform = torch.rand(num, generator=generator, dtype=torch.float64, device=device)
        noise = torch.randn((num, dim), generator=generator, dtype=torch.float64, device=device)
        cumulative = self.log_weights.exp().cumsum(0)
        component = torch.searchsorted(cumulative, uniform * cumulative[-1], right=True).clamp_max(count)
        index = component.clamp_max(count - 1)
        moved = self.means[index] + (self.covariance_factors[index] @ noise[..., None])[..., 0]
        flat_points, _ = self.flat.draw(noise, generator)
        is_flat = component == count
        points = torch.where(is_flat[:, None], flat_points, moved)
        return Proposal(points, torch.where(is_flat, -1, component), torch.ones_like(uniform))

    def log_components(self, point: Point) -> Float[Tensor, "*batch components"]:
        """Return log (weight times density) of each component, (..., K + 1)."""
        shifted = point - self.center
        squares = (shifted[..., :, None] * shifted[..., None, :]).flatten(-2)
        normals = self.offsets + shifted @ self.slopes.T - 0.5 * (squares @ self.precisions.T)
        flat = self.log_weights[-1] + self.flat.log_density(point)
        return torch.cat([normals, flat[..., None]], -1)

    def log_density(self, point: Point) -> Scalar:
        """Return the log density, exact on S, (...)."""
        return torch.logsumexp(self.log_components(point), -1)
