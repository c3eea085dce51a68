"""Many passes of one dense decoder within a computation, each with its pullback, differentiated by hand.

A flow asks for logits and pullback at each of its positions. What the weights get from all of them is one
product of stacked rows, made where the backward pass leaves the path: a gradient as large as the weights for
each position would cost nearly as much time as the products.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from riemaug.models.products import times_transposed

_masked = torch.ops.aten.threshold_backward
"""(cotangent, hidden layer, 0): the cotangent where the ReLU is active."""


MOST_ROWS = 1024
"""Of those kept for one product; more are multiplied as soon as there are so many."""


@dataclass(eq=False)
class _Layer:
    """A dense layer's weights, their gradients so far, and rows whose products are still to be added."""

    weight: Tensor
    bias: Tensor
    to_weight: Tensor | None = None
    to_bias: Tensor | None = None
    left: list[Tensor] = field(default_factory=list)
    right: list[Tensor] = field(default_factory=list)

    def add(self, left: Tensor, right: Tensor) -> None:
        """Add left^T right to the weight's gradient."""
        self.left.append(left)
        self.right.append(right)
        if left.shape[0] * len(self.left) >= MOST_ROWS:
            self._multiply()

    def add_with_bias(self, left: Tensor, right: Tensor) -> None:
        """Do so, and add the rows on the left to the bias's gradient."""
        self.add(left, right)
        total = left.sum(0)
        self.to_bias = total if self.to_bias is None else self.to_bias.add_(total)

    def gradients(self) -> tuple[Tensor | None, Tensor | None]:
        """Return the gradients of weight and bias, and begin anew."""
        self._multiply()
        done = self.to_weight, self.to_bias
        self.to_weight = self.to_bias = None
        return done

    def _multiply(self) -> None:
        if not self.left:
            return
        part = times_transposed(torch.cat(self.left).T, torch.cat(self.right).T)
        self.to_weight = part if self.to_weight is None else self.to_weight.add_(part)
        self.left.clear()
        self.right.clear()


class DensePasses:
    """Passes of dense layers with ReLU between them at positions on a path that begins at `start`.

    Parameters
    ----------
    layers : sequence of (Tensor, Tensor)
        Weight and bias of each layer, first to last.
    features : Tensor (n, c), optional
        What the first layer sees behind the latent positions.
    """

    def __init__(
        self, layers: Sequence[tuple[Tensor, Tensor]], features: Float[Tensor, "n c"] | None = None
    ) -> None:
        self.parameters = [parameter for layer in layers for parameter in layer]
        self.layers = [_Layer(weight.detach(), bias.detach()) for weight, bias in layers]
        self.features = features

    def begin(self, start: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
        """Return `start`; positions must be made of what is returned, for the weights to get gradients."""
        begun: Any = _Begin.apply(start, self, *self.parameters)
        return begun

    def at(self, latent: Float[Tensor, "n dim"]) -> "tuple[Tensor, DensePullback]":
        """Return the logits, (n, D), and the map from cotangents there to cotangents at z."""
        hidden: list[Tensor] = []
        logits: Any = _Pass.apply(latent, self, hidden)
        return logits, DensePullback(self, hidden, latent.shape[1])


@dataclass(frozen=True, eq=False)
class DensePullback:
    """The transposed Jacobian at one position; see `Decoder.forward_with_pullback`."""

    passes: DensePasses
    hidden: list[Tensor]
    latent_dim: int

    def __call__(self, cotangent: Float[Tensor, "n D"]) -> Float[Tensor, "n dim"]:
        """Return the cotangents at z, (n, d)."""
        carried: Any = _Pullback.apply(cotangent, self.passes, self.hidden, self.latent_dim)
        return carried


class _Begin(torch.autograd.Function):
    """The identity at the start of the path; its backward comes after that of all positions."""

    @staticmethod
    def forward(ctx: Any, start: Tensor, passes: DensePasses, *parameters: Tensor) -> Tensor:
        ctx.passes = passes
        return start.view_as(start)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        gradients = [gradient for layer in ctx.passes.layers for gradient in layer.gradients()]
        return grad_outputs[0], None, *gradients


class _Pass(torch.autograd.Function):
    """z to logits; the layers' inputs are left in `hidden`."""

    @staticmethod
    def forward(ctx: Any, latent: Tensor, passes: DensePasses, hidden: list[Tensor]) -> Tensor:
        values = latent if passes.features is None else torch.cat([latent, passes.features], 1)
        for index, layer in enumerate(passes.layers):
            if index > 0:
                values = values.relu_()
            hidden.append(values)
            values = times_transposed(values, layer.weight, layer.bias)
        ctx.passes, ctx.hidden, ctx.latent_dim = passes, hidden, latent.shape[1]
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        carried, layers = grad_outputs[0], ctx.passes.layers
        for index in reversed(range(1, len(layers))):
            layers[index].add_with_bias(carried, ctx.hidden[index])
            carried = _masked(times_transposed(carried, layers[index].weight.T), ctx.hidden[index], 0)
        layers[0].add_with_bias(carried, ctx.hidden[0])
        return carried @ layers[0].weight[:, : ctx.latent_dim], None, None


class _Pullback(torch.autograd.Function):
    """Cotangents at the logits to cotangents at z."""

    @staticmethod
    def forward(
        ctx: Any, cotangent: Tensor, passes: DensePasses, hidden: list[Tensor], latent_dim: int
    ) -> Tensor:
        layers, arrived = passes.layers, [cotangent]
        for index in reversed(range(1, len(layers))):
            arrived.append(_masked(times_transposed(arrived[-1], layers[index].weight.T), hidden[index], 0))
        ctx.passes, ctx.hidden, ctx.arrived, ctx.latent_dim = passes, hidden, arrived[::-1], latent_dim
        return arrived[-1] @ layers[0].weight[:, :latent_dim]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        layers, dim = ctx.passes.layers, ctx.latent_dim
        first = layers[0].weight
        padding = first.shape[1] - dim
        carried = grad_outputs[0]
        padded = carried if padding == 0 else torch.nn.functional.pad(carried, (0, padding))
        layers[0].add(ctx.arrived[0], padded)
        carried = carried @ first[:, :dim].T
        for index in range(1, len(layers)):
            carried = _masked(carried, ctx.hidden[index], 0)
            layers[index].add(ctx.arrived[index], carried)
            carried = times_transposed(carried, layers[index].weight)
        return carried, None, None, None
