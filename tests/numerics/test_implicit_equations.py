"""The implicit schemes solve the equations they state: against plain iterations written apart from them."""

import pytest
import torch
from torch import Tensor

from riemaug.geometry import GeneralizedLeapfrog, ImplicitMidpoint, KernelMetric, PhasePoint
from tests.metrics import random_metric

STEP = 0.1


def start(num: int = 5) -> tuple[KernelMetric, Tensor, Tensor]:
    metric = random_metric(2, 8, seed=2, regularization=0.05, spread=0.8)
    generator = torch.Generator().manual_seed(3)
    point = 0.5 * torch.randn(num, 2, generator=generator, dtype=torch.float64)
    velocity = torch.randn(num, 2, generator=generator, dtype=torch.float64)
    return metric, point, metric.momentum_of(point, velocity)


def leapfrog_by_iteration(
    metric: KernelMetric, point: Tensor, momentum: Tensor, iterations: int, frozen: bool = False
) -> tuple[Tensor, Tensor]:
    """One generalised leapfrog step; `frozen` keeps the metric of the start in its second equation."""
    middle = momentum
    for _ in range(iterations):
        middle = momentum - STEP / 2 * metric.kinetic_gradient(point, middle)
    end = point
    for _ in range(iterations):
        there = point if frozen else end
        end = point + STEP / 2 * (metric.velocity_of(point, middle) + metric.velocity_of(there, middle))
    return end, middle - STEP / 2 * metric.kinetic_gradient(end, middle)


def leapfrog(metric: KernelMetric, point: Tensor, momentum: Tensor) -> tuple[Tensor, Tensor]:
    state = PhasePoint(metric.local_geometry(point), momentum, None)
    moved, ok = GeneralizedLeapfrog(tolerance=1e-13).step(metric, state, STEP)
    assert ok.all()
    return moved.position, moved.momentum


def midpoint(metric: KernelMetric, point: Tensor, momentum: Tensor) -> tuple[Tensor, Tensor]:
    state = PhasePoint(metric.local_geometry(point), momentum, None)
    moved, ok = ImplicitMidpoint(tolerance=1e-13).step(metric, state, STEP)
    assert ok.all()
    return moved.position, moved.momentum


def log_jacobian(step, metric: KernelMetric, point: Tensor, momentum: Tensor) -> float:
    """Largest |log det| of a step in (position, momentum), by central differences."""
    size, worst = 1e-5, 0.0
    for state in torch.cat([point, momentum], -1):
        shifts = size * torch.eye(4, dtype=torch.float64)
        ends = [
            torch.cat(step(metric, moved[:, :2], moved[:, 2:]), -1)
            for moved in (state + shifts, state - shifts)
        ]
        worst = max(worst, abs(float(torch.linalg.slogdet((ends[0] - ends[1]) / (2 * size)).logabsdet)))
    return worst


def reversal_error(step, metric: KernelMetric, point: Tensor, momentum: Tensor) -> float:
    end, arrived = step(metric, point, momentum)
    back, returned = step(metric, end, -arrived)
    return max(float((back - point).abs().max()), float((returned + momentum).abs().max()))


def test_the_metric_is_evaluated_anew_where_the_step_ends() -> None:
    metric, point, momentum = start()
    position, arrived = leapfrog(metric, point, momentum)
    gaps = [
        float((leapfrog_by_iteration(metric, point, momentum, n)[0] - position).norm())
        for n in (1, 3, 10, 100)
    ]
    assert gaps[0] > 1e-3 > gaps[1] > gaps[2] > gaps[3]  # each iteration changes the step: a real fixed point
    end, moving = leapfrog_by_iteration(metric, point, momentum, 100)
    torch.testing.assert_close(position, end, rtol=0, atol=1e-12)
    torch.testing.assert_close(arrived, moving, rtol=0, atol=1e-11)
    # with the metric of the start in the second equation there is nothing to iterate and another end
    frozen = leapfrog_by_iteration(metric, point, momentum, 100, frozen=True)[0]
    assert float((frozen - position).norm()) > 1e-3


def test_midpoint_solves_its_equations() -> None:
    metric, point, momentum = start()
    end, arrived = point, momentum
    for _ in range(100):
        middle, moving = (point + end) / 2, (momentum + arrived) / 2
        end = point + STEP * metric.velocity_of(middle, moving)
        arrived = momentum - STEP * metric.kinetic_gradient(middle, moving)
    position, found = midpoint(metric, point, momentum)
    torch.testing.assert_close(position, end, rtol=0, atol=1e-12)
    torch.testing.assert_close(found, arrived, rtol=0, atol=1e-11)


@pytest.mark.slow
def test_steps_preserve_volume_and_come_back_and_one_with_a_frozen_metric_does_neither() -> None:
    metric, point, momentum = start()
    for step in (leapfrog, midpoint):
        assert log_jacobian(step, metric, point, momentum) < 1e-8
        assert reversal_error(step, metric, point, momentum) < 1e-12

    def frozen(metric: KernelMetric, point: Tensor, momentum: Tensor) -> tuple[Tensor, Tensor]:
        return leapfrog_by_iteration(metric, point, momentum, 100, frozen=True)

    assert log_jacobian(frozen, metric, point, momentum) > 1e-3
    assert reversal_error(frozen, metric, point, momentum) > 1e-3
