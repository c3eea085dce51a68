"""Order, reversal, Jacobian, failures and derivatives of the geodesic integrators, in float64."""

import pytest
import torch
from torch import Tensor

from riemaug.geometry import (
    ExplicitMidpoint,
    GeneralizedLeapfrog,
    GeodesicIntegrator,
    ImplicitIntegrator,
    ImplicitMidpoint,
    KernelMetric,
    LagrangianLeapfrog,
    LocalGeometry,
    PhasePoint,
    exp,
    shoot,
)
from riemaug.geometry.reference import PoincareBallMetric, SphereMetric
from tests.metrics import PlainKernelMetric, random_metric

IMPLICIT: list[ImplicitIntegrator] = [GeneralizedLeapfrog(tolerance=1e-13), ImplicitMidpoint(tolerance=1e-13)]
REVERSIBLE = [LagrangianLeapfrog(), *IMPLICIT]
ALL = [ExplicitMidpoint(), *REVERSIBLE]


def label(integrator: GeodesicIntegrator) -> str:
    return type(integrator).__name__


def start(dim: int, num: int = 6, scale: float = 0.4) -> tuple[KernelMetric, Tensor, Tensor]:
    metric = random_metric(dim, 8, seed=dim, regularization=0.05, spread=0.8)
    generator = torch.Generator().manual_seed(3)
    point = 0.5 * torch.randn(num, dim, generator=generator, dtype=torch.float64)
    velocity = scale * torch.randn(num, dim, generator=generator, dtype=torch.float64)
    return metric, point, velocity


def energy(metric: KernelMetric, point: Tensor, velocity: Tensor) -> Tensor:
    return 0.5 * metric.inner_product(velocity, velocity, point)


@pytest.mark.parametrize("integrator", ALL, ids=label)
def test_energy_error_is_of_second_order(integrator: GeodesicIntegrator) -> None:
    metric, point, velocity = start(2)
    errors = []
    for num_steps in (10, 20):
        flow = integrator.flow(metric, point, velocity, num_steps)
        assert flow.converged.all()
        errors.append(
            float((energy(metric, flow.point, flow.velocity) - energy(metric, point, velocity)).abs().mean())
        )
    assert 3.3 < errors[0] / errors[1] < 9.0  # at least order 2: RK2 gains a third order in the energy


@pytest.mark.parametrize("integrator", ALL, ids=label)
def test_end_points_converge_with_second_order(integrator: GeodesicIntegrator) -> None:
    metric, point, velocity = start(3)
    exact = LagrangianLeapfrog().flow(metric, point, velocity, 320).point
    first, second = (
        float((integrator.flow(metric, point, velocity, n).point - exact).norm()) for n in (8, 16)
    )
    assert 3.4 < first / second < 5.0


@pytest.mark.parametrize("integrator", ALL, ids=label)
@pytest.mark.parametrize("space", [SphereMetric(2), PoincareBallMetric(2)], ids=["sphere", "ball"])
def test_flows_tend_to_the_closed_form(
    space: SphereMetric | PoincareBallMetric, integrator: GeodesicIntegrator
) -> None:
    _, point, velocity = start(2)
    base, tangent = 0.4 * point, 0.5 * velocity
    exact = space.exp_exact(tangent, base)
    first, second = (float((integrator.flow(space, base, tangent, n).point - exact).norm()) for n in (10, 20))
    assert second < 1e-3
    assert 3.4 < first / second < 5.0


def test_the_flipped_force_of_the_published_code_does_not_conserve_energy() -> None:
    metric, point, velocity = start(2)
    errors = []
    for num_steps in (20, 40):
        flow = ExplicitMidpoint(flipped_force=True).flow(metric, point, velocity, num_steps)
        assert flow.converged.all()
        change = energy(metric, flow.point, flow.velocity) - energy(metric, point, velocity)
        errors.append(float(change.abs().mean()))
    assert errors[0] > 1e-2
    assert 0.95 < errors[0] / errors[1] < 1.05  # no number of steps helps: the path is no geodesic


@pytest.mark.parametrize("integrator", REVERSIBLE, ids=label)
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_flow_comes_back_with_the_velocity_reversed(integrator: GeodesicIntegrator, dim: int) -> None:
    metric, point, velocity = start(dim)
    there = integrator.flow(metric, point, velocity, 5)
    back = integrator.flow(metric, there.point, -there.velocity, 5)
    assert (there.converged & back.converged).all()
    torch.testing.assert_close(back.point, point, rtol=0, atol=1e-11)
    torch.testing.assert_close(back.velocity, -velocity, rtol=0, atol=1e-11)
    torch.testing.assert_close(back.log_jacobian, -there.log_jacobian, rtol=0, atol=1e-10)


def test_explicit_midpoint_does_not_come_back() -> None:
    metric, point, velocity = start(2)
    there = ExplicitMidpoint().flow(metric, point, velocity, 5)
    back = ExplicitMidpoint().flow(metric, there.point, -there.velocity, 5)
    assert float((back.point - point).abs().max()) > 1e-5


@pytest.mark.parametrize("integrator", REVERSIBLE, ids=label)
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_claimed_jacobian_is_that_of_the_map(integrator: GeodesicIntegrator, dim: int) -> None:
    metric, point, velocity = start(dim, num=1)
    state, size = torch.cat([point, velocity], -1)[0], 1e-5

    def carry(states: Tensor) -> Tensor:
        flow = integrator.flow(metric, states[:, :dim], states[:, dim:], 3)
        return torch.cat([flow.point, flow.velocity], -1)

    shifts = size * torch.eye(2 * dim, dtype=torch.float64)
    columns = (carry(state + shifts) - carry(state - shifts)) / (2 * size)
    claimed = integrator.flow(metric, point, velocity, 3).log_jacobian[0]
    torch.testing.assert_close(torch.linalg.slogdet(columns).logabsdet, claimed, rtol=0, atol=1e-7)


def test_lagrangian_jacobian_tends_to_that_of_the_exact_flow() -> None:
    metric, point, velocity = start(2)
    flow = LagrangianLeapfrog().flow(metric, point, velocity, 400)
    expected = 2.0 * (metric.log_density(flow.point) - metric.log_density(point))
    torch.testing.assert_close(flow.log_jacobian, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("integrator", ALL, ids=label)
def test_closed_forms_and_autograd_give_one_flow(integrator: GeodesicIntegrator) -> None:
    metric, point, velocity = start(2)
    expected = integrator.flow(PlainKernelMetric(metric), point, velocity, 4).point
    torch.testing.assert_close(
        integrator.flow(metric, point, velocity, 4).point, expected, rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("integrator", ALL, ids=label)
def test_geodesics_of_a_constant_metric_are_straight(integrator: GeodesicIntegrator) -> None:
    factors = torch.zeros(1, 2, 2, dtype=torch.float64)
    metric = KernelMetric(torch.zeros(1, 2, dtype=torch.float64), factors, 1.0, 0.3)
    _, point, velocity = start(2)
    torch.testing.assert_close(exp(metric, velocity, point, integrator, 3).point, point + velocity)


def test_shoot_passes_through_the_exponential_map() -> None:
    metric, point, velocity = start(2)
    path = shoot(metric, velocity, point, num_steps=400, num_points=11)
    assert path.shape == (11, 6, 2)
    torch.testing.assert_close(path[0], point)
    torch.testing.assert_close(path[-1], exp(metric, velocity, point, num_steps=400).point, rtol=0, atol=1e-4)


def quadratic_force(local: LocalGeometry) -> Tensor:
    return 0.7 * local.point


def two_steps(
    integrator: ImplicitIntegrator, with_force: bool, metric: KernelMetric, state: PhasePoint
) -> PhasePoint:
    for _ in range(2):
        if isinstance(integrator, GeneralizedLeapfrog) and with_force:
            state, ok = integrator.step(metric, state, 0.3, quadratic_force)
        else:
            state, ok = integrator.step(metric, state, 0.3)
        assert ok.all()
    return state


@pytest.mark.parametrize(
    ("integrator", "with_force"), [(IMPLICIT[0], False), (IMPLICIT[0], True), (IMPLICIT[1], False)]
)
def test_implicit_derivatives_equal_finite_differences(
    integrator: ImplicitIntegrator, with_force: bool
) -> None:
    metric, point, velocity = start(2, num=2)
    momentum = metric.momentum_of(point, velocity)

    def end(scale: Tensor) -> Tensor:
        changed = KernelMetric(metric.centroids * scale, metric.factors * scale, 0.8, 0.05)
        local = changed.local_geometry(point * scale)
        begin = PhasePoint(local, momentum * scale, quadratic_force(local) if with_force else None)
        state = two_steps(integrator, with_force, changed, begin)
        return (state.position * torch.tensor([1.0, 2.0])).sum() + state.momentum.sum()

    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(end(scale), scale)
    size = 1e-6
    with torch.no_grad():
        difference = (end(scale + size) - end(scale - size)) / (2 * size)
    torch.testing.assert_close(gradient, difference, rtol=1e-6, atol=1e-7)


def test_flows_that_leave_the_numbers_say_so() -> None:
    metric, point, velocity = start(2)
    flow = LagrangianLeapfrog().flow(metric, point, velocity * torch.inf, 2)
    assert not flow.converged.any()
