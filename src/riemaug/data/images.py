"""One image file to one array: which pixel kinds are read, and what is refused."""

import math
import struct
import threading
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Shaped
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from riemaug.data.channels import has_alpha, is_coloured, num_channels
from riemaug.data.checks import check_is_file, check_memory
from riemaug.data.image_limits import check_page, num_pages, opened_within, too_large
from riemaug.data.listing import UNREAD_IMAGE_SUFFIXES
from riemaug.data.resolution import Resolution, resolution_of_picture
from riemaug.data.tiff_header import why_unread
from riemaug.errors import InvalidInputError, RiemaugError
from riemaug.limits import DEFAULT_LIMITS, Limits

# a phone's MPO holds further views beside the one picture that every viewer shows: that is no stack
_STACKABLE_FORMATS = frozenset({"PNG", "TIFF", "GIF"})
_OPAQUE = 255
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_SAMPLE_FORMAT, _SIGNED = 339, 2
_LARGE, _BYTES_PER_PIXEL = 2**24, 20
"""Pixels from which on pictures are decoded one after the other, and what one takes while it is resized."""
_ONE_LARGE_AT_A_TIME = threading.Lock()
# Pillow's decoders were not written for files that lie: what they trip over is found by fuzzing
_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
)

PixelKind = Literal["grey", "grey saved as RGB", "RGB"]
Alpha = Literal["none", "opaque", "seen through"]


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """The pixels of one file.

    Parameters
    ----------
    pixels : ndarray (H, W), (H, W, 2), (H, W, 3) or (H, W, 4)
        uint8, uint16 or float32. Grey also for RGB files whose channels are equal. 2 and 4 channels: with
        transparency as the last one.
    kind : {"grey", "grey saved as RGB", "RGB"}
        What the colours of the file are.
    alpha : {"none", "opaque", "seen through"}
        Whether the file has an alpha channel. Opaque ones are not among the pixels.
    stored_size : tuple of int
        (H, W) of the picture before it was resized.
    conversions : tuple of str
        What was done to the pixels at reading: keys of `CONVERSION_NOTES`.
    resolution : Resolution, optional
        How large the pixels of the file are said to be.
    """

    pixels: Shaped[np.ndarray, "H W ..."]
    kind: PixelKind
    alpha: Alpha
    stored_size: tuple[int, int]
    conversions: tuple[str, ...]
    resolution: Resolution | None = None


CONVERSION_NOTES = {
    "palette": "with a colour palette: read as RGB",
    "bilevel": "with 1 bit a pixel: read as 8-bit grey, 0 and 255",
    "opaque alpha": "with an opaque alpha channel: read without it",
    "transparent colour": "with a transparent colour: read with an alpha channel",
    "four inks": "in CMYK or YCbCr: read as RGB",
    "orientation": "with an EXIF orientation: turned upright",
    "white is zero": "with 0 for white: inverted, so that 0 is black",
    "signed bytes": "with signed 8-bit integers, all in 0..127: read, and written, as 8-bit grey",
    "wide integers": "with 32-bit or signed integers, all in 0..65535: read, and written, as 16-bit grey",
}


def conversion_notes(conversions: Iterable[str]) -> list[str]:
    """Return the notes on what was done to files at reading, each a key of `CONVERSION_NOTES`."""
    return [
        f"{count} files {CONVERSION_NOTES[name]}." for name, count in sorted(Counter(conversions).items())
    ]


def decode_image(
    path: Path, resize: tuple[int, int] | None = None, limits: Limits = DEFAULT_LIMITS
) -> DecodedImage:
    """Read one image file.

    Parameters
    ----------
    path : Path
        A png, jpg, tiff, bmp or gif file; its content decides, not its suffix.
    resize : tuple of int, optional
        (H, W) to bring the picture to.
    limits : Limits

    Returns
    -------
    DecodedImage
        The pixels and what they were.

    Raises
    ------
    InvalidInputError
        The file is damaged, too large, a stack, or of a pixel kind that cannot be kept; the message
        does not name the file.
    ResourceError
        The picture does not fit the memory.
    """
    with opened_image(path, limits) as image:
        _check_header(image, limits)
        pixels = math.prod(image.size)
        if pixels > _LARGE:
            check_memory(_BYTES_PER_PIXEL * pixels, "pixels of one image", "make it smaller")
        with _ONE_LARGE_AT_A_TIME if pixels > _LARGE else nullcontext():
            return _decode(image, resize)


@contextmanager
def opened_image(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[Image.Image]:
    """Open an image file; what goes wrong while it is open is one line.

    Raises
    ------
    InvalidInputError
        The file is damaged or too large; the message does not name the file.
    """
    check_is_file(path)
    try:
        with opened_within(path, limits) as image:
            if image.format == "TIFF":
                # with a name Pillow maps the file, a picture on its side with width and height swapped
                image.filename = ""  # pyright: ignore[reportAttributeAccessIssue]
            yield image
    except RiemaugError:
        raise
    except Image.DecompressionBombError:
        raise too_large("more than the limit", limits) from None
    except UnidentifiedImageError:
        raise InvalidInputError(_why_no_image(path)) from None
    except _DECODING_ERRORS as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InvalidInputError(f"damaged or unreadable: {' '.join(str(reason).split())}") from None


def _why_no_image(path: Path) -> str:
    suffix = path.suffix.casefold()
    if suffix in UNREAD_IMAGE_SUFFIXES:
        return f"{suffix} files are not read: convert it to png"
    return why_unread(path) or "no readable image: damaged, or of another format than its name"


def page_conversions(image: Image.Image) -> tuple[str, ...]:
    """Return what `grey_page` does to the numbers of a page that is open: keys of `CONVERSION_NOTES`."""
    return ("bilevel",) if image.mode == "1" else _number_conversions(image)


def _number_conversions(image: Image.Image) -> tuple[str, ...]:
    if image.format != "TIFF":
        return ()
    if image.mode == "I;16" and _is_white_zero(image):
        return ("white is zero",)
    if image.mode == "L" and _is_signed(image):
        return ("signed bytes",)
    return ("wide integers",) if image.mode == "I" else ()


def grey_page(image: Image.Image) -> Shaped[np.ndarray, "H W"]:
    """Return the pixels of one grey page of a file that is open.

    Raises
    ------
    InvalidInputError
        The page is coloured or transparent, or of a pixel kind that cannot be kept.
    """
    plain, _ = _plain_mode(image)
    if len(plain.getbands()) > 1:
        raise InvalidInputError(f"pages of a stack must be grey, this one is {plain.mode}: save it as grey")
    return _numbers(plain, _number_conversions(image))


def _decode(image: Image.Image, resize: tuple[int, int] | None) -> DecodedImage:
    resolution = resolution_of_picture(image)
    upright, conversions = _upright(image)
    alpha = _alpha_of(upright)
    plain, more = _plain_mode(upright)
    conversions += (*more, *_number_conversions(image))
    pixels = _numbers(plain, conversions)
    stored_size = (pixels.shape[0], pixels.shape[1])
    pixels, kind = _drop_idle_colour(pixels)
    if has_alpha(num_channels(pixels.shape)):
        alpha = "seen through"
    if resize is not None and resize != stored_size:
        pixels = resize_pixels(pixels, resize)
    return DecodedImage(pixels, kind, alpha, stored_size, conversions, resolution)


def _alpha_of(image: Image.Image) -> Alpha:
    # a transparent colour that no pixel has is no channel that a reader would miss
    return "opaque" if image.getbands()[-1] in ("A", "a") else "none"


def _check_header(image: Image.Image, limits: Limits) -> None:
    check_page(image, limits)
    if image.format in _STACKABLE_FORMATS:
        frames = num_pages(image, limits)
        if frames > 1:
            raise InvalidInputError(
                f"one file must be one picture, this one has {frames} frames: save one frame"
            )
    if len(image.getbands()) > 1 and _bits_per_channel(image) > 8:
        # Pillow would quietly keep 8 of the bits
        raise _deep_channels(image)


def _deep_channels(image: Image.Image) -> InvalidInputError:
    """Return the refusal of several channels of more than 8 bits, which says what they are."""
    # Pillow opens grey with alpha of such PNG files as RGBA: only the decoder's own word tells
    raw = [str(getattr(tile, "args", "")) for tile in getattr(image, "tile", [])]
    if image.mode == "LA" or any("LA;16" in text for text in raw):
        return InvalidInputError(
            "16-bit grey with transparency cannot be kept: save it as 16-bit grey without, or as 8-bit grey"
            " with it"
        )
    return InvalidInputError("16-bit colour cannot be kept: save it as 8-bit colour or as 16-bit grey")


def _bits_per_channel(image: Image.Image) -> int:
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, 8)
        return max(bits) if isinstance(bits, tuple) else int(bits)
    described = [str(getattr(tile, "args", "")) for tile in getattr(image, "tile", [])]
    return 16 if any(";16" in text for text in described) else 8


def _is_white_zero(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", {})
    return tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO and _bits_per_channel(image) == 16


def _is_signed(image: Image.Image) -> bool:
    found = getattr(image, "tag_v2", {}).get(_SAMPLE_FORMAT, 1)
    return _SIGNED in (found if isinstance(found, tuple) else (found,))


def _upright(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
        return image, ()
    return ImageOps.exif_transpose(image), ("orientation",)


def _plain_mode(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """Return the picture as L, LA, RGB, RGBA, I, I;16* or F, with the names of what was done to it."""
    mode = image.mode
    if mode == "F" or mode == "I" or mode.startswith("I;16"):
        return image, ()
    conversions = ("palette",) if mode in ("P", "PA") else ("bilevel",) if mode == "1" else ()
    if image.has_transparency_data:
        plain, more = _with_alpha(image)
        return plain, (*conversions, *more)
    if mode in ("L", "RGB"):
        return image, conversions
    if mode == "1":
        return image.convert("L"), conversions
    if mode in ("P", "RGBX"):
        return image.convert("RGB"), conversions
    if mode in ("CMYK", "YCbCr"):
        return image.convert("RGB"), (*conversions, "four inks")
    raise InvalidInputError(f"pixel kind {mode} cannot be read: save it as grey or RGB")


def _with_alpha(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """Return the picture as LA or RGBA, or as L or RGB where all of it is opaque."""
    colour = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    whole = image.convert("LA" if colour == "L" and image.mode != "1" else "RGBA")
    if whole.getchannel("A").getextrema()[0] == _OPAQUE:
        return whole.convert(colour), ("opaque alpha",)
    if whole.mode == "RGBA" and colour == "L":
        whole = whole.convert("LA")
    return whole, () if _alpha_of(image) == "opaque" else ("transparent colour",)


def _numbers(plain: Image.Image, conversions: Iterable[str]) -> np.ndarray:
    """Return the pixels as numbers, turned round where the file has 0 for white."""
    pixels = _to_array(plain)
    if "signed bytes" in conversions:
        # Pillow reads them as unsigned ones: -1 as 255
        signed = pixels.view(np.int8)
        if signed.min() < 0:
            raise InvalidInputError(
                f"8-bit pixels must not be negative, these go from {signed.min()} to {signed.max()}: save"
                " 32-bit float TIFF"
            )
    return np.iinfo(np.uint16).max - pixels if "white is zero" in conversions else pixels


def _to_array(image: Image.Image) -> np.ndarray:
    pixels = np.array(image)
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind == "f":
        missing = int(pixels.size - np.count_nonzero(np.isfinite(pixels)))
        if missing:
            raise InvalidInputError(
                f"pixels must be finite numbers, {missing} are NaN or infinite: replace them"
            )
        return pixels.astype(np.float32, copy=False)
    lowest, highest = int(pixels.min()), int(pixels.max())
    if lowest < 0 or highest > np.iinfo(np.uint16).max:
        raise InvalidInputError(
            f"integer pixels must lie in 0..65535, these go from {lowest} to {highest}: save 32-bit float"
            " TIFF"
        )
    return pixels.astype(np.uint16)


def _drop_idle_colour(pixels: np.ndarray) -> tuple[np.ndarray, PixelKind]:
    if pixels.ndim == 2:
        return pixels, "grey"
    channels = num_channels(pixels.shape)
    if not is_coloured(channels):
        return pixels, "grey"
    first = pixels[..., 0]
    if np.array_equal(first, pixels[..., 1]) and np.array_equal(first, pixels[..., 2]):
        grey = pixels[..., [0, 3]] if has_alpha(channels) else first
        return np.ascontiguousarray(grey), "grey saved as RGB"
    return pixels, "RGB"


def resize_pixels(pixels: Shaped[np.ndarray, "H W ..."], size: tuple[int, int]) -> np.ndarray:
    """Return the picture resampled to `size` = (H, W) in its own dtype.

    Shrinking averages over the area that a new pixel covers (no aliasing); growing is bilinear.
    Neither overshoots: no value leaves the range of the picture. Colours count as much as they are
    opaque, so that those of invisible pixels do not bleed into what is seen.

    Parameters
    ----------
    pixels : ndarray (H, W), (H, W, 2), (H, W, 3) or (H, W, 4)
        uint8, uint16 or float32; colour and transparency only in uint8.
    size : tuple of int
        (H, W) of the result.
    """
    # float32 holds all three dtypes; Pillow's own 8-bit resampling rounds up, its 16-bit one is partial
    channels = np.atleast_3d(pixels).astype(np.float32)
    if has_alpha(channels.shape[2]):
        resized = _resized_with_alpha(channels, size)
    else:
        resized = _resized_channels(channels, size)
    resized = np.clip(resized.reshape(*size, *pixels.shape[2:]), pixels.min(), pixels.max())
    return resized if pixels.dtype.kind == "f" else np.rint(resized).astype(pixels.dtype)


def _resized_channels(channels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    shrinks = height <= channels.shape[0] and width <= channels.shape[1]
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    # a copy: Pillow takes no view of every fourth number
    planes = [np.ascontiguousarray(channel) for channel in np.moveaxis(channels, 2, 0)]
    return np.stack(
        [np.array(Image.fromarray(plane).resize((width, height), method)) for plane in planes], axis=2
    )


def _resized_with_alpha(channels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    colours, alpha = channels[..., :-1], channels[..., -1:]
    weights = _resized_channels(alpha, size)
    plain, weighted = (_resized_channels(part, size) for part in (colours, colours * alpha))
    seen = weights > 0
    return np.concatenate([np.where(seen, weighted / np.where(seen, weights, 1), plain), weights], axis=2)
