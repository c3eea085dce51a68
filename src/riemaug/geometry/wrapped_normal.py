"""The wrapped normal distribution: a normal in the tangent space, pushed along geodesics."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug import linalg
from riemaug._typing import Flag, Matrix, Point, Scalar, Tangent
from riemaug.errors import InvalidInputError
from riemaug.geometry.exp_derivative import ExpDerivative, exp_with_derivative
from riemaug.geometry.geodesic import exp
from riemaug.geometry.integrators import Flow, GeodesicIntegrator
from riemaug.geometry.metric import Metric
from riemaug.geometry.newton import RootSolver

LOG_2PI = math.log(2.0 * math.pi)
HALVINGS = 6
"""Of a Newton step for the inverse of the exponential map."""


@dataclass(frozen=True)
class WrappedDensity:
    """The density of a wrapped normal at some points, and the velocities that lead there.

    Attributes
    ----------
    log_prob : Tensor (...)
        With respect to Lebesgue measure in the chart; NaN where not converged.
    point, velocity : Tensor (..., d)
        Exp_p(velocity) = point.
    converged : Tensor (...), bool
        Whether the velocity and the derivative of the exponential map were found.
    """

    log_prob: Scalar
    point: Point
    velocity: Tangent
    converged: Flag


@dataclass(frozen=True)
class WrappedNormal:
    """N^W(p, Sigma) of the paper's section 4.1: Exp_p(v) with v ~ N(0, Sigma).

    Exp is the integrator's map, and densities are those of its draws whatever the number of sub-steps.

    Parameters
    ----------
    loc : Tensor (d,)
        The point p.
    covariance : Tensor (d, d)
        Sigma, symmetric positive definite, in the coordinates of the chart.
    metric : Metric
    integrator : GeodesicIntegrator, optional
        By default the explicit midpoint rule.
    num_steps : int
        Sub-steps of the exponential map.
    """

    loc: Float[Tensor, " dim"]
    covariance: Float[Tensor, "dim dim"]
    metric: Metric
    integrator: GeodesicIntegrator | None = None
    num_steps: int = 10

    def sample(self, num_samples: int, generator: torch.Generator) -> Flow:
        """Return `num_samples` draws, (n, d), as the flow that made them (with its status)."""
        shape = (num_samples, self.loc.shape[0])
        factor = linalg.cholesky_factor(self.covariance)
        if not bool(factor.isfinite().all() & (factor.diagonal() > 0).all()):
            raise InvalidInputError(
                f"covariance must be symmetric positive definite, got {self.covariance.tolist()}"
            )
        noise = torch.randn(shape, generator=generator, dtype=self.loc.dtype, device=self.loc.device)
        velocity = noise @ factor.T
        return self._flow(velocity)

    def log_prob(self, point: Point) -> WrappedDensity:
        """Return the log density at points (..., d), found by inverting the exponential map there.

        Where several geodesics lead from p to a point, the density is a sum over them; this is the
        term of the one found by Newton's method from the straight line, a lower bound. Within the
        injectivity radius of p there is only one.
        """
        velocity, found = self._velocity_to(point)
        density = self.log_prob_of(velocity)
        converged = density.converged & found
        log_prob = torch.where(converged, density.log_prob, math.nan)
        return WrappedDensity(log_prob, point, velocity, converged)

    def log_prob_of(self, velocity: Tangent) -> WrappedDensity:
        """Return the log density at Exp_p(v) of velocities (..., d), along the geodesic of v.

        log N(v; 0, Sigma) - log |det dExp_p(v)|; the same term as `log_prob`, with nothing to invert.
        """
        arrival = self._arrival(velocity)
        log_jacobian = linalg.log_abs_det(arrival.matrix)
        log_prob = self._log_normal(velocity) - log_jacobian
        converged = arrival.converged & log_jacobian.isfinite()
        return WrappedDensity(torch.where(converged, log_prob, math.nan), arrival.point, velocity, converged)

    def _flow(self, velocity: Tangent) -> Flow:
        start = self.loc.expand(velocity.shape)
        return exp(self.metric, velocity, start, self.integrator, self.num_steps)

    def _arrival(self, velocity: Tangent) -> ExpDerivative:
        start = self.loc.expand(velocity.shape)
        return exp_with_derivative(self.metric, velocity, start, self.integrator, self.num_steps)

    def _velocity_to(self, point: Point) -> tuple[Tangent, Flag]:
        """Return v with Exp_p(v) = x, (..., d), and where it is one, by damped Newton steps."""

        def equation(velocity: Tangent, end: Point) -> tuple[Tangent, Matrix]:
            arrival = self._arrival(velocity)
            return torch.where(arrival.converged[..., None], arrival.point - end, math.inf), arrival.matrix

        def gap(velocity: Tangent) -> Tangent:
            return self._flow(velocity).point - point

        solver = RootSolver(halvings=HALVINGS)
        root = solver.find(equation, point - self.loc, (point,))
        return root.corrected(gap), root.solved

    def _log_normal(self, velocity: Tangent) -> Scalar:
        """Return log N(v; 0, Sigma), (...)."""
        factor = linalg.cholesky_factor(self.covariance)
        squares = linalg.solve_lower(factor.expand(*velocity.shape, -1), velocity).square().sum(-1)
        return -0.5 * (squares + linalg.log_det_of_factor(factor) + velocity.shape[-1] * LOG_2PI)
