"""Numerical flows of the geodesic equations, and of Hamiltonians with a potential."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch

from riemaug import linalg
from riemaug._typing import Flag, Matrix, Momentum, Point, Scalar, Tangent
from riemaug.geometry.metric import LocalGeometry, Metric

Force = Callable[[LocalGeometry], Tangent]
"""Gradient of a potential energy U(z) that depends on the position alone, (..., d)."""


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


class GeodesicIntegrator(ABC):
    """A scheme for the geodesic flow in (position, velocity), time 0 to 1 in equal sub-steps."""

    is_reversible: bool = False
    """Whether the map is exactly reversible with a known Jacobian, as exact MCMC needs."""

    @abstractmethod
    def flow(self, metric: Metric, point: Point, velocity: Tangent, num_steps: int) -> Flow:
        """Follow geodesics from `point` with initial `velocity` for unit time."""


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
        step_size = 1.0 / num_steps
        force_step = -step_size if not self.flipped_force else step_size
        position, momentum = point, metric.momentum_of(point, velocity)
        for _ in range(num_steps):
            slope, gradient = metric.velocity_and_gradient(position, momentum)
            half_position = position + 0.5 * step_size * slope
            half_momentum = momentum + 0.5 * force_step * gradient
            slope, gradient = metric.velocity_and_gradient(half_position, half_momentum)
            position = position + step_size * slope
            momentum = momentum + force_step * gradient
        end_velocity = metric.velocity_of(position, momentum)
        finite = position.isfinite().all(-1) & end_velocity.isfinite().all(-1)
        return Flow(position, end_velocity, torch.full_like(position[..., 0], torch.nan), finite)


class LagrangianLeapfrog(GeodesicIntegrator):
    """Explicit leapfrog in (position, velocity) (Lan et al. 2015): reversible, Jacobian in closed form."""

    is_reversible = True

    def flow(self, metric: Metric, point: Point, velocity: Tangent, num_steps: int) -> Flow:
        """Follow geodesics for unit time, adding up log |Jacobian| of each sub-step."""
        half = 0.5 / num_steps
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


@dataclass(frozen=True)
class PhasePoint:
    """The geometry at a position, a momentum, and the force there (None without a potential)."""

    local: LocalGeometry
    momentum: Momentum
    force: Tangent | None

    @property
    def position(self) -> Point:
        """The position z, (..., d)."""
        return self.local.point


class GeneralizedLeapfrog(GeodesicIntegrator):
    """Implicit leapfrog for H = U(z) + 1/2 q^T C(z) q: volume-preserving and reversible once solved.

    Both implicit equations are solved by Newton's method with the closed-form d x d Jacobian, and by
    plain fixed-point steps where Newton's would not reduce the residual. Under autograd the solution
    is found without a graph and then corrected by one Newton step with a constant Jacobian: its
    derivative is that of the implicit function theorem, exact, at the cost of one residual. Where the
    equations or those of the reverse step have no solution that is found, the position is kept and
    the momentum flipped: still a bijection of unit Jacobian.

    Parameters
    ----------
    tolerance : float, optional
        Largest relative residual; by default 1e-10 in float64 and 2e-6 in float32.
    max_iterations : int
        Iterations for each equation.
    check_reversal : bool
        Whether each step is also run backwards, as exact laws need.
    """

    is_reversible = True

    def __init__(
        self, tolerance: float | None = None, max_iterations: int = 30, check_reversal: bool = True
    ) -> None:
        self.tolerance = tolerance
        self.max_iterations = max_iterations
        self.check_reversal = check_reversal

    def flow(self, metric: Metric, point: Point, velocity: Tangent, num_steps: int) -> Flow:
        """Follow geodesics for unit time; a chain with a failed sub-step is marked not converged."""
        start = metric.local_geometry(point)
        state = PhasePoint(start, linalg.solve_spd(start.factor, velocity), None)
        converged = torch.ones_like(point[..., 0], dtype=torch.bool)
        for _ in range(num_steps):
            state, ok = self.step(metric, state, 1.0 / num_steps)
            converged = converged & ok
        log_jacobian = state.local.log_det_cometric() - start.log_det_cometric()
        return Flow(state.position, state.local.velocity_of(state.momentum), log_jacobian, converged)

    def step(
        self, metric: Metric, state: PhasePoint, step_size: float, force: Force | None = None
    ) -> tuple[PhasePoint, Flag]:
        """Take one step of size `step_size`; return the new state and which samples converged."""
        half = 0.5 * step_size
        middle, solved_momentum = self._half_momentum(state, half)
        position, solved_position = self._move(metric, state.local, middle, half)
        solved = solved_momentum & solved_position
        local = metric.local_geometry(position)
        new_force = None if force is None else force(local)
        momentum = middle - half * local.kinetic_gradient(middle)
        if new_force is not None:
            momentum = momentum - half * new_force
        proposal = PhasePoint(local, momentum, new_force)
        if self.check_reversal:
            with torch.no_grad():
                solved = solved & self._comes_back(metric, state, proposal, half)
        return self._select(metric, solved, proposal, state), solved

    @staticmethod
    def _select(metric: Metric, solved: Flag, proposal: PhasePoint, state: PhasePoint) -> PhasePoint:
        """Return the proposal where it was solved, else the old position with its momentum flipped."""
        if bool(solved.all()):
            return proposal
        keep = solved[..., None]
        position = torch.where(keep, proposal.position, state.position)
        momentum = torch.where(keep, proposal.momentum, -state.momentum)
        force = proposal.force
        if force is not None and state.force is not None:
            force = torch.where(keep, force, state.force)
        return PhasePoint(metric.local_geometry(position), momentum, force)

    def _comes_back(self, metric: Metric, state: PhasePoint, proposal: PhasePoint, half: float) -> Flag:
        """Return whether the step from the proposal with flipped momentum ends where it began."""
        flipped = PhasePoint(proposal.local, -proposal.momentum, proposal.force)
        middle, solved_momentum = self._half_momentum(flipped, half)
        position, solved_position = self._move(metric, flipped.local, middle, half)
        gap = (position - state.position).abs().amax(-1)
        limit = 1e-6 if position.dtype == torch.float64 else 1e-3
        return solved_momentum & solved_position & (gap < limit)

    def _half_momentum(self, state: PhasePoint, half: float) -> tuple[Momentum, Flag]:
        """Solve q' = q - h/2 (dU/dz(z) + dH/dz(z, q')) for q'."""
        target = state.momentum if state.force is None else state.momentum - half * state.force
        identity = torch.eye(target.shape[-1], dtype=target.dtype, device=target.device)

        def equation(momentum: Momentum) -> tuple[Momentum, Matrix]:
            slope = half * state.local.momentum_derivative(momentum).mT
            return momentum - target + 0.5 * (slope @ momentum[..., None])[..., 0], identity + slope

        return self._solve(equation, lambda momentum: equation(momentum)[0], target)

    def _move(
        self, metric: Metric, start: LocalGeometry, momentum: Momentum, half: float
    ) -> tuple[Point, Flag]:
        """Solve z1 = z + h/2 (C(z) + C(z1)) q' for z1."""
        velocity = start.velocity_of(momentum)
        target = start.point + half * velocity
        identity = torch.eye(target.shape[-1], dtype=target.dtype, device=target.device)

        def equation(position: Point) -> tuple[Point, Matrix]:
            local = metric.local_geometry(position)
            gap = position - target - half * local.velocity_of(momentum)
            return gap, identity - half * local.momentum_derivative(momentum)

        def gap(position: Point) -> Point:
            return position - target - half * metric.velocity_of(position, momentum)

        return self._solve(equation, gap, target + half * velocity)

    def _solve(
        self,
        equation: Callable[[Point], tuple[Point, Matrix]],
        residual: Callable[[Point], Point],
        start: Point,
    ) -> tuple[Point, Flag]:
        """Return the root of the residual and where it is one; differentiable if gradients are on.

        `equation` maps a guess to its residual and the residual's Jacobian, `residual` to the former alone.
        """
        with torch.no_grad():
            root, solved, slope = self._newton(equation, start.detach())
        if not torch.is_grad_enabled():
            return root, solved
        return root - linalg.solve_constant(slope, residual(root)), solved

    def _newton(
        self, equation: Callable[[Point], tuple[Point, Matrix]], start: Point
    ) -> tuple[Point, Flag, Matrix]:
        """Iterate until every sample converged; samples that never do get the start point back."""
        tolerance = self.tolerance or (1e-10 if start.dtype == torch.float64 else 2e-6)
        limit = tolerance * (1.0 + start.abs().amax(-1))
        root = start
        gap, slope = equation(root)
        error = gap.abs().amax(-1)
        for _ in range(self.max_iterations):
            if bool((error <= limit).all()):
                break
            guess = root - linalg.solve_general(slope, gap)
            guess_gap, guess_slope = equation(guess)
            guess_error = guess_gap.abs().amax(-1)
            worse = ~(guess_error <= 0.9 * error) & (error > limit)
            if bool(worse.any()):
                guess = torch.where(worse[..., None], root - gap, guess)
                guess_gap, guess_slope = equation(guess)
                guess_error = guess_gap.abs().amax(-1)
            root, gap, slope, error = guess, guess_gap, guess_slope, guess_error
        solved = error <= limit
        if bool(solved.all()):
            return root, solved, slope
        identity = torch.eye(start.shape[-1], dtype=start.dtype, device=start.device)
        safe_slope = torch.where(solved[..., None, None], slope, identity)
        return torch.where(solved[..., None], root, start), solved, safe_slope
