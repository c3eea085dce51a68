"""Random transforms of a classifier's training batches: affine with elastic distortion, and MixUp."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from riemaug.errors import InvalidInputError
from riemaug.models.convolutional import ImageLayout
from riemaug.training.augmentation import AugmentationConfig, BatchAugmentation


@dataclass(frozen=True)
class AffineElastic:
    """Each image of each batch is turned, moved, scaled, sheared and bent a little, anew in each epoch.

    Elastic distortions as in Simard, Steinkraus and Platt 2003, "Best practices for convolutional neural
    networks applied to visual document analysis"; the smooth random field is interpolated between random
    vectors on a coarse grid. `riemaug.baselines.transform_tuning` chooses the strengths by real validation
    samples. A strength of 0 leaves that change out.

    Attributes
    ----------
    rotation : float
        Largest angle in degrees.
    shift : float
        Largest shift, as a share of a side.
    scale : float
        Sizes are multiplied by between 1 / (1 + scale) and 1 + scale.
    shear : float
        Largest angle in degrees.
    amplitude : float
        Standard deviation of the random vectors along each side, in pixels; between them the displacement
        is smaller (by a fifth on average in images).
    spacing : int
        Pixels between the random vectors, at least 1: the larger, the smoother.

    Raises
    ------
    InvalidInputError
        A strength out of its range.
    """

    rotation: float = 10.0
    shift: float = 0.06
    scale: float = 0.1
    shear: float = 8.0
    amplitude: float = 0.8
    spacing: int = 7

    def __post_init__(self) -> None:
        if not 0 <= self.amplitude < math.inf or self.spacing < 1:
            raise InvalidInputError(
                "an elastic amplitude must be 0 or more and its spacing 1 or more, got "
                f"{self.amplitude} and {self.spacing}"
            )
        try:
            self._config()
        except ValidationError as error:
            fault = error.errors()[0]
            raise InvalidInputError(f"{fault['loc'][0]}: {fault['msg']}, got {fault['input']!r}") from None

    def __call__(
        self,
        images: Float[Tensor, "b C *sides"],
        shares: Float[Tensor, "b classes"],
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Return transformed images, and the class shares as they are.

        Raises
        ------
        InvalidInputError
            Samples that are no images or volumes.
        """
        if images.ndim not in (4, 5):
            raise InvalidInputError(
                f"affine and elastic transforms need images or volumes, got batches of {images.ndim} axes"
            )
        grid = self._affine_grid(images, generator)
        if self.amplitude:
            grid = grid + self._displacement(images, generator)
        moved = functional.grid_sample(
            images, grid, mode="bilinear", padding_mode="border", align_corners=False
        )
        return moved, shares

    def _affine_grid(self, images: Tensor, generator: torch.Generator) -> Tensor:
        config = self._config()
        if config is None:
            identity = torch.eye(images.ndim - 2, images.ndim - 1, device=images.device)
            theta = identity.expand(len(images), *identity.shape)
            return functional.affine_grid(theta, list(images.shape), align_corners=False)
        moves = BatchAugmentation(config, ImageLayout(tuple(images.shape[2:])))
        uniform = torch.rand((len(images), moves.num_parameters), generator=generator).to(images)
        return moves.grid(images, moves.scaled(uniform))

    def _config(self) -> AugmentationConfig | None:
        if not any((self.rotation, self.shift, self.scale, self.shear)):
            return None
        return AugmentationConfig(
            rotation=self.rotation, shift=self.shift, scale=self.scale, shear=self.shear
        )

    def _displacement(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return smooth random vectors, (b, *sides, k), in the coordinates of `grid_sample`."""
        sides = images.shape[2:]
        coarse = [max(2, -(-side // self.spacing) + 1) for side in sides]
        nodes = torch.randn((len(images), len(sides), *coarse), generator=generator).to(images)
        mode = "bicubic" if len(sides) == 2 else "trilinear"
        field = functional.interpolate(nodes, size=sides, mode=mode, align_corners=True)
        # pixels to units of half a side; grid_sample counts coordinates from the last side to the first
        units = torch.tensor([2.0 * self.amplitude / side for side in reversed(sides)], device=images.device)
        return field.movedim(1, -1) * units.to(images)


@dataclass(frozen=True)
class MixUp:
    """Each sample is mixed with another one of the batch, and so are their classes.

    Zhang et al. 2018, "mixup: beyond empirical risk minimization". One weight for the batch, as there.

    Attributes
    ----------
    alpha : float
        The weight of a sample is Beta(alpha, alpha).
    """

    alpha: float = 0.2

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise InvalidInputError(f"alpha of MixUp must be above 0, got {self.alpha}")

    def __call__(
        self,
        images: Float[Tensor, "b C *sides"],
        shares: Float[Tensor, "b classes"],
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Return mixed images and mixed class shares."""
        weight = self._weight(generator)
        order = torch.randperm(len(images), generator=generator)
        return (
            weight * images + (1.0 - weight) * images[order],
            weight * shares + (1.0 - weight) * shares[order],
        )

    def _weight(self, generator: torch.Generator) -> float:
        # torch's own Beta law takes no generator
        seed = int(torch.randint(2**31, (1,), generator=generator))
        return float(np.random.default_rng(seed).beta(self.alpha, self.alpha))
