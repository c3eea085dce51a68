"""From a configuration, or a user's own networks, to a model."""

from torch import nn

from riemaug.errors import InvalidInputError
from riemaug.models.base import LatentModel
from riemaug.models.config import ModelConfig
from riemaug.models.custom import custom_decoder, custom_encoder, custom_trunk
from riemaug.models.hvae import HVAE
from riemaug.models.networks import MetricNetwork
from riemaug.models.rhvae import RHVAE
from riemaug.models.vae import VAE
from riemaug.models.vamp import VAMP
from riemaug.random import Stream, as_stream

KINDS: dict[str, type[LatentModel]] = {"vae": VAE, "vamp": VAMP, "hvae": HVAE, "rhvae": RHVAE}


def build_model(
    config: ModelConfig,
    random_state: int | Stream = 0,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    metric_trunk: nn.Module | None = None,
) -> LatentModel:
    """Return a new model of the configured kind, its weights drawn from `random_state`.

    Parameters
    ----------
    config : ModelConfig
    random_state : int or Stream
    encoder, decoder, metric_trunk : nn.Module, optional
        The user's own networks, for `network="custom"`: what they take and return is said in
        `riemaug.models.custom`. They are copied, weights and all, and never trained themselves. The
        metric trunk is an RHVAE's; without one it is made of dense layers of `config.metric_hidden`.

    Raises
    ------
    InvalidInputError
        Networks are missing, not wanted, or do not take or return what they must.
    """
    kind, given = KINDS[config.kind], (encoder, decoder, metric_trunk)
    if config.network != "custom":
        if any(module is not None for module in given):
            raise InvalidInputError(
                f"networks of one's own need network='custom', the configuration has {config.network!r}"
            )
        return kind(config, random_state)
    if encoder is None or decoder is None:
        raise InvalidInputError(
            "a model with networks of its own needs both, one is missing: pass encoder= and decoder="
        )
    model = kind(config, random_state, custom_encoder(encoder, config), custom_decoder(decoder, config))
    if metric_trunk is not None:
        _take_metric_trunk(model, metric_trunk, as_stream(random_state))
    return model


def _take_metric_trunk(model: LatentModel, trunk: nn.Module, stream: Stream) -> None:
    if not isinstance(model, RHVAE):
        raise InvalidInputError(
            f"a metric trunk is part of an rhvae, the model is a {model.config.kind}: leave metric_trunk out"
        )
    generator = stream.child("metric weights").generator()
    model.metric_network = MetricNetwork(
        custom_trunk(trunk, model.config), model.config.latent_dim, generator
    )
