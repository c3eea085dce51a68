"""The exponential map with its derivative in the velocity, by forward-mode differentiation."""

from dataclasses import dataclass

import torch

from riemaug._typing import Flag, Matrix, Point, Tangent
from riemaug.geometry.forward_mode import load_forward_mode
from riemaug.geometry.geodesic import exp
from riemaug.geometry.implicit import ImplicitIntegrator
from riemaug.geometry.integrators import GeodesicIntegrator
from riemaug.geometry.metric import Metric

CHUNK_ROWS = 8192
"""Velocities times dimensions carried at once: bounds the memory, whatever the batch."""


@dataclass(frozen=True)
class ExpDerivative:
    """The end of a geodesic and how it moves with the initial velocity.

    Attributes
    ----------
    point : Tensor (..., d)
        Exp_p(v).
    matrix : Tensor (..., d, d)
        dExp_p(v)_i / dv_j as [..., i, j].
    converged : Tensor (...), bool
        Whether the integrator reached its end and the derivative is finite.
    """

    point: Point
    matrix: Matrix
    converged: Flag


def exp_with_derivative(
    metric: Metric,
    tangent_vec: Tangent,
    base_point: Point,
    integrator: GeodesicIntegrator | None = None,
    num_steps: int = 10,
) -> ExpDerivative:
    """Return Exp_p(v) and its Jacobian matrix in v, exactly that of the numerical map.

    Works for every integrator here, those that iterate included.

    Parameters
    ----------
    metric : Metric
    tangent_vec, base_point : Tensor (..., d)
        Initial velocity v and start p.
    integrator, num_steps
        See `exp`.
    """
    load_forward_mode()
    dim, size = tangent_vec.shape[-1], max(1, CHUNK_ROWS // tangent_vec.shape[-1])
    chunks = zip(
        tangent_vec.reshape(-1, dim).split(size), base_point.reshape(-1, dim).split(size), strict=True
    )
    parts = [_rows_with_derivative(metric, v, p, integrator, num_steps) for v, p in chunks]
    point, matrix, converged = (
        torch.cat([getattr(part, name) for part in parts]) for name in ("point", "matrix", "converged")
    )
    shape = tangent_vec.shape
    return ExpDerivative(point.reshape(shape), matrix.reshape(*shape, dim), converged.reshape(shape[:-1]))


def _rows_with_derivative(
    metric: Metric, velocity: Tangent, start: Point, integrator: GeodesicIntegrator | None, num_steps: int
) -> ExpDerivative:
    """Carry every velocity once for each direction: unlike `vmap`, that allows integrators that iterate."""
    dim = velocity.shape[-1]
    identity = torch.eye(dim, dtype=velocity.dtype, device=velocity.device)

    def end(moved: Tangent) -> tuple[Point, Flag]:
        flow = exp(metric, moved, start.expand(moved.shape), integrator, num_steps)
        return flow.point, flow.converged

    # roots of implicit equations have derivatives of either mode only while gradients are enabled
    wanted = torch.is_grad_enabled()
    with torch.set_grad_enabled(wanted or isinstance(integrator, ImplicitIntegrator)):
        repeated = velocity.repeat(dim, 1, 1)
        directions = identity[:, None].repeat(1, len(velocity), 1)
        *moved, converged = torch.func.jvp(end, (repeated,), (directions,), has_aux=True)
    point, slopes = moved if wanted else (tensor.detach() for tensor in moved)
    matrix = slopes.movedim(0, -1)
    return ExpDerivative(point[0], matrix, converged[0] & matrix.isfinite().all(-1).all(-1))
