"""A user's own networks as encoder, decoder and metric trunk: wrapped, copied and checked once.

What they must take and return, n being the batch, `shape` the shape of one sample:

- encoder: x of shape (n, *shape) -> (mean, log-variance), each (n, latent_dim)
- decoder: z of shape (n, latent_dim) -> logits of shape (n, *shape), before any last sigmoid
- metric trunk, of an RHVAE alone and optional: x of shape (n, *shape) -> features (n, width)

Where the model is conditional each takes the condition's features (n, c) as second argument.
"""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from riemaug.errors import InvalidInputError
from riemaug.models.config import ModelConfig
from riemaug.models.networks import Decoder, Features, Trunk

_ROWS = 2


class CustomEncoder(nn.Module):
    """A copy of the user's encoder behind flat rows of data."""

    def __init__(self, module: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.module, self.shape = copy.deepcopy(module), shape

    def forward(
        self, data: Float[Tensor, "n D"], features: Features = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "n dim"]]:
        """Return the posterior means and log-variances, (n, d) each."""
        mean, log_variance = _called(self.module, data.reshape(len(data), *self.shape), features)
        return mean, log_variance


class CustomDecoder(Decoder):
    """A copy of the user's decoder, its logits as flat rows."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = copy.deepcopy(module)

    def forward(self, latent: Float[Tensor, "n dim"], features: Features = None) -> Float[Tensor, "n D"]:
        """Return the logits, (n, D)."""
        return _called(self.module, latent, features).reshape(len(latent), -1)


class CustomTrunk(Trunk):
    """A copy of the user's metric trunk behind flat rows of data."""

    def __init__(self, module: nn.Module, shape: tuple[int, ...], num_features: int) -> None:
        super().__init__()
        self.module, self.shape = copy.deepcopy(module), shape
        self.num_features = num_features

    def forward(self, data: Float[Tensor, "n D"], features: Features = None) -> Float[Tensor, "n width"]:
        """Return the features, (n, num_features)."""
        return _called(self.module, data.reshape(len(data), *self.shape), features)


def custom_encoder(module: nn.Module, config: ModelConfig) -> CustomEncoder:
    """Return a checked copy of the user's encoder.

    Raises
    ------
    InvalidInputError
        It does not return (mean, log-variance) of the shapes it must.
    """
    shape, wanted = _shape_of(config), (_ROWS, config.latent_dim)
    returned = _tried(module, "encoder", torch.zeros(_ROWS, *shape), config)
    if not (isinstance(returned, tuple) and len(returned) == 2 and all(map(torch.is_tensor, returned))):
        raise InvalidInputError(
            f"the encoder must return the tuple (mean, log-variance), got {_described(returned)}"
        )
    for part in returned:
        if tuple(part.shape) != wanted:
            raise InvalidInputError(
                f"the encoder must return a mean and a log-variance of shape (n, latent_dim) = {wanted}, "
                f"got {_described(returned)}; give its last layers {config.latent_dim} outputs each"
            )
    return CustomEncoder(module, shape)


def custom_decoder(module: nn.Module, config: ModelConfig) -> CustomDecoder:
    """Return a checked copy of the user's decoder.

    Raises
    ------
    InvalidInputError
        It does not return logits of the data's shape.
    """
    wanted = (_ROWS, *_shape_of(config))
    returned = _tried(module, "decoder", torch.zeros(_ROWS, config.latent_dim), config)
    if not (torch.is_tensor(returned) and tuple(returned.shape) == wanted):
        raise InvalidInputError(
            f"the decoder must return logits of the data's shape (n, ...) = {wanted}, "
            f"got {_described(returned)}"
        )
    return CustomDecoder(module)


def custom_trunk(module: nn.Module, config: ModelConfig) -> CustomTrunk:
    """Return a checked copy of the user's metric trunk.

    Raises
    ------
    InvalidInputError
        It does not return one row of features for each sample.
    """
    shape = _shape_of(config)
    returned = _tried(module, "metric trunk", torch.zeros(_ROWS, *shape), config)
    if not (torch.is_tensor(returned) and returned.dim() == 2 and len(returned) == _ROWS):
        raise InvalidInputError(
            f"the metric trunk must return features of shape (n, width) for n = {_ROWS} samples, "
            f"got {_described(returned)}; end it with flatten(1)"
        )
    return CustomTrunk(module, shape, returned.shape[1])


def _shape_of(config: ModelConfig) -> tuple[int, ...]:
    return config.data_shape or (config.data_dim,)


def _called(module: nn.Module, values: Tensor, features: Features):
    return module(values) if features is None else module(values, features.to(values.dtype))


@torch.no_grad()
def _tried(module: nn.Module, role: str, values: Tensor, config: ModelConfig) -> object:
    """Return what a copy of the module makes of zeros, in eval mode."""
    if any(is_lazy(weight) for weight in module.parameters()):
        raise InvalidInputError(
            f"the {role} must have its weights, some are of lazy layers without a shape: pass one batch first"
        )
    tried = copy.deepcopy(module).eval()
    weights = list(tried.parameters())
    if weights:
        values = values.to(weights[0])
    features = torch.zeros(_ROWS, config.num_conditions) if config.num_conditions else None
    try:
        return _called(tried, values, features if features is None else features.to(values))
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        told = (
            " and features of shape " + str((_ROWS, config.num_conditions)) if config.num_conditions else ""
        )
        raise InvalidInputError(
            f"the {role} must take a batch of shape {tuple(values.shape)}{told}, it failed: "
            + " ".join(str(error).split())
        ) from error


def _described(value: object) -> str:
    """Return the type of a value, with the shapes of tensors."""
    if isinstance(value, Tensor):
        return f"shape {tuple(value.shape)}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of " + (", ".join(map(_described, value)) or "nothing")
    return f"a {type(value).__name__}"
