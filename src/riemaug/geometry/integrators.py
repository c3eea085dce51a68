"""Numerical flows of the geodesic equations: what a flow is, and the explicit schemes."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch

from riemaug import linalg
from riemaug._typing import Flag, Point, Scalar, Tangent
from riemaug.errors import InvalidInputError
from riemaug.geometry.metric import Metric


@dataclass(frozen=True)
class Flow:
    """Where a flow of unit time ended.

    Attributes
    ----------
    point, velocity : Tensor (..., d)
    log_jacobian : Tensor (...)
        log |det| of the numerical map (z, v) -> (z*, v*); NaN for a scheme that does not know it.
    converged : Tensor (...), bool
        Whether all implicit equations were solved and the reverse flow comes back.
    """

    point: Point
    velocity: Tangent
    log_jacobian: Scalar
    converged: Flag


_ENTRIES_AT_ONCE = 2**23
"""Entries of dC/dz that the Lagrangian leapfrog holds at once."""


class GeodesicIntegrator(ABC):
    """A scheme for the geodesic flow in (position, velocity), time 0 to 1 in equal sub-steps."""

    is_reversible: bool = False
    """Whether the map is exactly reversible with a known Jacobian, as exact MCMC needs."""

    @abstractmethod
    def flow(self, metric: Metric, point: Point, velocity: Tangent, num_steps: int) -> Flow:
        """Follow geodesics from `point` with initial `velocity` for unit time.

        Parameters
        ----------
        metric : Metric
        point, velocity : Tensor (..., d)
        num_steps : int
            Sub-steps, at least 1.

        Raises
        ------
        InvalidInputError
            Fewer than one sub-step.
        """


def sub_step(num_steps: int) -> float:
    """Return the size of one of `num_steps` sub-steps of unit time."""
    if num_steps < 1:
        raise InvalidInputError(f"a flow takes at least 1 sub-step, got {num_steps}; 10 is usual")
    return 1.0 / num_steps


class ExplicitMidpoint(GeodesicIntegrator):
    """Second-order Runge-Kutta on Hamilton's equations (paper, Alg. 2).

    Neither reversible nor volume-preserving: for pictures, interpolation and the walk as printed.

    Parameters
    ----------
    flipped_force : bool
        Whether dH/dz enters with the wrong sign, as in the code that the paper's authors published;
        such paths are no geodesics. For comparison only.
    """

    def __init__(self, flipped_force: bool = False) -> None:
        self.flipped_force = flipped_force

    def flow(self, metric: Metric, point: Point, velocity: Tangent, num_steps: int) -> Flow:
        """Follow geodesics for unit time; `converged` tells whether the end is finite."""
        step_size = sub_step(num_steps)
        force_step = -step_size if not self.flipped_force else step_size
        momentum = metric.momentum_of(point, velocity)
        position, momentum = metric.midpoint_steps(point, momentum, num_steps, step_size, force_step)
        end_velocity = metric.velocity_of(position, momentum)
        finite = position.isfinite().all(-1) & end_velocity.isfinite().all(-1)
        return Flow(position, end_velocity, torch.full_like(position[..., 0], torch.nan), finite)


class LagrangianLeapfrog(GeodesicIntegrator):
    """Explicit leapfrog in (position, velocity) (Lan et al. 2015): reversible, Jacobian in closed form."""

    is_reversible = True

    def flow(self, metric: Metric, point: Point, velocity: Tangent, num_steps: int) -> Flow:
        """Follow geodesics for unit time, adding up log |Jacobian| of each sub-step."""
        at_once = max(1, _ENTRIES_AT_ONCE // point.shape[-1] ** 3)
        if point.ndim == 2 and len(point) > at_once:  # dC/dz of all points would not fit
            parts = zip(point.split(at_once), velocity.split(at_once), strict=True)
            flows = [self.flow(metric, z, v, num_steps) for z, v in parts]
            names = ("point", "velocity", "log_jacobian", "converged")
            return Flow(*(torch.cat([getattr(flow, name) for flow in flows]) for name in names))
        half = 0.5 * sub_step(num_steps)
        identity = torch.eye(point.shape[-1], dtype=point.dtype, device=point.device)
        local = metric.local_geometry(point)
        christoffel = local.christoffel_matrix(velocity)
        log_jacobian = torch.zeros_like(point[..., 0])
        for _ in range(num_steps):
            forward = identity + half * christoffel
            middle = linalg.solve_general(forward, velocity)
            backward = identity - half * local.christoffel_matrix(middle)
            log_jacobian = log_jacobian + linalg.log_abs_det(backward) - linalg.log_abs_det(forward)
            point = point + 2.0 * half * middle
            local = metric.local_geometry(point)
            forward = identity + half * local.christoffel_matrix(middle)
            velocity = linalg.solve_general(forward, middle)
            christoffel = local.christoffel_matrix(velocity)  # of this end and of the next start
            backward = identity - half * christoffel
            log_jacobian = log_jacobian + linalg.log_abs_det(backward) - linalg.log_abs_det(forward)
        finite = log_jacobian.isfinite() & point.isfinite().all(-1) & velocity.isfinite().all(-1)
        return Flow(point, velocity, log_jacobian, finite)
