"""The compiled flow of the RHVAE: the reference's numbers and gradients, unit Jacobian, reversal, groups."""

import math

import pytest
import torch
from torch import Tensor

from riemaug.geometry import GeneralizedLeapfrog, KernelMetric
from riemaug.geometry.kernel_leapfrog import PackedKernels, can_compile_leapfrog
from riemaug.models import RHVAE, class_condition
from riemaug.models import rhvae as rhvae_module
from riemaug.models.condition import Condition
from riemaug.models.dynamics import KernelDynamics, MetricDynamics
from riemaug.models.flow import Dynamics, PathEnd, PathLikelihood, Schedule
from tests.numerics.flow_cases import check_gradients, generator, small_config

NUM_ROWS, DATA_DIM = 6, 4
BANDWIDTH, REGULARIZATION = 0.9, 0.02


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def kernels(dim: int, num: int = 7) -> tuple[Tensor, Tensor]:
    factors = 0.3 * normal(num, dim, dim, seed=4).tril(-1) + 0.8 * torch.eye(dim).double()
    return 0.5 * normal(num, dim, seed=3), factors


def likelihood_of(dim: int, num_rows: int = NUM_ROWS) -> PathLikelihood:
    model = RHVAE(small_config(latent_dim=dim, metric_hidden=(3,)), 3).double()
    data = torch.rand(1, DATA_DIM, generator=generator(1), dtype=torch.float64)
    return PathLikelihood(model, data.expand(num_rows, -1))


def both(
    centroids: Tensor, factors: Tensor, num_rows: int = NUM_ROWS, check: bool = False
) -> tuple[Dynamics, Dynamics]:
    """The compiled flow and the reference."""
    packed = PackedKernels.of(centroids, factors, BANDWIDTH, REGULARIZATION, num_rows)
    metric = KernelMetric(centroids, factors, BANDWIDTH, REGULARIZATION)
    integrator = GeneralizedLeapfrog(check_reversal=check)
    parts = [(torch.arange(num_rows), metric)]
    return KernelDynamics(packed, check_reversal=check), MetricDynamics(parts, integrator)


def flowed(dynamics: Dynamics, schedule: Schedule, start: Tensor, noise: Tensor) -> PathEnd:
    path = likelihood_of(start.shape[1], len(start))
    return dynamics.run(schedule, path.begin(start), noise, path)


@pytest.mark.parametrize("dim", [1, 2, 3, 6])
@pytest.mark.parametrize("num_steps", [0, 1, 3])
def test_compiled_and_reference_agree_in_values_and_gradients(dim: int, num_steps: int) -> None:
    schedule = Schedule(num_steps, 0.1, 0.3)
    numbers, slopes = [], []
    for index in range(2):
        centroids, factors = (tensor.requires_grad_() for tensor in kernels(dim))
        start = (0.5 * normal(NUM_ROWS, dim, seed=5)).requires_grad_()
        end = flowed(both(centroids, factors)[index], schedule, start, normal(NUM_ROWS, dim, seed=6))
        assert end.failed_steps == 0
        total = (end.position.square().sum(1) + end.momentum_terms + end.momentum.sum(1)).sin()
        numbers.append((end.position, end.momentum, end.momentum_terms))
        given = torch.autograd.grad(total.sum(), [start, centroids, factors], allow_unused=True)
        slopes.append([torch.zeros(()) if slope is None else slope for slope in given])
    for ours, theirs in zip(*numbers, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-9, rtol=0)
    for ours, theirs in zip(*slopes, strict=True):
        # the reference's factors have gradients above the diagonal, too, where they are always zero
        gap = (ours - theirs).tril() if ours.ndim == 3 else ours - theirs
        assert float(gap.abs().max()) < 1e-9
    assert float(slopes[0][2].abs().max()) > 1e-3


@pytest.mark.parametrize("check", [False, True])
def test_the_same_steps_fail(check: bool) -> None:
    centroids, factors = kernels(2)
    start, noise = normal(300, 2, seed=5), normal(300, 2, seed=6)
    ends = [
        flowed(dynamics, Schedule(2, 1.2, 1.0), start, noise)
        for dynamics in both(centroids, 2.0 * factors, 300, check)
    ]
    assert 10 < ends[0].failed_steps < 590
    assert ends[0].failed_steps == ends[1].failed_steps
    for ours, theirs in ((ends[0].position, ends[1].position), (ends[0].momentum, ends[1].momentum)):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_checking_the_reversal_finds_more_failures() -> None:
    centroids, factors = kernels(2)
    start, noise = normal(300, 2, seed=5), normal(300, 2, seed=6)
    failed = [
        flowed(
            both(centroids, 2.0 * factors, 300, check)[0], Schedule(1, 1.2, 1.0), start, noise
        ).failed_steps
        for check in (False, True)
    ]
    assert failed[0] < failed[1]


def test_a_failed_step_keeps_the_position_and_flips_the_momentum() -> None:
    centroids, factors = kernels(2)
    start, noise = normal(300, 2, seed=5), normal(300, 2, seed=6)
    dynamics, _ = both(centroids, 2.0 * factors, 300)
    before, after = (flowed(dynamics, Schedule(num, 1.2, 1.0), start, noise) for num in (0, 1))
    held = (after.position == start).all(1)
    assert int(held.sum()) == after.failed_steps > 0
    assert torch.allclose(after.momentum[held], -before.momentum[held], atol=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 4])
@pytest.mark.parametrize("beta", [1.0, 0.3])
def test_the_log_jacobian_of_the_tempered_flow_is_half_d_log_beta0(dim: int, beta: float) -> None:
    dynamics, _ = both(*kernels(dim), num_rows=4 * dim + 1)
    start, noise, width = 0.5 * normal(1, dim, seed=5), normal(1, dim, seed=6), 1e-4

    def jacobian(num_steps: int) -> Tensor:
        """d (z_K, rho_K) / d (z_0, gamma), by central differences; with K = 0 that of the momentum's law."""
        shifts = width * torch.eye(2 * dim, dtype=torch.float64)
        shifts = torch.cat([shifts, -shifts, torch.zeros(1, 2 * dim)])
        end = flowed(
            dynamics, Schedule(num_steps, 0.15, beta), start + shifts[:, :dim], noise + shifts[:, dim:]
        )
        assert end.failed_steps == 0
        state = torch.cat([end.position, end.momentum], 1).detach()
        return (state[: 2 * dim] - state[2 * dim : -1]) / (2 * width)

    # without steps the momentum is not tempered at all: factor 1, not 1/sqrt(beta0)
    law = jacobian(0).slogdet().logabsdet - 0.5 * dim * math.log(beta)
    flow = jacobian(3).slogdet().logabsdet - law
    assert float(flow) == pytest.approx(0.5 * dim * math.log(beta), abs=1e-6)


@pytest.mark.parametrize("dim", [1, 2, 4])
def test_the_flow_runs_backwards(dim: int) -> None:
    centroids, factors = kernels(dim)
    dynamics, _ = both(centroids, factors)
    start, noise = 0.5 * normal(NUM_ROWS, dim, seed=5), normal(NUM_ROWS, dim, seed=6)
    there = flowed(dynamics, Schedule(3, 0.15, 1.0), start, noise)
    metric = KernelMetric(centroids, factors, BANDWIDTH, REGULARIZATION)
    flipped = (metric.cometric_factor(there.position).mT @ -there.momentum[..., None])[..., 0].detach()
    back = flowed(dynamics, Schedule(3, 0.15, 1.0), there.position, flipped)
    begun = flowed(dynamics, Schedule(0, 0.15, 1.0), start, noise)
    assert float((there.position - start).detach().abs().min()) > 1e-4
    assert torch.allclose(back.position, start, atol=1e-9)
    assert torch.allclose(back.momentum, -begun.momentum, atol=1e-9)


def test_rows_that_are_not_finite_fail_alone() -> None:
    dynamics, _ = both(*kernels(2))
    start, noise = 0.5 * normal(NUM_ROWS, 2, seed=5), normal(NUM_ROWS, 2, seed=6)
    broken = start.clone()
    broken[2] = math.nan
    whole, ill = (flowed(dynamics, Schedule(3, 0.1, 0.3), begin, noise) for begin in (start, broken))
    others = torch.arange(NUM_ROWS) != 2
    assert torch.equal(whole.position[others], ill.position[others])
    assert ill.failed_steps == 3


def conditional(dim: int = 2) -> tuple[RHVAE, Tensor, Condition]:
    """A float64 model of two classes whose samples alternate, the second class half as large."""
    model = RHVAE(small_config(num_conditions=2, latent_dim=dim), 3).double()
    with torch.no_grad():
        model.encoder.mean.weight.mul_(4.0)
        model.decoder.logits.weight.mul_(4.0)
    data = torch.rand(9, DATA_DIM, generator=generator(1), dtype=torch.float64)
    labels = torch.tensor([0, 1, 0, 0, 1, 0, 1, 0, 0])
    return model, data, class_condition(labels, 2, dtype=torch.float64)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_with_groups_compiled_and_reference_agree(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, data, condition = conditional(dim)
    monkeypatch.setattr(rhvae_module, "TRAINING_TOLERANCE", 1e-12)
    results = []
    for compiled in (True, False):
        if not compiled:
            monkeypatch.setattr(rhvae_module, "can_compile_leapfrog", lambda _: False)
        model.zero_grad()
        objective = model.objective(data, generator(2), condition)
        objective.elbo.backward()
        slopes = torch.cat(
            [weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]
        )
        results.append((objective.log_likelihood, objective.divergence, slopes))
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-9, rtol=0)


def test_stored_metrics_of_groups_give_the_reference_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    model, data, condition = conditional()
    for group in (0, 1):
        rows = condition.group == group
        model.build_metric(data[rows], condition[rows])
    ours = model.log_evidence_estimate(data, generator(2), condition)
    monkeypatch.setattr(rhvae_module, "can_compile_leapfrog", lambda _: False)
    theirs = model.log_evidence_estimate(data, generator(2), condition)
    assert torch.allclose(ours, theirs, atol=1e-8, rtol=0)


def test_the_objective_with_groups_is_differentiated_rightly_in_every_weight() -> None:
    model, data, condition = conditional()
    assert check_gradients(model, data, condition=condition) == 0
    for name, weight in model.named_parameters():
        assert weight.grad is not None
        assert float(weight.grad.abs().max()) > 1e-6, name


def test_a_sample_does_not_see_the_kernels_of_other_groups() -> None:
    model, data, condition = conditional()
    changed = data.clone()
    other = condition.group == 1
    changed[other] = 1.0 - data[other]
    first, second = (model.objective(rows, generator(2), condition) for rows in (data, changed))
    same = first.divergence == second.divergence
    assert torch.equal(same, ~other)


def test_what_is_left_to_the_reference() -> None:
    assert can_compile_leapfrog(torch.zeros(3, 16))
    assert not can_compile_leapfrog(torch.zeros(3, 17))
    assert not can_compile_leapfrog(torch.zeros(10**4, 2))
    assert not can_compile_leapfrog(torch.zeros(3, 2, device="meta"))


def test_a_batch_may_see_the_kernels_of_a_larger_one() -> None:
    # as where several processes share a batch: each has some rows, all have all kernels
    centroids, factors = kernels(2)
    start, noise = 0.5 * normal(NUM_ROWS, 2, seed=5), normal(NUM_ROWS, 2, seed=6)
    schedule = Schedule(3, 0.1, 0.3)
    whole = flowed(both(centroids, factors)[0], schedule, start, noise)
    part = flowed(both(centroids, factors, num_rows=2)[0], schedule, start[:2], noise[:2])
    assert torch.allclose(part.position, whole.position[:2], atol=1e-12)
    model, data, condition = conditional()
    kernels_of_all = model.kernels_of(data, condition=condition)
    rows, told = data[:4], condition[:4]
    objective = model.objective_in_metric(rows, model.encode(rows, told), kernels_of_all, generator(2), told)
    assert objective.log_likelihood.shape == (4,)
    objective.elbo.backward()
    # the rows' own kernels and those of the other rows: every sample's factors have a part in the metric
    assert model.metric_network.log_diagonal.weight.grad is not None
