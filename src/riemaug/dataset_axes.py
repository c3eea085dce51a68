"""Where the channels of samples are put: as they were given, or first, as PyTorch's layers take them."""

from jaxtyping import Shaped
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.estimator_input import check_sides
from riemaug.models.conditional import channel_axis_of


class ChannelsFirst:
    """Turns pictures and volumes so that their channels come first; grey ones get an axis of one channel.

    Parameters
    ----------
    shape : tuple of int
        Of one sample: (H, W), (H, W, C), (C, H, W), (D, H, W), (D, H, W, C) or (C, D, H, W).
    num_sides : 2 or 3, optional
        How many axes are sides. By default the last axis, or else the first, of three or four holds channels
        if it is at most 4 long.

    Raises
    ------
    InvalidInputError
        Samples of such a shape are neither pictures nor volumes, or have other sides.
    """

    def __init__(self, shape: tuple[int, ...], num_sides: int | None = None) -> None:
        if not 2 <= len(shape) <= 4:
            raise InvalidInputError(
                f"channels_first is for images and volumes, samples have the shape {shape}: leave it out"
            )
        check_sides(num_sides, shape)
        self._axis = channel_axis_of(shape, num_sides or 0)
        if self._axis is None and len(shape) == 4:
            raise InvalidInputError(
                f"an axis of the samples must hold channels, theirs have the shape {shape}: if one does, tell"
                " by num_sides=3"
            )

    def __call__(self, sample: Shaped[Tensor, "..."]) -> Shaped[Tensor, "channels ..."]:
        """Return the sample as (C, H, W) or (C, D, H, W)."""
        return sample[None] if self._axis is None else sample.movedim(self._axis, 0).contiguous()
