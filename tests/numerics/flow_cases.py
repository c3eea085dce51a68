"""Small models with a flow, one of them exactly solvable, and checks of their objective; not a test."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from riemaug.models import Condition, ModelConfig
from riemaug.models.flow import FlowModel
from riemaug.models.likelihoods import Likelihood
from riemaug.models.networks import Decoder


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


def plain_estimate(model: FlowModel, data: Tensor, seed: int) -> Tensor:
    """log p(x|z) + log p(z) - log q(z|x) by torch.distributions, from the flow's first noise."""
    normal = torch.distributions.Normal
    mean, log_variance = model.encoder(data)
    noise = torch.randn(mean.shape, generator=generator(seed), dtype=data.dtype)
    deviation = (0.5 * log_variance).exp()
    latent = mean + deviation * noise
    posterior = normal(mean, deviation).log_prob(latent).sum(-1)
    prior = normal(0.0, 1.0).log_prob(latent).sum(-1)
    return model.likelihood.log_prob(model.decoder(latent), data) + prior - posterior


class LinearDecoder(Decoder):
    """W z + b, in place of the perceptron; W's columns are orthogonal, so the true posterior is diagonal."""

    weight: Tensor
    bias: Tensor

    def __init__(self) -> None:
        super().__init__()
        basis = torch.linalg.qr(torch.randn(4, 2, generator=generator(7), dtype=torch.float64)).Q
        self.register_buffer("weight", basis * torch.tensor([1.5, 0.8]))
        self.register_buffer("bias", torch.tensor([0.1, -0.3, 0.2, 0.5], dtype=torch.float64))

    def forward(self, latent: Tensor, features: Tensor | None = None) -> Tensor:
        return latent @ self.weight.T + self.bias

    def forward_with_pullback(
        self, latent: Tensor, features: Tensor | None = None
    ) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
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

    def forward(self, data: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mean = (data - self.bias) @ self.gain.T + 0.1
        return mean, (1.3 * self.covariance.diagonal()).log().expand_as(mean)


def use_linear_gaussian(model: FlowModel) -> Tensor:
    """Make the model z ~ N(0, I), x = W z + b + s noise, with a wide posterior; return one row of data."""
    decoder, likelihood = LinearDecoder(), IdentityGaussian()
    model.decoder, model.likelihood = decoder, likelihood
    model.encoder = ShiftedEncoder(decoder, likelihood.scale)
    return torch.tensor([[1.0, -0.5, 0.3, 0.8]], dtype=torch.float64)


def log_evidence(model: FlowModel, row: Tensor) -> Tensor:
    weight, scale = model.decoder.weight, model.likelihood.scale
    covariance = weight @ weight.T + scale**2 * torch.eye(4).double()
    law = torch.distributions.MultivariateNormal(model.decoder.bias, covariance)
    return law.log_prob(row).squeeze()


def check_gradients(
    model: FlowModel, data: Tensor, tolerance: float = 1e-6, condition: Condition | None = None
) -> int:
    """Compare each weight's slope along a random direction with central differences; return failed steps."""
    objective = model.objective(data, generator(6), condition)
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
                values.append(float(model.objective(data, generator(6), condition).elbo.detach()))
        slope = (values[0] - values[1]) / (2 * step)
        scale = max(1.0, float(gradient.norm() * direction.norm()))
        assert float((gradient * direction).sum()) == pytest.approx(slope, abs=tolerance * scale), name
    return objective.failed_steps
