"""Implicit flows: the generalised leapfrog, with or without a potential, and the implicit midpoint rule."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from riemaug import linalg
from riemaug._typing import Flag, Matrix, Momentum, Point, Tangent
from riemaug.geometry.integrators import Flow, GeodesicIntegrator, sub_step
from riemaug.geometry.metric import LocalGeometry, Metric
from riemaug.geometry.newton import Root, RootSolver

Force = Callable[[LocalGeometry], Tangent]
"""Gradient of a potential energy U(z) that depends on the position alone, (..., d)."""


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

    def reversed(self) -> "PhasePoint":
        """Return the same position with the opposite momentum."""
        return PhasePoint(self.local, -self.momentum, self.force)


class ImplicitIntegrator(GeodesicIntegrator):
    """A scheme in (position, momentum) whose equations are solved by Newton's method.

    Volume-preserving and reversible where its equations are solved. A step fails where they or those of
    the reverse step are not, or where the reverse step does not come back: there the position is kept
    and the momentum flipped, which is still a bijection of unit Jacobian. No chain depends on another
    one, whether its steps fail or not.

    The root is found without derivatives and then corrected by one Newton step with a constant
    Jacobian, so first derivatives of either mode are those of the implicit function theorem. Gradients
    must be enabled for them, in forward mode too.

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

    @property
    def solver(self) -> RootSolver:
        """The solver of the step's equations."""
        return RootSolver(self.tolerance, self.max_iterations)

    def flow(self, metric: Metric, point: Point, velocity: Tangent, num_steps: int) -> Flow:
        """Follow geodesics for unit time; a chain with a failed sub-step is marked not converged."""
        step_size = sub_step(num_steps)
        start = metric.local_geometry(point)
        state = PhasePoint(start, linalg.solve_spd(start.factor, velocity), None)
        converged = torch.ones_like(point[..., 0], dtype=torch.bool)
        for _ in range(num_steps):
            state, solved = self.step(metric, state, step_size)
            converged = converged & solved
        log_jacobian = state.local.log_det_cometric() - start.log_det_cometric()
        return Flow(state.position, state.local.velocity_of(state.momentum), log_jacobian, converged)

    @abstractmethod
    def step(self, metric: Metric, state: PhasePoint, step_size: float) -> tuple[PhasePoint, Flag]:
        """Take one step of size `step_size`; return the new state and which samples converged."""


class GeneralizedLeapfrog(ImplicitIntegrator):
    """Implicit leapfrog for H = U(z) + 1/2 q^T C(z) q; two equations a step, with closed-form Jacobians.

    See `ImplicitIntegrator` for parameters, failures and derivatives. The first equation is quadratic in
    the momentum and may have no solution at all; smaller steps help there, more iterations do not.
    """

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
                solved = solved & self._comes_back(metric, state, middle, proposal.reversed(), half)
        return keep_unless(solved, proposal, state), solved

    def _comes_back(
        self, metric: Metric, state: PhasePoint, middle: Momentum, flipped: PhasePoint, half: float
    ) -> Flag:
        """Return whether the step from the flipped proposal ends where it began, by the same way."""
        way_back, solved_momentum = self._half_momentum(flipped, half)
        position, solved_position = self._move(metric, flipped.local, way_back, half)
        returned = is_close(position, state.position) & is_close(way_back, -middle)
        return solved_momentum & solved_position & returned

    def _half_momentum(self, state: PhasePoint, half: float) -> tuple[Momentum, Flag]:
        """Solve q' = q - h/2 (dU/dz(z) + dH/dz(z, q')) for q'."""
        target = state.momentum if state.force is None else state.momentum - half * state.force
        identity = torch.eye(target.shape[-1], dtype=target.dtype, device=target.device)

        def equation(momentum: Momentum, aim: Momentum, rows: Tensor) -> tuple[Momentum, Matrix]:
            slope = half * (rows @ momentum[..., None]).unflatten(-2, identity.shape)[..., 0]
            return momentum - aim + 0.5 * (slope @ momentum[..., None])[..., 0], identity + slope

        context = (target, state.local.derivative.flatten(-3, -2))
        root = self.solver.find(equation, target, context)
        return root.corrected(lambda momentum: equation(momentum, *context)[0]), root.solved

    def _move(
        self, metric: Metric, start: LocalGeometry, momentum: Momentum, half: float
    ) -> tuple[Point, Flag]:
        """Solve z1 = z + h/2 (C(z) + C(z1)) q' for z1."""
        velocity = start.velocity_of(momentum)
        target = start.point + half * velocity
        identity = torch.eye(target.shape[-1], dtype=target.dtype, device=target.device)

        def equation(position: Point, aim: Point, moving: Momentum) -> tuple[Point, Matrix]:
            local = metric.local_geometry(position)
            gap = position - aim - half * local.velocity_of(moving)
            return gap, identity - half * local.momentum_derivative(moving)

        def gap(position: Point) -> Point:
            return position - target - half * metric.velocity_of(position, momentum)

        root = self.solver.find(equation, target + half * velocity, (target, momentum))
        return root.corrected(gap), root.solved


class ImplicitMidpoint(ImplicitIntegrator):
    """The implicit midpoint rule in (position, momentum): symplectic and symmetric, of second order.

    z1 = z + h C(m) p and q1 = q - h dH/dz(m, p) with m = (z + z1)/2, p = (q + q1)/2; one system of 2d
    unknowns a step. See `ImplicitIntegrator` for parameters, failures and derivatives.

    Newton's Jacobian holds second derivatives of C. They are taken as differences of `kinetic_gradient`,
    so that any metric will do: they steer the iteration, while the residual that must fall below the
    tolerance is exact.
    """

    def step(self, metric: Metric, state: PhasePoint, step_size: float) -> tuple[PhasePoint, Flag]:
        """Take one step of size `step_size`; return the new state and which samples converged."""
        root, position, momentum = self._solve(metric, state, 0.5 * step_size)
        proposal, solved = PhasePoint(metric.local_geometry(position), momentum, None), root.solved
        if self.check_reversal:
            with torch.no_grad():
                back, position, momentum = self._solve(metric, proposal.reversed(), 0.5 * step_size)
                returned = is_close(position, state.position) & is_close(-momentum, state.momentum)
                solved = solved & back.solved & returned
        return keep_unless(solved, proposal, state), solved

    def _solve(self, metric: Metric, state: PhasePoint, half: float) -> tuple[Root, Point, Momentum]:
        """Return the middle, found by Newton's method, and the position and momentum beyond it."""
        start, momentum, dim = state.position, state.momentum, metric.dim

        def equation(unknown: Tensor, begin: Point, push: Momentum) -> tuple[Tensor, Tensor]:
            return _midpoint_equation(metric, unknown, begin, push, half)

        def gap(unknown: Tensor) -> Tensor:
            velocity, gradient = metric.velocity_and_gradient(unknown[..., :dim], unknown[..., dim:])
            return unknown - torch.cat([start + half * velocity, momentum - half * gradient], -1)

        # momenta may be larger than positions by orders of magnitude: each has its own scale
        size = torch.cat([_scale(start).expand_as(start), _scale(momentum).expand_as(start)], -1)
        velocity, gradient = state.local.velocity_of(momentum), state.local.kinetic_gradient(momentum)
        guess = torch.cat([start + half * velocity, momentum - half * gradient], -1)
        root = self.solver.find(equation, guess, (start, momentum), size)
        middle = root.corrected(gap)
        return root, 2.0 * middle[..., :dim] - start, 2.0 * middle[..., dim:] - momentum


def _midpoint_equation(
    metric: Metric, unknown: Tensor, start: Point, momentum: Momentum, half: float
) -> tuple[Tensor, Tensor]:
    """Return the residual of the midpoint rule (..., 2d) and its Jacobian (..., 2d, 2d)."""
    middle, moving = unknown.chunk(2, -1)
    local = metric.local_geometry(middle)
    pull, gradient = local.momentum_derivative(moving), local.kinetic_gradient(moving)
    gap = torch.cat(
        [middle - start - half * local.velocity_of(moving), moving - momentum + half * gradient], -1
    )
    upper = torch.cat([-pull, -local.cometric], -1)
    lower = torch.cat([_kinetic_hessian(metric, middle, moving, gradient), pull.mT], -1)
    identity = torch.eye(unknown.shape[-1], dtype=unknown.dtype, device=unknown.device)
    return gap, identity + half * torch.cat([upper, lower], -2)


def _kinetic_hessian(metric: Metric, point: Point, momentum: Momentum, gradient: Momentum) -> Matrix:
    """Return d^2 (1/2 q^T C q) / dz^2 from forward differences of its gradient, (..., d, d)."""
    dim = point.shape[-1]
    size = torch.finfo(point.dtype).eps ** 0.5 * _scale(point)
    shifts = torch.eye(dim, dtype=point.dtype, device=point.device).reshape(
        dim, *(1,) * (point.ndim - 1), dim
    )
    moved = metric.kinetic_gradient(point + size * shifts, momentum.expand(dim, *momentum.shape))
    slopes = ((moved - gradient) / size).movedim(0, -1)
    return 0.5 * (slopes + slopes.mT)


def _scale(vector: Tensor) -> Tensor:
    return 1.0 + vector.detach().abs().amax(-1, keepdim=True)


def is_close(returned: Tensor, begun: Tensor) -> Flag:
    """Return whether a reverse step came back: to 1e-6 in float64, 1e-3 in float32, relative to the scale."""
    limit = 1e-6 if begun.dtype == torch.float64 else 1e-3
    return ((returned - begun).abs() / _scale(begun)).amax(-1) < limit


def keep_unless(solved: Flag, proposal: PhasePoint, state: PhasePoint) -> PhasePoint:
    """Return the proposal where it was solved, else the old position with its momentum flipped."""
    if bool(solved.all()):
        return proposal
    keep = solved[..., None]
    new, old = proposal.local, state.local
    local = LocalGeometry(
        torch.where(keep, new.point, old.point),
        torch.where(keep[..., None], new.cometric, old.cometric),
        torch.where(keep[..., None, None], new.derivative, old.derivative),
    )
    force = proposal.force
    if force is not None and state.force is not None:
        force = torch.where(keep, force, state.force)
    return PhasePoint(local, torch.where(keep, proposal.momentum, -state.momentum), force)
