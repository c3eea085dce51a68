"""Comparisons with error bars that the tests of laws share."""

import math

import torch
from scipy import stats
from torch import Tensor

from riemaug.geometry import KernelMetric
from tests.metrics import GridLaw


def z_score(values: Tensor, expected: float) -> float:
    """Distance of the mean of independent values from `expected`, in standard errors."""
    return (float(values.mean()) - expected) / (float(values.std()) / math.sqrt(len(values)))


def ks_pvalue(points: Tensor, law: GridLaw) -> float:
    """P-value that the first coordinates of independent points follow the grid's marginal."""
    uniform = torch.from_numpy(law.cumulative)
    axis = torch.from_numpy(law.axis)
    index = torch.searchsorted(axis, points[:, 0].contiguous()).clamp(1, len(axis) - 1)
    share = (points[:, 0] - axis[index - 1]) / (axis[index] - axis[index - 1])
    values = torch.lerp(uniform[index - 1], uniform[index], share.clamp(0, 1))
    return float(stats.kstest(values.numpy(), "uniform").pvalue)


def importance_reference(metric: KernelMetric, power: float, num: int) -> tuple[float, float, float]:
    """E[log det C] under pi^b on S, its standard error, and log Z, by importance sampling.

    From N(c_i, 1.4 T^2 / (d b) I) with equal weights and a tenth of draws three times as wide; written
    apart from the package's own proposals.
    """
    generator = torch.Generator().manual_seed(99)
    support, dim, count = metric.default_support(), metric.dim, metric.num_centroids
    chances = torch.exp(power * metric.log_density(metric.centroids))
    chances = chances / chances.sum()
    variance = 1.4 * metric.bandwidth**2 / (dim * power)
    index = torch.multinomial(chances, num, replacement=True, generator=generator)
    wide = torch.rand(num, generator=generator) < 0.1
    scale = torch.where(wide, 3.0, 1.0).double().mul(variance).sqrt()[:, None]
    noise = torch.randn(num, dim, generator=generator, dtype=torch.float64)
    points = metric.centroids[index] + scale * noise
    log_weights, log_dets = [], []
    for part in points.split(20000):
        squares = torch.cdist(part, metric.centroids).square()
        terms = [
            math.log(share) + chances.log() - 0.5 * squares / v - 0.5 * dim * math.log(2 * math.pi * v)
            for share, v in ((0.9, variance), (0.1, 3 * variance))
        ]
        log_proposal = torch.logsumexp(torch.cat(terms, -1), -1)
        log_density = metric.log_density(part)
        target = torch.where(support.contains(part), power * log_density, -torch.inf)
        log_weights.append(target - log_proposal)
        log_dets.append(2 * log_density)
    assert count == len(chances)
    log_weight, log_det = torch.cat(log_weights), torch.cat(log_dets)
    weight = log_weight.softmax(0)
    mean = float((weight * log_det).sum())
    error = float((weight * (log_det - mean)).square().sum().sqrt())
    return mean, error, float(torch.logsumexp(log_weight, 0)) - math.log(num)
