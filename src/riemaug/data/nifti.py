"""One NIfTI file to one array, and back: which files are read, what is refused, what is written."""

import gzip
import math
import zlib
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Shaped

from riemaug.atomic import atomic_path
from riemaug.data.channels import has_alpha, on_white
from riemaug.data.checks import check_is_file
from riemaug.data.dataset import SampleFormat
from riemaug.data.grids import VolumeGrid, is_same_grid, upright, upright_spacing
from riemaug.data.regridding import onto_grid
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

NUM_SIDES = 3
_GZIP_MAGIC = b"\x1f\x8b"
_HEADER_BYTES = {1: 348, 2: 540}
_MAGIC = {b"n+1\0": 1, b"n+2\0": 2}
_PAIR_MAGIC = (b"ni1\0", b"ni2\0")
_MAGIC_PLACES = {348: slice(344, 348), 540: slice(4, 8)}
_MOST_EXTENSION_BYTES = 2**28
_COMPRESSION = 6
_READ_ERRORS = (OSError, EOFError, zlib.error, ValueError, OverflowError)


@dataclass(frozen=True, eq=False)
class VolumeHeader:
    """What a NIfTI file promises.

    Parameters
    ----------
    shape : tuple of int
        Its three sides; further ones of length 1 may follow.
    stored : numpy.dtype
        Of the voxels in the file, with their byte order.
    offset : int
        Byte at which the voxels begin.
    grid : VolumeGrid
        Where the voxels lie and what their numbers mean.
    affine : ndarray (4, 4)
        Voxel indices to millimetres.
    """

    shape: tuple[int, ...]
    stored: np.dtype
    offset: int
    grid: VolumeGrid
    affine: Float[np.ndarray, "4 4"]

    @property
    def dtype(self) -> np.dtype:
        """The voxels' dtype in the machine's own byte order."""
        return self.stored.newbyteorder("=")


def check_nibabel() -> None:
    """Raise InvalidInputError if nibabel, which knows the NIfTI header, is not installed."""
    try:
        import nibabel.nifti1  # noqa: F401
    except ImportError:
        raise InvalidInputError(
            "NIfTI volumes need the package nibabel, it is not installed: pip install 'riemaug[nifti]'"
        ) from None


def read_volume_header(path: Path, limits: Limits = DEFAULT_LIMITS) -> VolumeHeader:
    """Read what a NIfTI file promises, and nothing of its voxels.

    Parameters
    ----------
    path : Path
        A .nii or .nii.gz file; its content decides, not its suffix.
    limits : Limits

    Raises
    ------
    InvalidInputError
        The file is damaged, too large, holds several volumes, or numbers that cannot be kept; the
        message does not name the file.
    """
    check_nibabel()
    check_is_file(path)
    try:
        with _opened(path) as file:
            block = file.read(max(_HEADER_BYTES.values()))
    except _READ_ERRORS as error:
        raise _damaged(error) from None
    version = _version_of(block)
    return _checked_header(block[: _HEADER_BYTES[version]], version, limits)


def _opened(path: Path) -> BufferedIOBase:
    return gzip.GzipFile(path) if _is_packed(path) else path.open("rb")


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC


def _damaged(error: object) -> InvalidInputError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return InvalidInputError(f"damaged or unreadable: {' '.join(str(reason).split())}")


def _version_of(block: bytes) -> int:
    for place in _MAGIC_PLACES.values():
        magic = block[place]
        if magic in _MAGIC and len(block) >= _HEADER_BYTES[_MAGIC[magic]]:
            return _MAGIC[magic]
        if magic in _PAIR_MAGIC:
            raise InvalidInputError("is a header without its voxels: save header and voxels as one .nii file")
    raise InvalidInputError("no NIfTI volume: damaged, or of another format than its name")


def _header_class(version: int) -> "type[Nifti1Header]":
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    return Nifti1Header if version == 1 else Nifti2Header


def _checked_header(block: bytes, version: int, limits: Limits) -> VolumeHeader:
    from nibabel.spatialimages import HeaderDataError

    try:
        header = _header_class(version)(block, check=False)
        shape = tuple(int(side) for side in header.get_data_shape())
        stored = header.get_data_dtype()
        affine = np.asarray(header.get_best_affine(), dtype=np.float64)
    except (HeaderDataError, LookupError, *_READ_ERRORS) as error:
        raise _damaged(error) from None
    offset = float(header["vox_offset"])
    _check_shape(shape, limits)
    if stored.fields:
        raise InvalidInputError("voxels in colour (RGB) cannot be read: save one number a voxel")
    if stored.kind not in "iuf" or stored.itemsize > 8:
        raise InvalidInputError(
            f"voxels of kind {stored} cannot be read: save them as numbers of up to 64 bits"
        )
    if not _HEADER_BYTES[version] <= offset <= _MOST_EXTENSION_BYTES:
        raise InvalidInputError(f"damaged: its voxels begin at byte {offset:g}")
    grid = VolumeGrid.of_header(header, version)
    if not np.isfinite(affine).all():
        raise InvalidInputError("the affine in the header must be finite, it is not: save the volume again")
    return VolumeHeader(shape, stored, int(offset), grid, affine)


def _check_shape(shape: tuple[int, ...], limits: Limits) -> None:
    told = "x".join(map(str, shape))
    if len(shape) < NUM_SIDES or min(shape) < 1:
        raise InvalidInputError(f"a volume has three sides, this one has {told}: save it as one")
    if math.prod(shape[NUM_SIDES:]) != 1:
        raise InvalidInputError(f"one file must be one volume, this one is {told}: save one volume a file")
    if math.prod(shape) > limits.pixels:
        raise InvalidInputError(
            f"a volume may have up to {limits.pixels} voxels, this one promises {told}: make it smaller;"
            f" {limits.way_out('pixels')}"
        )


def read_voxels(path: Path, header: VolumeHeader, meant: bool = False) -> Shaped[np.ndarray, "X Y Z"]:
    """Read the voxels of one file.

    Parameters
    ----------
    path : Path
        The file that the header was read from.
    header : VolumeHeader
        What it promises.
    meant : bool
        True: values with the header's slope and intercept applied, float32. False: as stored.

    Raises
    ------
    InvalidInputError
        The file is cut off or damaged, or values are not finite; the message does not name the file.
    """
    return read_filled_voxels(path, header, meant, None)[0]


def read_filled_voxels(
    path: Path, header: VolumeHeader, meant: bool, fill: float | None
) -> tuple[Shaped[np.ndarray, "X Y Z"], int]:
    """Read the voxels of one file, a value in the place of NaN, and return how many of them were NaN.

    Parameters
    ----------
    path, header, meant
        As of `read_voxels`.
    fill : float, optional
        That value, as slope and intercept lead to; None refuses NaN.

    Raises
    ------
    InvalidInputError
        As `read_voxels`; or the numbers of the file cannot hold the value.
    """
    stored = _stored_voxels(path, header)
    voxels = stored.astype(header.dtype, order="C")
    if meant:
        voxels = _meant_values(voxels, header.grid)
    bad = ~np.isfinite(voxels)
    if fill is None or not bad.any():
        _check_finite(voxels, bad)
        return voxels, 0
    holes = np.isnan(voxels)
    _check_finite(voxels, bad & ~holes)
    with np.errstate(over="ignore"):
        value = voxels.dtype.type(fill if meant else _stored_value(fill, header.grid))
    if not np.isfinite(value):
        raise InvalidInputError(f"--nan must be a number that {voxels.dtype.name} can hold, {fill:g} is none")
    voxels[holes] = value
    return voxels, int(np.count_nonzero(holes))


def _check_finite(voxels: np.ndarray, bad: Bool[np.ndarray, "X Y Z"]) -> None:
    count = int(np.count_nonzero(bad))
    if not count:
        return
    if np.isnan(voxels[bad]).all():
        found, fix = "NaN", "give --nan VALUE to take them for a number, such as 0"
    else:
        found, fix = "infinite, or NaN and infinite", "replace them"
    raise InvalidInputError(f"voxels must be finite numbers, {count} are {found}: {fix}")


def _stored_value(meant: float, grid: VolumeGrid) -> float:
    slope, intercept = grid.scale
    return meant if slope == 0 else (meant - intercept) / slope


def _stored_voxels(path: Path, header: VolumeHeader) -> Shaped[np.ndarray, "X Y Z"]:
    """Return the voxels as they are in the file; one that is not packed is mapped, not read."""
    shape = header.shape[:NUM_SIDES]
    needed = math.prod(shape) * header.stored.itemsize
    try:
        if not _is_packed(path):
            there = path.stat().st_size - header.offset
            if there >= needed:
                return np.memmap(path, header.stored, "r", header.offset, shape, order="F")
        else:
            with gzip.GzipFile(path) as file:
                file.seek(header.offset)
                content = file.read(needed)
            there = len(content)
            if there >= needed:
                return np.frombuffer(content, header.stored).reshape(shape, order="F")
    except _READ_ERRORS as error:
        raise _damaged(error) from None
    raise InvalidInputError(f"damaged: {max(there, 0)} of {needed} bytes of voxels are there")


def _meant_values(voxels: np.ndarray, grid: VolumeGrid) -> np.ndarray:
    slope, intercept = grid.scale
    if slope == 0:
        return voxels.astype(np.float32)
    with np.errstate(over="ignore"):  # what overflows is refused as infinite
        return (voxels * slope + intercept).astype(np.float32)


def write_volume(path: Path, sample: Shaped[np.ndarray, "X Y Z"], fmt: SampleFormat) -> None:
    """Write one sample as a NIfTI file. See `riemaug.data.sample_writer.SampleWriter`."""
    header = _header_for(fmt)
    with atomic_path(path) as temporary, temporary.open("wb") as target:
        if fmt.suffix == ".nii":
            _write_to(target, header, sample)
            return
        # neither name nor time in the file: the same seed gives the same bytes
        with gzip.GzipFile(
            filename="", mode="wb", compresslevel=_COMPRESSION, fileobj=target, mtime=0
        ) as file:
            _write_to(file, header, sample)


def _write_to(file: BufferedIOBase, header: "Nifti1Header", sample: np.ndarray) -> None:
    block = header.binaryblock
    file.write(block.ljust(int(header["vox_offset"]), b"\0"))
    file.write(sample.astype(sample.dtype.newbyteorder("<"), copy=False).tobytes(order="F"))


def written_affine(fmt: SampleFormat) -> Float[np.ndarray, "4 4"]:
    """Return the map from voxels to millimetres of the volumes that a format writes."""
    return np.asarray(_header_for(fmt).get_best_affine(), dtype=np.float64)


def _header_for(fmt: SampleFormat) -> "Nifti1Header":
    check_nibabel()
    grid = fmt.grid
    if grid is None:
        raise InvalidInputError("a format of volumes needs its grid, it has none")
    header = _header_class(grid.version)(endianness="<")
    header.set_data_dtype(np.dtype(fmt.dtype))
    header.set_data_shape(fmt.shape)
    grid.write_into(header)
    # the voxels begin after the header and the four bytes that say that no extension follows
    header["vox_offset"] = _HEADER_BYTES[grid.version] + 4
    header["magic"] = next(magic for magic, version in _MAGIC.items() if version == grid.version)
    return header


def as_written(
    source: Path, fmt: SampleFormat, limits: Limits = DEFAULT_LIMITS, nan: float | None = None
) -> Shaped[np.ndarray, "X Y Z"] | None:
    """Return the voxels of a file as the format writes them; None if the file holds just these.

    They are others where the file has another grid, or NaN for which `nan` is taken.

    Raises
    ------
    InvalidInputError
        The file can no longer be read.
    """
    header = read_volume_header(source, limits)
    grid = fmt.grid
    target = written_affine(fmt)
    sides = fmt.shape[:NUM_SIDES]
    is_there = header.shape[:NUM_SIDES] == sides and is_same_grid(header.affine, target, sides)
    if is_there and nan is None:
        return None
    meant = header.dtype.name != fmt.dtype or (grid is not None and header.grid.scale != grid.scale)
    voxels, filled = read_filled_voxels(source, header, meant, nan)
    if is_there:
        return voxels if filled else None
    return onto_grid(voxels, header.affine, sides, target)


def upright_samples(samples: Shaped[np.ndarray, "n ..."], fmt: SampleFormat) -> Shaped[np.ndarray, "n ..."]:
    """Return samples in [0, 1] as they are looked at.

    Volumes are turned from head to feet, transparent pictures lie on white, others are as they are.
    """
    if has_alpha(fmt.model_channels):
        return on_white(samples)
    if fmt.grid is None:
        return samples
    return upright(samples, np.asarray(_header_for(fmt).get_best_affine(), dtype=np.float64))


def upright_lengths(fmt: SampleFormat) -> tuple[float, float, float]:
    """Return how long the sides of volumes are, in the order that `upright_samples` brings them to.

    Of NIfTI volumes in the affine's unit of length, of stacks in that of their resolution, of others in
    voxels. An affine that gives an axis no length counts as one of cubic voxels.

    Parameters
    ----------
    fmt : SampleFormat
        With three sides.
    """
    first, second, third = fmt.sample_shape[:NUM_SIDES]
    if fmt.grid is None:
        lengths = None if fmt.resolution is None else fmt.resolution.voxel_lengths()
        depth, height, width = lengths or (1.0, 1.0, 1.0)
        return first * depth, second * height, third * width
    affine = np.asarray(_header_for(fmt).get_best_affine(), dtype=np.float64)
    sides = np.empty((1, *fmt.sample_shape[:NUM_SIDES]), dtype=np.bool_)
    spacing = np.array(upright_spacing(affine))
    if not (np.isfinite(spacing) & (spacing > 0)).all():
        spacing = np.ones(NUM_SIDES)
    first, second, third = (spacing * upright(sides, affine).shape[1:]).tolist()
    return first, second, third
