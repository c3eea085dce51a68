"""Where the four models must agree: without motion, on one p(x), and in the order of their bounds."""

import math
from collections.abc import Iterator

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from riemaug.models import RHVAE, VAMP, LatentModel, ModelConfig, build_model, class_condition, conv_model
from riemaug.models.config import ModelKind
from riemaug.models.factory import KINDS
from riemaug.models.likelihoods import LIKELIHOODS
from riemaug.parallel import one_thread

ALL_KINDS = sorted(KINDS)
FLOWS = [kind for kind in ALL_KINDS if kind.endswith("hvae")]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def unit_data(num: int = 6, dim: int = 4) -> Tensor:
    return torch.rand(num, dim, generator=generator(1), dtype=torch.float64)


def small_model(kind: ModelKind, **changes: object) -> LatentModel:
    """A float64 model of four features, with a metric if it has one, and encodings that differ."""
    values: dict = {
        "kind": kind,
        "data_dim": 4,
        "encoder_hidden": (6,),
        "decoder_hidden": (6, 5),
        "metric_hidden": (6,),
        "leapfrog_step_size": 0.05,
        "initial_inverse_temperature": 0.25,
        "num_pseudo_inputs": 3,
    }
    model = build_model(ModelConfig(**(values | changes)), 3).double()
    with torch.no_grad():
        model.encoder.mean.weight.mul_(4.0)
        model.decoder.logits.weight.mul_(4.0)
    model.start_from(unit_data(), generator())
    if isinstance(model, RHVAE) and model.config.num_conditions == 0:
        model.build_metric(unit_data())
    return model


def reference_estimate(model: LatentModel, data: Tensor, seed: int) -> Tensor:
    """log p(x|z) + log p(z) - log q(z|x) by torch.distributions, from the first noise drawn."""
    law, normal = torch.distributions, torch.distributions.Normal
    mean, log_variance = model.encoder(data)
    noise = torch.randn(mean.shape, generator=generator(seed), dtype=data.dtype)
    deviation = (0.5 * log_variance).exp()
    latent = mean + deviation * noise
    prior: torch.distributions.Distribution = law.Independent(normal(torch.zeros_like(mean), 1.0), 1)
    if isinstance(model, VAMP):
        centre, spread = model.encoder(model.pseudo_inputs)
        parts = law.Independent(normal(centre, (0.5 * spread).exp()), 1)
        prior = law.MixtureSameFamily(law.Categorical(torch.ones(len(centre)).double()), parts)
    posterior = normal(mean, deviation).log_prob(latent).sum(-1)
    return model.likelihood.log_prob(model.decoder(latent), data) + prior.log_prob(latent) - posterior


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_plain_estimate_is_that_of_the_textbook(kind: ModelKind, dim: int) -> None:
    model, data = small_model(kind, latent_dim=dim), unit_data()
    estimate = model.plain_evidence_estimate(data, generator(4))
    assert torch.allclose(estimate, reference_estimate(model, data, 4), atol=1e-10, rtol=0)


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize(
    "still", [{"leapfrog_step_size": 0.0}, {"num_leapfrog_steps": 0}], ids=["no size", "no steps"]
)
@pytest.mark.parametrize("beta", [1.0, 0.09])
def test_without_motion_all_estimates_are_plain_draw_by_draw(
    kind: ModelKind, still: dict, beta: float
) -> None:
    model = small_model(kind, initial_inverse_temperature=beta, **still)
    data = unit_data()
    for seed in range(3):
        own = model.log_evidence_estimate(data, generator(seed))
        plain = model.plain_evidence_estimate(data, generator(seed))
        assert torch.allclose(own, plain, atol=1e-10, rtol=0)
    bounds = [
        model.importance_weighted_bound(data[:1], 1, generator(5), plain=plain) for plain in (False, True)
    ]
    assert torch.allclose(*bounds, atol=1e-10)


@pytest.mark.parametrize("kind", FLOWS)
def test_with_motion_they_differ(kind: ModelKind) -> None:
    model, data = small_model(kind), unit_data()
    own = model.log_evidence_estimate(data, generator(0))
    gap = own - model.plain_evidence_estimate(data, generator(0))
    assert float(gap.detach().abs().min()) > 1e-6


def test_a_vamp_whose_mixture_is_standard_normal_is_a_vae() -> None:
    models = [small_model(kind, num_pseudo_inputs=1) for kind in ("vae", "vamp")]
    for model in models:
        for layer in (model.encoder.mean, model.encoder.log_variance):
            with torch.no_grad():
                layer.weight.zero_()
                layer.bias.zero_()
    data = unit_data()
    estimates = [model.log_evidence_estimate(data, generator(0)) for model in models]
    assert torch.allclose(*estimates, atol=1e-12)
    elbos = [float(model.objective(data, generator(0)).elbo.detach()) for model in models]
    assert elbos[0] == pytest.approx(elbos[1], abs=1e-12)


def log_evidence_by_quadrature(model: LatentModel, data: Tensor) -> Tensor:
    """log of the integral of p(x|z) p(z) over a fine grid of a two-dimensional latent space."""
    axis = torch.linspace(-8.0, 8.0, 321, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        logits, prior = model.decoder(grid), model.prior_log_prob(grid)
        cell = 2 * math.log(float(axis[1] - axis[0]))
        rows = [
            torch.logsumexp(model.likelihood.log_prob(logits, row.expand_as(logits)) + prior, 0)
            for row in data
        ]
    return torch.stack(rows) + cell


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_many_samples_come_to_the_integral_over_the_latent_space(kind: ModelKind) -> None:
    model, data = small_model(kind, initial_inverse_temperature=0.5), unit_data()
    with torch.no_grad():
        # a proposal narrower than the prior has weights without a variance
        model.encoder.log_variance.bias.add_(0.8)
    truth = log_evidence_by_quadrature(model, data)
    assert float(truth.std()) > 0.01
    many = [
        model.importance_weighted_bound(data, 10_000, generator(1), plain=plain) for plain in (False, True)
    ]
    # the standard error is about 0.005, by the spread of the weights
    for estimate in many:
        assert torch.allclose(estimate, truth, atol=0.03)
    loss = model.negative_log_likelihood(data, 10_000, generator(1))
    assert torch.equal(loss, -many[0])


def test_models_of_one_decoder_have_one_evidence() -> None:
    models = [small_model(kind) for kind in ALL_KINDS if kind != "vamp"]
    truths = [log_evidence_by_quadrature(model, unit_data()) for model in models]
    assert all(torch.allclose(truth, truths[0]) for truth in truths[1:])


@pytest.mark.slow
def test_estimates_take_rows_and_samples_in_any_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = small_model("vae", num_conditions=2), unit_data(7)
    told = class_condition(torch.tensor([0, 1, 1, 0, 1, 0, 0]), 2, dtype=torch.float64)
    whole = model.importance_weighted_bound(data, 4_000, generator(0), told)
    for at_once in (4, 12, 64):
        monkeypatch.setattr("riemaug.models.base.NUMBERS_AT_ONCE", at_once * 4)
        parts = model.importance_weighted_bound(data, 1_000, generator(0), told, plain=True)
        assert torch.allclose(parts, whole, atol=0.1)
    assert (
        float((whole - model.importance_weighted_bound(data.flip(0), 1_000, generator(0), told)).std()) > 0.1
    )


# real digits


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    """Give 60 images of threes to train on and 15 others."""
    images, labels = load_digits(return_X_y=True)
    threes = torch.tensor(images[labels == 3][:75] / 16.0, dtype=torch.float32)
    return threes[:60], threes[60:]


def trained(kind: ModelKind, data: Tensor) -> LatentModel:
    hidden = {"encoder_hidden": (48,), "decoder_hidden": (48,), "metric_hidden": (16,)}
    model = build_model(ModelConfig(kind=kind, data_dim=64, num_pseudo_inputs=5, **hidden), 0)
    model.start_from(data, generator())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for epoch in range(200):
        optimizer.zero_grad()
        model.objective(data, generator(epoch)).loss().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
    model.eval()
    if isinstance(model, RHVAE):
        model.build_metric(data)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALL_KINDS)
def test_on_real_digits_the_bounds_are_in_order(kind: ModelKind, digits: tuple[Tensor, Tensor]) -> None:
    train, held_out = digits
    model = trained(kind, train)
    with torch.no_grad():
        draws = torch.stack([model.log_evidence_estimate(held_out, generator(seed)) for seed in range(100)])
        elbo, spread = draws.mean(0), draws.std(0) / 10.0
        ten = torch.stack(
            [model.importance_weighted_bound(held_out, 10, generator(seed)) for seed in range(10)]
        )
    bound = ten.mean(0)
    best = model.importance_weighted_bound(held_out, 5_000, generator(0))
    assert bool((elbo - 3 * spread < bound).all())
    assert bool((bound < best + 3 * ten.std(0) / math.sqrt(10.0)).all())
    assert float(elbo.mean()) < float(bound.mean()) < float(best.mean())
    # the encoder's proposal, without the flow, estimates the same p(x)
    plain = model.importance_weighted_bound(held_out, 5_000, generator(1), plain=True)
    assert float((plain - best).mean()) == pytest.approx(0.0, abs=0.2)


# gradients


def check_gradients(model: LatentModel, data: Tensor, condition: object = None) -> None:
    """Compare each weight's slope along a random direction with central differences."""
    model.objective(data, generator(6), condition).loss(0.7).backward()
    directions, step = generator(8), 1e-6
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        direction = torch.randn(weight.shape, generator=directions, dtype=weight.dtype)
        values = []
        for shift in (step, -2 * step):
            with torch.no_grad():
                weight.add_(shift * direction)
            values.append(float(model.objective(data, generator(6), condition).loss(0.7).detach()))
        with torch.no_grad():
            weight.add_(step * direction)
        slope = (values[0] - values[1]) / (2 * step)
        scale = max(1.0, float(weight.grad.norm() * direction.norm()))
        assert float((weight.grad * direction).sum()) == pytest.approx(slope, abs=1e-6 * scale), name
        assert float(weight.grad.abs().max()) > 1e-8, name


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_losses_are_differentiated_rightly_in_every_weight(kind: ModelKind, likelihood: str) -> None:
    check_gradients(small_model(kind, likelihood=likelihood, likelihood_scale=0.4), unit_data())


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_so_are_those_of_convolutions_and_of_conditional_models(kind: ModelKind) -> None:
    config = conv_model((9, 8), kind=kind, num_conditions=2)
    config = config.model_copy(
        update={"conv_channels": 2, "encoder_hidden": (5,), "decoder_hidden": (5,), "metric_hidden": (4,)}
    )
    told = class_condition(torch.tensor([0, 1, 1, 0, 0]), 2, dtype=torch.float64)
    check_gradients(build_model(config, 1).double(), unit_data(5, 72), told)
