"""The VAMP prior: a normalised mixture at pseudo-inputs that start at samples, learn and stay in [0, 1]."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.models import VAMP, Condition, LatentModel, class_condition
from riemaug.models import vamp as vamp_module
from riemaug.random import Stream
from riemaug.samplers import PriorSampler

Build = Callable[..., LatentModel]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def vamp(small_model: Build) -> VAMP:
    model = small_model(kind="vamp", num_pseudo_inputs=4).double()
    assert isinstance(model, VAMP)
    with torch.no_grad():
        model.encoder.mean.weight.mul_(8.0)
    return model


def test_pseudo_inputs_start_at_samples_each_once_before_any_twice(vamp: VAMP, unit_data: Tensor) -> None:
    data = unit_data.double()
    data[:, 0] = torch.tensor([0.0, 1.0]).repeat(5)
    vamp.start_from(data, generator())
    inside = data.clamp(0.01, 0.99)
    distances = torch.cdist(vamp.pseudo_inputs.detach(), inside)
    assert float(distances.min(1).values.max()) < 1e-10
    assert len(distances.argmin(1).unique()) == 4
    vamp.start_from(data[:3], generator())
    counts = torch.cdist(vamp.pseudo_inputs.detach(), inside[:3]).argmin(1).bincount()
    assert sorted(counts.tolist()) == [1, 1, 2]
    kept = vamp.pseudo_inputs.detach().clone()
    vamp.start_from(data[:3], generator(1))
    assert not torch.equal(vamp.pseudo_inputs.detach(), kept)


def test_pseudo_inputs_learn_and_stay_in_range(vamp: VAMP, unit_data: Tensor) -> None:
    data = unit_data.double()
    vamp.start_from(data, generator())
    start = vamp.pseudo_inputs.detach().clone()
    optimizer = torch.optim.Adam(vamp.parameters(), lr=0.5)
    values = []
    for epoch in range(40):
        objective = vamp.objective(data, generator(epoch))
        optimizer.zero_grad()
        objective.loss().backward()
        optimizer.step()
        values.append(float(objective.elbo.detach()))
    learned = vamp.pseudo_inputs.detach()
    assert float((learned - start).abs().max()) > 0.05
    assert 0.0 <= float(learned.min()) <= float(learned.max()) <= 1.0
    assert values[-1] > values[0]


def test_the_prior_is_the_equal_mixture_of_the_posteriors(vamp: VAMP) -> None:
    latent = torch.randn(6, 2, generator=generator(1), dtype=torch.float64)
    mean, log_variance = vamp.encoder(vamp.pseudo_inputs)
    each = torch.distributions.Normal(mean, (0.5 * log_variance).exp()).log_prob(latent[:, None]).sum(-1)
    assert torch.allclose(vamp.prior_log_prob(latent), each.logsumexp(1) - math.log(4.0))


def test_the_prior_integrates_to_one(vamp: VAMP) -> None:
    axis = torch.linspace(-25, 25, 400, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    mass = vamp.prior_log_prob(grid).exp().sum() * (axis[1] - axis[0]) ** 2
    assert float(mass.detach()) == pytest.approx(1.0, abs=1e-6)


def test_a_sample_that_is_the_lone_pseudo_input_has_no_divergence(
    small_model: Build, unit_data: Tensor
) -> None:
    model = small_model(kind="vamp", num_pseudo_inputs=1).double()
    assert isinstance(model, VAMP)
    row = unit_data[:1].double().clamp(0.01, 0.99)
    model.start_from(row, generator())
    objective = model.objective(row.expand(5, -1), generator(2))
    assert float(objective.divergence.detach().abs().max()) < 1e-10
    other = model.objective(1.0 - row, generator(2))
    assert float(other.divergence.detach().abs().max()) > 1e-4


def test_equal_pseudo_inputs_are_as_good_as_one(small_model: Build, unit_data: Tensor) -> None:
    models = [small_model(kind="vamp", num_pseudo_inputs=count).double() for count in (1, 7)]
    data, values = unit_data.double(), []
    for model in models:
        assert isinstance(model, VAMP)
        model.start_from(data[:1], generator())
        values.append(model.objective(data, generator(3)).divergence.detach())
    assert torch.allclose(*values, atol=1e-12)


def test_of_a_conditional_model_each_class_has_its_own_prior(small_model: Build, unit_data: Tensor) -> None:
    model = small_model(kind="vamp", num_pseudo_inputs=3, num_conditions=2).double()
    assert isinstance(model, VAMP)
    with torch.no_grad():
        model.encoder.trunk.hidden[0].weight[:, -2:].mul_(20.0)
    told = class_condition(torch.tensor([0, 1, 1, 0, 1]), 2, dtype=torch.float64)
    latent = torch.randn(5, 2, generator=generator(1), dtype=torch.float64)
    mixed = model.prior_log_prob(latent, told)
    for row in range(5):
        alone = model.prior_log_prob(latent[row : row + 1], told[row : row + 1])
        assert torch.allclose(mixed[row], alone[0])
    swapped = Condition(told.features.flip(1), 1 - told.group)
    assert float((model.prior_log_prob(latent, swapped) - mixed).detach().abs().min()) > 1e-4
    model.objective(unit_data[:5].double(), generator(), told).loss().backward()
    assert model.raw_pseudo_inputs.grad is not None
    assert float(model.raw_pseudo_inputs.grad.abs().max()) > 0


def test_all_conditions_of_a_batch_pass_the_encoder_together(
    small_model: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model(kind="vamp", num_pseudo_inputs=3, num_conditions=2).double()
    told = Condition(torch.rand(6, 2, generator=generator(2)).double(), torch.zeros(6, dtype=torch.int64))
    latent, seen = torch.randn(6, 2, generator=generator(1), dtype=torch.float64), []
    model.encoder.register_forward_hook(lambda module, inputs, outputs: seen.append(len(inputs[0])))
    together = model.prior_log_prob(latent, told)
    assert seen == [18]
    monkeypatch.setattr(vamp_module, "NUMBERS_AT_ONCE", 2 * 3 * 12)
    assert torch.allclose(model.prior_log_prob(latent, told), together)
    assert seen == [18, 6, 6, 6]


def test_its_sampler_draws_from_the_learned_prior(vamp: VAMP) -> None:
    components = vamp.prior_components()
    sampler = PriorSampler(2, components.mean, components.log_variance)
    draws = sampler.sample(20_000, 0)
    assert torch.allclose(draws.log_density, vamp.prior_log_prob(draws.points).detach())
    mean = components.mean.detach()
    variance = components.log_variance.detach().exp().mean(0) + mean.var(0, correction=0)
    errors = (variance / 20_000).sqrt()
    # 5 standard errors: 1e-6 to fail by chance, were the seed not fixed
    assert bool(((draws.points.mean(0) - mean.mean(0)).abs() < 5 * errors).all())
    assert draws.points.var(0).tolist() == pytest.approx(variance.tolist(), rel=0.1)
    assert bool((draws.origin == -1).all())


def test_the_standard_prior_is_a_mixture_of_one() -> None:
    plain = PriorSampler(3).sample(50, Stream(4))
    same = PriorSampler(3, torch.zeros(1, 3), torch.zeros(1, 3)).sample(50, Stream(4))
    assert torch.equal(plain.points, same.points)
    reference = torch.distributions.Normal(0.0, 1.0).log_prob(plain.points).sum(1)
    assert torch.allclose(plain.log_density, reference)


def test_a_mixture_must_be_whole() -> None:
    with pytest.raises(InvalidInputError, match="one of them is missing"):
        PriorSampler(2, torch.zeros(3, 2))
    with pytest.raises(InvalidInputError, match=r"of shape \(K, 2\), got shape \(3, 1\)"):
        PriorSampler(2, torch.zeros(3, 1), torch.zeros(3, 1))
    with pytest.raises(InvalidInputError, match="must be finite"):
        PriorSampler(2, torch.full((3, 2), torch.nan), torch.zeros(3, 2))
