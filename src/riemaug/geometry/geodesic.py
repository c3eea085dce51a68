"""The exponential map: where a geodesic of given initial velocity is after unit time."""

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug._typing import Point, Tangent
from riemaug.geometry.integrators import ExplicitMidpoint, Flow, GeodesicIntegrator
from riemaug.geometry.metric import Metric


def exp(
    metric: Metric,
    tangent_vec: Tangent,
    base_point: Point,
    integrator: GeodesicIntegrator | None = None,
    num_steps: int = 10,
) -> Flow:
    """Return the exponential map Exp_z(v) with the solver's status.

    Parameters
    ----------
    metric : Metric
    tangent_vec, base_point : Tensor (..., d)
        Initial velocity v and start z.
    integrator : GeodesicIntegrator, optional
        By default the explicit midpoint rule (paper, Alg. 2).
    num_steps : int
        Sub-steps of the unit time, at least 1.
    """
    return (integrator or ExplicitMidpoint()).flow(metric, base_point, tangent_vec, num_steps)


def shoot(
    metric: Metric, tangent_vec: Tangent, base_point: Point, num_steps: int = 50, num_points: int = 50
) -> Float[Tensor, "time *batch dim"]:
    """Return `num_points` points along Exp_z(t v), t in [0, 1], (time, ..., d), for pictures."""
    integrator, num_pieces = ExplicitMidpoint(), max(1, num_points - 1)
    path, point, velocity = [base_point], base_point, tangent_vec / num_pieces
    for _ in range(num_points - 1):
        flow = integrator.flow(metric, point, velocity, max(1, num_steps // num_pieces))
        point, velocity = flow.point, flow.velocity
        path.append(point)
    return torch.stack(path)
