"""Encoder, decoder and metric network: heads on a trunk of dense or convolutional layers.

All see samples as flat rows of D features in the user's own order, whatever their shape.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemaug.models.dense_passes import DensePasses
from riemaug.models.layers import Draw, linear, relu_stack
from riemaug.models.products import is_plain, product

FACTOR_LIMIT = 1.0
"""Bound of the log-diagonal and of the entries below the diagonal of L_psi, by tanh.

Without a bound training makes the M_i singular and some of them dwarf the rest: see docs/method.md.
"""

Features = Float[Tensor, "n c"] | None
"""What a batch's `Condition` tells the networks; None where the model takes no condition."""
Pullback = Callable[[Float[Tensor, "n D"]], Float[Tensor, "n dim"]]


class Trunk(nn.Module, ABC):
    """From samples to `num_features` features, which heads read."""

    num_features: int

    @abstractmethod
    def forward(self, data: Float[Tensor, "n D"], features: Features = None) -> Float[Tensor, "n width"]:
        """Return the features, (n, num_features)."""


class MLPTrunk(Trunk):
    """Dense layers with ReLU (paper, Table 5).

    Parameters
    ----------
    data_dim : int
        D.
    hidden : tuple of int
        Widths of the layers, first to last.
    num_conditions : int
        c; the condition's features stand beside the data.
    generator : torch.Generator or None
        Draws the initial weights.
    """

    def __init__(
        self, data_dim: int, hidden: tuple[int, ...], num_conditions: int = 0, generator: Draw = None
    ) -> None:
        super().__init__()
        self.hidden = relu_stack((data_dim + num_conditions, *hidden), generator)
        self.num_features = hidden[-1]

    def forward(self, data: Float[Tensor, "n D"], features: Features = None) -> Float[Tensor, "n width"]:
        """Return the last hidden layer, (n, num_features)."""
        return self.hidden(beside(data, features))


class Encoder(nn.Module):
    """x to (mean, log-variance) of q(z|x): two dense heads on one trunk.

    Parameters
    ----------
    trunk : Trunk
    latent_dim : int
        d.
    generator : torch.Generator or None
        Draws the heads' initial weights.
    """

    def __init__(self, trunk: Trunk, latent_dim: int, generator: Draw = None) -> None:
        super().__init__()
        self.trunk = trunk
        self.mean = linear(trunk.num_features, latent_dim, generator)
        self.log_variance = linear(trunk.num_features, latent_dim, generator)

    def forward(
        self, data: Float[Tensor, "n D"], features: Features = None
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "n dim"]]:
        """Return the posterior means and log-variances, (n, d) each."""
        read = self.trunk(data, features)
        return self.mean(read), self.log_variance(read)


@runtime_checkable
class Passes(Protocol):
    """Passes of a decoder at positions on one path, each with its pullback."""

    def begin(self, start: Tensor) -> Tensor:
        """Return the start of the path, (n, d); all positions must be made of what is returned."""
        ...

    def at(self, latent: Tensor) -> "tuple[Tensor, Pullback]":
        """Return what `Decoder.forward_with_pullback` does."""
        ...


class PlainPasses:
    """Passes that do not depend on each other.

    Parameters
    ----------
    decoder : Decoder
    features : Tensor (n, c), optional
    """

    def __init__(self, decoder: "Decoder", features: Features = None) -> None:
        self._decoder, self._features = decoder, features

    def begin(self, start: Tensor) -> Tensor:
        """Return `start`."""
        return start

    def at(self, latent: Tensor) -> "tuple[Tensor, Pullback]":
        """Return what `Decoder.forward_with_pullback` does."""
        return self._decoder.forward_with_pullback(latent, self._features)


class Decoder(nn.Module, ABC):
    """z to the D logits of p(x|z)."""

    @abstractmethod
    def forward(self, latent: Float[Tensor, "n dim"], features: Features = None) -> Float[Tensor, "n D"]:
        """Return the logits, (n, D)."""

    def forward_with_pullback(
        self, latent: Float[Tensor, "n dim"], features: Features = None
    ) -> "tuple[Tensor, Pullback]":
        """Return the logits, (n, D), and the map from cotangents there to cotangents at z.

        The map is differentiable once more where gradients are enabled.
        """
        create_graph = torch.is_grad_enabled()
        with torch.enable_grad():
            point = latent if latent.requires_grad else latent.detach().requires_grad_()
            logits = self(point, features)

        def pullback(cotangent: Float[Tensor, "n D"]) -> Float[Tensor, "n dim"]:
            with torch.enable_grad():
                (carried,) = torch.autograd.grad(
                    logits, point, cotangent, create_graph=create_graph, retain_graph=True
                )
            return carried

        return logits if create_graph else logits.detach(), pullback

    def passes(self, features: Features = None) -> Passes:
        """Return passes for the positions of a path."""
        return PlainPasses(self, features)


class MLPDecoder(Decoder):
    """Dense layers with ReLU, then a dense layer of logits; parameters as in `MLPTrunk`."""

    def __init__(
        self,
        latent_dim: int,
        hidden: tuple[int, ...],
        data_dim: int,
        num_conditions: int = 0,
        generator: Draw = None,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.hidden = relu_stack((latent_dim + num_conditions, *hidden), generator)
        self.logits = linear(hidden[-1], data_dim, generator)

    def forward(self, latent: Float[Tensor, "n dim"], features: Features = None) -> Float[Tensor, "n D"]:
        """Return the logits, (n, D)."""
        return self.logits(self.hidden(beside(latent, features)))

    def forward_with_pullback(
        self, latent: Float[Tensor, "n dim"], features: Features = None
    ) -> "tuple[Tensor, Pullback]":
        """Return the logits, (n, D), and the map from cotangents there to cotangents at z.

        The map is made of plain products, so it is differentiable once more at the cost of a few of
        them; a second derivative by autograd alone takes about twice the work.
        """
        carried_on, weights = beside(latent, features), []
        multiply = product if is_plain(latent, self.logits.weight) else torch.nn.functional.linear
        for layer in self.hidden:
            if isinstance(layer, nn.Linear):
                carried_on = torch.relu(layer(carried_on))
                weights.append((layer.weight, carried_on > 0))

        def pullback(cotangent: Float[Tensor, "n D"]) -> Float[Tensor, "n dim"]:
            carried = multiply(cotangent, self.logits.weight.T)
            for weight, active in reversed(weights[1:]):
                carried = multiply(carried * active, weight.T)
            first, active = weights[0]
            return (carried * active) @ first[:, : self.latent_dim]

        return self.logits(carried_on), pullback

    def passes(self, features: Features = None) -> Passes:
        """Return passes for the positions of a path, differentiated by hand where gradients are asked for."""
        layers = [layer for layer in (*self.hidden, self.logits) if isinstance(layer, nn.Linear)]
        weight = self.logits.weight
        if not (torch.is_grad_enabled() and is_plain(weight)):
            return super().passes(features)
        told = None if features is None else features.to(weight.dtype)
        return DensePasses([(layer.weight, layer.bias) for layer in layers], told)


class MetricNetwork(nn.Module):
    """x to the lower-triangular L_psi(x) of the kernel metric, its diagonal positive by exp.

    The two heads (log-diagonal, entries below it) share the trunk; parameters as in `Encoder`.
    """

    def __init__(self, trunk: Trunk, latent_dim: int, generator: Draw = None) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.trunk = trunk
        self.log_diagonal = linear(trunk.num_features, latent_dim, generator)
        below = latent_dim * (latent_dim - 1) // 2
        self.below = linear(trunk.num_features, below, generator) if below else None

    def forward(self, data: Float[Tensor, "n D"], features: Features = None) -> Float[Tensor, "n dim dim"]:
        """Return the factors, (n, d, d)."""
        read = self.trunk(data, features)
        factors = torch.diag_embed(_limited(self.log_diagonal(read).to(data.dtype)).exp())
        if self.below is not None:
            rows, columns = torch.tril_indices(self.latent_dim, self.latent_dim, -1, device=data.device)
            factors = factors.index_put(
                (torch.arange(len(data), device=data.device)[:, None], rows, columns),
                _limited(self.below(read).to(data.dtype)),
            )
        return factors


def beside(values: Float[Tensor, "n width"], features: Features) -> Float[Tensor, "n more"]:
    """Return values with the condition's features behind them."""
    return values if features is None else torch.cat([values, features.to(values.dtype)], 1)


def _limited(values: Float[Tensor, "n m"]) -> Float[Tensor, "n m"]:
    """Return values bounded by `FACTOR_LIMIT`, smoothly."""
    return FACTOR_LIMIT * torch.tanh(values / FACTOR_LIMIT)
