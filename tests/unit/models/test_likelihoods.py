"""Observation laws: densities with their constants, and scores that are their gradients."""

import copy
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from riemaug.errors import InvalidInputError
from riemaug.models.continuous_bernoulli import log_normalizer, truncated_mean
from riemaug.models.likelihoods import (
    LIKELIHOODS,
    Bernoulli,
    ContinuousBernoulli,
    Gaussian,
    LearnedGaussian,
    Likelihood,
    make_likelihood,
)

LAWS = [Bernoulli(), ContinuousBernoulli(), Gaussian(0.1), Gaussian(0.37), LearnedGaussian(0.2).double()]
NATURAL = [0.0, 1e-9, -1e-4, 0.3, -0.999, 1.001, 2.5, -7.0, 30.0, -40.0]
"""Logits on both sides of where the series of the continuous Bernoulli law ends."""


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
    law = copy.deepcopy(law).float()
    assert law.log_prob(logits, target).isfinite()
    assert law.score(logits, target).isfinite().all()
    # the continuous Bernoulli law comes near 1 like 1 - 1/a
    assert law.mean(logits).tolist() == pytest.approx([1.0, 0.0, 1.0, 0.5], abs=0.0051)
    assert 0.0 <= float(law.mean(logits).min()) <= float(law.mean(logits).max()) <= 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_far_out_the_score_has_the_right_slope(name: str, dtype: torch.dtype) -> None:
    # a flow differentiates the score; a variance of x (or nothing, of a saturated law) is its slope
    size = torch.tensor([1e2, 3e2, 1e3, 1e4], dtype=dtype)
    logits = torch.cat([size, -size]).requires_grad_()
    law, target = make_likelihood(name).to(dtype), torch.linspace(0.0, 1.0, 8, dtype=dtype)
    (slope,) = torch.autograd.grad(law.score(logits, target).sum(), logits)
    expected = -(logits.detach() ** -2) if name == "continuous-bernoulli" else torch.zeros_like(slope)
    torch.testing.assert_close(slope, expected, rtol=1e-5, atol=1e-30)
    (first,) = torch.autograd.grad(law.log_prob(logits, target), logits, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), logits)
    torch.testing.assert_close(second, expected, rtol=1e-5, atol=1e-30)


def quadrature(low: float, high: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Nodes and weights of the Gauss-Legendre rule, in ten panels."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    edges = np.linspace(low, high, 11)
    half = np.diff(edges)[:, None] / 2
    places = edges[:-1, None] + half * (nodes + 1)
    return torch.tensor(places.ravel()), torch.tensor((half * weights).ravel())


def density_on(law: Likelihood, logit: float, places: torch.Tensor) -> torch.Tensor:
    """The density of one feature."""
    logits = torch.full((len(places), 1), logit, dtype=torch.float64)
    return law.log_prob(logits, places[:, None]).detach().exp()


@pytest.mark.parametrize("logit", NATURAL)
def test_the_continuous_bernoulli_density_integrates_to_one_and_has_the_stated_mean(logit: float) -> None:
    law, (places, weights) = ContinuousBernoulli(), quadrature(0.0, 1.0)
    density = density_on(law, logit, places)
    assert float(weights @ density) == pytest.approx(1.0, abs=1e-13)
    mean = float(law.mean(torch.tensor([logit], dtype=torch.float64)))
    assert float(weights @ (density * places)) == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize("law", [Gaussian(0.3), LearnedGaussian(0.3).double()])
@pytest.mark.parametrize("logit", [-2.0, 0.0, 5.0])
def test_the_gaussian_density_integrates_to_one_and_has_the_stated_mean(
    law: Likelihood, logit: float
) -> None:
    places, weights = quadrature(-3.0, 4.0)
    density = density_on(law, logit, places)
    assert float(weights @ density) == pytest.approx(1.0, abs=1e-12)
    mean = float(law.mean(torch.tensor([logit], dtype=torch.float64)))
    assert float(weights @ (density * places)) == pytest.approx(mean, abs=1e-12)


def test_bernoulli_probabilities_sum_to_one() -> None:
    logits = torch.tensor([[-3.0], [0.4]], dtype=torch.float64)
    both = [Bernoulli().log_prob(logits, torch.full_like(logits, value)).exp() for value in (0.0, 1.0)]
    assert torch.allclose(both[0] + both[1], torch.ones(2).double())
    assert torch.allclose(both[1], Bernoulli().mean(logits)[:, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_normaliser_and_the_mean_are_accurate_where_series_and_closed_form_meet(
    dtype: torch.dtype,
) -> None:
    logits = torch.tensor([*NATURAL, 0.9999, -0.9999, 1.0, -1.0, 3e-4], dtype=torch.float64)
    rounding = 20 * torch.finfo(dtype).eps
    normalizers, means = log_normalizer(logits.to(dtype)).double(), truncated_mean(logits.to(dtype)).double()
    places, weights = quadrature(0.0, 1.0)
    for logit, normalizer, mean in zip(logits.to(dtype).double(), normalizers, means, strict=True):
        powers = (logit * places - logit.clamp_min(0)).exp() * weights
        reference = powers.sum().log() + logit.clamp_min(0)
        assert float(normalizer) == pytest.approx(float(reference), abs=rounding * (1 + abs(float(logit))))
        assert float(mean) == pytest.approx(float((powers * places).sum() / powers.sum()), abs=rounding)


def test_the_mean_is_the_slope_of_the_normaliser_to_the_second_derivative() -> None:
    logits = torch.tensor(NATURAL, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(log_normalizer(logits).sum(), logits, create_graph=True)
    assert torch.allclose(slope, truncated_mean(logits), atol=1e-14)
    (curvature,) = torch.autograd.grad(slope.sum(), logits)
    (variance,) = torch.autograd.grad(truncated_mean(logits).sum(), logits)
    assert torch.allclose(curvature, variance, atol=1e-13)
    assert float(variance[0]) == pytest.approx(1 / 12)
    assert float(variance.min()) > 0


def test_the_learned_scale_comes_to_that_of_the_data_and_starts_where_told() -> None:
    law = LearnedGaussian(0.1)
    assert float(law.log_scale.detach().exp()) == pytest.approx(0.1)
    noise = 0.3 * torch.randn(200, 50, generator=torch.Generator().manual_seed(0))
    logits, target = torch.zeros(200, 50), 0.5 + noise
    optimizer = torch.optim.Adam(law.parameters(), lr=1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        (-law.log_prob(logits, target).mean()).backward()
        optimizer.step()
    assert float(law.log_scale.detach().exp()) == pytest.approx(float(noise.square().mean().sqrt()), rel=0.02)


def test_the_learned_scale_has_a_floor_and_a_ceiling() -> None:
    law = LearnedGaussian(0.1)
    for value, bound in ((-1e3, law.LEAST_SCALE), (1e3, law.MOST_SCALE)):
        with torch.no_grad():
            law.raw_scale.fill_(value)
        assert float(law.log_scale.detach().exp()) == pytest.approx(bound)
    assert float(LearnedGaussian(1e-6).log_scale.detach().exp()) < 1.1 * LearnedGaussian.LEAST_SCALE


def test_names_give_laws() -> None:
    kinds = (Bernoulli, ContinuousBernoulli, Gaussian, LearnedGaussian)
    assert tuple(type(make_likelihood(name, 0.2)) for name in LIKELIHOODS) == kinds
    gaussian = make_likelihood("gaussian", 0.2)
    assert isinstance(gaussian, Gaussian)
    assert gaussian.scale == 0.2
    with pytest.raises(InvalidInputError, match="must be one of bernoulli, .*, got 'poisson'"):
        make_likelihood("poisson")


@pytest.mark.parametrize("law", [Gaussian, LearnedGaussian])
@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan])
def test_the_scale_must_be_positive(law: type[Gaussian | LearnedGaussian], scale: float) -> None:
    with pytest.raises(InvalidInputError, match="must be positive"):
        law(scale)
