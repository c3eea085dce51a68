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

_LEAST_EXPONENT = -300.0


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
    table : Tensor (d (d + 1) / 2 + d + 1, K)
        Coefficients of log (weight times density) in the features y_i y_j (i <= j), y, 1 of y = z - center.
    ceiling : float
        The largest value that any weight times density takes, as a logarithm.
    """

    means: Float[Tensor, "K dim"]
    covariance_factors: Float[Tensor, "K dim dim"]
    log_weights: Float[Tensor, " components"]
    flat: FlatPart
    center: Float[Tensor, " dim"]
    table: Float[Tensor, "features K"]
    ceiling: float

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
        precisions = whitening.mT @ whitening
        rows, columns = torch.triu_indices(*precisions.shape[1:], device=means.device)
        squares = torch.where(rows == columns, -0.5, -1.0).to(means) * precisions[:, rows, columns]
        table = torch.cat([squares, slopes, offsets[:, None]], 1).T.contiguous()
        ceiling = float((weights[:-1] + constant).amax())
        return cls(means, factors, weights, flat, center, table, ceiling)

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
        where = (component == count).nonzero()[:, 0]
        origin = component.clone()
        if len(where):
            # thinning is not applied: the density of the flat part counts overlapping balls
            moved[where] = self.flat.draw(noise[where], generator)[0]
            origin[where] = -1
        return Proposal(moved, origin, torch.ones_like(uniform))

    def log_components(self, point: Point) -> Float[Tensor, "*batch components"]:
        """Return log (weight times density) of each component, (..., K + 1)."""
        flat = self.log_weights[-1] + self.flat.log_density(point)
        return torch.cat([self._features(point) @ self.table, flat[..., None]], -1)

    def log_density(self, point: Float[Tensor, "n dim"]) -> Scalar:
        """Return the log density, exact on S, (n,).

        The normals are added up relative to the largest value that any of them takes; what is 300
        nats below it vanishes beside the flat part.
        """
        scaled = (self._features(point) @ self.table).sub_(self.ceiling).clamp_min_(_LEAST_EXPONENT).exp_()
        flat = self.log_weights[-1] + self.flat.log_density(point)
        return torch.logaddexp(scaled.sum(-1).log_().add_(self.ceiling), flat)

    def _features(self, point: Point) -> Float[Tensor, "*batch features"]:
        shifted = point - self.center
        rows, columns = torch.triu_indices(point.shape[-1], point.shape[-1], device=point.device)
        squares = shifted.index_select(-1, rows) * shifted.index_select(-1, columns)
        return torch.cat([squares, shifted, torch.ones_like(shifted[..., :1])], -1)
