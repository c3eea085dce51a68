"""Chains whose equations have no solution, that leave the numbers, or that do not come back."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.geometry import (
    ExplicitMidpoint,
    GeneralizedLeapfrog,
    GeodesicIntegrator,
    ImplicitIntegrator,
    ImplicitMidpoint,
    KernelMetric,
    LagrangianLeapfrog,
    Metric,
    PhasePoint,
)
from tests.metrics import PlainKernelMetric, random_metric

IMPLICIT: list[Callable[..., ImplicitIntegrator]] = [GeneralizedLeapfrog, ImplicitMidpoint]
ALL: list[Callable[[], GeodesicIntegrator]] = [ExplicitMidpoint, LagrangianLeapfrog, *IMPLICIT]


def hard_start(num: int, speed: float) -> tuple[KernelMetric, Tensor, Tensor]:
    metric = random_metric(1, 8, seed=1, regularization=0.05, spread=0.8)
    generator = torch.Generator().manual_seed(3)
    point = 0.5 * torch.randn(num, 1, generator=generator, dtype=torch.float64)
    return metric, point, speed * torch.randn(num, 1, generator=generator, dtype=torch.float64)


class CountingMetric(Metric):
    """The same metric, counting the points at which its derivatives are asked for."""

    def __init__(self, inner: KernelMetric) -> None:
        super().__init__()
        self.inner, self.rows = inner, 0

    @property
    def dim(self) -> int:
        return self.inner.dim

    def cometric_matrix(self, point: Tensor) -> Tensor:
        return self.inner.cometric_matrix(point)

    def cometric_derivative(self, point: Tensor) -> Tensor:
        self.rows += len(point)
        return self.inner.cometric_derivative(point)


@pytest.mark.parametrize("make", IMPLICIT)
def test_steps_that_fail_keep_the_position_and_flip_the_momentum(make) -> None:
    metric, point, velocity = hard_start(200, 8.0)
    state = PhasePoint(metric.local_geometry(point), metric.momentum_of(point, velocity), None)
    integrator = make()
    moved, ok = integrator.step(metric, state, 0.5)
    assert 0 < int((~ok).sum()) < 200
    torch.testing.assert_close(moved.position[~ok], state.position[~ok], rtol=0, atol=0)
    torch.testing.assert_close(moved.momentum[~ok], -state.momentum[~ok], rtol=0, atol=0)
    fresh = metric.local_geometry(moved.position)
    torch.testing.assert_close(moved.local.cometric, fresh.cometric, rtol=0, atol=1e-12)
    torch.testing.assert_close(moved.local.derivative, fresh.derivative, rtol=0, atol=1e-12)
    # followed by a flip of the momentum the map is its own inverse, where it failed as well
    again, _ = integrator.step(metric, moved.reversed(), 0.5)
    torch.testing.assert_close(again.position, state.position, rtol=0, atol=1e-6)
    torch.testing.assert_close(-again.momentum[~ok], state.momentum[~ok], rtol=0, atol=0)


@pytest.mark.parametrize("make", IMPLICIT)
def test_a_solved_step_that_does_not_come_back_counts_as_failed(make) -> None:
    metric, point, velocity = hard_start(4000, 12.0)
    state = PhasePoint(metric.local_geometry(point), metric.momentum_of(point, velocity), None)
    forward, solved = make(check_reversal=False).step(metric, state, 0.5)
    back, _ = make(check_reversal=False).step(metric, forward.reversed(), 0.5)
    lost = solved & ((back.position - state.position).abs() > 1e-3)[:, 0]
    assert lost.sum() > 0  # Newton's method found another solution on the way back
    _, ok = make().step(metric, state, 0.5)
    assert not (ok & lost).any()
    assert not (ok & ~solved).any()


def test_a_quadratic_without_a_root_fails_and_more_iterations_do_not_help() -> None:
    # d = 1: the first equation of the leapfrog has a solution exactly when e v (log C)' >= -1
    metric, point, velocity = hard_start(500, 8.0)
    local, step = metric.local_geometry(point), 0.5
    slope = local.derivative[..., 0, 0] / local.cometric[..., 0]
    solvable = (step * velocity * slope >= -1)[:, 0]
    state = PhasePoint(local, metric.momentum_of(point, velocity), None)
    assert 0 < int((~solvable).sum()) < 500
    for max_iterations in (30, 200):
        ok = GeneralizedLeapfrog(max_iterations=max_iterations).step(metric, state, step)[1]
        assert not (ok & ~solvable).any()
    middle, found = GeneralizedLeapfrog(max_iterations=200)._half_momentum(state, 0.5 * step)
    assert torch.equal(found, solvable)
    assert middle.isfinite().all()


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("num", [20, 600])  # above and below the number of rows where solved ones drop out
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, 1e200])
def test_one_lost_chain_does_not_poison_the_others(make, num: int, bad: float) -> None:
    metric = random_metric(2, 8, seed=2, regularization=0.05, spread=0.8)
    generator = torch.Generator().manual_seed(3)
    point = 0.5 * torch.randn(num, 2, generator=generator, dtype=torch.float64)
    velocity = 0.8 * torch.randn(num, 2, generator=generator, dtype=torch.float64)
    expected = make().flow(metric, point, velocity, 4)
    poisoned = velocity.clone()
    poisoned[7, 0] = bad
    flow = make().flow(metric, point, poisoned, 4)
    others = torch.arange(num) != 7
    assert not flow.converged[7]
    assert torch.equal(flow.converged[others], expected.converged[others])
    for name in ("point", "velocity", "log_jacobian"):
        found, wanted = getattr(flow, name)[others], getattr(expected, name)[others]
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("make", IMPLICIT)
def test_chains_that_fail_do_not_slow_the_others(make) -> None:
    metric = random_metric(2, 8, seed=2, regularization=0.05, spread=0.8)
    generator = torch.Generator().manual_seed(3)
    point = 0.5 * torch.randn(1000, 2, generator=generator, dtype=torch.float64)
    velocity = 0.3 * torch.randn(1000, 2, generator=generator, dtype=torch.float64)
    counts, failed = [], []
    for hopeless in (0, 10):
        counting = CountingMetric(metric)
        begun = torch.where((torch.arange(1000) < hopeless)[:, None], 20.0 * velocity, velocity)
        failed.append(int((~make().flow(counting, point, begun, 2).converged).sum()))
        counts.append(counting.rows)
    assert failed[0] == 0
    assert failed[1] >= 5
    assert counts[1] < 2.5 * counts[0]  # all 1,000 at their pace would take over five times as many


@pytest.mark.parametrize("make", ALL)
def test_flows_that_leave_the_numbers_say_so(make) -> None:
    metric, point, velocity = hard_start(5, 1.0)
    assert not make().flow(metric, point, velocity * torch.inf, 2).converged.any()
    assert not make().flow(metric, point * torch.nan, velocity, 2).converged.any()


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("num_steps", [0, -3])
def test_a_flow_needs_a_step(make, num_steps: int) -> None:
    metric, point, velocity = hard_start(1, 1.0)
    with pytest.raises(InvalidInputError, match=f"at least 1 sub-step, got {num_steps}"):
        make().flow(metric, point, velocity, num_steps)


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("batch", [(), (1,), (0,), (2, 3)])
def test_any_leading_dimensions_are_taken(make, batch: tuple[int, ...]) -> None:
    metric = random_metric(2, 4, seed=2)
    generator = torch.Generator().manual_seed(3)
    point = 0.5 * torch.randn(*batch, 2, generator=generator, dtype=torch.float64)
    velocity = 0.3 * torch.randn(*batch, 2, generator=generator, dtype=torch.float64)
    flow = make().flow(metric, point, velocity, 3)
    assert flow.point.shape == flow.velocity.shape == (*batch, 2)
    assert flow.converged.shape == flow.log_jacobian.shape == batch
    flat = make().flow(metric, point.reshape(-1, 2), velocity.reshape(-1, 2), 3)
    torch.testing.assert_close(flow.point.reshape(-1, 2), flat.point, rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize(("dim", "regularization"), [(2, 1e-6), (2, 1.0), (64, 1e-3)])
def test_extreme_metrics_give_finite_flows(make, dim: int, regularization: float) -> None:
    generator = torch.Generator().manual_seed(3)
    centroids = torch.randn(1, dim, generator=generator, dtype=torch.float64).repeat(3, 1)  # coincident
    factors = torch.eye(dim, dtype=torch.float64).repeat(3, 1, 1)
    metric = KernelMetric(centroids, factors, 1.0, regularization)
    far = centroids + torch.tensor([0.1, 0.5, 100.0]).double()[:, None]
    velocity = 0.1 * torch.randn(3, dim, generator=generator, dtype=torch.float64)
    flow = make().flow(metric, far, velocity, 10)
    assert flow.converged.all()
    assert flow.point.isfinite().all()
    torch.testing.assert_close(flow.point[2], far[2] + velocity[2], rtol=0, atol=1e-9)  # flat out there


@pytest.mark.parametrize("make", ALL)
def test_single_precision_agrees_with_double(make) -> None:
    metric = random_metric(2, 8, seed=2, regularization=0.05, spread=0.8)
    generator = torch.Generator().manual_seed(3)
    point = 0.5 * torch.randn(50, 2, generator=generator, dtype=torch.float64)
    velocity = 0.3 * torch.randn(50, 2, generator=generator, dtype=torch.float64)
    expected = make().flow(metric, point, velocity, 5)
    single = KernelMetric(metric.centroids.float(), metric.factors.float(), 0.8, 0.05)
    flow = make().flow(single, point.float(), velocity.float(), 5)
    assert flow.converged.all()
    torch.testing.assert_close(flow.point.double(), expected.point, rtol=0, atol=1e-4)


@pytest.mark.parametrize("make", IMPLICIT)
def test_a_metric_with_one_method_fails_where_the_closed_form_does(make) -> None:
    metric, point, velocity = hard_start(60, 6.0)
    expected = make().flow(metric, point, velocity, 2)
    flow = make().flow(PlainKernelMetric(metric), point, velocity, 2)
    assert 0 < int((~flow.converged).sum()) < 60
    assert torch.equal(flow.converged, expected.converged)
