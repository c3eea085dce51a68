"""The RHVAE's evidence estimate: unbiased, equal to the VAE's without a flow, and rightly differentiated."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from riemaug.geometry import KernelMetric
from riemaug.models import RHVAE, VAE
from riemaug.parallel import one_thread
from tests.metrics import random_metric
from tests.numerics.flow_cases import (
    check_gradients,
    generator,
    log_evidence,
    plain_estimate,
    small_config,
    unit_data,
    use_linear_gaussian,
)
from tests.statistics.checks import z_score

NUM_DRAWS = 20_000


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def small_rhvae(**changes: object) -> RHVAE:
    """A float64 RHVAE with a stored metric and encodings far enough apart for its kernels to differ."""
    model = RHVAE(small_config(**changes), 3).double()
    with torch.no_grad():
        model.encoder.mean.weight.mul_(4.0)
        model.decoder.logits.weight.mul_(4.0)
    model.build_metric(unit_data())
    return model


@pytest.mark.parametrize("beta", [1.0, 0.25, 0.09])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_without_motion_it_is_the_plain_estimate_draw_by_draw(beta: float, dim: int) -> None:
    model = small_rhvae(leapfrog_step_size=0.0, initial_inverse_temperature=beta, latent_dim=dim)
    data = unit_data()
    for seed in range(3):
        estimate = model.log_evidence_estimate(data, generator(seed))
        assert torch.allclose(estimate, plain_estimate(model, data, seed), atol=1e-10, rtol=0)


def test_without_steps_it_is_the_plain_estimate_whatever_the_temperature() -> None:
    model = small_rhvae(num_leapfrog_steps=0, initial_inverse_temperature=0.09)
    data = unit_data()
    estimate = model.log_evidence_estimate(data, generator(5))
    assert torch.allclose(estimate, plain_estimate(model, data, 5), atol=1e-10, rtol=0)
    assert model.objective(data, generator(5)).failed_steps == 0


def test_motion_changes_the_estimate() -> None:
    model, data = small_rhvae(leapfrog_step_size=0.05), unit_data()
    gap = model.log_evidence_estimate(data, generator(0)) - plain_estimate(model, data, 0)
    assert float(gap.detach().abs().min()) > 1e-6


def test_in_training_the_estimate_is_the_same_formula_under_the_metric_of_the_batch() -> None:
    model, data = small_rhvae(), unit_data()
    batch = data[:4]
    objective = model.objective(batch, generator(2))
    model.build_metric(batch)
    estimate = model.log_evidence_estimate(batch, generator(2))
    assert float(objective.elbo.detach()) == pytest.approx(float(estimate.detach().mean()), abs=1e-9)


def test_rhvae_and_vae_agree_on_the_importance_weighted_bound_without_motion() -> None:
    rhvae = small_rhvae(leapfrog_step_size=0.0)
    vae = VAE(small_config(kind="vae"), 3).double()
    vae.encoder.load_state_dict(rhvae.encoder.state_dict())
    vae.decoder.load_state_dict(rhvae.decoder.state_dict())
    # one draw: the same first noise, so the same number; many: both near log p(x)
    data = unit_data(1)
    one = rhvae.importance_weighted_bound(data, 1, generator(4))
    assert torch.allclose(one, vae.importance_weighted_bound(data, 1, generator(4)), atol=1e-10)
    many = data.expand(20_000, -1)
    bounds = [
        torch.logsumexp(model.log_evidence_estimate(many, generator(9)).detach(), 0) for model in (rhvae, vae)
    ]
    assert abs(float(bounds[0] - bounds[1])) < 0.05


def test_the_importance_weighted_bound_tightens() -> None:
    model, row = linear_gaussian(0.1, 1.0)
    truth = log_evidence(model, row)
    data = row.expand(3000, -1)
    gaps = [truth - model.importance_weighted_bound(data, num, generator(num)).mean() for num in (1, 3, 10)]
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2]
    assert abs(gaps[2]) < 0.01


def linear_gaussian(
    step: float, sqrt_beta: float, num_steps: int = 3, stretch: float = 1.0
) -> tuple[RHVAE, Tensor]:
    """The exact model and one row of data; `stretch` lengthens the metric's factors until steps fail."""
    model = RHVAE(
        small_config(
            leapfrog_step_size=step,
            initial_inverse_temperature=sqrt_beta**2,
            num_leapfrog_steps=num_steps,
        )
    )
    row = use_linear_gaussian(model)
    metric = random_metric(2, 6, seed=2)
    model.metric = KernelMetric(metric.centroids, stretch * metric.factors, 0.8, 0.01)
    return model, row


def metric_of(model: RHVAE) -> KernelMetric:
    assert model.metric is not None
    return model.metric


@pytest.mark.parametrize(
    ("step", "sqrt_beta", "stretch"), [(0.1, 1.0, 1.0), (0.1, 0.5, 1.0), (0.02, 0.3, 1.0), (0.1, 1.0, 3.0)]
)
def test_the_evidence_estimate_is_unbiased(step: float, sqrt_beta: float, stretch: float) -> None:
    model, row = linear_gaussian(step, sqrt_beta, stretch=stretch)
    data = row.expand(NUM_DRAWS, -1)
    estimate = model.log_evidence_estimate(data, generator(1))
    ratio = (estimate - log_evidence(model, row)).exp()
    # 4 standard errors: 6e-5 to fail by chance, were the seed not fixed
    assert abs(z_score(ratio, 1.0)) < 4
    assert float(ratio.std()) / math.sqrt(NUM_DRAWS) < 0.01


@pytest.mark.parametrize(("step", "least", "most"), [(0.01, 0.0, 0.0), (0.1, 0.02, 0.05)])
def test_failed_steps_are_counted_and_keep_the_position(step: float, least: float, most: float) -> None:
    model, row = linear_gaussian(step, 1.0, num_steps=1, stretch=5.0)
    data = row.expand(10_000, -1)
    dynamics = model._stored_dynamics(data, None)
    draw = model.draw(data, model.encode(data), dynamics, generator(0))
    assert least <= draw.failed_steps / len(data) <= most
    # a lone step that failed leaves the position, so there the estimate is the plain one
    gap = draw.log_evidence - plain_estimate(model, data, 0)
    assert int((gap.abs() < 1e-12).sum()) == draw.failed_steps
    assert draw.log_evidence.isfinite().all()


def test_untempered_motion_changes_the_estimate_by_the_energy_error_alone() -> None:
    # second order in the step: any other force than the gradient of the potential leaves order one or less
    gaps = []
    for num_steps in (4, 8, 16):
        model, row = linear_gaussian(0.4 / num_steps, 1.0, num_steps)
        data = row.expand(500, -1)
        gap = model.log_evidence_estimate(data, generator(0)) - plain_estimate(model, data, 0)
        gaps.append(float(gap.abs().median()))
    assert gaps[0] / gaps[1] == pytest.approx(4.0, rel=0.1)
    assert gaps[1] / gaps[2] == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize("sqrt_beta", [1.0, 0.5])
def test_the_known_wrong_estimates_would_be_caught(sqrt_beta: float) -> None:
    model, row = linear_gaussian(0.1, sqrt_beta)
    data = row.expand(NUM_DRAWS, -1)
    estimate = model.log_evidence_estimate(data, generator(1)) - log_evidence(model, row)
    mean, log_variance = model.encoder(data)
    noise = torch.randn(mean.shape, generator=generator(1), dtype=torch.float64)
    start = mean + (0.5 * log_variance).exp() * noise
    no_start_volume = estimate + metric_of(model).log_density(start)
    assert abs(z_score(no_start_volume.exp(), 1.0)) > 20
    if sqrt_beta < 1:
        tempered_twice = estimate - 2 * math.log(sqrt_beta)
        assert z_score(tempered_twice.exp(), 1.0) > 20


# gradients


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"likelihood": "gaussian", "likelihood_scale": 0.4, "latent_dim": 3},
        {"latent_dim": 1, "initial_inverse_temperature": 1.0},
    ],
    ids=["bernoulli-2d", "gaussian-3d", "untempered-1d"],
)
def test_the_objective_is_differentiated_rightly_in_every_weight(changes: dict) -> None:
    model, data = small_rhvae(**changes), unit_data()
    check_gradients(model, data)
    for name, weight in model.named_parameters():
        assert weight.grad is not None
        assert float(weight.grad.abs().max()) > 1e-6, name


def test_without_steps_the_metric_has_no_gradient() -> None:
    model, data = small_rhvae(num_leapfrog_steps=0), unit_data()
    check_gradients(model, data)
    for weight in model.metric_network.parameters():
        assert weight.grad is None or float(weight.grad.abs().max()) < 1e-12


def test_failed_steps_leave_finite_and_right_gradients() -> None:
    model, data = small_rhvae(leapfrog_step_size=1.5, num_leapfrog_steps=1), unit_data()
    assert 0 < check_gradients(model, data, tolerance=1e-5) < 6
