"""Pictures and stacks: PNG, JPEG, TIFF, BMP and GIF, whatever the bytes claim to be."""

import io

import numpy as np
from PIL import Image

from fuzz import scratch
from riemaug.data.images import decode_image
from riemaug.data.stack_files import read_stack
from riemaug.limits import Limits

LIMITS = Limits(pixels=2**20, pages=50)


def target(data: bytes) -> None:
    """Decode the bytes as a picture, or as a stack if the first byte is odd."""
    path = scratch.folder("images") / "x.png"
    path.write_bytes(data[1:])
    if data[:1] and data[0] % 2:
        assert read_stack(path, LIMITS).ndim == 3
    else:
        image = decode_image(path, (5, 4), LIMITS)
        assert image.pixels.shape[:2] == (5, 4)
        assert np.isfinite(image.pixels).all()


def seeds() -> dict[str, bytes]:
    """Return one small file of each kind that is read."""
    rng = np.random.default_rng(0)
    grey = Image.fromarray(rng.integers(0, 256, (7, 6), dtype=np.uint8))
    deep = Image.fromarray(rng.integers(0, 65536, (7, 6), dtype=np.uint16))
    real = Image.fromarray(rng.random((7, 6), dtype=np.float32))
    colour = Image.fromarray(rng.integers(0, 256, (7, 6, 3), dtype=np.uint8))
    alpha = Image.fromarray(rng.integers(0, 256, (7, 6, 4), dtype=np.uint8))
    found = {}
    for name, image, form, options in (
        ("grey-png", grey, "PNG", {}),
        ("deep-png", deep, "PNG", {}),
        ("alpha-png", alpha, "PNG", {}),
        ("palette-png", colour.quantize(8), "PNG", {"transparency": 1}),
        ("bilevel-png", grey.convert("1"), "PNG", {}),
        ("colour-jpg", colour, "JPEG", {}),
        ("inks-jpg", colour.convert("CMYK"), "JPEG", {}),
        ("grey-bmp", grey, "BMP", {}),
        ("palette-gif", colour.quantize(8), "GIF", {}),
        ("two-frames-gif", grey, "GIF", {"save_all": True, "append_images": [grey.rotate(90)]}),
        ("real-tiff", real, "TIFF", {}),
        ("deflated-tiff", deep, "TIFF", {"compression": "tiff_adobe_deflate"}),
        ("stack-tiff", grey, "TIFF", {"save_all": True, "append_images": [grey, grey]}),
    ):
        file = io.BytesIO()
        image.save(file, form, **options)
        found[name] = (b"\1" if "stack" in name else b"\0") + file.getvalue()
    return found
