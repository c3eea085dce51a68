"""Observation laws: densities with their constants, and scores that are their gradients."""

import math

import pytest
import torch
from torch.nn import functional

from riemaug.errors import InvalidInputError
from riemaug.models.likelihoods import Bernoulli, Gaussian, Likelihood, make_likelihood

LAWS = [Bernoulli(), Gaussian(0.1), Gaussian(0.37)]


def logits_and_target() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 3.0 * torch.randn(4, 3, 5, generator=generator, dtype=torch.float64)
    return logits, torch.rand(4, 3, 5, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("law", LAWS)
def test_the_score_is_the_gradient_of_the_log_density(law: Likelihood) -> None:
    logits, target = logits_and_target()
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(law.log_prob(logits, target).sum(), logits)
    assert torch.allclose(law.score(logits, target), gradient, atol=1e-12)
    assert float(gradient.abs().min()) > 0


def test_gaussian_is_the_normal_density_with_its_constant() -> None:
    logits, target = logits_and_target()
    reference = torch.distributions.Normal(torch.sigmoid(logits), 0.37).log_prob(target).sum(-1)
    assert torch.allclose(Gaussian(0.37).log_prob(logits, target), reference, rtol=1e-13)


def test_a_perfect_reconstruction_has_a_density_above_one() -> None:
    # 58.8 nats of constant for 64 features at unit scale are missing where this is 0
    logits = torch.zeros(64, dtype=torch.float64)
    target = torch.full((64,), 0.5, dtype=torch.float64)
    expected = 64 * (math.log(10.0) - 0.5 * math.log(2 * math.pi))
    assert float(Gaussian(0.1).log_prob(logits, target)) == pytest.approx(expected, rel=1e-14)
    assert expected > 0
    assert float(Gaussian(1.0).log_prob(logits, target)) == pytest.approx(-58.81, abs=0.01)


def test_bernoulli_is_minus_the_cross_entropy() -> None:
    logits, target = logits_and_target()
    reference = -functional.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(-1)
    assert torch.allclose(Bernoulli().log_prob(logits, target), reference)


@pytest.mark.parametrize("law", LAWS)
def test_extreme_logits_stay_finite(law: Likelihood) -> None:
    logits = torch.tensor([1e4, -1e4, 200.0, 0.0])
    target = torch.tensor([0.0, 1.0, 1.0, 0.5])
    assert law.log_prob(logits, target).isfinite()
    assert law.score(logits, target).isfinite().all()
    assert law.mean(logits).tolist() == [1.0, 0.0, 1.0, 0.5]


def test_names_give_laws() -> None:
    assert isinstance(make_likelihood("bernoulli"), Bernoulli)
    gaussian = make_likelihood("gaussian", 0.2)
    assert isinstance(gaussian, Gaussian)
    assert gaussian.scale == 0.2
    with pytest.raises(InvalidInputError, match="must be one of bernoulli, gaussian, got 'poisson'"):
        make_likelihood("poisson")


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan])
def test_the_scale_must_be_positive(scale: float) -> None:
    with pytest.raises(InvalidInputError, match="must be positive"):
        Gaussian(scale)
