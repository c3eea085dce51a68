"""The logarithm map: the initial velocity whose geodesic reaches a given point."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug._typing import Flag, Scalar, Tangent
from riemaug.errors import InvalidInputError
from riemaug.geometry.boundary import BoundarySolver
from riemaug.geometry.curves import in_chunks
from riemaug.geometry.extrapolation import ExtrapolatedMidpoint
from riemaug.geometry.geodesic import BatchPoint, exp, geodesic, matching_ends
from riemaug.geometry.integrators import GeodesicIntegrator
from riemaug.geometry.metric import Metric
from riemaug.geometry.multiple_shooting import MultipleShooting

_ROUNDING = 8.0
"""Rounding error of a flow's end, in units in the last place of the points."""


@dataclass(frozen=True)
class Logarithm:
    """Tangent vectors v with Exp_z(v) = p, with the solver's status.

    Attributes
    ----------
    tangent_vec : Tensor (..., d)
        v.
    residual : Tensor (...)
        |Exp_z(v) - p|, in the chart.
    converged : Tensor (...), bool
        Whether the residual is at most tolerance |p - z|, plus the rounding error of the points.
    """

    tangent_vec: Tangent
    residual: Scalar
    converged: Flag


@torch.no_grad()
def log(
    metric: Metric,
    point: BatchPoint,
    base_point: BatchPoint,
    integrator: GeodesicIntegrator | None = None,
    num_steps: int = 16,
    num_points: int = 65,
    anchors: Float[Tensor, "M dim"] | None = None,
    solver: BoundarySolver | None = None,
    tolerance: float = 1e-9,
    max_iterations: int = 30,
) -> Logarithm:
    """Return the logarithm map Log_z(p): v with `exp(metric, v, z, integrator, num_steps)` at p.

    The discrete geodesic of `geodesic` gives a first v, multiple shooting with the integrator the rest.
    Within the injectivity radius, and where `geodesic` finds the shortest curve, this is the inverse of
    the exponential map; beyond it, one of several velocities.

    Parameters
    ----------
    metric : Metric
    point, base_point : Tensor (..., d)
        p and z: batches of the same shape, or that broadcast.
    integrator : GeodesicIntegrator, optional
        Of the exponential map to invert; by default `ExtrapolatedMidpoint`, of order 8, so that v is
        that of the exact map to about 1e-9 where G changes little over 1/16 of the curve.
    num_steps : int
        Sub-steps of the unit time, at least 1; best with a divisor between 8 and 16.
    num_points, anchors, solver
        As for `geodesic`.
    tolerance : float
        Largest |Exp_z(v) - p| / |p - z|.
    max_iterations : int
        Evaluations of the exponential map.

    Raises
    ------
    InvalidInputError
        As for `geodesic`; num_steps, tolerance or max_iterations not positive.
    """
    if num_steps < 1 or max_iterations < 1 or not tolerance > 0:
        raise InvalidInputError(
            "num_steps, max_iterations and tolerance must be positive, got "
            f"{num_steps}, {max_iterations} and {tolerance}"
        )
    integrator, solver = integrator or ExtrapolatedMidpoint(), solver or BoundarySolver()
    base_point, point = matching_ends(metric, base_point, point)
    curve = geodesic(metric, base_point, point, num_points, anchors, solver)
    shooting = MultipleShooting(metric, integrator, num_steps)
    rounding = torch.finfo(point.dtype).eps * (point.norm(dim=-1) + base_point.norm(dim=-1))
    limit = tolerance * (point - base_point).norm(dim=-1)
    # Gaps of the pieces grow on the way to the end: by a thousand is common.
    piece_limit = (1e-3 * limit + _ROUNDING * rounding).reshape(-1)
    limit = limit + 8.0 * _ROUNDING * rounding
    size = solver.pairs_per_part(num_points, metric.dim)
    curves = curve.points.reshape(-1, num_points, metric.dim).split(size)
    parts = zip(curves, piece_limit.split(size), strict=True)
    velocity = torch.cat([shooting.solve(part, limits, max_iterations) for part, limits in parts])
    velocity = velocity.reshape(point.shape)
    end = in_chunks(metric, lambda v, z: exp(metric, v, z, integrator, num_steps).point, velocity, base_point)
    residual = (end - point).norm(dim=-1)
    return Logarithm(velocity, residual.nan_to_num(torch.inf), residual <= limit)
