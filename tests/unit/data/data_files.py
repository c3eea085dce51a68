"""Image files for the tests of riemaug.data, and the one-line refusals they lead to."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from riemaug.data import read_dataset
from riemaug.errors import InvalidInputError


def save_image(path: Path, pixels: np.ndarray | Image.Image, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


def noise(seed: int, shape: tuple[int, ...] = (6, 5), dtype: str = "uint8") -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        return rng.normal(size=shape).astype(np.float32)
    return rng.integers(0, np.iinfo(dtype).max, size=shape, dtype=dtype, endpoint=True)


def nth_image(class_name: str, index: int) -> np.ndarray:
    """Return the pixels that the fixture `fill` writes as a class's `index`-th image."""
    return noise(zlib.crc32(f"{class_name}/{index}".encode()))


def refused(path: Path, *parts: str, **options: object) -> str:
    """Return the one-line message with which `path` is refused; all `parts` must be in it."""
    with pytest.raises(InvalidInputError) as caught:
        read_dataset(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message
    return message


def retag(path: Path, tag: int, *values: int) -> Path:
    """Overwrite up to two whole numbers that a tag of a little-endian TIFF file holds."""
    content = bytearray(path.read_bytes())
    start = content.index(struct.pack("<HHI", tag, 3, len(values)))
    struct.pack_into(f"<{len(values)}H", content, start + 8, *values)
    path.write_bytes(content)
    return path
