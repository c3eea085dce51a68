"""What defines a model: its kind, networks and constants; presets of the paper."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Widths = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
"""Widths of the hidden layers, first to last; at least one layer."""

ModelKind = Literal["vae", "rhvae"]
LARGE_DATA_DIM = 10_000
"""From this many features on, the "paper" preset takes the networks of the paper's OASIS column."""


class ModelConfig(BaseModel):
    """Everything needed to build a model but its weights.

    Attributes
    ----------
    kind : "vae" or "rhvae"
    data_dim, latent_dim : int
        D and d.
    encoder_hidden, decoder_hidden, metric_hidden : tuple of int
        Widths of the hidden layers, first to last (paper, Table 5).
    likelihood : "bernoulli" or "gaussian"
    likelihood_scale : float
        Standard deviation of the Gaussian likelihood, data scaled to [0, 1].
    bandwidth, regularization : float
        T and lambda of the kernel metric (paper, Table 4).
    num_leapfrog_steps, leapfrog_step_size : int, float
        K and epsilon of the RHVAE's flow.
    initial_inverse_temperature : float
        beta0 in (0, 1] of the tempering; 1 switches it off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: ModelKind = "rhvae"
    data_dim: int = Field(ge=1)
    latent_dim: int = Field(default=2, ge=1, le=512)
    encoder_hidden: Widths = (400,)
    decoder_hidden: Widths = (400,)
    metric_hidden: Widths = (400,)
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    likelihood_scale: float = Field(default=0.1, gt=0)
    bandwidth: float = Field(default=0.8, gt=0)
    regularization: float = Field(default=1e-3, gt=0)
    num_leapfrog_steps: int = Field(default=3, ge=0)
    leapfrog_step_size: float = Field(default=1e-2, ge=0)
    initial_inverse_temperature: float = Field(default=0.09, gt=0, le=1)

    def num_parameters(self) -> int:
        """Return the number of trainable weights, without building the model."""
        latent, data = self.latent_dim, self.data_dim
        total = _dense((data, *self.encoder_hidden)) + 2 * _dense((self.encoder_hidden[-1], latent))
        total += _dense((latent, *self.decoder_hidden, data))
        if self.kind == "rhvae":
            total += _dense((data, *self.metric_hidden)) + _dense((self.metric_hidden[-1], latent))
            if latent > 1:
                total += _dense((self.metric_hidden[-1], latent * (latent - 1) // 2))
        return total


def paper_model(data_dim: int, kind: ModelKind = "rhvae") -> ModelConfig:
    """Return the paper's networks and constants (Tables 4 and 5) for data of `data_dim` features."""
    if data_dim < LARGE_DATA_DIM:
        return ModelConfig(kind=kind, data_dim=data_dim)
    return ModelConfig(
        kind=kind,
        data_dim=data_dim,
        encoder_hidden=(1000, 400),
        decoder_hidden=(400, 1000),
        regularization=1e-2,
        leapfrog_step_size=1e-3,
    )


def _dense(widths: tuple[int, ...]) -> int:
    """Return the number of weights and biases of dense layers of these widths."""
    return sum((a + 1) * b for a, b in zip(widths[:-1], widths[1:], strict=True))
