"""Pictures of different sizes and kinds brought into one array."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Shaped

from riemaug.data.blocks import FORGOTTEN_AFTER, forget_pages
from riemaug.data.channels import channel_axis, channel_count, with_channels
from riemaug.data.checks import check_memory
from riemaug.data.images import DecodedImage
from riemaug.data.listing import SampleKind
from riemaug.data.scratch import SampleRows
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

FEWER = "give --resize HxW, or fewer images"
_COPIES = 2
"""Of a picture, while it is brought to its size."""


@dataclass(frozen=True)
class SizeOptions:
    """What the user wishes of the samples' size and grid.

    Parameters
    ----------
    resize : tuple of int, optional
        (H, W) to bring all images to.
    pad, crop : bool
        Bring images of different sizes to the largest or the smallest sides.
    fit_shape : tuple of int, optional
        Sides to model the samples at; they are written at their own.
    resample : bool
        Bring volumes of different grids to the one that most of them have.
    limits : Limits
        How large the files may be.
    nan : float, optional
        What voxels of NIfTI volumes that are NaN are taken for.
    """

    resize: tuple[int, int] | None = None
    pad: bool = False
    crop: bool = False
    fit_shape: tuple[int, ...] | None = None
    resample: bool = False
    limits: Limits = DEFAULT_LIMITS
    nan: float | None = None

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(H, W) that images are decoded to, if not their own."""
        if self.fit_shape is None:
            return self.resize
        height, width = self.fit_shape
        return height, width

    def check(self) -> None:
        """Raise InvalidInputError for wishes that contradict each other or no sample can meet."""
        if (self.resize is not None) + self.pad + self.crop + (self.fit_shape is not None) > 1:
            raise InvalidInputError(
                "--resize, --pad, --crop and --fit-shape exclude each other: give one of them"
            )
        if self.resize is not None and (len(self.resize) != 2 or not _is_size(self.resize)):
            raise InvalidInputError(
                f"--resize takes HxW of at least 1x1 and at most {DEFAULT_LIMITS.pixels} pixels, got"
                f" {_told(self.resize)}"
            )
        if self.fit_shape is not None and not _is_size(self.fit_shape):
            raise InvalidInputError(
                f"--fit-shape takes sides of at least 1 and at most {DEFAULT_LIMITS.pixels} pixels in all,"
                f" got {_told(self.fit_shape)}"
            )
        if self.nan is not None and not math.isfinite(self.nan):
            raise InvalidInputError(f"--nan takes a finite number, such as 0, got {self.nan}")

    def of_use_to(self, kind: SampleKind) -> "SizeOptions":
        """Return these without those that samples of a kind have no use for."""
        plain = kind in ("arrays", "stacks")
        return replace(
            self,
            resize=None if plain else self.resize,
            pad=self.pad and not plain,
            crop=self.crop and not plain,
            resample=self.resample and kind in ("volumes", "series"),
            nan=self.nan if kind == "volumes" else None,
        )

    def check_axes(self, num_axes: int, what: str) -> None:
        """Raise InvalidInputError for wishes that samples of so many sides cannot meet."""
        if num_axes != 2 and (self.resize is not None or self.pad or self.crop):
            raise InvalidInputError(
                f"--resize, --pad and --crop are for images, {what} keep their grid: to model them smaller"
                " give --fit-shape XxYxZ"
            )
        if self.fit_shape is not None and len(self.fit_shape) != num_axes:
            example = "HxW" if num_axes == 2 else "XxYxZ"
            raise InvalidInputError(
                f"--fit-shape of {what} takes {example}, got {_told(self.fit_shape)}: give {num_axes} sides"
            )

    def check_plain(self, num_axes: int, what: str) -> None:
        """Raise InvalidInputError for wishes that files of plain arrays cannot meet."""
        if self.resize is not None or self.pad or self.crop:
            raise InvalidInputError(
                f"--resize, --pad and --crop are for image files, {what} must have one shape: to model them"
                " smaller give --fit-shape"
            )
        self.check_axes(num_axes, what)
        self.check_no_grid(what)

    def check_no_grid(self, what: str) -> None:
        """Raise InvalidInputError for wishes that samples without a grid in space cannot meet."""
        self.check_no_nan(what)
        if self.resample:
            raise InvalidInputError(
                f"--resample is for volumes with a grid in space (NIfTI, DICOM), {what} have none: leave it"
                " out"
            )

    def check_no_nan(self, what: str) -> None:
        """Raise InvalidInputError if NaN was to be replaced in what is not NIfTI."""
        if self.nan is not None:
            raise InvalidInputError(f"--nan is for NIfTI volumes, {what} are none: leave it out")


def _is_size(sides: tuple[int, ...]) -> bool:
    return bool(sides) and min(sides) >= 1 and math.prod(sides) <= DEFAULT_LIMITS.pixels


def _told(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides))


@dataclass(frozen=True)
class CommonKind:
    """How a set of pictures is modelled and written.

    Attributes
    ----------
    coloured : bool
        Modelled in colour.
    grey_as_rgb : bool
        Modelled as grey, written as RGB.
    alpha : bool
        Modelled with an alpha channel.
    opaque_alpha : bool
        Modelled without, and written with an opaque one.
    notes : tuple of str
    """

    coloured: bool
    grey_as_rgb: bool
    alpha: bool
    opaque_alpha: bool
    notes: tuple[str, ...]

    @property
    def channels(self) -> int:
        """Number of channels of the samples as they are modelled."""
        return channel_count(self.coloured, self.alpha)


def common_kind(images: Sequence[DecodedImage], names: Sequence[str]) -> CommonKind:
    """Decide how a set of pictures is modelled and written.

    Raises
    ------
    InvalidInputError
        8-bit, 16-bit and float files in one set, or 16-bit or float files beside transparent ones.
    """
    first_of: dict[str, str] = {}
    for image, name in zip(images, names, strict=True):
        first_of.setdefault(image.pixels.dtype.name, name)
    if len(first_of) > 1:
        found = ", ".join(f"{dtype} ({name!r})" for dtype, name in sorted(first_of.items()))
        raise InvalidInputError(f"all images must have one bit depth, found {found}: convert them to one")
    coloured, grey_as_rgb, notes = _common_colours(Counter(image.kind for image in images))
    alpha, opaque_alpha, more = _common_alpha(Counter(image.alpha for image in images))
    return CommonKind(coloured, grey_as_rgb, alpha, opaque_alpha, (*notes, *more))


def _common_colours(kinds: Counter[str]) -> tuple[bool, bool, list[str]]:
    """Return whether samples are coloured, whether grey ones are written as RGB, and notes."""
    if not kinds["RGB"]:
        return _all_grey(kinds)
    if kinds["grey"]:
        return True, False, [f"{kinds['grey']} grey files among RGB ones: read as RGB."]
    return True, False, []


def _common_alpha(alphas: Counter[str]) -> tuple[bool, bool, list[str]]:
    """Return whether alpha is modelled, whether an opaque one is written, and notes."""
    seen_through, total = alphas["seen through"], alphas.total()
    if seen_through:
        others = total - seen_through
        note = f"{others} files without transparency among transparent ones: read as opaque."
        return True, False, [note] if others else []
    if alphas["opaque"] == total:
        return False, True, ["All files have an opaque alpha channel, new ones get one too."]
    return False, False, []


def _all_grey(kinds: Counter[str]) -> tuple[bool, bool, list[str]]:
    coloured = kinds["grey saved as RGB"]
    if not coloured:
        return False, False, []
    if not kinds["grey"]:
        return False, True, ["All RGB files are grey in content: modelled as grey, written as RGB again."]
    return False, False, [f"{coloured} RGB files among grey ones, grey in content: read and written as grey."]


def stack_images(
    images: list[DecodedImage], channels: int, pad: bool = False, crop: bool = False
) -> tuple[Shaped[np.ndarray, "n H W ..."], list[str]]:
    """Bring the pictures to one size and into one array.

    Parameters
    ----------
    images : list of DecodedImage
        Pictures of one dtype. The list is emptied on the way, so that memory holds each picture once.
    channels : int
        Number of channels to give every sample; see `riemaug.data.channels.with_channels`.
    pad, crop : bool
        Centre in the largest height and width, or cut the centre of the smallest ones.

    Returns
    -------
    tuple of (ndarray (n, H, W[, channels]), list of str)
        The samples and the notes.

    Raises
    ------
    InvalidInputError
        Sizes differ and neither `pad` nor `crop` is asked for.
    ResourceError
        One picture does not fit the memory that is free, or all of them neither memory nor the disk.
    """
    sizes = Counter((image.pixels.shape[0], image.pixels.shape[1]) for image in images)
    if len(sizes) > 1 and not (pad or crop):
        raise _unequal_sizes(sizes)
    choose = min if crop else max
    size = (choose(height for height, _ in sizes), choose(width for _, width in sizes))
    shape = (len(images), *size, *channel_axis(channels))
    dtype = images[0].pixels.dtype
    check_memory(_COPIES * math.prod(shape[1:]) * dtype.itemsize, "pixels of one image", "give --resize HxW")
    fill = _most_common_corner(images, channels) if len(sizes) > 1 and pad else None
    samples = SampleRows(shape, dtype, "images", FEWER)
    for row, pixels in enumerate(_taken_from(images)):
        samples.put(row, _fit_centre(with_channels(pixels, channels), size, fill))
    stacked = samples.finished(range(shape[0]))
    return stacked, [_fitted_note(len(sizes), size, fill)] if len(sizes) > 1 else []


def stored_size(images: Sequence[DecodedImage]) -> tuple[int, int]:
    """Return the one size that the pictures have in their files.

    Raises
    ------
    InvalidInputError
        There are several.
    """
    sizes = Counter(image.stored_size for image in images)
    if len(sizes) > 1:
        raise _unequal_sizes(sizes)
    return next(iter(sizes))


def _taken_from(images: list[DecodedImage]) -> Iterator[Shaped[np.ndarray, "H W ..."]]:
    images.reverse()
    read = 0
    while images:
        pixels = images.pop().pixels
        yield pixels
        read += pixels.nbytes
        if read > FORGOTTEN_AFTER:
            forget_pages(pixels)
            read = 0


def _unequal_sizes(sizes: Counter[tuple[int, int]]) -> InvalidInputError:
    common = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:2]
    listed = " and ".join(f"{count} of {height}x{width}" for (height, width), count in common)
    return InvalidInputError(
        f"all images must have one size, found {len(sizes)} sizes, the most common {listed}:"
        " give --resize HxW, --pad or --crop"
    )


def _fitted_note(number: int, size: tuple[int, int], fill: np.ndarray | None) -> str:
    done = "centre-cropped" if fill is None else f"padded with the value {np.ravel(fill).tolist()}"
    return f"Images of {number} sizes were {done} to {size[0]}x{size[1]}."


def _most_common_corner(images: Sequence[DecodedImage], channels: int) -> np.ndarray:
    # the background of a set is what its corners show; zero would frame bright backgrounds in black
    found: Counter[tuple[float, ...]] = Counter()
    for image in images:
        corners = with_channels(image.pixels[:: max(image.pixels.shape[0] - 1, 1)], channels)
        corners = corners[:, :: max(image.pixels.shape[1] - 1, 1)]
        found.update(tuple(np.ravel(value).tolist()) for row in corners for value in row)
    best = min(found, key=lambda value: (-found[value], value))
    return np.array(best if channels > 1 else best[0], dtype=images[0].pixels.dtype)


def _fit_centre(pixels: np.ndarray, size: tuple[int, int], fill: np.ndarray | None) -> np.ndarray:
    if pixels.shape[:2] == size:
        return pixels
    fitted = np.empty((*size, *pixels.shape[2:]), pixels.dtype)
    if fill is not None:
        fitted[...] = fill
    source, target = [], []
    for have, want in zip(pixels.shape[:2], size, strict=True):
        kept = min(have, want)
        source.append(slice((have - kept) // 2, (have - kept) // 2 + kept))
        target.append(slice((want - kept) // 2, (want - kept) // 2 + kept))
    fitted[target[0], target[1]] = pixels[source[0], source[1]]
    return fitted
