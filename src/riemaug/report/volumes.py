"""Some volumes of a class as sheets of slices, from which the page's script cuts any slice of any axis."""

import json
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from riemaug.report.data import ClassReport
from riemaug.report.sprites import Sheet, tight_sheet

_CUBIC = 0.01
"""Voxels whose sides differ by a smaller share are shown as cubes."""
_KEPT_PNG = 20_000  # bytes: a sheet that takes fewer is kept without loss


@dataclass(frozen=True)
class VolumeSheet:
    """One volume.

    Parameters
    ----------
    kind : {"synthetic", "nearest"}
    title : str
        What it is called.
    sheet : Sheet
        Its slices across the first axis.
    """

    kind: str
    title: str
    sheet: Sheet


@dataclass(frozen=True)
class VolumesView:
    """The volumes of one class, ready for the template.

    Parameters
    ----------
    shape : tuple of 3 int
    axes : tuple of 3 str
        What the axes are called.
    spacing : tuple of 3 float
        Length of a voxel along each axis, the shortest one being 1.
    pairs : tuple of tuple of VolumeSheet
        Each synthetic volume, followed by the training volume nearest to it where that may be shown.
    """

    shape: tuple[int, int, int]
    axes: tuple[str, str, str]
    spacing: tuple[float, float, float]
    pairs: tuple[tuple[VolumeSheet, ...], ...]

    @property
    def shown(self) -> tuple[int, ...]:
        """Axes across which slices are shown: all, or the one along which there is a single slice."""
        flat = tuple(axis for axis, side in enumerate(self.shape) if side == 1)
        return flat[:1] or tuple(range(len(self.shape)))

    @property
    def can_be_moved(self) -> bool:
        """Whether there is more than one slice to choose from."""
        return 1 not in self.shape

    @property
    def facts(self) -> str:
        """What the script reads."""
        columns = self.pairs[0][0].sheet.columns
        facts = {"shape": self.shape, "shown": self.shown, "columns": columns, "spacing": self.spacing}
        return json.dumps(facts)


def volumes_view(report: ClassReport, shown: list[int], show_real: bool, budget: int) -> VolumesView | None:
    """Return as many volumes of a class as fit into a number of bytes, one pair at least; None of no volumes.

    Parameters
    ----------
    report : ClassReport
    shown : list of int
        Which synthetic samples may be shown.
    show_real : bool
    budget : int
        Bytes of all data URIs together.
    """
    volumes = report.volumes
    if volumes is None:
        return None
    pairs: list[tuple[VolumeSheet, ...]] = []
    used = 0
    for number in [number for number in shown if number < len(volumes.synthetic)]:
        name = _name(report.synthetic_names, number, f"Synthetic volume {number + 1}")
        pair = [VolumeSheet("synthetic", name, _sheet(volumes.synthetic[number]))]
        if show_real and volumes.nearest is not None:
            name = _name(report.nearest_names, number, "Its nearest training volume")
            pair.append(VolumeSheet("nearest", name, _sheet(volumes.nearest[number])))
        used += sum(len(item.sheet.uri) for item in pair)
        if pairs and used > budget:
            break
        pairs.append(tuple(pair))
    if not pairs:
        return None
    depth, height, width = volumes.synthetic.shape[1:]
    return VolumesView((depth, height, width), volumes.axes, _shown_spacing(volumes.spacing), tuple(pairs))


def _shown_spacing(spacing: tuple[float, float, float]) -> tuple[float, float, float]:
    shortest = min(spacing)
    if max(spacing) <= (1 + _CUBIC) * shortest:
        return 1.0, 1.0, 1.0
    first, second, third = (round(length / shortest, 4) for length in spacing)
    return first, second, third


def _name(names: tuple[str, ...], number: int, otherwise: str) -> str:
    return (names[number] if number < len(names) else "") or otherwise


def _sheet(volume: UInt8[np.ndarray, "depth height width"]) -> Sheet:
    return tight_sheet(volume, math.ceil(math.sqrt(len(volume))), _KEPT_PNG)
