"""Random transforms of the training batches whose parameters the model is told, so that samples stay upright.

A decoder that learns x given z *and* the transform sees more images; asked for the zero transform it draws
none of them. Transforms that the networks are not told of would leak into the samples.
"""

import math
from itertools import combinations

import torch
from jaxtyping import Bool, Float
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from riemaug.errors import InvalidInputError
from riemaug.models.condition import Condition
from riemaug.models.config import ModelConfig
from riemaug.models.convolutional import ImageLayout
from riemaug.training.config import TrainingConfig

PARAMETER_SCALE = 8.0
"""The networks are told of parameters in units of an eighth of their range.

Told in [-1, 1] beside latent points as large, the decoder learns for thousands of epochs to take the turn of
an image from them and not from z, and until then turned samples are drawn (docs/tuning.md).
"""

LEAST_PATIENCE = 100
"""Epochs without a better training ELBO before such a training stops, at least.

The random transforms make the ELBO of an epoch noisier: after 20 epochs it has often not grown by chance.
"""


class AugmentationConfig(BaseModel):
    """Ranges of the random transforms; a range of 0 leaves that transform out.

    Attributes
    ----------
    rotation : float
        Largest angle in degrees, about the centre; in volumes about each axis.
    shift : float
        Largest shift along each side, as a share of it.
    scale : float
        Sizes are multiplied by a factor between 1 / (1 + scale) and 1 + scale.
    shear : float
        Largest angle of a shear in degrees.
    flips : tuple of int
        Sides that may be mirrored: 0 for the first (rows), 1 for the second, ...
    brightness : float
        Largest change of all grey values, data in [0, 1].
    share : float
        Share of samples that are transformed; the others teach the networks what "none" is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rotation: float = Field(default=15.0, ge=0, le=180)
    shift: float = Field(default=0.08, ge=0, le=0.5)
    scale: float = Field(default=0.1, ge=0, le=1)
    shear: float = Field(default=5.0, ge=0, le=45)
    flips: tuple[int, ...] = ()
    brightness: float = Field(default=0.0, ge=0, le=0.5)
    share: float = Field(default=0.5, gt=0, lt=1)

    @model_validator(mode="after")
    def _does_something(self) -> "AugmentationConfig":
        if not (any(self._ranges()) or self.flips):
            raise ValueError("an augmentation must transform something, all its ranges are 0")
        return self

    def _ranges(self) -> tuple[float, ...]:
        return (self.rotation, self.shift, self.scale, self.shear, self.brightness)


class BatchAugmentation:
    """Draws transforms, applies them to a batch and tells their parameters.

    Parameters
    ----------
    config : AugmentationConfig
    layout : ImageLayout
        Of the samples: images or volumes.

    Raises
    ------
    InvalidInputError
        Samples that are no images or volumes, or a flip of a side they lack.
    """

    def __init__(self, config: AugmentationConfig, layout: ImageLayout) -> None:
        self.config, self.layout = config, layout
        self._num_sides = len(layout.sides)
        if self._num_sides not in (2, 3):
            raise InvalidInputError(
                "augmentation of training needs images or volumes, the samples have "
                f"{self._num_sides} sides; leave --augment-training out"
            )
        if any(not 0 <= side < self._num_sides for side in config.flips):
            raise InvalidInputError(
                f"flips must name sides from 0 to {self._num_sides - 1}, got {config.flips}"
            )
        self._planes = list(combinations(range(self._num_sides), 2))
        self._sizes = self._block_sizes()

    def _block_sizes(self) -> dict[str, int]:
        """Return how many parameters each transform has, in the order of the columns."""
        config, planes = self.config, len(self._planes)
        sizes = {
            "rotation": planes if config.rotation else 0,
            "shift": self._num_sides if config.shift else 0,
            "scale": 1 if config.scale else 0,
            "shear": planes if config.shear else 0,
            "brightness": 1 if config.brightness else 0,
            "flip": len(set(config.flips)),
        }
        return {name: size for name, size in sizes.items() if size}

    @property
    def num_parameters(self) -> int:
        """How many features of the condition the transform takes."""
        return sum(self._sizes.values())

    def __call__(
        self, data: Float[Tensor, "n D"], condition: Condition | None, generator: torch.Generator
    ) -> tuple[Float[Tensor, "n D"], Condition]:
        """Return the transformed samples, and the condition with the transforms' parameters, scaled.

        Of a condition the last `num_parameters` features are theirs, zero where nothing is transformed;
        without one the parameters are all that is told.
        """
        parameters = self.draw(len(data), generator, data.device)
        told = self.untransformed(len(data), condition, data.device)
        known = Condition(told.features[:, : -self.num_parameters], told.group)
        return self.apply(data, parameters), known.with_features(PARAMETER_SCALE * parameters)

    def untransformed(
        self, count: int, condition: Condition | None = None, device: torch.device | str = "cpu"
    ) -> Condition:
        """Return what the model is told of `count` samples as they are: all parameters zero."""
        if condition is not None:
            return condition
        group = torch.zeros(count, dtype=torch.int64, device=device)
        return Condition(torch.zeros(count, self.num_parameters, device=device), group)

    def draw(
        self, count: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> Float[Tensor, "n p"]:
        """Return random parameters: ranges scaled to [-1, 1], flips 0 or 1; zero rows for no transform."""
        uniform = torch.rand((count, self.num_parameters + 1), generator=generator, device=device)
        return self.scaled(uniform[:, :-1]) * (uniform[:, -1:] < self.config.share)

    def scaled(self, uniform: Float[Tensor, "n p"]) -> Float[Tensor, "n p"]:
        """Return parameters from uniform numbers in [0, 1]: ranges in [-1, 1], flips 0 or 1."""
        parameters = 2.0 * uniform - 1.0
        flips = self._sizes.get("flip", 0)
        if flips:
            parameters[:, -flips:] = (parameters[:, -flips:] > 0).to(parameters.dtype)
        return parameters

    def apply(self, data: Float[Tensor, "n D"], parameters: Float[Tensor, "n p"]) -> Float[Tensor, "n D"]:
        """Return samples transformed by the given parameters; rows of zeros come back as they are.

        Samples in between pixels are interpolated linearly, those beyond the edge repeat it.
        """
        parameters = parameters.to(data)
        values = self._split(parameters)
        image = self.layout.to_image(data)
        moved = nn.functional.grid_sample(
            image, self.grid(image, parameters), mode="bilinear", padding_mode="border", align_corners=False
        )
        if "brightness" in values:
            change = self.config.brightness * values["brightness"][:, 0]
            moved = moved + change.view(-1, *[1] * (moved.ndim - 1))
        rows = self.layout.to_rows(moved.clamp(0.0, 1.0))
        return torch.where(self._moves(parameters), rows, data)

    def _moves(self, parameters: Float[Tensor, "n p"]) -> Bool[Tensor, "n 1"]:
        return (parameters != 0).any(1, keepdim=True)

    def _split(self, parameters: Float[Tensor, "n p"]) -> dict[str, Tensor]:
        parts = parameters.split(list(self._sizes.values()), 1)
        return dict(zip(self._sizes, parts, strict=True))

    def grid(
        self, image: Float[Tensor, "n channels *sides"], parameters: Float[Tensor, "n p"]
    ) -> Float[Tensor, "n *sides k"]:
        """Return where each pixel of the result is taken from, in the coordinates of `grid_sample`."""
        values = self._split(parameters)
        matrix = self._matrix(image, values)
        sides = self.layout.sides
        half = torch.tensor(sides, dtype=image.dtype, device=image.device) / 2.0
        # from pixels to coordinates in [-1, 1], in which sides of unlike length have unlike units
        matrix = matrix * half / half[:, None]
        shift = image.new_zeros(len(image), self._num_sides)
        if "shift" in values:
            shift = 2.0 * self.config.shift * values["shift"]
        # grid_sample counts coordinates from the last side to the first
        theta = torch.cat([matrix.flip(-1, -2), shift.flip(-1)[..., None]], -1)
        return nn.functional.affine_grid(theta, list(image.shape), align_corners=False)

    def _matrix(self, image: Tensor, values: dict[str, Tensor]) -> Float[Tensor, "n k k"]:
        """Return the linear part, (n, k, k), over the sides in their own order, in pixels."""
        count, k = len(image), self._num_sides
        identity = torch.eye(k, dtype=image.dtype, device=image.device)
        matrix = identity.expand(count, k, k)
        for plane, (first, second) in enumerate(self._planes):
            if "rotation" in values:
                angle = math.radians(self.config.rotation) * values["rotation"][:, plane]
                turn = matrix.new_zeros(count, k, k) + identity
                turn[:, first, first] = turn[:, second, second] = angle.cos()
                turn[:, first, second], turn[:, second, first] = -angle.sin(), angle.sin()
                matrix = matrix @ turn
            if "shear" in values:
                slant = matrix.new_zeros(count, k, k) + identity
                slant[:, first, second] = torch.tan(
                    math.radians(self.config.shear) * values["shear"][:, plane]
                )
                matrix = matrix @ slant
        if "scale" in values:
            matrix = matrix * torch.exp(-math.log1p(self.config.scale) * values["scale"])[..., None]
        if "flip" in values:
            signs = matrix.new_ones(count, k)
            signs[:, sorted(set(self.config.flips))] = 1.0 - 2.0 * values["flip"]
            matrix = matrix * signs[:, None, :]
        return matrix


def told_of(
    model: ModelConfig, augmentation: AugmentationConfig, shape: tuple[int, ...], channel_axis: int | None
) -> ModelConfig:
    """Return a model that is told of the transforms, too.

    Parameters
    ----------
    model : ModelConfig
    augmentation : AugmentationConfig
    shape : tuple of int
        Of one sample.
    channel_axis : int or None
        Which axis of `shape` holds channels.

    Raises
    ------
    InvalidInputError
        Samples that are no images or volumes, or a flip of a side they lack.
    """
    parameters = BatchAugmentation(augmentation, ImageLayout(shape, channel_axis)).num_parameters
    changes = {
        "data_shape": shape,
        "channel_axis": channel_axis,
        "num_conditions": model.num_conditions + parameters,
    }
    return ModelConfig.model_validate(model.model_dump() | changes)


def batch_augmentation(
    augmentation: AugmentationConfig | None, model: ModelConfig
) -> BatchAugmentation | None:
    """Return the augmentation of batches for a model made by `told_of`, None of none."""
    if augmentation is None:
        return None
    return BatchAugmentation(augmentation, ImageLayout(model.data_shape, model.channel_axis))


def patient(training: TrainingConfig) -> TrainingConfig:
    """Return a training that waits long enough for an ELBO which random transforms make noisy."""
    return training.model_copy(update={"patience": max(training.patience, LEAST_PATIENCE)})
