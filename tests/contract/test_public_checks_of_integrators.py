"""`check_integrator`: every integrator of ours passes, and every deliberate fault is named."""

import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from riemaug import linalg
from riemaug.errors import InvalidInputError
from riemaug.geometry import (
    ExplicitMidpoint,
    Flow,
    GeneralizedLeapfrog,
    GeodesicIntegrator,
    ImplicitMidpoint,
    LagrangianLeapfrog,
    Metric,
    PullbackMetric,
    SphereMetric,
)
from riemaug.testing import check_integrator
from tests.contract.checked_metrics import places, precision_metric, tanh_decoder
from tests.metrics import random_metric


def label(part: object) -> str:
    return type(part).__name__


REVERSIBLE = [LagrangianLeapfrog(), GeneralizedLeapfrog(), ImplicitMidpoint()]


_CASES = [ExplicitMidpoint(), *(pytest.param(item, marks=pytest.mark.slow) for item in REVERSIBLE)]


@pytest.mark.parametrize("integrator", _CASES, ids=label)
def test_our_integrators_pass(integrator: GeodesicIntegrator) -> None:
    check_integrator(integrator)


@pytest.mark.parametrize(
    ("metric", "points"),
    [
        (random_metric(1, 6, seed=1, regularization=0.1), None),
        (random_metric(3, 6, seed=1, regularization=0.1), None),
        pytest.param(PullbackMetric(tanh_decoder(2), 2, 0.1), 0.4 * places(2), marks=pytest.mark.slow),
        (precision_metric(2), None),
        (SphereMetric(3), 0.5 * places(3)),
    ],
)
def test_the_leapfrog_passes_on_other_metrics(metric: Metric, points: Tensor | None) -> None:
    velocities = 0.1 * places(metric.dim, 6 if points is None else len(points)).flip(0)
    check_integrator(LagrangianLeapfrog(), metric, points, velocities)


class ExplicitEuler(GeodesicIntegrator):
    def flow(self, metric: Metric, point: Tensor, velocity: Tensor, num_steps: int) -> Flow:
        momentum = metric.momentum_of(point, velocity)
        for _ in range(num_steps):
            slope, gradient = metric.velocity_and_gradient(point, momentum)
            point, momentum = point + slope / num_steps, momentum - gradient / num_steps
        end = metric.velocity_of(point, momentum)
        finite = point.isfinite().all(-1) & end.isfinite().all(-1)
        return Flow(point, end, torch.full_like(point[..., 0], torch.nan), finite)


class WrappedIntegrator(GeodesicIntegrator):
    """A right integrator, for the wrong ones to start from."""

    is_reversible = True

    def flow(self, metric: Metric, point: Tensor, velocity: Tensor, num_steps: int) -> Flow:
        return LagrangianLeapfrog().flow(metric, point, velocity, num_steps)


class StraightLine(WrappedIntegrator):
    def flow(self, metric: Metric, point: Tensor, velocity: Tensor, num_steps: int) -> Flow:
        zero = torch.zeros_like(point[..., 0])
        return Flow(point + velocity, velocity, zero, zero.isfinite() & velocity.isfinite().all(-1))


class HalfTheTime(WrappedIntegrator):
    def flow(self, metric: Metric, point: Tensor, velocity: Tensor, num_steps: int) -> Flow:
        return super().flow(metric, point, 0.5 * velocity, num_steps)


class SpeedOnly(WrappedIntegrator):
    """Keeps the energy, but turns wrongly."""

    def flow(self, metric: Metric, point: Tensor, velocity: Tensor, num_steps: int) -> Flow:
        flow = super().flow(metric, point, velocity, num_steps)
        factor, end = metric.cometric_factor(point), metric.cometric_factor(flow.point)
        carried = (end @ linalg.solve_lower(factor, velocity)[..., None])[..., 0]
        return replace(flow, velocity=carried)


class ClaimsToBeReversible(ExplicitMidpoint):
    is_reversible = True

    def flow(self, metric: Metric, point: Tensor, velocity: Tensor, num_steps: int) -> Flow:
        flow = super().flow(metric, point, velocity, num_steps)
        return replace(flow, log_jacobian=torch.zeros_like(flow.log_jacobian))


class StatesNoJacobian(WrappedIntegrator):
    def flow(self, metric: Metric, point: Tensor, velocity: Tensor, num_steps: int) -> Flow:
        flow = super().flow(metric, point, velocity, num_steps)
        return replace(flow, log_jacobian=torch.full_like(flow.log_jacobian, torch.nan))


class HalfTheJacobian(WrappedIntegrator):
    def flow(self, metric: Metric, point: Tensor, velocity: Tensor, num_steps: int) -> Flow:
        flow = super().flow(metric, point, velocity, num_steps)
        return replace(flow, log_jacobian=0.5 * flow.log_jacobian)


class AlwaysConverged(WrappedIntegrator):
    def flow(self, metric: Metric, point: Tensor, velocity: Tensor, num_steps: int) -> Flow:
        flow = super().flow(metric, point, velocity, num_steps)
        return replace(flow, converged=torch.ones_like(flow.converged))


class NeverConverged(WrappedIntegrator):
    def flow(self, metric: Metric, point: Tensor, velocity: Tensor, num_steps: int) -> Flow:
        flow = super().flow(metric, point, velocity, num_steps)
        return replace(flow, converged=torch.zeros_like(flow.converged))


class OneFailsAllFail(WrappedIntegrator):
    def flow(self, metric: Metric, point: Tensor, velocity: Tensor, num_steps: int) -> Flow:
        flow = super().flow(metric, point, velocity, num_steps)
        return replace(flow, converged=flow.converged & flow.converged.all())


class FlattensItsBatch(WrappedIntegrator):
    def flow(self, metric: Metric, point: Tensor, velocity: Tensor, num_steps: int) -> Flow:
        dim = point.shape[-1]
        return super().flow(metric, point.reshape(-1, dim), velocity.reshape(-1, dim), num_steps)


class ScalesInPlace(WrappedIntegrator):
    def flow(self, metric: Metric, point: Tensor, velocity: Tensor, num_steps: int) -> Flow:
        flow = super().flow(metric, point, velocity, num_steps)
        velocity *= 1.0 / num_steps
        return flow


class UsesTheGlobalGenerator(WrappedIntegrator):
    def flow(self, metric: Metric, point: Tensor, velocity: Tensor, num_steps: int) -> Flow:
        torch.rand(1)
        return super().flow(metric, point, velocity, num_steps)


BROKEN_INTEGRATORS: list[tuple[GeodesicIntegrator, str]] = [
    (ExplicitMidpoint(flipped_force=True), "energy: the energy converges with order"),
    (ExplicitEuler(), r"energy: the energy converges with order (0\.[89]|1\.[01])\d?, must be 2"),
    (StraightLine(), "energy: the energy converges with order"),
    (HalfTheTime(), "straight lines: a geodesic of Euclidean space is not straight"),
    (SpeedOnly(), "end points: the end velocity converges with order"),
    (ClaimsToBeReversible(), "reversal: the start point is missed"),
    (StatesNoJacobian(), "straight lines: log_jacobian in Euclidean space is not 0"),
    (HalfTheJacobian(), "Jacobian: log_jacobian is not that of the map"),
    (AlwaysConverged(), "failures are flagged: a velocity of inf counts as converged"),
    (NeverConverged(), "easy cases are solved: flows are marked as not converged"),
    (OneFailsAllFail(), "failures are flagged: beside a velocity of inf other rows count as failed"),
    (FlattensItsBatch(), "batch shapes: point of one point without batch dimension has shape"),
    (ScalesInPlace(), "no side effects: the velocities passed in are changed"),
    (UsesTheGlobalGenerator(), "no side effects: a global random generator is used"),
]


@pytest.mark.parametrize(("broken", "message"), BROKEN_INTEGRATORS, ids=label)
def test_a_broken_integrator_is_told_what_is_wrong(broken: GeodesicIntegrator, message: str) -> None:
    points = 0.5 * places(2, 6)
    with pytest.raises(AssertionError, match=f"^{message}"):
        check_integrator(broken, random_metric(2, 6, seed=0, regularization=0.1), points)


def test_first_order_is_enough_where_it_is_all_that_is_claimed() -> None:
    check_integrator(ExplicitEuler(), order=1)


def test_starts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=re.escape("points and velocities must both be (n, 2)")):
        check_integrator(ExplicitMidpoint(), points=places(3))
    with pytest.raises(InvalidInputError, match="points are needed to start from, as a SphereMetric"):
        check_integrator(ExplicitMidpoint(), SphereMetric(2))
