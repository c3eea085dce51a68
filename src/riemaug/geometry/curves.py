"""Discrete curves: their energy and length, and curves to start a solver from."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug._typing import Point, Scalar
from riemaug.errors import InvalidInputError
from riemaug.geometry.kinetic_expansion import points_per_chunk
from riemaug.geometry.metric import Metric

Curve = Float[Tensor, "*batch time dim"]

_GAUSS_NODES = (0.5 - math.sqrt(0.15), 0.5, 0.5 + math.sqrt(0.15))
_GAUSS_WEIGHTS = (5.0 / 18.0, 8.0 / 18.0, 5.0 / 18.0)


def straight_line(start: Point, end: Point, num_points: int) -> Curve:
    """Return `num_points` equally spaced points from `start` to `end`, both included, (..., time, d)."""
    share = torch.linspace(0.0, 1.0, num_points, dtype=start.dtype, device=start.device)[:, None]
    return start[..., None, :] + share * (end - start)[..., None, :]


def length(metric: Metric, curve: Curve) -> Scalar:
    """Return the Riemannian length of the broken line through the points, (...).

    Three Gauss points a segment: the error is that of the broken line, which as any curve is no
    shorter than the distance of its ends, not that of the integral.

    Parameters
    ----------
    metric : Metric
    curve : Tensor (..., time, d)
        At least one point each.
    """
    _check_curve(metric, curve)
    steps = curve.diff(dim=-2)
    terms = [
        weight * _norms(metric, curve[..., :-1, :] + node * steps, steps)
        for node, weight in zip(_GAUSS_NODES, _GAUSS_WEIGHTS, strict=True)
    ]
    return torch.stack(terms).sum(0).sum(-1)


def smooth_length(metric: Metric, curve: Curve) -> Scalar:
    """Return the length of the cubic curve through the points, with slopes by central differences, (...).

    On points of a geodesic with an error O(n^-2), as from `geodesic`, the result is off its length by
    O(n^-4): the length is stationary there. Three Gauss points a segment.
    """
    _check_curve(metric, curve)
    if curve.shape[-2] < 3:
        return length(metric, curve)
    steps = curve.diff(dim=-2)
    inner = 0.5 * (steps[..., 1:, :] + steps[..., :-1, :])
    first = 1.5 * steps[..., :1, :] - 0.5 * steps[..., 1:2, :]
    last = 1.5 * steps[..., -1:, :] - 0.5 * steps[..., -2:-1, :]
    slopes = torch.cat([first, inner, last], -2)
    bend_start, bend_end = slopes[..., :-1, :] - steps, slopes[..., 1:, :] - steps
    total = torch.zeros_like(curve[..., 0, 0])
    for s, weight in zip(_GAUSS_NODES, _GAUSS_WEIGHTS, strict=True):
        # Hermite's cubic is the chord plus s (1 - s) ((1 - s) bend_start - s bend_end).
        bow = (1.0 - s) * bend_start - s * bend_end
        turn = (1.0 - 2.0 * s) * bow - s * (1.0 - s) * (bend_start + bend_end)
        points = curve[..., :-1, :] + s * steps + s * (1.0 - s) * bow
        total = total + weight * _norms(metric, points, steps + turn).sum(-1)
    return total


def energy(metric: Metric, curve: Curve) -> Scalar:
    """Return the discretised energy n/2 sum_t u_t^T G(m_t) u_t, (...).

    Of the n segments, u_t are the steps and m_t the midpoints. It tends to 1/2 int |dz/dt|^2 dt over
    unit time, is at least half the squared (midpoint) length, and is what `geodesic` minimises.

    Parameters
    ----------
    metric : Metric
    curve : Tensor (..., time, d)
        At least one point each.
    """
    _check_curve(metric, curve)
    steps = curve.diff(dim=-2)
    norms = _norms(metric, curve[..., :-1, :] + 0.5 * steps, steps)
    return 0.5 * steps.shape[-2] * norms.square().sum(-1)


def resample(curve: Curve, num_points: int) -> Float[Tensor, "*batch num_points dim"]:
    """Return `num_points` points, equally spaced in time, of the cubic through neighbouring points."""
    return interpolation_matrix(curve.shape[-2], num_points).to(curve) @ curve


def interpolation_matrix(num_from: int, num_to: int) -> Float[Tensor, "num_to num_from"]:
    """Return W with which W y are the values at `num_to` equal times of cubics through y.

    Lagrange's polynomial of the four nearest nodes, of fewer where there are fewer.
    """
    times = torch.linspace(0.0, num_from - 1.0, num_to, dtype=torch.float64)
    width = min(4, num_from)
    first = (times.floor().long() - (width // 2 - 1)).clamp(0, num_from - width)
    columns = first[:, None] + torch.arange(width)
    weights = torch.ones(num_to, width, dtype=torch.float64)
    for j in range(width):
        for k in range(width):
            if j != k:
                weights[:, j] *= (times - columns[:, k]) / (columns[:, j] - columns[:, k])
    return torch.zeros(num_to, num_from, dtype=torch.float64).scatter_(1, columns, weights)


def _norms(metric: Metric, points: Curve, vectors: Curve) -> Float[Tensor, "*batch time"]:
    """Return the Riemannian norms of the vectors at the points, evaluated in chunks."""
    return in_chunks(metric, lambda p, v: metric.norm(v, p), points, vectors)


def in_chunks(metric: Metric, function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Return a function of points and vectors (..., d), a bounded number of them at once."""
    shape = tensors[0].shape[:-1]
    flat = [tensor.reshape(-1, tensor.shape[-1]).split(points_per_chunk(metric)) for tensor in tensors]
    values = torch.cat([function(*parts) for parts in zip(*flat, strict=True)])
    return values.reshape((*shape, *values.shape[1:]))


def _check_curve(metric: Metric, curve: Curve) -> None:
    if curve.ndim < 2 or curve.shape[-2] < 1 or curve.shape[-1] != metric.dim:
        raise InvalidInputError(
            f"a curve must be (..., time, {metric.dim}), of one point or more, got {tuple(curve.shape)}"
        )
