"""Samples of any shape as 8-bit pictures for the report, where they can be seen as pictures."""

import numpy as np
from jaxtyping import Float32, UInt8

SMALLEST_SIDE = 4


def as_pictures(unit: Float32[np.ndarray, "n *shape"]) -> UInt8[np.ndarray, "n H W *channels"] | None:
    """Return pictures of samples scaled to [0, 1]; None if they are not images.

    (H, W), (H, W, 1), (H, W, 3), (1, H, W) and (3, H, W) are taken as images; of a volume (D, H, W) the
    middle slice is shown.
    """
    plane = _as_planes(unit)
    if plane is None or min(plane.shape[1:3]) < SMALLEST_SIDE:
        return None
    return np.rint(np.clip(plane, 0.0, 1.0) * 255.0).astype(np.uint8)


def _as_planes(unit: np.ndarray) -> np.ndarray | None:
    shape = unit.shape[1:]
    if len(shape) == 2:
        return unit
    if len(shape) == 4 and shape[-1] in (1, 3):
        return _as_planes(unit[:, shape[0] // 2])
    if len(shape) == 4 and shape[0] in (1, 3):
        return _as_planes(unit[:, :, shape[1] // 2])
    if len(shape) != 3:
        return None
    if shape[-1] in (1, 3):
        return unit[..., 0] if shape[-1] == 1 else unit
    if shape[0] in (1, 3):
        return unit[:, 0] if shape[0] == 1 else np.moveaxis(unit, 1, -1)
    return unit[:, shape[0] // 2]
