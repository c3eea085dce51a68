"""The RHVAE's evidence estimate: unbiased, equal to the VAE's without a flow, and rightly differentiated."""

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from riemaug.geometry import GeneralizedLeapfrog, KernelMetric
from riemaug.models import RHVAE, VAE, ModelConfig
from riemaug.models.likelihoods import Likelihood
from riemaug.parallel import one_thread
from tests.metrics import random_metric
from tests.statistics.checks import z_score

NUM_DRAWS = 20_000


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small_config(**changes: object) -> ModelConfig:
    values: dict = {
        "data_dim": 4,
        "latent_dim": 2,
        "encoder_hidden": (6,),
        "decoder_hidden": (6, 5),
        "metric_hidden": (6,),
        "leapfrog_step_size": 0.05,
        "initial_inverse_temperature": 0.25,
    }
    return ModelConfig(**(values | changes))


def unit_data(num: int = 6, dim: int = 4) -> Tensor:
    return torch.rand(num, dim, generator=generator(1), dtype=torch.float64)


def small_rhvae(**changes: object) -> RHVAE:
    """A float64 RHVAE with a stored metric and encodings far enough apart for its kernels to differ."""
    model = RHVAE(small_config(**changes), 3).double()
    with torch.no_grad():
        model.encoder.mean.weight.mul_(4.0)
        model.decoder.logits.weight.mul_(4.0)
    model.build_metric(unit_data())
    return model


def plain_estimate(model: RHVAE, data: Tensor, seed: int) -> Tensor:
    """log p(x|z) + log p(z) - log q(z|x) by torch.distributions, from the flow's first noise."""
    normal = torch.distributions.Normal
    mean, log_variance = model.encoder(data)
    noise = torch.randn(mean.shape, generator=generator(seed), dtype=data.dtype)
    deviation = (0.5 * log_variance).exp()
    latent = mean + deviation * noise
    posterior = normal(mean, deviation).log_prob(latent).sum(-1)
    prior = normal(0.0, 1.0).log_prob(latent).sum(-1)
    return model.likelihood.log_prob(model.decoder(latent), data) + prior - posterior


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


# an exactly solvable model: z ~ N(0, I), x = W z + b + s noise


class LinearDecoder(nn.Module):
    """W z + b, in place of the perceptron; W's columns are orthogonal, so the true posterior is diagonal."""

    weight: Tensor
    bias: Tensor

    def __init__(self) -> None:
        super().__init__()
        basis = torch.linalg.qr(torch.randn(4, 2, generator=generator(7), dtype=torch.float64)).Q
        self.register_buffer("weight", basis * torch.tensor([1.5, 0.8]))
        self.register_buffer("bias", torch.tensor([0.1, -0.3, 0.2, 0.5], dtype=torch.float64))

    def forward(self, latent: Tensor) -> Tensor:
        return latent @ self.weight.T + self.bias

    def forward_with_pullback(self, latent: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        return self(latent), lambda cotangent: cotangent @ self.weight


class IdentityGaussian(Likelihood):
    """N(a, s^2 I): the decoder's output is the mean itself."""

    scale = 0.9

    def log_prob(self, logits: Tensor, target: Tensor) -> Tensor:
        return torch.distributions.Normal(logits, self.scale).log_prob(target).sum(-1)

    def score(self, logits: Tensor, target: Tensor) -> Tensor:
        return (target - logits) / self.scale**2

    def mean(self, logits: Tensor) -> Tensor:
        return logits


class ShiftedEncoder(nn.Module):
    """The true posterior mean, shifted, with a variance that is wide enough for finite weights."""

    def __init__(self, decoder: LinearDecoder, scale: float) -> None:
        super().__init__()
        precision = torch.eye(2).double() + decoder.weight.T @ decoder.weight / scale**2
        self.covariance = precision.inverse()
        self.gain = self.covariance @ decoder.weight.T / scale**2
        self.bias = decoder.bias

    def forward(self, data: Tensor) -> tuple[Tensor, Tensor]:
        mean = (data - self.bias) @ self.gain.T + 0.1
        return mean, (1.3 * self.covariance.diagonal()).log().expand_as(mean)


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
    decoder, likelihood = LinearDecoder(), IdentityGaussian()
    model.decoder, model.likelihood = decoder, likelihood
    model.encoder = ShiftedEncoder(decoder, likelihood.scale)
    metric = random_metric(2, 6, seed=2)
    model.metric = KernelMetric(metric.centroids, stretch * metric.factors, 0.8, 0.01)
    return model, torch.tensor([[1.0, -0.5, 0.3, 0.8]], dtype=torch.float64)


def log_evidence(model: RHVAE, row: Tensor) -> Tensor:
    weight, scale = model.decoder.weight, model.likelihood.scale
    covariance = weight @ weight.T + scale**2 * torch.eye(4).double()
    law = torch.distributions.MultivariateNormal(model.decoder.bias, covariance)
    return law.log_prob(row).squeeze()


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
    draw = model._flow(data, model.encode(data), metric_of(model), GeneralizedLeapfrog(), generator(0))
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


def check_gradients(model: RHVAE, data: Tensor, tolerance: float = 1e-6) -> int:
    """Compare each weight's slope along a random direction with central differences; return failed steps."""
    objective = model.objective(data, generator(6))
    objective.elbo.backward()
    directions, step = generator(8), 1e-6
    for name, weight in model.named_parameters():
        gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
        direction = torch.randn(weight.shape, generator=directions, dtype=weight.dtype)
        values = []
        for shift in (step, -2 * step, step):
            with torch.no_grad():
                weight.add_(shift * direction)
            # with gradients on: only then the implicit equations are solved to rounding
            if len(values) < 2:
                values.append(float(model.objective(data, generator(6)).elbo.detach()))
        slope = (values[0] - values[1]) / (2 * step)
        scale = max(1.0, float(gradient.norm() * direction.norm()))
        assert float((gradient * direction).sum()) == pytest.approx(slope, abs=tolerance * scale), name
    return objective.failed_steps


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
