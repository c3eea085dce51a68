"""How far an image is from being a disc or a ring at all."""

from functools import cache

import numpy as np
from jaxtyping import Float32, Float64

from riemaug.study.shapes import shape_image

_STEP, _LEAST, _LARGEST = 0.25, 0.5, 20.0
"""Of the radii and holes that are tried, in pixels."""


def misfit(images: Float32[np.ndarray, "n 50 50"]) -> Float64[np.ndarray, " n"]:
    """Return |x - s|^2 / |x|^2 of each image x, where s is the nearest of all centred discs and rings.

    0 for a disc or a ring whether it was trained on or not; large for an image that is faint, blurred, or
    several shapes laid over each other. Of an empty image it is infinite.
    """
    rows, ideal = images.reshape(len(images), -1).astype(np.float64), _ideal_shapes()
    squares = (rows**2).sum(1)
    distances = squares[:, None] + ideal.sum(1)[None, :] - 2 * rows @ ideal.T
    with np.errstate(divide="ignore"):
        return np.maximum(distances.min(1), 0.0) / squares


@cache
def _ideal_shapes() -> Float64[np.ndarray, "m 2500"]:
    """Return all different images of discs and rings, of 0 and 1."""
    holes = np.arange(_LEAST, _LARGEST, _STEP)
    made = [
        shape_image(float(radius), float(hole)).ravel() > 0
        for radius in np.arange(_LEAST, _LARGEST + _STEP, _STEP)
        for hole in (0.0, *holes[holes < radius])
    ]
    different = np.unique(made, axis=0)
    return different[different.any(1)].astype(np.float64)
