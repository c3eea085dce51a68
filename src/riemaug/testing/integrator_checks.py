"""Invariants of a geodesic integrator: the right curve, its order, and what exact samplers rely on."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug import linalg
from riemaug.errors import InvalidInputError
from riemaug.geometry import EuclideanMetric, Flow, GeodesicIntegrator, KernelMetric, Metric
from riemaug.testing.measurements import (
    GlobalRandomness,
    Measurement,
    Measurements,
    absolute_gap,
    batches,
    count_not_finite,
    double_copy,
    row_differences,
    verify,
)

_STEPS = 16
_COARSE_STEPS = 3
_REFERENCE_STEPS = 64
_ORDER_SLACK = 0.35
_ROUNDING = 1e-9


@dataclass(frozen=True)
class IntegratorProbe:
    """The integrator, a float64 metric, starts and velocities, (n, d), and what is expected of it."""

    integrator: GeodesicIntegrator
    metric: Metric
    points: Float[Tensor, "n dim"]
    velocities: Float[Tensor, "n dim"]
    order: int
    tolerance: float

    def flow(self, num_steps: int) -> Flow:
        """Follow the geodesics in `num_steps` sub-steps."""
        return self.integrator.flow(self.metric, self.points, self.velocities, num_steps)

    @cached_property
    def coarse(self) -> Flow:
        """The flow in few sub-steps."""
        return self.flow(_COARSE_STEPS)

    @cached_property
    def halved(self) -> tuple[Flow, Flow]:
        """The flow in many sub-steps, and in twice as many."""
        return self.flow(_STEPS), self.flow(2 * _STEPS)


def check_integrator(
    integrator: GeodesicIntegrator,
    metric: Metric | None = None,
    points: Float[Tensor, "n dim"] | None = None,
    velocities: Float[Tensor, "n dim"] | None = None,
    *,
    order: int = 2,
    tolerance: float = 1e-7,
) -> None:
    """Check an integrator of your own; see docs/extending.md.

    Parameters
    ----------
    integrator : GeodesicIntegrator
    metric : Metric, optional
        A smooth one, copied in float64; by default an anisotropic kernel metric in two dimensions.
    points : Tensor (n, d), optional
        Starts; by default the first centroids of the metric's support.
    velocities : Tensor (n, d), optional
        By default normal, of standard deviation 0.3.
    order : int
        The least order of convergence, in position, velocity and energy, in the number of sub-steps.
    tolerance : float
        Largest absolute error of what should hold at any step: reversal, Jacobian, straight lines.

    Raises
    ------
    AssertionError
        An invariant does not hold; one line names it with the measured error and the tolerance.
    InvalidInputError
        Points or velocities that do not fit the metric, or no points for one without a support.
    """
    chosen = _default_metric() if metric is None else double_copy(metric)
    starts = _default_starts(chosen) if points is None else points.detach().double()
    if velocities is None:
        noise = torch.randn(starts.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        velocities = 0.3 * noise.to(starts)
    if starts.numel() == 0 or starts.shape[1:] != (chosen.dim,) or velocities.shape != starts.shape:
        raise InvalidInputError(
            f"points and velocities must both be (n, {chosen.dim}) with n >= 1, got {tuple(starts.shape)} "
            f"and {tuple(velocities.shape)}"
        )
    probe = IntegratorProbe(integrator, chosen, starts, velocities.detach().double(), order, tolerance)
    verify(INTEGRATOR_INVARIANTS, probe)


def _default_metric() -> KernelMetric:
    """Return a small metric whose kernels differ in size, shape and direction."""
    centroids = torch.tensor([[0.0, 0.0], [0.8, 0.3], [-0.4, 0.9], [0.2, -0.7]], dtype=torch.float64)
    diagonals = torch.tensor([[0.9, 0.4], [0.5, 0.8], [0.6, 0.7], [1.0, 0.5]], dtype=torch.float64)
    factors = torch.diag_embed(diagonals)
    factors[:, 1, 0] = torch.tensor([0.3, -0.4, 0.1, 0.2])
    return KernelMetric(centroids, factors, bandwidth=0.8, regularization=0.1)


def _default_starts(metric: Metric) -> Tensor:
    """Return the first centroids of the metric's support, (n, d)."""
    try:
        return metric.default_support().centroids[:6].double()
    except InvalidInputError as error:
        raise InvalidInputError(
            f"points are needed to start from, as a {type(metric).__name__} has no default support; "
            "pass points=..., (n, d)"
        ) from error


def _reference(probe: IntegratorProbe) -> tuple[Tensor, Tensor]:
    """Return position and velocity after unit time, by the classic fourth-order Runge-Kutta method."""
    metric, step = probe.metric, 1.0 / _REFERENCE_STEPS
    state = torch.stack([probe.points, metric.momentum_of(probe.points, probe.velocities)])

    def slope(state: Tensor) -> Tensor:
        velocity, gradient = metric.velocity_and_gradient(*state.unbind(0))
        return torch.stack([velocity, -gradient])

    for _ in range(_REFERENCE_STEPS):
        first = slope(state)
        second = slope(state + 0.5 * step * first)
        third = slope(state + 0.5 * step * second)
        fourth = slope(state + step * third)
        state = state + step / 6.0 * (first + 2.0 * second + 2.0 * third + fourth)
    return state[0], metric.velocity_of(state[0], state[1])


def _observed_order(what: str, errors: tuple[float, float], order: int) -> Measurement:
    """Measure how much the observed order falls short, from errors of n and of 2 n sub-steps."""
    coarse, fine = errors
    if fine <= _ROUNDING:
        return Measurement(what, 0.0, _ORDER_SLACK)
    observed = math.log2(coarse / fine) if math.isfinite(coarse) and math.isfinite(fine) else -math.inf
    found = f"{what} converges with order {observed:.2f}, must be {order}"
    return Measurement(found, order - observed, _ORDER_SLACK)


def solves_easy_cases(probe: IntegratorProbe) -> Measurements:
    """Check that moderate velocities and steps are solved, with finite results."""
    flow = probe.halved[0]
    yield Measurement("flows are marked as not converged", float((~flow.converged).sum()))
    yield Measurement("end points are not finite", count_not_finite(flow.point))
    yield Measurement("end velocities are not finite", count_not_finite(flow.velocity))


def end_points(probe: IntegratorProbe) -> Measurements:
    """Check that the end of the curve tends to that of the geodesic, with the stated order."""
    point, velocity = _reference(probe)
    flows = probe.halved
    first, second = (absolute_gap(flow.point, point) for flow in flows)
    yield _observed_order("the end point", (first, second), probe.order)
    first, second = (absolute_gap(flow.velocity, velocity) for flow in flows)
    yield _observed_order("the end velocity", (first, second), probe.order)


def energy(probe: IntegratorProbe) -> Measurements:
    """Check that the energy 1/2 v^T G v is kept, with the stated order."""
    before = 0.5 * probe.metric.inner_product(probe.velocities, probe.velocities, probe.points)

    def error(flow: Flow) -> float:
        after = 0.5 * probe.metric.inner_product(flow.velocity, flow.velocity, flow.point)
        return absolute_gap(after, before)

    first, second = (error(flow) for flow in probe.halved)
    yield _observed_order("the energy", (first, second), probe.order)


def straight_lines(probe: IntegratorProbe) -> Measurements:
    """Check that the end in Euclidean space is z + v at any number of sub-steps, and rest is rest."""
    flat = EuclideanMetric(probe.metric.dim)
    flow = probe.integrator.flow(flat, probe.points, probe.velocities, _COARSE_STEPS)
    gap = absolute_gap(flow.point, probe.points + probe.velocities)
    yield Measurement("a geodesic of Euclidean space is not straight", gap, probe.tolerance)
    gap = absolute_gap(flow.velocity, probe.velocities)
    yield Measurement("a velocity in Euclidean space changes", gap, probe.tolerance)
    if probe.integrator.is_reversible:
        gap = float(flow.log_jacobian.abs().max())
        yield Measurement("log_jacobian in Euclidean space is not 0", gap, probe.tolerance)
    still = torch.zeros_like(probe.velocities)
    rest = probe.integrator.flow(probe.metric, probe.points, still, _COARSE_STEPS)
    gap = absolute_gap(rest.point, probe.points)
    yield Measurement("a point at rest moves", gap, probe.tolerance)


def reversal(probe: IntegratorProbe) -> Measurements:
    """Check that a reversible flow comes back with its velocity turned around, at coarse steps too."""
    if not probe.integrator.is_reversible:
        return
    there = probe.coarse
    back = probe.integrator.flow(probe.metric, there.point, -there.velocity, _COARSE_STEPS)
    solved = there.converged & back.converged
    yield Measurement("no flow of three sub-steps is solved both ways", float(not solved.any()))
    for what, actual, expected in (
        ("the start point is missed", back.point, probe.points),
        ("the start velocity is missed", back.velocity, -probe.velocities),
        ("log_jacobian of the way back has not the other sign", back.log_jacobian, -there.log_jacobian),
    ):
        yield Measurement(what, absolute_gap(actual[solved], expected[solved]), probe.tolerance)


def jacobian(probe: IntegratorProbe) -> Measurements:
    """Check that log_jacobian is log |det d(z*, v*) / d(z, v)|, where it is stated."""
    flow, dim = probe.coarse, probe.metric.dim
    stated = flow.converged & ~flow.log_jacobian.isnan()
    if probe.integrator.is_reversible:
        missing = float((flow.converged & ~stated).sum())
        yield Measurement("a reversible integrator does not state log_jacobian", missing)

    def carry(state: Tensor) -> Tensor:
        end = probe.integrator.flow(probe.metric, state[:, :dim], state[:, dim:], _COARSE_STEPS)
        return torch.cat([end.point, end.velocity], -1)

    slopes = row_differences(carry, torch.cat([probe.points, probe.velocities], -1)[stated])
    gap = absolute_gap(flow.log_jacobian[stated], linalg.log_abs_det(slopes))
    yield Measurement("log_jacobian is not that of the map", gap, max(1e-5, probe.tolerance))


def failures_are_flagged(probe: IntegratorProbe) -> Measurements:
    """Check that a start that is not finite counts as not converged and leaves other rows alone."""
    good = probe.coarse
    for value in (math.inf, math.nan):
        for name in ("velocity", "point"):
            points, velocities = probe.points.clone(), probe.velocities.clone()
            (velocities if name == "velocity" else points)[0, 0] = value
            flow = probe.integrator.flow(probe.metric, points, velocities, _COARSE_STEPS)
            yield Measurement(f"a {name} of {value} counts as converged", float(flow.converged[0]))
            gap = absolute_gap(flow.point[1:], good.point[1:])
            yield Measurement(f"a {name} of {value} disturbs other rows", gap, probe.tolerance)
            lost = float((good.converged & ~flow.converged)[1:].sum())
            yield Measurement(f"beside a {name} of {value} other rows count as failed", lost)


def batch_shapes(probe: IntegratorProbe) -> Measurements:
    """Check that any batch dimensions are taken, none and empty ones included, row by row."""
    whole = probe.coarse
    velocities = batches(probe.velocities)
    for label, point in batches(probe.points).items():
        flow = probe.integrator.flow(probe.metric, point, velocities[label], _COARSE_STEPS)
        batch = tuple(point.shape[:-1])
        for name, shape in (
            ("point", tuple(point.shape)),
            ("velocity", tuple(point.shape)),
            ("log_jacobian", batch),
            ("converged", batch),
        ):
            found = tuple(getattr(flow, name).shape)
            yield Measurement(f"{name} of {label} has shape {found}, must be {shape}", float(found != shape))
        rows = flow.point.reshape(-1, probe.metric.dim)
        gap = absolute_gap(rows, whole.point[: len(rows)])
        yield Measurement(f"the end point of {label} is not that of the row", gap, probe.tolerance)


def pure(probe: IntegratorProbe) -> Measurements:
    """Check that a flow is repeatable and changes neither its input nor global generators."""
    points, velocities = probe.points.clone(), probe.velocities.clone()
    with GlobalRandomness() as randomness:
        first, second = (
            probe.integrator.flow(probe.metric, points, velocities, _COARSE_STEPS) for _ in range(2)
        )
    yield Measurement("the points passed in are changed", absolute_gap(points, probe.points))
    yield Measurement("the velocities passed in are changed", absolute_gap(velocities, probe.velocities))
    yield Measurement("a flow differs when asked again", absolute_gap(first.point, second.point))
    yield Measurement("a global random generator is used", float(randomness.touched))


INTEGRATOR_INVARIANTS = {
    "no side effects": pure,
    "easy cases are solved": solves_easy_cases,
    "straight lines": straight_lines,
    "energy": energy,
    "end points": end_points,
    "reversal": reversal,
    "Jacobian": jacobian,
    "failures are flagged": failures_are_flagged,
    "batch shapes": batch_shapes,
}
