"""The grid of a NIfTI volume and the meaning of its numbers: the header fields that are written back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Shaped

from riemaug.errors import InvalidInputError

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

SAME_GRID = 1e-3
"""Share of a voxel by which the grids of two volumes may differ and count as one."""
_LARGEST = {1: float(np.finfo(np.float32).max), 2: float(np.finfo(np.float64).max)}
_COUNTS = {"pixdim": 8, "quaternion": 3, "offset": 3, "rows": 12, "scale": 2, "shown_range": 2}
_NAMES = {
    "pixdim": ("pixdim",),
    "quaternion": ("quatern_b", "quatern_c", "quatern_d"),
    "offset": ("qoffset_x", "qoffset_y", "qoffset_z"),
    "rows": ("srow_x", "srow_y", "srow_z"),
    "scale": ("scl_slope", "scl_inter"),
    "shown_range": ("cal_min", "cal_max"),
}
_LENGTH_BITS, _LENGTH_UNITS = 7, {1: "m", 2: "mm", 3: "micron"}
_MOST = {"qform_code": 5, "sform_code": 5, "units": 255}


@dataclass(frozen=True)
class VolumeGrid:
    """What a NIfTI header says of the grid and of the stored numbers, in the header's own numbers.

    Texts, dates and extensions of a header are not among it: they may tell who was scanned.

    Parameters
    ----------
    version : {1, 2}
        NIfTI-1 or NIfTI-2.
    pixdim : tuple of 8 float
        Handedness of the qform, then the length of a voxel along each axis.
    units : int
        Code of the units of length and time (xyzt_units).
    qform_code, sform_code : int
        What the two maps from voxels to millimetres lead to; 0 where there is none.
    quaternion, offset : tuple of 3 float
        The qform.
    rows : tuple of 12 float
        The sform.
    scale : tuple of 2 float
        Slope and intercept from stored to meant values; a slope of 0 where stored values are meant.
    shown_range : tuple of 2 float
        Values that viewers show as black and white; both 0 where none are set.
    """

    version: int
    pixdim: tuple[float, ...]
    units: int
    qform_code: int
    quaternion: tuple[float, ...]
    offset: tuple[float, ...]
    sform_code: int
    rows: tuple[float, ...]
    scale: tuple[float, ...]
    shown_range: tuple[float, ...]

    @classmethod
    def of_header(cls, header: "Nifti1Header", version: int) -> "VolumeGrid":
        """Return the fields of a header; InvalidInputError if they describe no grid."""
        found: dict[str, Any] = {
            field: tuple(float(value) for name in names for value in np.ravel(header[name]))
            for field, names in _NAMES.items()
        }
        slope, intercept = found["scale"]
        if slope == 0 or not math.isfinite(slope):
            found["scale"] = (0.0, 0.0)  # "no scaling" is written in three ways
        elif not math.isfinite(intercept):
            raise InvalidInputError(f"the header has the scale intercept {intercept}: save the volume again")
        found["shown_range"] = _finite(found["shown_range"])
        found["pixdim"] = (*found["pixdim"][:4], *_finite(found["pixdim"][4:]))  # beyond the third axis
        if not int(header["qform_code"]):
            found["quaternion"], found["offset"] = _finite(found["quaternion"]), _finite(found["offset"])
        if not int(header["sform_code"]):
            found["rows"] = _finite(found["rows"])
        fields: dict[str, Any] = found | {
            "version": version,
            "units": int(header["xyzt_units"]),
            "qform_code": int(header["qform_code"]),
            "sform_code": int(header["sform_code"]),
        }
        fault = _fault_of(fields)
        if fault:
            raise InvalidInputError(f"the header has an impossible {fault}: save the volume again")
        return cls(**fields)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "VolumeGrid":
        """Return the grid that `asdict` described.

        Raises
        ------
        InvalidInputError
            A field is missing, unknown, or holds what no header can.
        """
        fault = _fault_of(fields)
        if fault:
            raise InvalidInputError(f"a volume grid has an impossible {fault}")
        known: dict[str, Any] = {k: tuple(map(float, v)) if k in _COUNTS else v for k, v in fields.items()}
        return cls(**known)

    def describe_voxel(self) -> str:
        """Return the size of a voxel in words, for the user."""
        lengths = " x ".join(f"{length:g}" for length in self.pixdim[1:4])
        return f"{lengths} {_LENGTH_UNITS.get(self.units & _LENGTH_BITS, '')}".strip()

    def write_into(self, header: "Nifti1Header") -> None:
        """Set the fields of a header of the grid's version."""
        fields = asdict(self)
        for field, names in _NAMES.items():
            for name, values in zip(names, np.split(np.array(fields[field]), len(names)), strict=True):
                header[name] = values.reshape(header[name].shape)
        header["xyzt_units"] = self.units
        header["qform_code"], header["sform_code"] = self.qform_code, self.sform_code


def _fault_of(fields: object) -> str:
    """Return which field holds what no header can, and what; "" if all is well."""
    if not isinstance(fields, Mapping) or set(fields) != {"version", *_MOST, *_COUNTS}:
        return f"set of fields: {fields!r}"
    version = fields["version"]
    if type(version) is not int or version not in _LARGEST:
        return f"version {version!r}"
    for name, most in _MOST.items():
        if type(fields[name]) is not int or not 0 <= fields[name] <= most:
            return f"{name} {fields[name]!r}"
    for name, count in _COUNTS.items():
        values = fields[name]
        listed = isinstance(values, list | tuple) and len(values) == count
        if not listed or not all(_is_number(value, _LARGEST[version]) for value in values):
            return f"{name} {values!r}"
    return ""


def _is_number(value: object, largest: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= largest  # also refuses NaN


def _finite(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(value if math.isfinite(value) else 0.0 for value in values)


def grid_distance(
    affine: Float[np.ndarray, "4 4"], other: Float[np.ndarray, "4 4"], sides: tuple[int, ...]
) -> float:
    """Return the largest distance of two places of one voxel of a grid, in the affines' unit of length."""
    corners = np.array(np.meshgrid(*([0, side - 1] for side in sides), indexing="ij")).reshape(3, -1)
    gaps = (affine - other)[:3] @ np.vstack([corners, np.ones(corners.shape[1])])
    return float(np.sqrt(np.square(gaps).sum(0)).max())


def is_same_grid(
    affine: Float[np.ndarray, "4 4"], other: Float[np.ndarray, "4 4"], sides: tuple[int, ...]
) -> bool:
    """Tell whether two volumes of one shape lie in one place, but for a small share of a voxel."""
    shortest = float(np.sqrt(np.square(affine[:3, :3]).sum(0)).min())
    return grid_distance(affine, other, sides) <= SAME_GRID * shortest


def upright(
    volumes: Shaped[np.ndarray, "n X Y Z"], affine: Float[np.ndarray, "4 4"]
) -> Shaped[np.ndarray, "n D H W"]:
    """Return volumes turned by whole quarters so that their slices look the usual way as pictures.

    The first axis goes from head to feet, the second from front to back, the third from left to right.
    """
    axes, backwards = _upright_axes(affine)
    turned = np.transpose(volumes, (0, *(1 + axis for axis in axes)))
    steps = tuple(slice(None, None, -1 if flip else None) for flip in backwards)
    return turned[(slice(None), *steps)]


def upright_spacing(affine: Float[np.ndarray, "4 4"]) -> tuple[float, float, float]:
    """Return the length of a voxel along each axis of `upright` volumes, in the affine's unit of length."""
    first, second, third = np.sqrt(np.square(affine[:3, :3]).sum(0))[_upright_axes(affine)[0]].tolist()
    return first, second, third


def _upright_axes(affine: Float[np.ndarray, "4 4"]) -> tuple[list[int], list[bool]]:
    """Return the voxel axes towards head, front and right, and which of them are to be turned round."""
    from nibabel.orientations import io_orientation

    orientation = io_orientation(affine)
    if np.isnan(orientation).any():
        return [0, 1, 2], [False] * 3  # an affine that flattens an axis has no directions
    axes = np.argsort(orientation[:, 0])[::-1]
    backwards = [bool(flip != wanted) for flip, wanted in zip(orientation[axes, 1], (-1, -1, 1), strict=True)]
    return axes.tolist(), backwards
