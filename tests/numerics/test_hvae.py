"""The HVAE: the RHVAE's flow where space is flat, an unbiased estimate, right gradients."""

import math

import pytest
import torch
from torch import Tensor

from riemaug.geometry import EuclideanMetric, GeneralizedLeapfrog
from riemaug.models import HVAE, VAE, build_model, class_condition
from riemaug.models.dynamics import EuclideanDynamics, MetricDynamics
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


def small_hvae(**changes: object) -> HVAE:
    model = build_model(small_config(kind="hvae", **changes), 3).double()
    assert isinstance(model, HVAE)
    with torch.no_grad():
        model.decoder.logits.weight.mul_(4.0)
    return model


@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("beta", [1.0, 0.09])
def test_it_is_the_rhvae_in_a_euclidean_metric_draw_by_draw(dim: int, beta: float) -> None:
    model = small_hvae(latent_dim=dim, initial_inverse_temperature=beta, leapfrog_step_size=0.2)
    data = unit_data()
    flat = MetricDynamics([(torch.arange(len(data)), EuclideanMetric(dim))], GeneralizedLeapfrog())
    for seed in range(2):
        ours, theirs = (
            model.draw(data, model.encode(data), dynamics, generator(seed))
            for dynamics in (EuclideanDynamics(), flat)
        )
        assert torch.allclose(ours.log_evidence, theirs.log_evidence, atol=1e-10, rtol=0)
        assert torch.allclose(ours.log_likelihood, theirs.log_likelihood, atol=1e-10, rtol=0)
        gap = ours.log_evidence - plain_estimate(model, data, seed)
        assert float(gap.detach().abs().min()) > 1e-6


@pytest.mark.parametrize("changes", [{"leapfrog_step_size": 0.0}, {"num_leapfrog_steps": 0}])
def test_without_motion_it_is_the_plain_estimate(changes: dict) -> None:
    model, data = small_hvae(initial_inverse_temperature=0.09, **changes), unit_data()
    estimate = model.log_evidence_estimate(data, generator(5))
    assert torch.allclose(estimate, plain_estimate(model, data, 5), atol=1e-10, rtol=0)
    assert model.objective(data, generator(5)).failed_steps == 0


def test_the_objective_is_the_estimate_and_its_parts() -> None:
    model, data = small_hvae(), unit_data()
    objective = model.objective(data, generator(2))
    estimate = model.log_evidence_estimate(data, generator(2))
    assert torch.allclose(objective.log_likelihood - objective.divergence, estimate, atol=1e-12)


@pytest.mark.parametrize(("step", "sqrt_beta"), [(0.1, 1.0), (0.1, 0.5), (0.02, 0.3)])
def test_the_evidence_estimate_is_unbiased(step: float, sqrt_beta: float) -> None:
    model = HVAE(small_config(kind="hvae", leapfrog_step_size=step, initial_inverse_temperature=sqrt_beta**2))
    row = use_linear_gaussian(model)
    estimate = model.log_evidence_estimate(row.expand(NUM_DRAWS, -1), generator(1))
    ratio = (estimate - log_evidence(model, row)).exp()
    # 4 standard errors: 6e-5 to fail by chance, were the seed not fixed
    assert abs(z_score(ratio, 1.0)) < 4
    assert float(ratio.std()) / math.sqrt(NUM_DRAWS) < 0.01


def test_the_flow_tightens_the_bound() -> None:
    # on the exact model the gap of the ELBO is KL(q || p): moved draws are nearer to the posterior
    gaps = []
    for step in (0.0, 0.3):
        model = HVAE(small_config(kind="hvae", leapfrog_step_size=step, initial_inverse_temperature=1.0))
        row = use_linear_gaussian(model)
        estimate = model.log_evidence_estimate(row.expand(NUM_DRAWS, -1), generator(1))
        gaps.append(float((log_evidence(model, row) - estimate).mean()))
    assert gaps[0] > 1.2 * gaps[1] > 0


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"likelihood": "gaussian", "likelihood_scale": 0.4, "latent_dim": 3},
        {"likelihood": "gaussian-learned", "initial_inverse_temperature": 1.0},
        {"likelihood": "continuous-bernoulli", "latent_dim": 1},
    ],
    ids=["bernoulli", "gaussian", "learned", "continuous"],
)
def test_the_objective_is_differentiated_rightly_in_every_weight(changes: dict) -> None:
    model, data = small_hvae(**changes), unit_data()
    check_gradients(model, data)
    for name, weight in model.named_parameters():
        assert weight.grad is not None
        assert float(weight.grad.abs().max()) > 1e-6, name


def test_the_decoder_is_told_the_condition_on_the_whole_path() -> None:
    model, data = small_hvae(num_conditions=2), unit_data()
    labels = torch.tensor([0, 1, 0, 0, 1, 1])
    assert check_gradients(model, data, condition=class_condition(labels, 2, dtype=torch.float64)) == 0
    estimates: list[Tensor] = [
        model.log_evidence_estimate(data, generator(0), class_condition(told, 2, dtype=torch.float64))
        for told in (labels, 1 - labels)
    ]
    assert float((estimates[0] - estimates[1]).detach().abs().min()) > 1e-6


def test_its_networks_are_the_vaes() -> None:
    hvae, vae = small_hvae(), VAE(small_config(kind="vae"), 3)
    assert set(hvae.state_dict()) == set(vae.state_dict())
    assert torch.equal(hvae.encoder.mean.weight, vae.encoder.mean.weight.double())
