"""Convolutional networks for images and volumes of any size, sized from the data's shape."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemaug.models.layers import Draw, doubling, halving, linear, same_size
from riemaug.models.networks import Decoder, Features, Trunk, beside

LEAST_SIDE = 4
"""A side is halved as long as it stays at least this long."""
REFINED_UP_TO = 4096
"""Images of at most so many features end in a convolution at full size, which is too slow for larger
ones: an RHVAE passes its decoder forwards and backwards at every position of its path."""
MOST_CHANNELS = 128


@dataclass(frozen=True)
class ImageLayout:
    """How a flat row of features is an image or a volume.

    Parameters
    ----------
    shape : tuple of int
        Of one sample in the user's order: (H, W), (H, W, C), (C, H, W), (D, H, W), ...
    channel_axis : int or None
        Which axis of `shape` is no side of the image.
    """

    shape: tuple[int, ...]
    channel_axis: int | None = None

    @property
    def num_channels(self) -> int:
        """Channels of a sample; 1 for grey images."""
        return 1 if self.channel_axis is None else self.shape[self.channel_axis]

    @property
    def sides(self) -> tuple[int, ...]:
        """Height and width, or the three sides of a volume."""
        if self.channel_axis is None:
            return self.shape
        axis = self.channel_axis % len(self.shape)
        return self.shape[:axis] + self.shape[axis + 1 :]

    def to_image(self, rows: Float[Tensor, "n D"]) -> Float[Tensor, "n channels *sides"]:
        """Return flat rows as images, channels first."""
        samples = rows.reshape(len(rows), *self.shape)
        if self.channel_axis is None:
            return samples.unsqueeze(1)
        return samples.movedim(1 + self.channel_axis % len(self.shape), 1)

    def to_rows(self, image: Float[Tensor, "n channels *sides"]) -> Float[Tensor, "n D"]:
        """Return images as flat rows in the user's order."""
        if self.channel_axis is not None:
            image = image.movedim(1, 1 + self.channel_axis % len(self.shape))
        return image.reshape(len(image), -1)

    def pyramid(self) -> list[tuple[int, ...]]:
        """Return the sides at each level, the full size first.

        Each level halves the sides that stay long enough. The last one is where no side is twice as long
        as it must be and some can be halved no more.
        """
        levels = [self.sides]
        while True:
            smaller = tuple(map(_halved, levels[-1]))
            unhalved = any(short == long for short, long in zip(smaller, levels[-1], strict=True))
            if smaller == levels[-1] or (unhalved and max(levels[-1]) < 2 * LEAST_SIDE):
                return levels
            levels.append(smaller)

    def strides(self) -> list[tuple[int, ...]]:
        """Return what each step down the pyramid divides the sides by, 1 or 2."""
        levels = self.pyramid()
        return [
            tuple(1 if long == short else 2 for long, short in zip(above, below, strict=True))
            for above, below in zip(levels[:-1], levels[1:], strict=True)
        ]

    @property
    def is_refined(self) -> bool:
        """Whether decoders end in a convolution at full size."""
        return math.prod(self.shape) <= REFINED_UP_TO

    def channels(self, first: int) -> list[int]:
        """Return the channels at each level of the pyramid: of the data, then `first`, doubling."""
        depth = len(self.pyramid()) - 1
        return [self.num_channels, *(min(first * 2**level, MOST_CHANNELS) for level in range(depth))]


class ConvTrunk(Trunk):
    """Halving convolutions with SiLU, then one dense layer, which sees the condition too.

    Parameters
    ----------
    layout : ImageLayout
    first_channels : int
        Channels of the first convolution; each level doubles them, up to `MOST_CHANNELS`.
    width : int
        Width of the dense layer.
    num_conditions, generator
        As in `MLPTrunk`.
    """

    def __init__(
        self,
        layout: ImageLayout,
        first_channels: int,
        width: int,
        num_conditions: int = 0,
        generator: Draw = None,
    ) -> None:
        super().__init__()
        self.layout = layout
        levels, channels = layout.pyramid(), layout.channels(first_channels)
        self.halvings = nn.ModuleList(
            halving(len(layout.sides), inputs, outputs, strides, generator)
            for inputs, outputs, strides in zip(channels[:-1], channels[1:], layout.strides(), strict=True)
        )
        flat = channels[-1] * math.prod(levels[-1])
        self.dense = linear(flat + num_conditions, width, generator)
        self.num_features = width

    def forward(self, data: Float[Tensor, "n D"], features: Features = None) -> Float[Tensor, "n width"]:
        """Return the dense layer, (n, num_features)."""
        image = self.layout.to_image(data)
        for layer in self.halvings:
            image = nn.functional.silu(layer(image))
        return nn.functional.silu(self.dense(beside(image.flatten(1), features)))


class ConvDecoder(Decoder):
    """Two dense layers, then transposed convolutions that double the sides; parameters as in `ConvTrunk`.

    The last doubling of a large image makes the logits; that of a small one makes `first_channels`
    channels, and one more convolution the logits.
    """

    def __init__(
        self,
        latent_dim: int,
        layout: ImageLayout,
        first_channels: int,
        width: int,
        num_conditions: int = 0,
        generator: Draw = None,
    ) -> None:
        super().__init__()
        self.layout = layout
        levels, channels = layout.pyramid(), layout.channels(first_channels)
        self.start = (channels[-1], *levels[-1])
        self.dense = linear(latent_dim + num_conditions, width, generator)
        self.unfold = linear(width + num_conditions, math.prod(self.start), generator)
        steps = list(zip(layout.strides(), levels[:-1], channels[:-1], strict=True))[::-1]
        self.doublings, inputs = nn.ModuleList(), channels[-1]
        for level, (strides, target, channels_above) in enumerate(steps, 1):
            refined_later = level == len(steps) and layout.is_refined
            outputs = first_channels if refined_later else channels_above
            self.doublings.append(doubling(inputs, outputs, strides, target, generator))
            inputs = outputs
        self.last = None
        if layout.is_refined or not steps:
            self.last = same_size(len(layout.sides), inputs, layout.num_channels, generator)

    def forward(self, latent: Float[Tensor, "n dim"], features: Features = None) -> Float[Tensor, "n D"]:
        """Return the logits, (n, D)."""
        silu = nn.functional.silu
        hidden = silu(self.dense(beside(latent, features)))
        image = silu(self.unfold(beside(hidden, features))).reshape(len(latent), *self.start)
        layers = [*self.doublings] if self.last is None else [*self.doublings, self.last]
        for layer in layers[:-1]:
            image = silu(layer(image))
        return self.layout.to_rows(torch.as_tensor(layers[-1](image)))


def _halved(side: int) -> int:
    """Return half a side, rounded up, or the side where half is too short."""
    half = math.ceil(side / 2)
    return half if half >= LEAST_SIDE else side
