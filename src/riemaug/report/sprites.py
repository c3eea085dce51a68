"""Many small pictures in one PNG, small enough to be embedded and shown tile by tile."""

import base64
import io
import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from riemaug.errors import InvalidInputError

Pictures = UInt8[np.ndarray, "_ _ _ ..."]

MAX_TILES = 24
SHOWN_SIDE = 96  # a small picture is enlarged by a whole factor to about this many pixels on the screen
PHONE_SIDE = 64
_COLUMNS = 8
_GUTTER = 1  # a copy of the border, so that rounding on the screen never shows a neighbour
DECODED_SIDE = 176
"""Pixels on the screen that a decoded image is enlarged to, about."""
_SHEET_STEPS = ((48, 1), (40, 1), (32, 1), (24, 1), (24, 2), (16, 2))
_STEPS = ((160, 24), (128, 24), (112, 16), (96, 16), (80, 12), (64, 12), (48, 8), (32, 8))


@dataclass(frozen=True)
class Sprite:
    """One PNG that holds some pictures of equal size.

    Parameters
    ----------
    uri : str
        The PNG as a data URI.
    width, height : int
        Size of one tile in pixels of the PNG.
    sheet_width : int
        Width of the PNG.
    offsets : tuple of (int, int)
        Left and top of each tile.
    """

    uri: str
    width: int
    height: int
    sheet_width: int
    offsets: tuple[tuple[int, int], ...]

    @property
    def zoom(self) -> int:
        """Whole factor by which the tiles are enlarged on a wide screen."""
        return max(1, round(SHOWN_SIDE / math.sqrt(self.width * self.height)))

    @property
    def phone_zoom(self) -> int:
        """Whole factor by which the tiles are enlarged on a phone."""
        return max(1, round(PHONE_SIDE / math.sqrt(self.width * self.height)))


def make_sprites(stacks: tuple[Pictures, ...], budget: int) -> tuple[Sprite, ...]:
    """Put each stack of pictures into one sprite, all together within a number of bytes if that is possible.

    Large pictures are made smaller and then fewer until they fit; small ones are never resized. All stacks
    get the same limit, so that pictures that belong together keep the same size and number.

    Parameters
    ----------
    stacks : tuple of ndarray (k, H, W) or (k, H, W, 3), uint8
        Only the first 24 of each are used.
    budget : int
        Bytes that all data URIs together may take.

    Raises
    ------
    InvalidInputError
        An array that is no stack of grey or RGB pictures.
    """
    stacks = tuple(_checked(stack) for stack in stacks)
    sprites: tuple[Sprite, ...] = ()
    bytes_per_pixel = 0.0
    for side, tiles in _STEPS:
        pixels = sum(_shown_pixels(stack, side, tiles) for stack in stacks)
        if bytes_per_pixel * pixels > budget and (side, tiles) != _STEPS[-1]:
            continue
        sprites = tuple(_sprite(_shrink(stack[:tiles], side)) for stack in stacks)
        size = sum(len(sprite.uri) for sprite in sprites)
        if size <= budget:
            break
        bytes_per_pixel = size / max(pixels, 1)
    return sprites


def _checked(stack: np.ndarray) -> np.ndarray:
    if stack.ndim == 4 and stack.shape[-1] == 1:
        stack = stack[..., 0]
    grey_or_rgb = stack.ndim == 3 or (stack.ndim == 4 and stack.shape[-1] == 3)
    if stack.dtype != np.uint8 or not grey_or_rgb or 0 in stack.shape:
        raise InvalidInputError(
            "pictures of a report must be uint8 of shape (k, H, W) or (k, H, W, 3) and not empty, got "
            f"{stack.dtype} of shape {stack.shape}; convert them, or pass None for data that are not images"
        )
    return stack[:MAX_TILES]


def _target(height: int, width: int, side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _shown_pixels(stack: np.ndarray, side: int, tiles: int) -> int:
    height, width = _target(stack.shape[1], stack.shape[2], side)
    return min(len(stack), tiles) * height * width


def _shrink(stack: np.ndarray, side: int) -> np.ndarray:
    height, width = _target(stack.shape[1], stack.shape[2], side)
    if (height, width) == stack.shape[1:3]:
        return stack
    small = (Image.fromarray(tile).resize((width, height), Image.Resampling.LANCZOS) for tile in stack)
    return np.stack([np.asarray(tile) for tile in small])


def _sprite(stack: np.ndarray) -> Sprite:
    number, height, width = stack.shape[:3]
    columns = min(_COLUMNS, number)
    rows = -(-number // columns)
    border = ((0, 0), (_GUTTER, _GUTTER), (_GUTTER, _GUTTER)) + ((0, 0),) * (stack.ndim - 3)
    tiles = np.pad(stack, border, mode="edge")
    full_height, full_width = tiles.shape[1:3]
    sheet = np.zeros((rows * full_height, columns * full_width, *stack.shape[3:]), dtype=np.uint8)
    offsets = []
    for index, tile in enumerate(tiles):
        top, left = index // columns * full_height, index % columns * full_width
        sheet[top : top + full_height, left : left + full_width] = tile
        offsets.append((left + _GUTTER, top + _GUTTER))
    uri = png_uri(Image.fromarray(sheet))
    return Sprite(uri, width, height, sheet.shape[1], tuple(offsets))


@dataclass(frozen=True)
class Sheet:
    """Many pictures of equal size side by side, with nothing between them, as one lossy or lossless file.

    Parameters
    ----------
    uri : str
        The picture as a data URI.
    width, height : int
        Size of one of them in pixels.
    columns : int
        How many lie in a row.
    reach : float
        Where the last one lies, as a share of the way from the first to the last of the given ones: below 1
        where some had to be left out.
    """

    uri: str
    width: int
    height: int
    columns: int
    reach: float = 1.0

    @property
    def zoom(self) -> int:
        """Whole factor by which they are enlarged."""
        return max(1, round(DECODED_SIDE / max(self.width, self.height)))


def make_sheet(stack: Pictures, budget: int) -> Sheet:
    """Put a square number of pictures into one sheet, within a number of bytes if that is possible.

    Pictures of more than 48 x 48 pixels are made smaller. Of PNG and JPEG the smaller one is
    taken if the first is above the budget; then the pictures are made smaller still, and every other one is
    left out.

    Parameters
    ----------
    stack : ndarray (k^2, H, W) or (k^2, H, W, 3), uint8
    budget : int
        Bytes of the data URI.
    """
    side = math.isqrt(len(stack))
    height, width = stack.shape[1:3]
    stretch = max(height, width) / math.sqrt(height * width)
    sheet = None
    for longest, step in _SHEET_STEPS:
        kept = stack.reshape(side, side, *stack.shape[1:])[::step, ::step]
        small = _shrink(kept.reshape(-1, *stack.shape[1:]), round(longest * stretch))
        sheet = replace(
            tight_sheet(small, len(kept), budget), reach=step * (len(kept) - 1) / max(side - 1, 1)
        )
        if len(sheet.uri) <= budget:
            break
    assert sheet is not None
    return sheet


def tight_sheet(stack: Pictures, columns: int, budget: int) -> Sheet:
    """Return pictures side by side as a PNG, or as a JPEG where that takes more bytes than `budget`."""
    height, width = stack.shape[1:3]
    rows = -(-len(stack) // columns)
    padded = np.concatenate([stack, np.zeros_like(stack[: rows * columns - len(stack)])])
    grid = padded.reshape(rows, columns, height, width, *stack.shape[3:]).swapaxes(1, 2)
    image = Image.fromarray(
        np.ascontiguousarray(grid.reshape(rows * height, columns * width, *stack.shape[3:]))
    )
    uri = png_uri(image)
    return Sheet(uri if len(uri) <= budget else jpeg_uri(image), width, height, columns)


def jpeg_uri(image: Image.Image, quality: int = 82) -> str:
    """Return a picture as the data URI of a JPEG, colours at full resolution."""
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality, subsampling=0, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def png_uri(image: Image.Image) -> str:
    """Return a picture as the data URI of a PNG without metadata."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
