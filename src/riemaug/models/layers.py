"""Layers whose weights are drawn from an explicit generator, or that have a shape but no weights yet."""

from collections.abc import Sequence
from math import prod

import torch
from torch import nn

from riemaug.models.products import Dense

Draw = torch.Generator | None
"""Where initial weights come from; None leaves them on the meta device, to count them without memory."""


def drawn(layer: nn.Module, fan_in: int, generator: Draw) -> nn.Module:
    """Give a layer made on the meta device its weights, U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

    That is PyTorch's usual law for dense and convolutional layers.
    """
    if generator is None:
        return layer
    layer = layer.to_empty(device="cpu")
    bound = fan_in**-0.5
    with torch.no_grad():
        for weight in layer.parameters():
            weight.uniform_(-bound, bound, generator=generator)
    return layer


def linear(inputs: int, outputs: int, generator: Draw) -> nn.Linear:
    """Return a dense layer."""
    layer = drawn(Dense(inputs, outputs, device="meta"), inputs, generator)
    assert isinstance(layer, nn.Linear)
    return layer


def relu_stack(widths: Sequence[int], generator: Draw) -> nn.Sequential:
    """Return dense layers of the given widths, each followed by a ReLU."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths[:-1], widths[1:], strict=True):
        layers += [linear(inputs, outputs, generator), nn.ReLU()]
    return nn.Sequential(*layers)


_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def halving(num_axes: int, inputs: int, outputs: int, strides: tuple[int, ...], generator: Draw) -> nn.Module:
    """Return a convolution that halves the sides of stride 2, rounding up, and keeps those of 1: 3 wide."""
    layer = _CONVOLUTIONS[num_axes](inputs, outputs, 3, stride=strides, padding=1, device="meta")
    return drawn(layer, inputs * 3**num_axes, generator)


def doubling(
    inputs: int, outputs: int, strides: tuple[int, ...], target: Sequence[int], generator: Draw
) -> nn.Module:
    """Return the transposed convolution that undoes `halving` of sides `target`, odd or even: 4 or 3 wide."""
    # 2 m - 2 + width - 2 padding = 2 m for even sides, 2 m - 1 for odd ones, m being the halved side
    widths = tuple(
        4 if stride == 2 and side % 2 == 0 else 3 for stride, side in zip(strides, target, strict=True)
    )
    layer = _TRANSPOSED[len(strides)](inputs, outputs, widths, stride=strides, padding=1, device="meta")
    return drawn(layer, max(1, inputs * prod(widths) // prod(strides)), generator)


def same_size(num_axes: int, inputs: int, outputs: int, generator: Draw) -> nn.Module:
    """Return a convolution that keeps each side: 3 wide, stride 1."""
    return halving(num_axes, inputs, outputs, (1,) * num_axes, generator)
