"""DICOM slices to volumes: what is read of a file, and how the files of a series make one grid.

Only numbers are taken from the headers: no name, date or other text of a patient goes any further.
The map from voxels to millimetres follows the DICOM standard, PS3.3 C.7.6.2.1.1, turned from its
directions (left, back, head) to those of NIfTI (right, front, head).
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Shaped

from riemaug.data.checks import check_is_file
from riemaug.data.grids import VolumeGrid
from riemaug.data.nifti import VolumeHeader, check_nibabel
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

_TAGS = (
    "SeriesInstanceUID",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "PixelRepresentation",
    "BitsStored",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
)
_EXACT_DTYPES = ("uint8", "int16", "uint16", "int32")
_INVERTED, _PLAIN = "MONOCHROME1", "MONOCHROME2"
"""Whether the lowest stored value is white or black (PS3.3 C.7.6.3.1.2)."""
_DEFLATED = "1.2.840.10008.1.2.1.99"
"""Transfer syntax of files of which all but the beginning is packed (PS3.5 A.5)."""
_MOST_BITS = 32
_SAME_DIRECTION = 1e-3
_UNEVEN = 0.02
"""Share of the distance between slices by which one may be out of place."""
_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Slice:
    """What one DICOM file says of its picture.

    Attributes
    ----------
    series : str
        Identifier of its series; "" where there is none.
    rows, columns : int
    bits : int
        Bits of a stored value.
    signed : bool
        Whether these have a sign.
    inverted : bool
        The lowest of these is white: they are turned round, so that it is black.
    slope, intercept : float
        From stored to meant values.
    spacing : tuple of 2 float
        Millimetres from row to row and from column to column.
    thickness : float
        Millimetres that the slice stands for.
    position : ndarray (3,), optional
        Centre of its first pixel.
    directions : ndarray (2, 3), optional
        Along a row and along a column.
    """

    series: str
    rows: int
    columns: int
    bits: int
    signed: bool
    inverted: bool
    slope: float
    intercept: float
    spacing: tuple[float, float]
    thickness: float
    position: Float64[np.ndarray, "3"] | None
    directions: Float64[np.ndarray, "2 3"] | None


def check_pydicom() -> None:
    """Raise InvalidInputError if pydicom, which reads the files, or nibabel, for the output, is not there."""
    try:
        import pydicom  # noqa: F401
    except ImportError:
        raise InvalidInputError(
            "DICOM series need the package pydicom, it is not installed: pip install 'riemaug[dicom]'"
        ) from None
    check_nibabel()


def read_series_id(path: Path) -> str | None:
    """Return the identifier of the series that a file belongs to; None if it holds no picture.

    Raises
    ------
    InvalidInputError
        The file cannot be read; the message does not name it.
    """
    found = _read(path, tags=("SeriesInstanceUID", "Rows", "Columns"))
    if "Rows" not in found or "Columns" not in found:
        return None
    with _values_are_read():
        return str(found.get("SeriesInstanceUID", ""))


def read_slice(path: Path, limits: Limits = DEFAULT_LIMITS) -> Slice:
    """Read what a DICOM file says of its picture, and nothing of the pixels.

    Raises
    ------
    InvalidInputError
        The file is damaged, in colour, of several frames, or its values need a table to be understood; the
        message does not name it.
    """
    found = _read(path, tags=_TAGS)
    with _values_are_read():
        return _slice_of(found, limits)


@contextmanager
def _values_are_read() -> Iterator[None]:
    """Tell what goes wrong as damage: pydicom makes sense of a value when it is asked for, and may fail."""
    try:
        yield
    except InvalidInputError:
        raise
    except Exception as error:
        raise _damaged(error) from None


def _slice_of(found: "FileDataset", limits: Limits) -> Slice:
    rows, columns = int(found.Rows), int(found.Columns)
    if min(rows, columns) < 1 or rows * columns > limits.pixels:
        raise InvalidInputError(
            f"a slice may have up to {limits.pixels} pixels, this one promises {rows}x{columns}: make it"
            f" smaller; {limits.way_out('pixels')}"
        )
    photometric = _photometric_of(found)
    slope = found.get("RescaleSlope")
    spacing = _numbers(found, "PixelSpacing", 2) or _numbers(found, "ImagerPixelSpacing", 2) or (1.0, 1.0)
    position, directions = (
        _numbers(found, "ImagePositionPatient", 3),
        _numbers(found, "ImageOrientationPatient", 6),
    )
    slice_ = Slice(
        series=str(found.get("SeriesInstanceUID", "")),
        rows=rows,
        columns=columns,
        bits=int(found.get("BitsStored") or 16),
        signed=int(found.get("PixelRepresentation") or 0) == 1,
        inverted=photometric == _INVERTED,
        slope=1.0 if slope is None else float(slope),
        intercept=float(found.get("RescaleIntercept") or 0.0),
        spacing=(spacing[0], spacing[1]),
        thickness=float(found.get("SpacingBetweenSlices") or found.get("SliceThickness") or 1.0),
        position=None if position is None else np.array(position),
        directions=None if directions is None else np.array(directions).reshape(2, 3),
    )
    values = [slice_.slope, slice_.intercept, slice_.thickness, *slice_.spacing]
    if (
        not all(map(math.isfinite, values))
        or min(slice_.spacing) <= 0
        or slice_.slope == 0
        or not 1 <= slice_.bits <= _MOST_BITS
    ):
        raise InvalidInputError("damaged: its scale, pixel spacing or number of bits is no usable number")
    return slice_


def _photometric_of(found: "FileDataset") -> str:
    """Return how stored values are shown; InvalidInputError if this is no grey picture of plain numbers."""
    told = str(found.get("PhotometricInterpretation") or _PLAIN).strip()
    if int(found.get("SamplesPerPixel") or 1) != 1:
        raise InvalidInputError("DICOM in colour cannot be read: convert it to png or NIfTI")
    if told not in (_INVERTED, _PLAIN):
        raise InvalidInputError(
            f"DICOM must be grey ({_INVERTED} or {_PLAIN}), this file is {told[:16]!r}: convert it to png or"
            " NIfTI"
        )
    if int(found.get("NumberOfFrames") or 1) != 1:
        raise InvalidInputError(
            "DICOM of several frames a file cannot be read: convert it to NIfTI (dcm2niix)"
        )
    if found.get("ModalityLUTSequence"):
        raise InvalidInputError(
            "stored values must be turned into meant ones by a slope and an intercept, this file has a table"
            " (Modality LUT Sequence): apply it and save NIfTI"
        )
    return told


def _numbers(found: "FileDataset", name: str, count: int) -> tuple[float, ...] | None:
    value = found.get(name)
    if value is None or len(value) != count:
        return None
    return tuple(float(item) for item in value)


def _read(path: Path, tags: Sequence[str] | None) -> "FileDataset":
    """Return the wanted fields of a file, or all of it; pydicom's remarks on odd values are left out."""
    import pydicom
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_file_meta_info

    check_is_file(path)
    options: dict[str, Any] = (
        {} if tags is None else {"stop_before_pixels": True, "specific_tags": list(tags)}
    )
    try:
        if read_file_meta_info(path).get("TransferSyntaxUID") == _DEFLATED:
            # pydicom would unpack all of it, however much that is
            raise InvalidInputError("DICOM that is deflated as a whole is not read: convert it (dcm2niix)")
        return pydicom.dcmread(path, **options)
    except InvalidInputError:
        raise
    except InvalidDicomError:
        raise InvalidInputError("no DICOM file: damaged, or of another format than its name") from None
    except Exception as error:
        raise _damaged(error) from None


def _damaged(error: object) -> InvalidInputError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return InvalidInputError(f"damaged or unreadable: {reason}")


def read_pixels(path: Path, slice_: Slice, dtype: np.dtype) -> Shaped[np.ndarray, "rows columns"]:
    """Return the meant values of a slice, slope and intercept applied, in a dtype that holds them.

    Where the lowest stored value is white, the stored values are turned round first.

    Raises
    ------
    InvalidInputError
        The pixels cannot be unpacked, or are not what the header promises.
    """
    found = _read(path, tags=None)
    try:
        stored = np.asarray(found.pixel_array)
    except Exception as error:
        syntax = getattr(getattr(found, "file_meta", None), "TransferSyntaxUID", "")
        told = getattr(syntax, "name", "") or "no transfer syntax"
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InvalidInputError(
            f"its pixels ({told}) cannot be unpacked: {reason[:200]}; install pylibjpeg with its plugins, or"
            " convert the series to NIfTI (dcm2niix)"
        ) from None
    if stored.shape != (slice_.rows, slice_.columns):
        raise InvalidInputError(f"damaged: its pixels are {stored.shape}, not {slice_.rows}x{slice_.columns}")
    if slice_.inverted:
        # lowest plus highest of the stored values
        stored = (-1 if slice_.signed else 2**slice_.bits - 1) - stored.astype(np.int64)
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            values = (stored * slice_.slope + slice_.intercept).astype(dtype)
        if not np.isfinite(values).all():
            raise InvalidInputError("damaged: values beyond all numbers by its slope and intercept")
        return values
    meant = stored.astype(np.int64) * int(slice_.slope) + int(slice_.intercept)
    limits = np.iinfo(dtype)
    if meant.min() < limits.min or meant.max() > limits.max:
        raise InvalidInputError(f"damaged: values beyond the {slice_.bits} bits that its header promises")
    return meant.astype(dtype)


def exact_dtype(slices: Sequence[Slice]) -> np.dtype:
    """Return the smallest integer dtype that NIfTI has and that holds all values exactly, or else float32."""
    lows, highs = [], []
    for item in slices:
        if item.slope != int(item.slope) or item.intercept != int(item.intercept) or item.bits > 32:
            return np.dtype(np.float32)
        low, high = (
            (-(2 ** (item.bits - 1)), 2 ** (item.bits - 1) - 1) if item.signed else (0, 2**item.bits - 1)
        )
        ends = [value * item.slope + item.intercept for value in (low, high)]
        lows.append(min(ends))
        highs.append(max(ends))
    for name in _EXACT_DTYPES:
        limits = np.iinfo(name)
        if limits.min <= min(lows) and max(highs) <= limits.max:
            return np.dtype(name)
    return np.dtype(np.float32)


def in_order(slices: Sequence[Slice]) -> list[int]:
    """Return the places of the slices of a series in the order in which they lie in space.

    Raises
    ------
    InvalidInputError
        They differ in size or direction, have no place, or do not lie at equal distances.
    """
    first = slices[0]
    if len(slices) == 1:
        return [0]
    if any((item.rows, item.columns) != (first.rows, first.columns) for item in slices):
        raise InvalidInputError("the slices of a series must have one size, these differ: separate them")
    if any(item.spacing != first.spacing for item in slices):
        raise InvalidInputError(
            "the slices of a series must have one pixel spacing, these differ: separate them"
        )
    if first.directions is None or any(item.position is None or item.directions is None for item in slices):
        raise InvalidInputError("the slices of a series need positions in space, these have none: use NIfTI")
    if any(np.abs(item.directions - first.directions).max() > _SAME_DIRECTION for item in slices):
        raise InvalidInputError(
            "the slices of a series must be parallel, these are not: separate them, or leave short series"
            " (localizers) out with --min-slices N"
        )
    positions = np.array([item.position for item in slices])
    along = positions @ np.cross(*first.directions)
    order = np.argsort(along, kind="stable")
    _check_even(positions[order], np.diff(along[order]))
    return order.tolist()


def _check_even(positions: Float64[np.ndarray, "n 3"], gaps: Float64[np.ndarray, " m"]) -> None:
    mean = float(gaps.mean())
    if gaps.min() <= _UNEVEN * mean:
        raise InvalidInputError(
            "a series must have one slice at each place, several lie at one (time points or echoes?):"
            " separate them"
        )
    step = (positions[-1] - positions[0]) / len(gaps)
    expected = positions[0] + step * np.arange(len(positions))[:, None]
    if np.sqrt(np.square(positions - expected).sum(1)).max() > _UNEVEN * mean:
        raise InvalidInputError(
            f"the slices of a series must lie at equal distances, these are {gaps.min():.3g} to"
            f" {gaps.max():.3g} mm apart: are some missing?"
        )


def affine_of(ordered: Sequence[Slice]) -> Float64[np.ndarray, "4 4"]:
    """Return the map from voxel indices (column, row, slice) to millimetres right, front and up.

    Parameters
    ----------
    ordered : sequence of Slice
        A series in the order of `in_order`. A single slice without a place lies at the origin.
    """
    first, last = ordered[0], ordered[-1]
    directions = np.eye(3)[:2] if first.directions is None else first.directions
    origin = np.zeros(3) if first.position is None else first.position
    step = np.cross(*directions) * first.thickness
    if len(ordered) > 1 and last.position is not None:
        step = (last.position - origin) / (len(ordered) - 1)
    affine = np.eye(4)
    affine[:3, 0] = directions[0] * first.spacing[1]
    affine[:3, 1] = directions[1] * first.spacing[0]
    affine[:3, 2] = step
    affine[:3, 3] = origin
    return _TO_RAS @ affine


def volume_header(
    shape: tuple[int, int, int], dtype: np.dtype, affine: Float64[np.ndarray, "4 4"]
) -> VolumeHeader:
    """Return the NIfTI header of a volume that comes from DICOM, with nothing but its grid."""
    from nibabel.nifti1 import Nifti1Header

    header = Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(dtype)
    columns = affine[:3, :3] / np.sqrt(np.square(affine[:3, :3]).sum(0))
    is_box = bool(np.abs(columns.T @ columns - np.eye(3)).max() < _SAME_DIRECTION)
    # a tilted gantry shears the grid, which only the sform can say; the qform says voxel sizes all the same
    header.set_qform(affine, 1 if is_box else 0)
    header.set_sform(affine, 1)
    header.set_xyzt_units("mm")
    grid = VolumeGrid.of_header(header, 1)
    return VolumeHeader(shape, dtype, 0, grid, np.asarray(header.get_best_affine(), dtype=np.float64))
