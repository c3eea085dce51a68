"""The paper's perceptrons (Table 5), with weights drawn from an explicit generator."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

FACTOR_LIMIT = 1.0
"""Bound of the log-diagonal and of the entries below the diagonal of L_psi, by tanh.

Without a bound training makes the M_i singular and some of them dwarf the rest: see docs/method.md.
"""

Pullback = Callable[[Float[Tensor, "n D"]], Float[Tensor, "n dim"]]


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Return a dense layer with PyTorch's usual uniform law, U(-1/sqrt(inputs), 1/sqrt(inputs))."""
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
    bound = inputs**-0.5
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.uniform_(-bound, bound, generator=generator)
    return layer


def relu_stack(widths: tuple[int, ...], generator: torch.Generator) -> nn.Sequential:
    """Return dense layers of the given widths, each followed by a ReLU."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths[:-1], widths[1:], strict=True):
        layers += [linear(inputs, outputs, generator), nn.ReLU()]
    return nn.Sequential(*layers)


class MLPEncoder(nn.Module):
    """x to (mean, log-variance) of q(z|x); the two heads share the hidden layers.

    Parameters
    ----------
    data_dim, latent_dim : int
        D and d.
    hidden : tuple of int
        Widths of the hidden layers, first to last.
    generator : torch.Generator
        Draws the initial weights.
    """

    def __init__(
        self, data_dim: int, hidden: tuple[int, ...], latent_dim: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.hidden = relu_stack((data_dim, *hidden), generator)
        self.mean = linear(hidden[-1], latent_dim, generator)
        self.log_variance = linear(hidden[-1], latent_dim, generator)

    def forward(self, data: Float[Tensor, "n D"]) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "n dim"]]:
        """Return the posterior means and log-variances, (n, d) each."""
        features = self.hidden(data)
        return self.mean(features), self.log_variance(features)


class MLPDecoder(nn.Module):
    """z to the D logits of p(x|z); parameters as in `MLPEncoder`, hidden widths first to last."""

    def __init__(
        self, latent_dim: int, hidden: tuple[int, ...], data_dim: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.hidden = relu_stack((latent_dim, *hidden), generator)
        self.logits = linear(hidden[-1], data_dim, generator)

    def forward(self, latent: Float[Tensor, "n dim"]) -> Float[Tensor, "n D"]:
        """Return the logits, (n, D)."""
        return self.logits(self.hidden(latent))

    def forward_with_pullback(self, latent: Float[Tensor, "n dim"]) -> "tuple[Tensor, Pullback]":
        """Return the logits, (n, D), and the map from cotangents there to cotangents at z.

        The map is made of plain products, so it is differentiable once more at the cost of a few of
        them; a second derivative by autograd alone takes about twice the work.
        """
        features, weights = latent, []
        for layer in self.hidden:
            if isinstance(layer, nn.Linear):
                features = torch.relu(layer(features))
                weights.append((layer.weight, features > 0))

        def pullback(cotangent: Float[Tensor, "n D"]) -> Float[Tensor, "n dim"]:
            carried = cotangent @ self.logits.weight
            for weight, active in reversed(weights):
                carried = (carried * active) @ weight
            return carried

        return self.logits(features), pullback


def _limited(values: Float[Tensor, "n m"]) -> Float[Tensor, "n m"]:
    """Return values bounded by `FACTOR_LIMIT`, smoothly."""
    return FACTOR_LIMIT * torch.tanh(values / FACTOR_LIMIT)


class MetricNetwork(nn.Module):
    """x to the lower-triangular L_psi(x) of the kernel metric, its diagonal positive by exp.

    The two heads (log-diagonal, entries below it) share the hidden layers; parameters as in
    `MLPEncoder`.
    """

    def __init__(
        self, data_dim: int, hidden: tuple[int, ...], latent_dim: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.hidden = relu_stack((data_dim, *hidden), generator)
        self.log_diagonal = linear(hidden[-1], latent_dim, generator)
        below = latent_dim * (latent_dim - 1) // 2
        self.below = linear(hidden[-1], below, generator) if below else None

    def forward(self, data: Float[Tensor, "n D"]) -> Float[Tensor, "n dim dim"]:
        """Return the factors, (n, d, d)."""
        features = self.hidden(data)
        factors = torch.diag_embed(_limited(self.log_diagonal(features)).exp())
        if self.below is not None:
            rows, columns = torch.tril_indices(self.latent_dim, self.latent_dim, -1, device=data.device)
            factors = factors.index_put(
                (torch.arange(len(data), device=data.device)[:, None], rows, columns),
                _limited(self.below(features)),
            )
        return factors
