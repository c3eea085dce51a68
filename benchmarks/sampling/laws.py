"""Distances between a sampler's draws and the truth, with what chance alone would give."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from riemaug.geometry import KernelMetric

_AT_ONCE = 20_000
_LIKELY, _UNLIKELY = 1.36, 1.95
"""Quantiles of the Kolmogorov law: 95 % and 99.9 %."""


@dataclass(frozen=True)
class Marginal:
    """A distribution function on the line, from weighted points, and the number of draws it is worth."""

    values: np.ndarray
    cumulative: np.ndarray
    worth: float

    @classmethod
    def of(cls, values: torch.Tensor, weights: torch.Tensor, worth: float) -> "Marginal":
        """Sort the points; half of each weight counts at its point."""
        order = values.argsort()
        sorted_weights = weights[order]
        cumulative = sorted_weights.cumsum(0) - 0.5 * sorted_weights
        return cls(values[order].numpy(), cumulative.numpy(), worth)

    def distance(self, draws: np.ndarray) -> float:
        """Return the Kolmogorov-Smirnov distance of the draws, 1 if there are none."""
        if not len(draws):
            return 1.0
        truth = np.interp(np.sort(draws), self.values, self.cumulative, left=0.0, right=1.0)
        steps = np.arange(len(draws) + 1) / len(draws)
        return float(max((steps[1:] - truth).max(), (truth - steps[:-1]).max()))


@dataclass(frozen=True)
class Truth:
    """pi on S: the laws of log pi and of the first coordinate, and the mean of log pi."""

    log_density: Marginal
    coordinate: Marginal
    mean: float
    how: str


def reference_law(metric: KernelMetric, num_importance: int, grid: int = 1201) -> Truth:
    """Return the truth, for d = 2 from a grid of `grid` points a side, else by importance sampling."""
    if metric.dim == 2:
        points, weights = _grid(metric, grid)
        worth, how = math.inf, f"grid of {grid} x {grid}"
    else:
        points, weights = _importance(metric, num_importance)
        worth = 1.0 / float((weights**2).sum())
        how = f"importance sampling, {num_importance:,} draws worth {worth:,.0f}"
    log_density = _log_density(metric, points)
    first = points[:, 0]
    if metric.dim == 2:  # one value a column of the grid
        weights_of_first = weights.unflatten(0, (grid, grid)).sum(1)
        coordinate = Marginal.of(first[::grid], weights_of_first, worth)
    else:
        coordinate = Marginal.of(first, weights, worth)
    held = weights > 0
    levels = Marginal.of(log_density[held], weights[held], worth)
    return Truth(levels, coordinate, float((weights * log_density).sum()), how)


def compare(metric: KernelMetric, points: np.ndarray, truth: Truth) -> dict:
    """Return the distances of independent draws (n, d) to pi on S: of all draws, and of those in S."""
    finite = np.isfinite(points).all(1)
    inside = finite & metric.default_support().contains(torch.from_numpy(points).double()).numpy()
    every, restricted = (_distances(metric, points[kept], truth) for kept in (finite, inside))
    return {**every, "share_outside_support": float(1.0 - inside.mean()), "inside_support": restricted}


def compare_file(metric: KernelMetric, file: Path, truth: Truth) -> dict:
    """Return `compare` of the draws in an .npy file; states that are not finite count as outside S."""
    return compare(metric, np.load(file, allow_pickle=False), truth)


def _distances(metric: KernelMetric, points: np.ndarray, truth: Truth) -> dict:
    if not len(points):
        return {"num_draws": 0, "agrees": False}
    log_density = _log_density(metric, torch.from_numpy(points).double())
    spread = math.sqrt(1.0 / len(points) + 1.0 / truth.log_density.worth)
    by_level = truth.log_density.distance(log_density.numpy())
    by_coordinate = truth.coordinate.distance(points[:, 0])
    return {
        "num_draws": len(points),
        "ks_log_density": by_level,
        "ks_first_coordinate": by_coordinate,
        "noise_95": _LIKELY * spread,
        "mean_log_density": float(log_density.mean()),
        "mean_log_density_truth": truth.mean,
        "agrees": max(by_level, by_coordinate) < _UNLIKELY * spread,
    }


def _grid(metric: KernelMetric, num: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the grid's points and the probability of each under pi on S."""
    support = metric.default_support()
    lower, upper = support.bounding_box()
    axes = [torch.linspace(float(a), float(b), num).double() for a, b in zip(lower, upper, strict=True)]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)
    inside = torch.cat([support.contains(part) for part in points.split(_AT_ONCE)])
    density = torch.where(inside, _log_density(metric, points).exp(), 0.0)
    return points, density / density.sum()


def _importance(metric: KernelMetric, num: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return draws of equal-shaped normals at the centroids, a fifth of them wider, and their weights.

    Written apart from the package's own proposals, so that it can disagree with them.
    """
    generator = torch.Generator().manual_seed(99)
    support, dim = metric.default_support(), metric.dim
    shares = torch.exp(metric.log_density(metric.centroids)).clamp_min(1e-300)
    shares = shares / shares.sum()
    variances = (1.2 * metric.bandwidth**2 / dim, 2.4 * metric.bandwidth**2 / dim)
    portions = (0.8, 0.2)
    index = torch.multinomial(shares, num, replacement=True, generator=generator)
    wide = torch.rand(num, generator=generator) < portions[1]
    scale = torch.where(wide, variances[1] ** 0.5, variances[0] ** 0.5).double()
    noise = torch.randn(num, dim, generator=generator, dtype=torch.float64)
    points = metric.centroids[index] + scale[:, None] * noise
    parts = []
    for part in points.split(_AT_ONCE):
        squares = torch.cdist(part, metric.centroids).square()
        terms = [
            math.log(portion) + shares.log() - 0.5 * squares / variance
            - 0.5 * dim * math.log(2.0 * math.pi * variance)
            for portion, variance in zip(portions, variances, strict=True)
        ]  # fmt: skip
        log_proposal = torch.logsumexp(torch.cat(terms, -1), -1)
        log_target = torch.where(support.contains(part), metric.log_density(part), -math.inf)
        parts.append(log_target - log_proposal)
    return points, torch.cat(parts).softmax(0)


def _log_density(metric: KernelMetric, points: torch.Tensor) -> torch.Tensor:
    return torch.cat([metric.log_density(part) for part in points.split(_AT_ONCE)])
