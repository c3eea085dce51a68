"""The channels of pictures: grey or colours, with or without transparency, as the last axis."""

import math

import numpy as np
from jaxtyping import Shaped

_WITH_ALPHA = (2, 4)
_COLOURED = (3, 4)


def num_channels(shape: tuple[int, ...]) -> int:
    """Return the number of channels of a picture of this shape: (H, W) has one."""
    return shape[2] if len(shape) > 2 else 1


def has_alpha(channels: int) -> bool:
    """Tell whether the last of so many channels is transparency: of grey + alpha and of RGBA."""
    return channels in _WITH_ALPHA


def is_coloured(channels: int) -> bool:
    """Tell whether so many channels are colours, with or without transparency."""
    return channels in _COLOURED


def channel_count(coloured: bool, alpha: bool) -> int:
    """Return how many channels such pictures have."""
    return (3 if coloured else 1) + alpha


def channel_axis(channels: int) -> tuple[int, ...]:
    """Return the axis of so many channels at the end of a shape: none for grey."""
    return () if channels == 1 else (channels,)


def with_channels(pixels: Shaped[np.ndarray, "H W ..."], channels: int) -> Shaped[np.ndarray, "H W ..."]:
    """Return a picture with another number of channels.

    Parameters
    ----------
    pixels : ndarray (H, W), (H, W, 2), (H, W, 3) or (H, W, 4)
        Grey, grey + alpha, RGB or RGBA.
    channels : int
        1 to 4. Grey becomes a colour by three equal channels, never the reverse; an alpha channel that is
        not there is opaque, one that is not wanted is left out.
    """
    have = num_channels(pixels.shape)
    if have == channels:
        return pixels
    whole = pixels[..., None] if pixels.ndim == 2 else pixels
    colours = whole[..., :-1] if has_alpha(have) else whole
    if is_coloured(channels) and colours.shape[2] == 1:
        colours = np.repeat(colours, 3, axis=2)
    if not has_alpha(channels):
        return colours[..., 0] if channels == 1 else colours
    alpha = whole[..., -1:] if has_alpha(have) else np.full_like(colours[..., :1], _opaque(pixels.dtype))
    return np.concatenate([colours, alpha], axis=2)


def _opaque(dtype: np.dtype) -> float:
    return 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)


def on_white(unit: Shaped[np.ndarray, "n H W channels"]) -> Shaped[np.ndarray, "n H W ..."]:
    """Return pictures with alpha, in [0, 1], as they look on a white page: (n, H, W) or (n, H, W, 3)."""
    colours, alpha = unit[..., :-1], unit[..., -1:]
    seen = colours * alpha + (1.0 - alpha)
    return seen[..., 0] if math.prod(seen.shape[3:]) == 1 else seen
