"""Mixtures that lie above sqrt(det C)^b everywhere on S: what exact rejection proposes from.

With u = tr C / d = sum_i t_i w_i + lambda and e = b d / 2, det C^(b/2) <= u^e (arithmetic and geometric
mean of the eigenvalues). A bound of u^e that is linear or quadratic in kernels is a mixture of normals
at the centroids, of normals midway between pairs of centroids, and of a flat part:

- e < 1: sum_i (t_i w_i)^e + lambda^e, or the tangent (1 - e) k^e + e k^(e-1) u, whichever has less mass;
- 1 <= e <= 2: u^e = u u^(e-1), and each term t_i w_i of the first u takes a tangent of its own to the
  second, u^(e-1) <= alpha_i + beta_i u with alpha = (2 - e) k^(e-1), beta = (e - 1) k^(e-2). The mass is
  least where k_i is the mean of u under the kernel's normal: the density of the data around c_i.

For d = 2, b = 2 the determinant itself is a mixture over pairs.
"""

import functools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemaug._typing import Matrix, Scalar
from riemaug.geometry import KernelMetric, Support
from riemaug.geometry.engine import CompiledKernels, CompiledPairOfSums, can_compile
from riemaug.geometry.neighbours import truncation_radius
from riemaug.linalg import log_det_spd
from riemaug.samplers.diagnostics import mean_log_density
from riemaug.samplers.flat import FlatPart
from riemaug.samplers.pairs import PairTable, pairs_of_determinant, pairs_of_traces

_LARGEST_DETERMINANT_TABLE = 2000
_NEIGHBOURS_FROM = 1000
LEFT_OUT = 1e-6
"""Kernels that the envelope and the density leave out, as a share of lambda: a change of the law that no
sample of fewer than 1e10 draws could show."""


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
class Bound:
    """constant + sum_i t_i (alpha_i + beta_i u) w_i + lambda (alpha_0 + beta_0 u), a bound of u^e.

    Where `power` = e < 1 is given: sum_i (t_i w_i)^e + lambda^e instead.
    """

    alpha: Float[Tensor, " N"]
    beta: Float[Tensor, " N"]
    flat_alpha: float
    flat_beta: float
    constant: float = 0.0
    power: float | None = None

    @property
    def has_pairs(self) -> bool:
        """Whether products of two kernels occur."""
        return bool((self.beta > 0).any())


class WeightedKernels:
    """C, and sum_i m_i exp(-power |z - c_i|^2 / T^2) for two columns m, compiled where that is possible."""

    def __init__(self, metric: KernelMetric, columns: Float[Tensor, "N 2"], power: float) -> None:
        self._metric, self._columns, self._power = metric, columns, power
        self._compiled: CompiledPairOfSums | None = None
        self._together: CompiledKernels | None = None
        if not can_compile(metric.centroids):
            return
        if power == 1.0:
            self._together = CompiledKernels(
                metric.centroids, metric.kernels, metric.bandwidth, metric.regularization, columns, LEFT_OUT
            )
            return
        width, radius = metric.bandwidth / math.sqrt(power), math.inf
        if metric.num_centroids > _NEIGHBOURS_FROM:
            floor = LEFT_OUT * metric.regularization**power
            largest = float(columns.max()) or 1.0
            radius = truncation_radius(metric.centroids.numpy(), width, largest, floor)
        self._compiled = CompiledPairOfSums(metric.centroids, columns, width, radius)

    def __call__(self, point: Float[Tensor, "n dim"]) -> tuple[Matrix, Float[Tensor, "n 2"]]:
        """Return C and the two sums at each point."""
        if self._together is not None:
            sums, two = self._together.sums_and_two(point)
            sums.diagonal(dim1=-2, dim2=-1).add_(self._metric.regularization)
            return sums, two
        cometric = self._metric.cometric_matrix(point)
        if self._compiled is not None:
            return cometric, self._compiled.sums(point)
        weights = self._metric.weights(point)
        return cometric, (weights if self._power == 1.0 else weights**self._power) @ self._columns


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
        self.exponent = 0.5 * metric.dim * inverse_temperature
        self.is_exact = (
            metric.dim == 2
            and inverse_temperature == 2.0
            and metric.num_centroids <= _LARGEST_DETERMINANT_TABLE
        )
        self.pairs: PairTable | None = None
        row_sums = torch.zeros_like(self._scales)
        if self.exponent > 1:
            self.pairs = (
                pairs_of_determinant(metric) if self.is_exact else pairs_of_traces(metric, self._scales)
            )
            row_sums = self.pairs.row_sums()
        self.bound = self._best_bound(row_sums)
        log_weights = self._log_weights(self.bound, row_sums)
        self.log_mass = float(torch.logsumexp(log_weights, 0))
        self._cumulative = torch.exp(log_weights - self.log_mass).cumsum(0)
        self._single_scale = metric.bandwidth / math.sqrt(2.0 * (self.bound.power or 1.0))
        self._sums = self._weighted_kernels()

    def propose(self, num: int, generator: torch.Generator) -> Proposal:
        """Return `num` independent draws of the mixture."""
        metric, device = self.metric, self.metric.centroids.device
        centroids, count = metric.centroids, metric.num_centroids
        uniform = torch.rand(num, generator=generator, dtype=torch.float64, device=device)
        noise = torch.randn((num, metric.dim), generator=generator, dtype=torch.float64, device=device)
        component = torch.searchsorted(self._cumulative, uniform.mul_(self._cumulative[-1]), right=True)
        component.clamp_max_(2 * count)
        first = component % count
        points = torch.add(centroids[first], noise, alpha=self._single_scale)
        origin, thinning = first, torch.ones_like(uniform)
        if self.pairs is not None:
            where = ((component >= count) & (component < 2 * count)).nonzero()[:, 0]
            level = torch.rand(len(where), generator=generator, dtype=torch.float64, device=device)
            second = self.pairs.partners(first[where], level)
            middle = 0.5 * (centroids[first[where]] + centroids[second])
            points[where] = torch.add(middle, noise[where], alpha=0.5 * metric.bandwidth)
        where = (component == 2 * count).nonzero()[:, 0]
        if len(where):
            points[where], thinning[where] = self.flat.draw(noise[where], generator)
            origin[where] = -1
        return Proposal(points, origin, thinning)

    def log_densities(self, point: Float[Tensor, "n dim"]) -> tuple[Scalar, Scalar]:
        """Return log pi at the points and the log of the bound of pi^b there."""
        cometric, sums = (
            (self.metric.cometric_matrix(point), None) if self._sums is None else self._sums(point)
        )
        log_density = 0.5 * log_det_spd(cometric)
        if self.is_exact:
            return log_density, self.inverse_temperature * log_density
        floor, bound = self.metric.regularization, self.bound
        trace = cometric.diagonal(dim1=-2, dim2=-1).mean(-1)
        if bound.power is not None:
            assert sums is not None
            return log_density, torch.log(sums[:, 0] + floor**bound.power)
        if sums is None:  # alpha and beta are the same for all
            alpha, beta = float(bound.alpha[0]), float(bound.beta[0])
            value = (trace - floor) * (alpha + beta * trace)
        else:
            alphas, betas = sums.unbind(1)
            value = alphas + betas * trace
        return log_density, torch.log(
            bound.constant + value + floor * (bound.flat_alpha + bound.flat_beta * trace)
        )

    @functools.cached_property
    def centroid_log_density(self) -> float:
        """Mean of log pi over the centroids."""
        return mean_log_density(self.metric, self.metric.centroids)

    def _weighted_kernels(self) -> WeightedKernels | None:
        """Return the sums that the bound needs beside the trace of C."""
        bound, scales = self.bound, self._scales
        if bound.power is not None:
            column = scales**bound.power
            return WeightedKernels(self.metric, torch.stack([column, column], 1), bound.power)
        if bool((bound.alpha == bound.alpha[0]).all() & (bound.beta == bound.beta[0]).all()):
            return None
        columns = torch.stack([scales * bound.alpha, scales * bound.beta], 1)
        return WeightedKernels(self.metric, columns, 1.0)

    def _best_bound(self, row_sums: Float[Tensor, " N"]) -> Bound:
        """Return the bound of least mass."""
        exponent, floor, scales = self.exponent, self.metric.regularization, self._scales
        volume, area = math.exp(self.flat.log_volume), self._area
        mean = area * float(scales.sum()) / volume + floor  # of u over the flat part's region
        everywhere = torch.ones_like(scales)
        if exponent >= 1 and self.is_exact:
            return Bound(0 * everywhere, everywhere, 0.0, 1.0)
        if exponent >= 1:
            around = row_sums / scales.clamp_min(1e-300) * 2.0 ** (-0.5 * self.metric.dim) + floor
            alpha = (2 - exponent) * around ** (exponent - 1)
            beta = (exponent - 1) * around ** (exponent - 2)
            flat_alpha, flat_beta = (
                (2 - exponent) * mean ** (exponent - 1),
                (exponent - 1) * mean ** (exponent - 2),
            )
            return Bound(alpha, beta, flat_alpha, flat_beta)
        slope = exponent * mean ** (exponent - 1)
        tangent = Bound(slope * everywhere, 0 * everywhere, slope, 0.0, (1 - exponent) * mean**exponent)
        powers = Bound(everywhere, 0 * everywhere, 0.0, 0.0, power=exponent)
        return min(
            (tangent, powers), key=lambda bound: float(torch.logsumexp(self._log_weights(bound, row_sums), 0))
        )

    @property
    def _area(self) -> float:
        """Integral of one kernel, (pi T^2)^(d/2)."""
        return (math.pi * self.metric.bandwidth**2) ** (0.5 * self.metric.dim)

    def _log_weights(self, bound: Bound, row_sums: Float[Tensor, " N"]) -> Float[Tensor, " components"]:
        """Return the log masses of the components: N singles, N rows of pairs, the flat part."""
        floor, power, dim = self.metric.regularization, bound.power or 1.0, self.metric.dim
        if bound.power is None:
            level = bound.constant + floor * (bound.flat_alpha + bound.flat_beta * floor)
            slopes = bound.alpha + bound.beta * floor + bound.flat_beta * floor
        else:
            level, slopes = floor**power, bound.alpha
        log_area = math.log(self._area)
        singles = power * self._scales.log() + slopes.log() + log_area - 0.5 * dim * math.log(power)
        pairs = (bound.beta * row_sums).log() + log_area - 0.5 * dim * math.log(2.0)
        return torch.cat([singles, pairs, singles.new_tensor([math.log(level) + self.flat.log_volume])])
