"""Mixtures that lie above sqrt(det C)^b everywhere on S: what exact rejection proposes from.

With u = tr C / d = sum_i t_i w_i + lambda and e = b d / 2, det C^(b/2) <= u^e (arithmetic and geometric
mean of the eigenvalues), and for e <= 2 a bound F + A u + B u^2 of u^e is a mixture of normals at the
centroids (from u), of normals midway between pairs of centroids (from u^2), and of a flat part:

- e < 1: sum_i (t_i w_i)^e + lambda^e, or the tangent (1 - e) k^e + e k^(e-1) u, whichever has less mass;
- 1 <= e <= 2: (2 - e) k^(e-1) u + (e - 1) k^(e-2) u^2, tangent to u^e at u = k.

The mass is least at k = (mass of the higher power) / (mass of the lower one). For d = 2, b = 2 the
determinant itself is such a mixture.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemaug._typing import Point, Scalar
from riemaug.geometry import KernelMetric, Support
from riemaug.samplers.flat import FlatPart

_ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Proposal:
    """Proposed points (n, d), and where they come from.

    `origin` (n,) is the centroid or component, -1 for the flat part; the acceptance probability is to
    be multiplied with `thinning` (n,), in (0, 1].
    """

    points: Float[Tensor, "n dim"]
    origin: Int[Tensor, " n"]
    thinning: Float[Tensor, " n"]


@dataclass(frozen=True)
class Pairs:
    """Pair weights (p_i . q_j) exp(-|c_i - c_j|^2 / (2 T^2)), never held as an N x N table."""

    left: Float[Tensor, "N features"]
    right: Float[Tensor, "N features"]

    def rows(self, metric: KernelMetric, index: Int[Tensor, " n"]) -> Float[Tensor, "n N"]:
        """Return the weights of all pairs whose first member is `index`, (n, N)."""
        kernel = torch.exp(metric.squared_distances(metric.centroids[index]) * (-0.5 / metric.bandwidth**2))
        return ((self.left[index] @ self.right.T) * kernel).clamp_min(0.0)

    def row_sums(self, metric: KernelMetric) -> Float[Tensor, " N"]:
        """Return the total weight by first member, (N,)."""
        everyone = torch.arange(metric.num_centroids, device=metric.centroids.device)
        return torch.cat([self.rows(metric, part).sum(-1) for part in everyone.split(_ROWS_AT_ONCE)])


@dataclass(frozen=True)
class Bound:
    """The bound F + A u + B u^2, or sum_i (t_i w_i)^e + lambda^e where `power` = e is given."""

    constant: float
    linear: float
    quadratic: float
    power: float | None = None


class Envelope:
    """A mixture above det C^(b/2) on S, with its total mass.

    Parameters
    ----------
    metric : KernelMetric
    support : Support
    inverse_temperature : float
        b > 0 with b d <= 4.
    """

    def __init__(self, metric: KernelMetric, support: Support, inverse_temperature: float) -> None:
        self.metric = metric
        self.inverse_temperature = inverse_temperature
        self.flat = FlatPart.of(support)
        self._scales = metric.kernels.unflatten(1, (metric.dim, metric.dim)).diagonal(dim1=1, dim2=2).mean(1)
        self.is_exact = metric.dim == 2 and inverse_temperature == 2.0
        exponent = 0.5 * metric.dim * inverse_temperature
        self.bound, self.pairs, log_weights = _best_bound(
            metric, self._scales, self.flat, exponent, self.is_exact
        )
        self.log_mass = float(torch.logsumexp(log_weights, 0))
        self._cumulative = torch.exp(log_weights - self.log_mass).cumsum(0)
        single_power = self.bound.power or 1.0
        self._single_scale = metric.bandwidth / math.sqrt(2.0 * single_power)

    def propose(self, num: int, generator: torch.Generator) -> Proposal:
        """Return `num` independent draws of the mixture."""
        metric, device = self.metric, self.metric.centroids.device
        centroids, count = metric.centroids, metric.num_centroids
        uniforms = torch.rand((2, num), generator=generator, dtype=torch.float64, device=device)
        noise = torch.randn((num, metric.dim), generator=generator, dtype=torch.float64, device=device)
        component = torch.searchsorted(self._cumulative, uniforms[0] * self._cumulative[-1], right=True)
        component = component.clamp_max(2 * count)
        first = component % count
        is_flat = component == 2 * count
        means, scale = centroids[first], noise.new_full((num, 1), self._single_scale)
        if self.pairs is not None:
            is_pair = ((component >= count) & ~is_flat)[:, None]
            weights = self.pairs.rows(metric, first).cumsum(-1)
            second = torch.searchsorted(weights, uniforms[1, :, None] * weights[:, -1:], right=True)[:, 0]
            middle = 0.5 * (means + centroids[second.clamp_max(count - 1)])
            means = torch.where(is_pair, middle, means)
            scale = torch.where(is_pair, 0.5 * metric.bandwidth, scale)
        flat_points, thinning = self.flat.draw(noise, generator)
        points = torch.where(is_flat[:, None], flat_points, means + scale * noise)
        origin = torch.where(is_flat, -1, first)
        return Proposal(points, origin, torch.where(is_flat, thinning, 1.0))

    def log_densities(self, point: Point) -> tuple[Scalar, Scalar]:
        """Return log pi at the points and the log of the bound of pi^b there."""
        metric, bound = self.metric, self.bound
        log_density = metric.log_density(point)
        if self.is_exact:
            return log_density, self.inverse_temperature * log_density
        if bound.power is not None:
            terms = metric.weights(point) ** bound.power @ self._scales**bound.power
            return log_density, torch.log(terms + metric.regularization**bound.power)
        trace = metric.weights(point) @ self._scales + metric.regularization
        return log_density, torch.log(bound.constant + (bound.linear + bound.quadratic * trace) * trace)


def _best_bound(
    metric: KernelMetric, scales: Float[Tensor, " N"], flat: FlatPart, exponent: float, is_exact: bool
) -> tuple[Bound, Pairs | None, Float[Tensor, " components"]]:
    """Return the bound of least mass, its pairs, and the log weights of singles, pair rows, flat part."""
    pairs = _pairs_of(metric, scales, is_exact) if exponent > 1 else None
    row_sums = torch.zeros_like(scales) if pairs is None else pairs.row_sums(metric)

    def weigh(bound: Bound) -> Tensor:
        return _log_weights(bound, metric, scales, row_sums, flat.log_volume)

    if exponent >= 1:
        masses = [float(torch.logsumexp(weigh(Bound(0.0, a, b)), 0)) for a, b in ((1.0, 0.0), (0.0, 1.0))]
        tangent = math.exp(masses[1] - masses[0]) if exponent > 1 else 1.0
        linear = (2.0 - exponent) * tangent ** (exponent - 1.0)
        bound = Bound(0.0, linear, (exponent - 1.0) * tangent ** (exponent - 2.0))
        return bound, pairs, weigh(bound)
    tangent = math.exp(float(torch.logsumexp(weigh(Bound(0.0, 1.0, 0.0)), 0)) - flat.log_volume)
    linear = exponent * tangent ** (exponent - 1.0)
    candidates = [Bound((1.0 - exponent) * tangent**exponent, linear, 0.0), Bound(0.0, 0.0, 0.0, exponent)]
    best = min(candidates, key=lambda bound: float(torch.logsumexp(weigh(bound), 0)))
    return best, None, weigh(best)


def _pairs_of(metric: KernelMetric, scales: Float[Tensor, " N"], is_exact: bool) -> Pairs:
    """Return the pairs of u^2, or, for d = 2, of det C: 1/2 (M11 M'22 + M22 M'11 - 2 M12 M'12)."""
    if not is_exact:
        return Pairs(scales[:, None], scales[:, None])
    first, off, _, last = metric.kernels.unbind(1)
    return Pairs(torch.stack([first, last, off], 1), torch.stack([0.5 * last, 0.5 * first, -off], 1))


def _log_weights(
    bound: Bound,
    metric: KernelMetric,
    scales: Float[Tensor, " N"],
    row_sums: Float[Tensor, " N"],
    log_volume: float,
) -> Float[Tensor, " components"]:
    """Return the log masses of the mixture's components: N singles, N rows of pairs, the flat part."""
    floor, power = metric.regularization, bound.power or 1.0
    log_area = 0.5 * metric.dim * math.log(math.pi * metric.bandwidth**2)
    if bound.power is None:
        level = bound.constant + (bound.linear + bound.quadratic * floor) * floor
        slope = bound.linear + 2.0 * bound.quadratic * floor
    else:
        level, slope = floor**power, 1.0
    singles = power * scales.log() + math.log(slope) + log_area - 0.5 * metric.dim * math.log(power)
    pair_area = log_area - 0.5 * metric.dim * math.log(2.0)
    pairs = (bound.quadratic * row_sums).log() + pair_area
    return torch.cat([singles, pairs, singles.new_tensor([math.log(level) + log_volume])])
