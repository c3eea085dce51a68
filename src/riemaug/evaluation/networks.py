"""Networks of the classifiers that judge samples: the paper's three and a small one.

All take samples with the channels first, (n, C, *sides), images or volumes (the perceptron anything), and
return logits. Their weights are drawn from an explicit stream. Pooling leaves sides of length 1 as they are,
so that small images and volumes of few slices pass.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import skip_init

from riemaug.errors import InvalidInputError
from riemaug.random import Stream

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_MAX_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_AVERAGE_POOL = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}


class Perceptron(nn.Sequential):
    """One hidden layer of ReLU units: the paper's MLP has 400.

    Parameters
    ----------
    input_shape : tuple of int
        Of one sample, any number of axes.
    num_classes : int
    stream : Stream
        Draws the initial weights.
    width : int
    """

    def __init__(
        self, input_shape: Sequence[int], num_classes: int, stream: Stream, width: int = 400
    ) -> None:
        super().__init__(
            nn.Flatten(),
            skip_init(nn.Linear, math.prod(input_shape), width),
            nn.ReLU(),
            skip_init(nn.Linear, width, num_classes),
        )
        draw_weights(self, stream)


class SmallCNN(nn.Module):
    """Two 3x3 convolutions (16, 32 channels) with batch norm, ReLU and 2x2 pooling, and a dense layer.

    Parameters
    ----------
    input_shape : tuple of int
        Channels, then the sides of images or volumes, at least 4 each; of a volume one may be shorter.
    num_classes : int
    stream : Stream
        Draws the initial weights.
    """

    def __init__(self, input_shape: Sequence[int], num_classes: int, stream: Stream) -> None:
        super().__init__()
        channels, *sides = input_shape
        _check_sides(sides, 4, "the small CNN")
        conv, norm, pool = (kinds[len(sides)] for kinds in (_CONV, _NORM, _MAX_POOL))
        first, halved = _halving(sides)
        second, quartered = _halving(halved)
        # the layers' own initialisation would draw from the global generator
        self.layers = nn.Sequential(
            skip_init(conv, channels, 16, 3, padding=1),
            norm(16),
            nn.ReLU(),
            pool(first),
            skip_init(conv, 16, 32, 3, padding=1),
            norm(32),
            nn.ReLU(),
            pool(second),
            nn.Flatten(),
            skip_init(nn.Linear, 32 * math.prod(quartered), num_classes),
        )
        draw_weights(self, stream)

    def forward(self, images: Float[Tensor, "n C *sides"]) -> Float[Tensor, "n classes"]:
        """Return the logits, (n, classes)."""
        return self.layers(images)

    def features(self, images: Float[Tensor, "n C *sides"]) -> Float[Tensor, "n width"]:
        """Return what the last dense layer sees, (n, width)."""
        return self.layers[:-1](images)


class PaperCNN(nn.Sequential):
    """The paper's Table 6: four convolutions of 8 to 64 channels, a dense layer of 100 units.

    The strides are 1, 1, 2, 2 (the third is lost in print), and the first dense layer is sized from the
    samples.

    Parameters
    ----------
    input_shape : tuple of int
        Channels, then the sides, at least 4 each; of a volume one may be shorter.
    num_classes : int
    stream : Stream
        Draws the initial weights.
    """

    def __init__(self, input_shape: Sequence[int], num_classes: int, stream: Stream) -> None:
        channels, *sides = input_shape
        _check_sides(sides, 4, "the paper's CNN")
        conv, norm, pool = (kinds[len(sides)] for kinds in (_CONV, _NORM, _MAX_POOL))
        layers: list[nn.Module] = []
        for width, stride in ((8, 1), (16, 1), (32, 2), (64, 2)):
            window, pooled = _halving([(side - 1) // stride + 1 for side in sides])
            layers += [
                skip_init(conv, channels, width, 3, stride=stride, padding=1),
                norm(width),
                nn.LeakyReLU(),
                pool(window),
            ]
            channels, sides = width, pooled
        super().__init__(
            *layers,
            nn.Flatten(),
            skip_init(nn.Linear, channels * math.prod(sides), 100),
            nn.ReLU(),
            skip_init(nn.Linear, 100, num_classes),
        )
        draw_weights(self, stream)


class DenseNet(nn.Sequential):
    """DenseNet-BC in the form made for small images: a 3x3 stem, three dense blocks, two transitions.

    Huang et al. 2017, "Densely connected convolutional networks"; the paper's has growth 10, depth 20 and
    reduction 0.5. Each of the (depth - 4) / 6 layers of a block is a 1x1 convolution to four times the
    growth and a 3x3 convolution to the growth, each after batch norm and ReLU.

    Parameters
    ----------
    input_shape : tuple of int
        Channels, then the sides, at least 4 each; of a volume one may be shorter.
    num_classes : int
    stream : Stream
        Draws the initial weights.
    growth, depth : int
    reduction : float
        What share of its channels a transition keeps.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        stream: Stream,
        growth: int = 10,
        depth: int = 20,
        reduction: float = 0.5,
    ) -> None:
        channels, *sides = input_shape
        _check_sides(sides, 4, "the DenseNet")
        kind = len(sides)
        width = 2 * growth
        layers: list[nn.Module] = [skip_init(_CONV[kind], channels, width, 3, padding=1, bias=False)]
        for block in range(3):
            for _ in range((depth - 4) // 6):
                layers.append(_DenseLayer(kind, width, growth))
                width += growth
            if block < 2:
                kept = int(width * reduction)
                window, sides = _halving(sides)
                layers += _before_conv(kind, width)
                layers += [skip_init(_CONV[kind], width, kept, 1, bias=False), _AVERAGE_POOL[kind](window)]
                width = kept
        super().__init__(
            *layers, *_before_conv(kind, width), _Mean(), skip_init(nn.Linear, width, num_classes)
        )
        draw_weights(self, stream)


class _DenseLayer(nn.Module):
    """A bottleneck layer: its output is put beside its input."""

    def __init__(self, kind: int, width: int, growth: int) -> None:
        super().__init__()
        middle = 4 * growth
        self.layers = nn.Sequential(
            *_before_conv(kind, width),
            skip_init(_CONV[kind], width, middle, 1, bias=False),
            *_before_conv(kind, middle),
            skip_init(_CONV[kind], middle, growth, 3, padding=1, bias=False),
        )

    def forward(self, images: Float[Tensor, "n C *sides"]) -> Float[Tensor, "n C2 *sides"]:
        return torch.cat([images, self.layers(images)], 1)


class _Mean(nn.Module):
    """Mean over all sides of each channel."""

    def forward(self, images: Float[Tensor, "n C *sides"]) -> Float[Tensor, "n C"]:
        return images.flatten(2).mean(2)


def _before_conv(kind: int, width: int) -> list[nn.Module]:
    return [_NORM[kind](width), nn.ReLU()]


def _halving(sides: Sequence[int]) -> tuple[tuple[int, ...], list[int]]:
    """Return the window of a pooling that halves the sides that can be, and the sides after it."""
    window = tuple(min(2, side) for side in sides)
    return window, [side // size for side, size in zip(sides, window, strict=True)]


def _check_sides(sides: Sequence[int], least: int, name: str) -> None:
    """Refuse samples that are too small; a volume may have few slices, along whichever side."""
    if len(sides) not in _CONV or min(sorted(sides)[-2:]) < least:
        found = "x".join(map(str, sides)) or "none"
        raise InvalidInputError(
            f"{name} needs signals or images of {least} or more along each side, or volumes along two, "
            f"got {found}: choose mlp, logistic or boosted-trees"
        )


def draw_weights(model: nn.Module, stream: Stream) -> None:
    """Draw the weights of convolutions and dense layers by PyTorch's usual uniform law, from a stream."""
    generator = stream.child("weights").generator()
    for layer in model.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear):
            bound = layer.weight[0].numel() ** -0.5
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            if layer.bias is not None:
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
