"""What an image file may ask for: how it is opened, its pages, and what a page of it promises."""

import math
import threading
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

# only these decoders are tried, whatever the file's first bytes claim to be
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF")
_TILE_SIDES = (322, 323)
_MOST_TILE_PIXELS = 2**24
"""A tile is unpacked whole, however small the picture is that it belongs to."""
_PILLOWS_LIMIT = threading.Lock()


def opened_within(path: Path, limits: Limits) -> Image.Image:
    """Open an image file, of which only the header is read; raises what Pillow raises."""
    if limits.pixels <= DEFAULT_LIMITS.pixels:
        return Image.open(path, formats=_FORMATS)
    # Pillow's own limit is one number for the whole process: it is lifted while a header is read, and only
    # for a user who asked for more than it
    with _PILLOWS_LIMIT:
        usual, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, limits.pixels
        try:
            return Image.open(path, formats=_FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = usual


def each_page(image: Image.Image, limits: Limits) -> Iterator[int]:
    """Yield the numbers of the pages of an open TIFF file, each while the file stands at it.

    Raises
    ------
    InvalidInputError
        There are more than `limits.pages`.
    """
    page = 0
    while True:
        try:
            image.seek(page)
        except EOFError:
            return
        _check_pages(page + 1, limits)
        yield page
        page += 1


def _check_pages(count: int, limits: Limits) -> None:
    if count > limits.pages:
        raise InvalidInputError(
            f"an image file may have up to {limits.pages:,} pages, this one has more: divide it;"
            f" {limits.way_out('pages')}"
        )


def num_pages(image: Image.Image, limits: Limits) -> int:
    """Return how many pages or frames a file has; none is unpacked: it may be larger than the first."""
    if image.format != "TIFF":
        count = int(getattr(image, "n_frames", 1))
        _check_pages(count, limits)
        return count
    count = sum(1 for _ in each_page(image, limits))
    image.seek(0)
    return count


def too_large(found: str, limits: Limits) -> InvalidInputError:
    """Return the refusal of an image that promises so many pixels."""
    return InvalidInputError(
        f"an image may have up to {limits.pixels} pixels, this one promises {found}: make it smaller;"
        f" {limits.way_out('pixels')}"
    )


def check_page(image: Image.Image, limits: Limits) -> None:
    """Raise InvalidInputError for a page of too many pixels, or one whose tiles are absurdly larger than it.

    The decoder takes memory for a whole tile of a TIFF file, of which the size is but a number there.
    """
    width, height = image.size
    if width * height > limits.pixels:
        raise too_large(f"{height}x{width}", limits)
    if image.format != "TIFF":
        return
    tags = getattr(image, "tag_v2", {})
    sides = [int(tags.get(name, 0)) for name in _TILE_SIDES]
    if math.prod(sides) > max(_MOST_TILE_PIXELS, 4 * math.prod(image.size)):
        raise InvalidInputError(
            f"damaged: tiles of {sides[1]}x{sides[0]} for a page of {image.height}x{image.width}"
        )
