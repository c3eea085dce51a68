"""Comparisons of draws with a reference law, with error bars, that the tests of laws share."""

import math
from dataclasses import dataclass

import torch
from scipy import stats
from torch import Tensor

from riemaug.geometry import KernelMetric
from riemaug.samplers.chain_sampler import ChainSampler
from tests.metrics import GridLaw

LARGEST_Z = 4.5
"""Exceeded by chance with probability 7e-6."""

LEAST_P = 1e-5


def z_score(values: Tensor, expected: float, error: float = 0.0) -> float:
    """Distance of the mean of independent values from `expected`, in standard errors.

    `error` is the standard error of `expected` itself.
    """
    own = float(values.std()) / math.sqrt(len(values))
    return (float(values.mean()) - expected) / math.hypot(own, error)


def uniformity_pvalue(values: Tensor, reference_size: float = math.inf) -> float:
    """P-value that independent values are uniform; `reference_size` draws stand behind their map."""
    size = 1.0 / (1.0 / len(values) + 1.0 / reference_size)
    distance = float(stats.kstest(values.numpy(), "uniform").statistic)
    return float(stats.kstwobign.sf(math.sqrt(size) * distance))


def ks_pvalue(points: Tensor, law: GridLaw) -> float:
    """P-value that the first coordinates of independent points follow the grid's marginal."""
    return uniformity_pvalue(law.coordinate_cdf(0, points[:, 0]))


def assert_law(points: Tensor, log_density: Tensor, law: "GridLaw | WeightedLaw") -> None:
    """Assert that independent points (n, d) have the law, by moments and distributions.

    Means and variances of log pi and of each coordinate within 4.5 standard errors, and
    Kolmogorov-Smirnov p-values of the same above 1e-5: by chance one fails with probability
    (d + 1) (2 x 7e-6 + 1e-5), 1e-4 for d = 3.
    """
    errors = law.errors if isinstance(law, WeightedLaw) else {}
    size = law.size if isinstance(law, WeightedLaw) else math.inf
    names = ["log pi"] + [f"z_{axis}" for axis in range(points.shape[1])]
    values = torch.cat([log_density[:, None], points], 1)
    means = [law.mean_log_density, *law.mean.tolist()]
    variances = [law.var_log_density, *law.var.tolist()]
    faults = []
    for column, name in enumerate(names):
        value, mean = values[:, column], means[column]
        gap = z_score(value, mean, errors.get(f"mean {name}", 0.0))
        spread = z_score((value - mean).square(), variances[column], errors.get(f"var {name}", 0.0))
        cdf = law.log_density_cdf(value) if column == 0 else law.coordinate_cdf(column - 1, value)
        pvalue = uniformity_pvalue(cdf, size)
        if not (abs(gap) < LARGEST_Z and abs(spread) < LARGEST_Z and pvalue > LEAST_P):
            faults.append(f"{name}: mean z = {gap:.1f}, variance z = {spread:.1f}, KS p = {pvalue:.1e}")
    assert not faults, "; ".join(faults)


@dataclass(frozen=True)
class WeightedLaw:
    """pi^b on S as a weighted sample, where no grid can be: the same questions as `GridLaw`.

    Attributes
    ----------
    points : Tensor (n, d)
    log_density : Tensor (n,)
    probability : Tensor (n,)
        Normalised weights.
    log_normalizer : float
    """

    points: Tensor
    log_density: Tensor
    probability: Tensor
    log_normalizer: float

    @property
    def size(self) -> float:
        """Effective number of draws."""
        return 1.0 / float(self.probability.square().sum())

    @property
    def mean_log_density(self) -> float:
        return float(self.probability @ self.log_density)

    @property
    def var_log_density(self) -> float:
        return float(self.probability @ (self.log_density - self.mean_log_density).square())

    @property
    def mean(self) -> Tensor:
        return self.probability @ self.points

    @property
    def var(self) -> Tensor:
        return self.probability @ (self.points - self.mean).square()

    @property
    def errors(self) -> dict[str, float]:
        """Standard errors of the moments."""
        found = {}
        for column in range(self.points.shape[1] + 1):
            name = "log pi" if column == 0 else f"z_{column - 1}"
            value = self.log_density if column == 0 else self.points[:, column - 1]
            mean = self.probability @ value
            found[f"mean {name}"] = self._error(value)
            found[f"var {name}"] = self._error((value - mean).square())
        return found

    def _error(self, values: Tensor) -> float:
        gap = values - self.probability @ values
        return float((self.probability * gap).square().sum().sqrt())

    def coordinate_cdf(self, axis: int, values: Tensor) -> Tensor:
        return self._cdf(self.points[:, axis], values)

    def log_density_cdf(self, values: Tensor) -> Tensor:
        return self._cdf(self.log_density, values)

    def _cdf(self, own: Tensor, values: Tensor) -> Tensor:
        order = own.argsort()
        cumulative = torch.cat([torch.zeros(1).double(), self.probability[order].cumsum(0)])
        return cumulative[torch.searchsorted(own[order].contiguous(), values.contiguous(), right=True)]


def importance_law(metric: KernelMetric, power: float, num: int) -> WeightedLaw:
    """Return pi^b on S by importance sampling.

    From N(c_i, 1.4 T^2 / (d b) I) with weights pi^b(c_i) and a tenth of draws three times as wide; written
    apart from the package's own proposals.
    """
    generator = torch.Generator().manual_seed(99)
    support, dim = metric.default_support(), metric.dim
    chances = torch.exp(power * metric.log_density(metric.centroids))
    chances = chances / chances.sum()
    variance = 1.4 * metric.bandwidth**2 / (dim * power)
    index = torch.multinomial(chances, num, replacement=True, generator=generator)
    wide = torch.rand(num, generator=generator) < 0.1
    scale = torch.where(wide, 3.0, 1.0).double().mul(variance).sqrt()[:, None]
    noise = torch.randn(num, dim, generator=generator, dtype=torch.float64)
    points = metric.centroids[index] + scale * noise
    log_weights, log_densities = [], []
    for part in points.split(20000):
        squares = torch.cdist(part, metric.centroids).square()
        terms = [
            math.log(share) + chances.log() - 0.5 * squares / v - 0.5 * dim * math.log(2 * math.pi * v)
            for share, v in ((0.9, variance), (0.1, 3 * variance))
        ]
        log_density = metric.log_density(part)
        target = torch.where(support.contains(part), power * log_density, -torch.inf)
        log_weights.append(target - torch.logsumexp(torch.cat(terms, -1), -1))
        log_densities.append(log_density)
    log_weight = torch.cat(log_weights)
    log_normalizer = float(torch.logsumexp(log_weight, 0)) - math.log(num)
    return WeightedLaw(points, torch.cat(log_densities), log_weight.softmax(0), log_normalizer)


def importance_reference(metric: KernelMetric, power: float, num: int) -> tuple[float, float, float]:
    """E[log det C] under pi^b on S, its standard error, and log Z, by importance sampling."""
    law = importance_law(metric, power, num)
    return 2 * law.mean_log_density, 2 * law.errors["mean log pi"], law.log_normalizer


def imbalance(kernel: ChainSampler, start: Tensor, seed: int) -> list[float]:
    """z-scores of E[f(x) g(y) - f(y) g(x)] over one step from x of the law to y: 0 under detailed balance.

    For two pairs of functions: tanh log pi with log pi, and with the first coordinate.
    """
    state = kernel.init(start)
    moved, _ = kernel.step(state, torch.Generator().manual_seed(seed))
    first = [chains.log_density.tanh() for chains in (state, moved)]
    others = [
        [chains.log_density for chains in (state, moved)],
        [chains.position[:, 0] for chains in (state, moved)],
    ]
    return [z_score(first[0] * after - first[1] * before, 0.0) for before, after in others]
