"""Fitting a mixture of normals to pi^b on S, in three stages of which the best is kept.

1. Normals at the centroids, one variance for all.
2. Laplace approximations, a little off the centroids towards the modes, weights by importance sampling.
3. Stage 2 with means and covariances moved by the same importance weights (EM); also with a tenth of
   each component made wider, which tames the largest weights in many dimensions.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemaug import linalg
from riemaug._typing import Matrix, Point
from riemaug.errors import InvalidInputError
from riemaug.random import Stream
from riemaug.samplers.diagnostics import effective_fraction
from riemaug.samplers.flat import FlatPart
from riemaug.samplers.gaussian_mixture import GaussianMixture
from riemaug.samplers.target import POINTS_AT_ONCE, Target

_MOST_MOVED = 1000
"""Up to so many components are fitted one by one; of more, all with one covariance, only the weights."""

MOST_COMPONENTS = 20000
"""Every centroid has a component, or its mass would be missed: more of them are too many to fit."""

_ROUNDS = 6
_PILOT_ROUNDS = 4
_LEAST_FLAT_WEIGHT = 1e-3
_VARIANCE_GRID = (0.7, 1.0, 1.4, 2.0, 2.8)
_POINTS_OF_HESSIAN = 16
_TAIL_SHARE = 0.1
_TAIL_VARIANCE = 1.5


@dataclass(frozen=True)
class FittedProposal:
    """A proposal, and the log importance weights log (pi^b / q) of fresh draws from it."""

    mixture: GaussianMixture
    log_weights: Float[Tensor, " n"]

    @property
    def effective_fraction(self) -> float:
        """Effective sample size of the weights, divided by their number."""
        return effective_fraction(self.log_weights)

    @property
    def log_normalizer(self) -> float:
        """Estimate of the log of the integral of pi^b over S."""
        return float(torch.logsumexp(self.log_weights, 0)) - math.log(self.log_weights.numel())


@dataclass(frozen=True)
class Fit:
    """The best proposal, the runner-up as a check, which centroid each component comes from, and cost."""

    best: FittedProposal
    check: FittedProposal
    component_origin: Int[Tensor, " K"]
    evaluations: int

    def origin_of(self, component: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        """Return the centroids that components come from, -1 for the flat part; wide twins count as one."""
        centroid = self.component_origin[component.clamp_min(0) % len(self.component_origin)]
        return torch.where(component < 0, -1, centroid)


class ProposalFitter:
    """Fits the proposals of one target.

    Parameters
    ----------
    target : Target
    stream : Stream

    Raises
    ------
    InvalidInputError
        More centroids than `MOST_COMPONENTS`.
    """

    def __init__(self, target: Target, stream: Stream) -> None:
        count = target.metric.num_centroids
        if count > MOST_COMPONENTS:
            raise InvalidInputError(
                f"proposals are fitted for at most {MOST_COMPONENTS} centroids where b d > 4, got {count}; "
                "use the hmc or walk sampler"
            )
        self.target = target
        self.flat = FlatPart.of(target.support)
        self._generator = stream.generator(target.metric.centroids.device)
        dim = target.metric.dim
        size = target.metric.num_centroids * dim**2 + 4 * dim**3
        self._num_draws = int(min(8000, max(2000, 8000 * 2e5 / size)))
        self._evaluations = 0

    def fit(self) -> Fit:
        """Run the three stages and keep the best on fresh draws."""
        centers = self.target.metric.centroids
        plain = self._one_variance(centers)
        if len(centers) <= _MOST_MOVED:
            laplace = self._laplace(centers)
            for _ in range(_ROUNDS):
                laplace = self._improve(laplace, weights_only=True)
            moved = laplace
            for _ in range(_ROUNDS):
                moved = self._improve(moved, weights_only=False)
            others = (laplace, moved, moved.with_tails(_TAIL_SHARE, _TAIL_VARIANCE))
        else:
            weighted = plain
            for _ in range(_ROUNDS):
                weighted = self._improve(weighted, weights_only=True)
            others = (weighted, weighted.with_tails(_TAIL_SHARE, _TAIL_VARIANCE))
        first = self._examine(plain, self._num_draws)
        fitted = [self._examine(mixture, self._num_draws) for mixture in others]
        fitted.sort(key=lambda proposal: proposal.effective_fraction, reverse=True)
        # the check on log Z is of the other kind: normals at the centroids, or what was fitted from them
        best, check = fitted[0], first
        if first.effective_fraction > best.effective_fraction:
            best, check = first, best
        best = self._examine(best.mixture, _PILOT_ROUNDS * self._num_draws)
        origin = torch.arange(len(centers), device=centers.device)
        return Fit(best, check, origin, self._evaluations)

    def _examine(self, mixture: GaussianMixture, num: int) -> FittedProposal:
        """Return the proposal with the importance weights of `num` fresh draws."""
        _, log_weights, _ = self._weigh(mixture, num)
        return FittedProposal(mixture, log_weights)

    def _weigh(self, mixture: GaussianMixture, num: int) -> tuple[Point, Tensor, Tensor]:
        """Return draws (n, d), their log importance weights (n,) and log components (n, K + 1)."""
        points = mixture.draw(num, self._generator).points
        self._evaluations += num
        components = torch.cat([mixture.log_components(part) for part in points.split(POINTS_AT_ONCE)])
        _, log_target = self.target.log_densities(points)
        return points, log_target - torch.logsumexp(components, -1), components

    def _one_variance(self, centers: Point) -> GaussianMixture:
        """Return stage 1 at its best variance."""
        identity = torch.eye(centers.shape[1], dtype=centers.dtype, device=centers.device)
        trials = []
        for factor in _VARIANCE_GRID:
            covariances = (factor * self.target.variance * identity).expand(len(centers), -1, -1)
            trial = self._mixture(centers, covariances)
            trials.append(self._examine(trial, max(1000, self._num_draws // 4)))
        return max(trials, key=lambda proposal: proposal.effective_fraction).mixture

    def _mixture(self, means: Point, covariances: Matrix) -> GaussianMixture:
        """Return the mixture with weights by the Laplace approximation of each component's mass."""
        metric, b = self.target.metric, self.target.inverse_temperature
        log_det = linalg.log_det_of_factor(linalg.cholesky_factor(covariances))
        area = 0.5 * (log_det + metric.dim * math.log(2.0 * math.pi))
        log_density = torch.cat([metric.log_density(part) for part in means.split(POINTS_AT_ONCE)])
        self._evaluations += len(means)
        log_masses = b * log_density + area
        floor = 0.5 * b * metric.dim * math.log(metric.regularization) + self.flat.log_volume
        least = float(torch.logsumexp(log_masses, 0)) + math.log(_LEAST_FLAT_WEIGHT)
        log_weights = torch.cat([log_masses, log_masses.new_tensor([max(floor, least)])])
        return GaussianMixture.of(means, covariances, log_weights, self.flat)

    def _laplace(self, centers: Point) -> GaussianMixture:
        """Return the start of stage 2: two mean-shift steps, covariances from the Hessian there."""
        metric, parts = self.target.metric, []
        for point in centers.split(_POINTS_OF_HESSIAN):
            for _ in range(2):
                pulls = _pulls(self.target, point)
                point = (pulls @ metric.centroids) / pulls.sum(-1, keepdim=True)  # noqa: PLW2901
            parts.append((point, _curvature(self.target, point)))
            self._evaluations += 3 * len(point)
        means = torch.cat([point for point, _ in parts])
        variance = self.target.variance
        curvature = _clip(torch.cat([matrix for _, matrix in parts]), 0.3 / variance, 1.0 / variance)
        return self._mixture(means, 1.2 * linalg.spd_inverse(linalg.cholesky_factor(curvature)))

    def _improve(self, mixture: GaussianMixture, weights_only: bool) -> GaussianMixture:
        """Return the mixture after one round of importance-weighted EM."""
        points, log_weights, components = self._weigh(mixture, self._num_draws)
        importance = log_weights.softmax(0).clamp_max(1.0 / math.sqrt(self._num_draws))
        shares = importance[:, None] * components.softmax(-1)
        totals = shares.sum(0)
        log_weights = (totals + 0.02 / (len(totals) - 1)).log()
        if weights_only:
            covariances = mixture.covariance_factors @ mixture.covariance_factors.mT
            return GaussianMixture.of(mixture.means, covariances, log_weights, self.flat)
        means, covariances = self._moved(mixture, points, shares[:, :-1])
        return GaussianMixture.of(means, covariances, log_weights, self.flat)

    def _moved(
        self, mixture: GaussianMixture, points: Point, shares: Float[Tensor, "n K"]
    ) -> tuple[Float[Tensor, "K dim"], Float[Tensor, "K dim dim"]]:
        """Return means and covariances moved towards the weighted ones, as far as draws support it."""
        dim = points.shape[1]
        totals = shares.sum(0).clamp_min(1e-300)
        effective = totals**2 / (shares**2).sum(0).clamp_min(1e-300)
        trust = effective / (effective + dim**2)
        shifted = points - mixture.center
        average = (shares.T @ shifted) / totals[:, None]
        squares = torch.zeros((shares.shape[1], dim * dim), dtype=points.dtype, device=points.device)
        for part, share in zip(shifted.split(POINTS_AT_ONCE), shares.split(POINTS_AT_ONCE), strict=True):
            squares += share.T @ (part[:, :, None] * part[:, None, :]).flatten(1)
        moments = (squares / totals[:, None]).unflatten(1, (dim, dim))
        scatter = moments - average[:, :, None] * average[:, None, :]
        before = mixture.covariance_factors @ mixture.covariance_factors.mT
        covariances = before + trust[:, None, None] * (scatter - before)
        means = mixture.means + trust[:, None] * (average + mixture.center - mixture.means)
        return means, _clip(covariances, 0.8 * self.target.variance, 4.0 * self.target.variance)


def _pulls(target: Target, point: Point) -> Float[Tensor, "n N"]:
    """Return a_i = w_i tr(G M_i), (n, N), never all zero."""
    metric = target.metric
    inverse = linalg.spd_inverse(metric.cometric_factor(point))
    pulls = metric.weights(point) * (inverse.flatten(-2) @ metric.kernels.T)
    return pulls.clamp_min(1e-200)


def _curvature(target: Target, point: Point) -> Matrix:
    """Return minus the Hessian of b log pi, (n, d, d); a lone kernel's where it is not finite."""
    metric, dim = target.metric, point.shape[1]
    squared = metric.bandwidth**2
    pulls, inverse = _pulls(target, point), linalg.spd_inverse(metric.cometric_factor(point))
    away = point[:, None, :] - metric.centroids
    identity = torch.eye(dim, dtype=point.dtype, device=point.device)
    spread = (pulls[..., None] * away).mT @ away
    # dC/dz_k as rows [n, k, (i, j)], without the (N, d, d, d) table that many dimensions cannot afford
    derivative = (-2.0 / squared) * ((metric.weights(point)[..., None] * away).mT @ metric.kernels)
    product = inverse[:, None] @ derivative.unflatten(-1, (dim, dim))
    traces = product.flatten(2) @ product.mT.flatten(2).mT
    hessian = (2.0 / squared**2) * spread - (pulls.sum(-1) / squared)[:, None, None] * identity - 0.5 * traces
    curvature = -target.inverse_temperature * hessian
    finite = curvature.isfinite().flatten(1).all(-1)[:, None, None]
    return torch.where(finite, curvature, identity / target.variance)


def _clip(matrix: Matrix, least: float, most: float) -> Matrix:
    """Return the symmetric matrices with eigenvalues clipped to [least, most]."""
    values, vectors = linalg.symmetric_eigen(0.5 * (matrix + matrix.mT))
    return (vectors * values.clamp(least, most)[..., None, :]) @ vectors.mT
