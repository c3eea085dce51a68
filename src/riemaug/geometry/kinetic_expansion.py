"""The kinetic energy 1/2 v^T G(z) v with its first and second derivatives, for solvers."""

from dataclasses import dataclass
from functools import singledispatch

import torch

from riemaug import linalg
from riemaug._typing import Matrix, Momentum, Point, Tangent
from riemaug.geometry.kernel import KernelMetric
from riemaug.geometry.metric import Metric

_CHUNK_BYTES = 2**22
"""Size of the largest temporary of an evaluation: it stays in a cache."""


@dataclass(frozen=True)
class KineticExpansion:
    """Derivatives of e(z, v) = 1/2 v^T G(z) v at points and velocities.

    With q = G v: de/dv = q; de/dz = -1/2 A^T q; the second derivatives are e_vv = G, e_vz = -G A and
    e_zz = A^T G A - K. Without K they are those of a sum of squares, |dv - A dz|_G^2.

    Attributes
    ----------
    metric : Tensor (..., d, d)
        G(z).
    momentum : Tensor (..., d)
        q = G v.
    slope : Tensor (..., d, d)
        A, with columns (dC/dz_k) q.
    curvature : Tensor (..., d, d)
        K, the Hessian in z of 1/2 q^T C(z) q at fixed q.
    """

    metric: Matrix
    momentum: Momentum
    slope: Matrix
    curvature: Matrix


@singledispatch
def expand_kinetic_energy(metric: Metric, point: Point, velocity: Tangent) -> KineticExpansion:
    """Return the expansion at points (n, d) with velocities (n, d).

    K is taken by one-sided differences of `kinetic_gradient`: solvers use it to choose a direction,
    never to decide whether they are done.
    """
    local = metric.local_geometry(point)
    momentum = (local.metric @ velocity[..., None])[..., 0]
    slope = local.momentum_derivative(momentum)
    gradient = 0.5 * (slope.mT @ momentum[..., None])[..., 0]
    step = 1e-6 if point.dtype == torch.float64 else 1e-3
    step = step * point.abs().amax(-1, keepdim=True).clamp_min(1.0)
    directions = torch.eye(point.shape[-1], dtype=point.dtype, device=point.device)[:, None]
    moved = metric.kinetic_gradient(point + step * directions, momentum.expand(len(directions), *point.shape))
    slopes = ((moved - gradient) / step).movedim(0, -1)
    return KineticExpansion(local.metric, momentum, slope, 0.5 * (slopes + slopes.mT))


@expand_kinetic_energy.register
def _expand_kernels(metric: KernelMetric, point: Point, velocity: Tangent) -> KineticExpansion:
    """Return closed forms from one evaluation of the weights; for d <= 3 differences are as fast."""
    if metric.dim <= 3:
        return expand_kinetic_energy.dispatch(Metric)(metric, point, velocity)
    centroids, dim, scale = metric.centroids, metric.dim, 2.0 / metric.bandwidth**2
    kernels = metric.factors @ metric.factors.mT
    identity = torch.eye(dim, dtype=point.dtype, device=point.device)
    weights = metric.weights(point)
    smooth = (weights @ kernels.flatten(1)).unflatten(-1, (dim, dim))
    tensor = linalg.spd_inverse(linalg.cholesky_factor(smooth + metric.regularization * identity))
    momentum = (tensor @ velocity[..., None])[..., 0]
    pulls = (momentum @ kernels.permute(1, 2, 0).flatten(1)).unflatten(-1, (dim, -1))  # M_i q as [n, :, i]
    pulls *= weights[:, None]
    along = smooth @ momentum[..., None]
    slope = scale * (pulls @ centroids - along * point[..., None, :])
    squares = (momentum[:, None] @ pulls)[:, 0]  # w_i q^T M_i q
    total, mean = squares.sum(-1)[..., None, None], squares @ centroids
    outer = (centroids[:, :, None] * centroids[:, None, :]).flatten(1)
    cross = mean[..., :, None] * point[..., None, :]
    second = (squares @ outer).unflatten(-1, (dim, dim)) - cross - cross.mT
    second = second + total * point[..., :, None] * point[..., None, :]
    curvature = 0.5 * scale * (scale * second - total * identity)
    return KineticExpansion(tensor, momentum, slope, curvature)


def points_per_chunk(metric: Metric) -> int:
    """Return how many points to evaluate at once so that temporaries stay in the cache."""
    dim, least = metric.dim, 16
    floats = max(4 * dim**3, 64)
    if isinstance(metric, KernelMetric) and dim > 3:
        floats = max(floats, dim * metric.num_centroids)
    elif isinstance(metric, KernelMetric):
        floats, least = max(floats, metric.num_centroids), 256  # compiled sums have no such temporaries
    return max(least, _CHUNK_BYTES // (8 * floats))
