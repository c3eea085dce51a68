"""In which form an imported model's samples are written: the peers know shapes in [0, 1], no files."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from riemaug.data import RangeScaler, SampleFormat
from riemaug.errors import InvalidInputError

OUTPUTS = ("arrays", "png")


@dataclass(frozen=True, eq=False)
class OutputLayout:
    """How decoded rows become samples.

    Attributes
    ----------
    sample_format : SampleFormat
    scaler : RangeScaler
        From [0, 1] to the values that are written.
    order : Tensor (D,) of int64, optional
        Which of the peer's features stands at each place of ours; None where they stand alike.
    """

    sample_format: SampleFormat
    scaler: RangeScaler
    order: Int64[Tensor, " D"] | None = None

    def reordered(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return dense networks' weights for data in our order: channels last, not first."""
        if self.order is None:
            return weights
        first = ("encoder.trunk.hidden.0.weight", "metric_network.trunk.hidden.0.weight")
        changed = {name: weights[name][:, self.order] for name in first if name in weights}
        last = ("decoder.logits.weight", "decoder.logits.bias")
        return weights | changed | {name: weights[name][self.order] for name in last}


def output_layout(
    input_dim: tuple[int, ...], output: str = "arrays", shape: tuple[int, ...] | None = None
) -> OutputLayout:
    """Return how samples of a peer's model are to be written.

    Parameters
    ----------
    input_dim : tuple of int
        The peer's shape of one sample.
    output : "arrays" or "png"
        One npz of float32 in [0, 1], or 8-bit image files.
    shape : tuple of int, optional
        Shape of one sample, channels first as with the peer, where `input_dim` does not tell: pyraug
        keeps only the number of values.

    Raises
    ------
    InvalidInputError
        The shape has another number of values, or is none of an image.
    """
    wanted = shape or input_dim
    if math.prod(wanted) != math.prod(input_dim):
        raise InvalidInputError(
            f"the shape must have the model's {math.prod(input_dim)} values a sample, "
            f"{_told(wanted)} has {math.prod(wanted)}: give another shape"
        )
    if output == "arrays":
        fmt = SampleFormat("arrays", wanted, "float32", "", ("X", "y"), False)
        return OutputLayout(fmt, RangeScaler(np.array(0.0), np.array(1.0), "float32"))
    if output != "png":
        raise InvalidInputError(f"output must be one of {', '.join(OUTPUTS)}, got {output!r}")
    scaler = RangeScaler(np.array(0.0), np.array(255.0), "uint8")
    channels, sides = (1, wanted) if len(wanted) == 2 else (wanted[0], wanted[1:])
    if len(sides) != 2 or channels not in (1, 3):
        raise InvalidInputError(
            f"images need a shape of HxW, 1xHxW or 3xHxW, the model's samples have {_told(wanted)}: give the "
            "shape, or write arrays"
        )
    if channels == 1:
        return OutputLayout(SampleFormat("folder", sides, "uint8", ".png", None, False), scaler)
    order = torch.arange(math.prod(wanted)).reshape(wanted).permute(1, 2, 0).flatten()
    return OutputLayout(SampleFormat("folder", (*sides, 3), "uint8", ".png", None, False), scaler, order)


def _told(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
