"""Classic augmentation: more samples by random transforms of the real ones, made once before the training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from torch.nn import functional

from riemaug.baselines.base import (
    FittedSampleGenerator,
    SampleGenerator,
    checked_counts,
    grouped_by_class,
)
from riemaug.errors import InvalidInputError
from riemaug.evaluation.classifiers import layout_of
from riemaug.evaluation.samples import LabelledSamples
from riemaug.models.convolutional import ImageLayout
from riemaug.parallel import one_thread
from riemaug.random import Stream
from riemaug.training.augmentation import AugmentationConfig, BatchAugmentation

FACTORS = (5, 10, 15)
NOISE = 0.05
"""Standard deviation of the Gaussian noise, values in [0, 1]."""
LEAST_CROP = 0.8
"""A crop keeps at least this part of each side, and is brought back to the whole size."""
ROTATION, SHEAR, SCALE, BRIGHTNESS = 30.0, 10.0, 0.1, 0.1
BLOCK, BLOCK_VALUES = 512, 2**25
"""Samples are made in blocks, each with a stream of its own: of so many samples at most, fewer where these
have more values in all (large volumes)."""


class ClassicAugmentation(SampleGenerator):
    """Images or volumes transformed at random: with the real ones `factor` times as many in all.

    Every new sample is a real one with all transforms of its level, each at a random strength: from 5 on
    Gaussian noise (sd 0.05) and a random crop (80 to 100 % of each side) brought back to size; from 10 on
    also mirroring of each side with probability 1/2 and rotations up to 30 degrees; at 15 also shear (10
    degrees), scale (10 %) and brightness (0.1). The paper names noise and crops, flips and rotations; the
    rest is ours.

    Parameters
    ----------
    factor : 5, 10 or 15

    Raises
    ------
    InvalidInputError
        Another factor.
    """

    def __init__(self, factor: int) -> None:
        if factor not in FACTORS:
            raise InvalidInputError(
                f"classic augmentation has the factors {', '.join(map(str, FACTORS))}, got {factor}"
            )
        self.factor = factor

    @property
    def name(self) -> str:
        """How reports call the generator."""
        return f"classic x{self.factor}"

    def counts_for(self, class_counts: Sequence[int]) -> list[int]:
        """Return how many new samples of each class there are beside so many real ones."""
        return [(self.factor - 1) * count for count in class_counts]

    def fit(self, training: LabelledSamples, num_classes: int, stream: Stream) -> "FittedClassic":
        """Keep the training samples; nothing is learned. See `SampleGenerator.fit`."""
        layout = layout_of(training.shape, training.num_sides)
        if layout is None or len(layout.sides) not in (2, 3):
            raise InvalidInputError(
                f"classic augmentation needs images or volumes, got samples of shape {training.shape}: "
                "leave it out"
            )
        return FittedClassic(training, layout, self.factor, num_classes)


@dataclass(frozen=True, eq=False)
class FittedClassic(FittedSampleGenerator):
    """The real samples that are transformed."""

    training: LabelledSamples
    layout: ImageLayout
    factor: int
    num_classes: int

    def sample(self, counts: Sequence[int], stream: Stream) -> LabelledSamples:
        """Transform real samples, each as often as any other of its class. See the base class."""
        wanted = checked_counts(counts, self.training.counts(self.num_classes))
        with one_thread():
            parts = [
                self._of_class(label, count, stream.child("class", str(label)))
                for label, count in enumerate(wanted)
            ]
        return grouped_by_class(parts, self.training.num_sides)

    def _of_class(self, label: int, count: int, stream: Stream) -> Float32[np.ndarray, "m *shape"]:
        own = self.training.of_class(label)
        if not count:
            return own[:0]
        rounds = -(-count // len(own))
        generators = (stream.block(turn).generator() for turn in range(rounds))
        chosen = torch.cat([torch.randperm(len(own), generator=each) for each in generators])[:count]
        rows = torch.from_numpy(own.reshape(len(own), -1))
        block_size = max(1, min(BLOCK, BLOCK_VALUES // rows.shape[1]))
        made = [
            self._transformed(rows[block], stream.child("transforms").block(number))
            for number, block in enumerate(chosen.split(block_size))
        ]
        return torch.cat(made).numpy().reshape(count, *self.training.shape)

    def _transformed(self, rows: Tensor, stream: Stream) -> Tensor:
        generator = stream.generator()
        image = random_crop(self.layout.to_image(rows), generator)
        if self.factor > FACTORS[0]:
            moves = BatchAugmentation(self._config(), self.layout)
            uniform = torch.rand((len(rows), moves.num_parameters), generator=generator)
            image = self.layout.to_image(moves.apply(self.layout.to_rows(image), moves.scaled(uniform)))
        image = image + NOISE * torch.randn(image.shape, generator=generator)
        return self.layout.to_rows(image.clamp(0.0, 1.0))

    def _config(self) -> AugmentationConfig:
        more = {"shear": SHEAR, "scale": SCALE, "brightness": BRIGHTNESS} if self.factor > FACTORS[1] else {}
        none = {"shear": 0.0, "scale": 0.0}
        flips = tuple(range(len(self.layout.sides)))
        return AugmentationConfig(rotation=ROTATION, shift=0.0, flips=flips, **(none | more))


def random_crop(image: Tensor, generator: torch.Generator, least: float = LEAST_CROP) -> Tensor:
    """Return random parts of images, brought back to the whole size by linear interpolation.

    Parameters
    ----------
    image : Tensor (n, C, *sides)
    generator : torch.Generator
    least : float
        Smallest part of each side, in (0, 1]; the same for all sides of an image.
    """
    count, sides = len(image), image.ndim - 2
    kept = least + (1.0 - least) * torch.rand((count, 1), generator=generator)
    shift = (1.0 - kept) * (2.0 * torch.rand((count, sides), generator=generator) - 1.0)
    matrix = kept[..., None] * torch.eye(sides)
    theta = torch.cat([matrix, shift[..., None]], -1)
    grid = functional.affine_grid(theta, list(image.shape), align_corners=False)
    return functional.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
