"""What defines a model: its kind, networks and constants; presets of the paper."""

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Widths = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
"""Widths of the hidden layers, first to last; at least one layer."""

ModelKind = Literal["vae", "vamp", "hvae", "rhvae"]
LikelihoodName = Literal["bernoulli", "continuous-bernoulli", "gaussian", "gaussian-learned"]
NetworkKind = Literal["mlp", "conv", "custom"]
LARGE_DATA_DIM = 10_000
"""From this many features on, the "paper" preset takes the networks of the paper's OASIS column."""

LEAST_BANDWIDTH, MOST_BANDWIDTH = 1e-6, 1e6
LEAST_REGULARIZATION, MOST_REGULARIZATION = 1e-12, 1e6
"""Beyond, squares and determinants of the metric leave the numbers that float64 tells apart."""

_LARGE_DATA: dict[str, Any] = {"regularization": 1e-2, "leapfrog_step_size": 1e-3}
"""What the paper changes for its large images (Table 4)."""
_CONV_CHANNELS = ((4096, 32), (16_384, 16), (math.inf, 8))
"""Channels of the first convolution for data of at most so many features: its cost grows with both."""


class ModelConfig(BaseModel):
    """Everything needed to build a model but its weights.

    Attributes
    ----------
    kind : "vae", "vamp", "hvae" or "rhvae"
    data_dim, latent_dim : int
        D and d.
    network : "mlp", "conv" or "custom"
        Dense layers, convolutions, or a pair of modules that the user gives.
    encoder_hidden, decoder_hidden, metric_hidden : tuple of int
        Widths of the hidden layers, first to last (paper, Table 5); of "conv" the dense layer takes the
        last width of the encoder.
    data_shape : tuple of int
        Shape of one sample, product D; needed by "conv".
    channel_axis : int, optional
        Which axis of `data_shape` holds channels; None for grey images and volumes.
    conv_channels : int
        Channels of the first convolution.
    dense_decoder : bool
        Of "conv": the decoder has dense layers nevertheless, encoder and metric network convolutions.
    num_conditions : int
        c, features of the condition that encoder, decoder and metric network see; 0 for none.
    likelihood : "bernoulli", "continuous-bernoulli", "gaussian" or "gaussian-learned"
    likelihood_scale : float
        Standard deviation of the Gaussian likelihood, data scaled to [0, 1]; where it is learned, the
        first value.
    num_pseudo_inputs : int
        Components of the VAMP prior.
    bandwidth, regularization : float
        T and lambda of the kernel metric (paper, Table 4).
    bandwidth_factor : float, optional
        Once trained, T becomes this many median distances of a centroid to the nearest other one of its
        class; None keeps it.
    num_leapfrog_steps, leapfrog_step_size : int, float
        K and epsilon of the flow of HVAE and RHVAE.
    initial_inverse_temperature : float
        beta0 in (0, 1] of the tempering; 1 switches it off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: ModelKind = "rhvae"
    data_dim: int = Field(ge=1)
    latent_dim: int = Field(default=2, ge=1, le=512)
    network: NetworkKind = "mlp"
    encoder_hidden: Widths = (400,)
    decoder_hidden: Widths = (400,)
    metric_hidden: Widths = (400,)
    data_shape: tuple[Annotated[int, Field(ge=1)], ...] = ()
    channel_axis: int | None = None
    dense_decoder: bool = False
    conv_channels: int = Field(default=32, ge=1, le=1024)
    num_conditions: int = Field(default=0, ge=0)
    likelihood: LikelihoodName = "bernoulli"
    likelihood_scale: float = Field(default=0.1, gt=0)
    num_pseudo_inputs: int = Field(default=10, ge=1)
    bandwidth: float = Field(default=0.8, ge=LEAST_BANDWIDTH, le=MOST_BANDWIDTH)
    regularization: float = Field(default=1e-3, ge=LEAST_REGULARIZATION, le=MOST_REGULARIZATION)
    bandwidth_factor: float | None = Field(default=None, gt=0)
    num_leapfrog_steps: int = Field(default=3, ge=0)
    leapfrog_step_size: float = Field(default=1e-2, ge=0)
    initial_inverse_temperature: float = Field(default=0.09, gt=0, le=1)

    @model_validator(mode="after")
    def _shape_fits(self) -> "ModelConfig":
        if self.data_shape and math.prod(self.data_shape) != self.data_dim:
            raise ValueError(f"data_shape {self.data_shape} must have {self.data_dim} features")
        if self.network != "conv":
            return self
        axis = self.channel_axis
        if axis is not None and not -len(self.data_shape) <= axis < len(self.data_shape):
            raise ValueError(f"channel_axis must be an axis of {self.data_shape}, got {axis}")
        sides = len(self.data_shape) - (axis is not None)
        if not 1 <= sides <= 3:
            raise ValueError(f"convolutions need samples of 1 to 3 sides, data_shape has {sides}")
        return self

    @property
    def is_flow(self) -> bool:
        """Whether posterior draws are moved by Hamiltonian dynamics."""
        return self.kind in ("hvae", "rhvae")

    def num_parameters(self) -> int:
        """Return the number of trainable weights, without memory for them."""
        from riemaug.models.build import count_parameters

        return count_parameters(self)


def paper_model(data_dim: int, kind: ModelKind = "rhvae") -> ModelConfig:
    """Return the paper's networks and constants (Tables 4 and 5) for data of `data_dim` features."""
    if data_dim < LARGE_DATA_DIM:
        return ModelConfig(kind=kind, data_dim=data_dim)
    return ModelConfig(
        kind=kind,
        data_dim=data_dim,
        encoder_hidden=(1000, 400),
        decoder_hidden=(400, 1000),
        **_LARGE_DATA,
    )


def conv_model(
    data_shape: tuple[int, ...],
    channel_axis: int | None = None,
    kind: ModelKind = "rhvae",
    latent_dim: int = 2,
    num_conditions: int = 0,
) -> ModelConfig:
    """Return convolutional networks sized from one sample's shape, with the paper's constants.

    Parameters
    ----------
    data_shape : tuple of int
        (H, W), (D, H, W) or those with an axis of channels; one side alone is a signal.
    channel_axis : int, optional
        Which axis of `data_shape` holds channels.
    kind : "vae", "vamp", "hvae" or "rhvae"
    latent_dim, num_conditions : int
        d and c.
    """
    data_dim = math.prod(data_shape)
    return ModelConfig(
        kind=kind,
        data_dim=data_dim,
        latent_dim=latent_dim,
        network="conv",
        data_shape=data_shape,
        channel_axis=channel_axis,
        conv_channels=next(channels for most, channels in _CONV_CHANNELS if data_dim <= most),
        encoder_hidden=(256,),
        decoder_hidden=(256,),
        metric_hidden=(64,),
        num_conditions=num_conditions,
        **(_LARGE_DATA if data_dim >= LARGE_DATA_DIM else {}),
    )
