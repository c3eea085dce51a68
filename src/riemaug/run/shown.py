"""What the report shows of one class, as plain arrays: pictures, volumes, the latent map.

The arrays are made while samples are drawn, and kept beside them, or later from an output folder.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from riemaug.class_model import ClassModel
from riemaug.data import SampleFormat, upright_samples
from riemaug.data.nifti import NUM_SIDES, upright_lengths
from riemaug.data.resampling import resample
from riemaug.random import Stream
from riemaug.run.latent_map import latent_map_arrays
from riemaug.run.pictures import as_pictures

SHOWN_PICTURES = 24
SHOWN_VOLUMES = 3
LONGEST_VOLUME_SIDE = 64
LONGEST_DECODED_SIDE = 144

Unit = Float32[np.ndarray, "_ ..."]
"""Samples of the modelled shape, scaled to [0, 1]."""


@dataclass(frozen=True, eq=False)
class ShownSamples:
    """The samples of a class that a report may show.

    Attributes
    ----------
    synthetic : ndarray (n, *model_shape)
        In [0, 1].
    nearest : ndarray (n, *model_shape) or None
        The training sample nearest to each.
    real : ndarray (m, *model_shape) or None
        Some training samples of the class.
    """

    synthetic: Unit
    nearest: Unit | None = None
    real: Unit | None = None


def shown_arrays(
    item: ClassModel,
    samples: ShownSamples,
    draws: Float[Tensor, "m dim"] | None,
    fmt: SampleFormat,
    seed: int,
) -> dict[str, np.ndarray]:
    """Return all that the report shows of a class, by the names that `riemaug.run.reporting` reads.

    Parameters
    ----------
    item : ClassModel
    samples : ShownSamples
        Up to 24 are shown.
    draws : Tensor (m, d) or None
        Latent points of samples; None leaves the latent map out.
    fmt : SampleFormat
    seed : int
        Of the draws; decides where the geodesics of the map start.
    """
    arrays = sample_arrays(samples, fmt)
    if item.metric is not None and item.metric.dim >= 2 and draws is not None:
        stream = item.draw_stream(seed).child("geodesics")
        arrays |= _latent_arrays(item, draws, fmt, stream)
    return arrays


def sample_arrays(samples: ShownSamples, fmt: SampleFormat) -> dict[str, np.ndarray]:
    """Return pictures and volumes of samples, where they can be seen so; see `shown_arrays`."""
    arrays: dict[str, np.ndarray] = {}
    stacks = {"synthetic": samples.synthetic, "nearest": samples.nearest, "real": samples.real}
    for name, unit in stacks.items():
        if unit is None or not len(unit):
            continue
        pictures = upright_pictures(unit[:SHOWN_PICTURES], fmt)
        if pictures is not None:
            arrays[name] = pictures
        volumes = as_volumes(upright_samples(unit[:SHOWN_VOLUMES], fmt), _are_volumes(fmt))
        if volumes is not None:
            arrays[f"volumes_{name}"] = volumes
    return arrays


def _latent_arrays(
    item: ClassModel, draws: Float[Tensor, "m dim"], fmt: SampleFormat, stream: Stream
) -> dict[str, np.ndarray]:
    def decode(points: Float[Tensor, "n dim"]) -> UInt8[np.ndarray, "n ..."] | None:
        parts = [_decoded(item, rows, fmt) for rows in points.split(128)]
        return None if parts[0] is None else np.concatenate([part for part in parts if part is not None])

    assert item.metric is not None
    found = latent_map_arrays(item.metric, draws, stream, decode)
    return {f"latent_{name}": array for name, array in found.items()}


def _decoded(
    item: ClassModel, points: Float[Tensor, "n dim"], fmt: SampleFormat
) -> UInt8[np.ndarray, "n ..."] | None:
    """Return pictures of what a class's decoder makes of latent points, none of them large."""
    with torch.no_grad():
        unit = item.decode(points).numpy().reshape(len(points), *fmt.model_shape)
    pictures = upright_pictures(unit, fmt)
    if pictures is None:
        return None
    sides = _at_most(pictures.shape[1:3], LONGEST_DECODED_SIDE)
    if sides == pictures.shape[1:3]:
        return pictures
    return np.stack([np.rint(resample(picture, sides)).clip(0, 255).astype(np.uint8) for picture in pictures])


def upright_pictures(unit: Unit, fmt: SampleFormat) -> UInt8[np.ndarray, "n H W *channels"] | None:
    """Return pictures of samples scaled to [0, 1], volumes turned upright; None if they cannot be seen so."""
    turned = upright_samples(unit, fmt)
    return as_pictures(turned, voxel_spacing(turned.shape[1:], fmt), _are_volumes(fmt))


def voxel_spacing(sides: tuple[int, ...], fmt: SampleFormat) -> tuple[float, float, float]:
    """Return the length of a voxel along each axis of upright volumes of any number of voxels.

    Parameters
    ----------
    sides : tuple of int
        Of the volumes as they are shown.
    fmt : SampleFormat
        Of any samples: all but volumes, and stacks of a known resolution, have cubes, as far as is known.
    """
    if fmt.num_sides != NUM_SIDES:
        return 1.0, 1.0, 1.0
    first, second, third = (length / side for length, side in zip(upright_lengths(fmt), sides, strict=True))
    return first, second, third


def _are_volumes(fmt: SampleFormat) -> bool:
    """Return whether samples are grey volumes for sure, however many pages or slices they have."""
    return fmt.kind in ("stacks", "volumes") or (fmt.array_sides == 3 and len(fmt.shape) == 3)


def as_volumes(unit: Unit, are_volumes: bool = False) -> UInt8[np.ndarray, "n D H W"] | None:
    """Return volumes scaled to [0, 1] as bytes, their longest side at most 64; None if they are none.

    (D, H, W), (D, H, W, 1) and (1, D, H, W) are taken as grey volumes, those with a side of 3 or 1 only where
    they are known to be volumes.
    """
    shape = unit.shape[1:]
    if len(shape) == 4 and 1 in (shape[0], shape[-1]):
        unit = unit[..., 0] if shape[-1] == 1 else unit[:, 0]
    may_be_colours = unit.shape[-1] in (1, 3) or unit.shape[1] in (1, 3)
    if unit.ndim != 4 or (may_be_colours and not are_volumes):
        return None
    sides = _at_most(unit.shape[1:], LONGEST_VOLUME_SIDE)
    small = np.stack([resample(volume, sides) for volume in unit])
    return np.rint(np.clip(small, 0.0, 1.0) * 255.0).astype(np.uint8)


def _at_most(sides: tuple[int, ...], longest: int) -> tuple[int, ...]:
    scale = min(1.0, longest / max(sides))
    return tuple(max(1, round(side * scale)) for side in sides)
