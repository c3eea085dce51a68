"""TIFF files of several grey pages, one volume a file."""

import warnings
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from PIL import Image

from riemaug.atomic import atomic_path
from riemaug.data.dataset import SampleFormat
from riemaug.data.file_samples import FileSamples, names_of
from riemaug.data.image_limits import check_page, each_page
from riemaug.data.images import grey_page, opened_image, page_conversions
from riemaug.data.listing import Listing
from riemaug.data.plain_files import PlainHeader, PlainKind, read_plain_files
from riemaug.data.resolution import resolution_of_stack
from riemaug.data.sizes import SizeOptions
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

_SUFFIXES = (".tif", ".tiff")
_NEW_SUBFILE_TYPE, _REDUCED = 254, 1
_DTYPES = {"L": "uint8", "1": "uint8", "I": "uint16", "F": "float32"}
"""By the beginning of Pillow's mode: "I;16" and its byte orders are "I" too."""


def are_stacks(root: Path, listing: Listing, limits: Limits = DEFAULT_LIMITS) -> bool:
    """Tell whether images are volumes: TIFF files, the first readable one of several pages."""
    names = names_of(listing)
    if not all(name.casefold().endswith(_SUFFIXES) for name in names):
        return False
    with warnings.catch_warnings(action="ignore"):  # of Pillow, about oddities of files
        for name in names:
            try:
                with opened_image(root / name, limits) as image:
                    return image.format == "TIFF" and len(_pages(image, limits)) > 1
            except InvalidInputError:
                continue  # reported when it is read
    return False


def read_stack_files(root: Path, listing: Listing, size: SizeOptions, skip_bad: bool) -> FileSamples:
    """Read the multi-page TIFF files of a listing; see `riemaug.data.plain_files.read_plain_files`."""
    limits = size.limits
    kind = PlainKind("stacks", partial(_peek, limits=limits), partial(read_stack, limits=limits), _format)
    return read_plain_files(root, listing, size, skip_bad, kind)


def _format(shape: tuple[int, ...], dtype: np.dtype, fit_shape: tuple[int, ...] | None) -> SampleFormat:
    return SampleFormat("stacks", shape, dtype.name, ".tiff", None, False, fit_shape)


def _peek(path: Path, limits: Limits) -> PlainHeader:
    with opened_image(path, limits) as image:
        pages = _checked_pages(image, limits)
        name = next((dtype for mode, dtype in _DTYPES.items() if image.mode.startswith(mode)), "")
        if not name or image.mode in ("LA", "La", "LAB"):
            raise InvalidInputError(
                f"pages of a stack must be grey, these are {image.mode}: save them as grey"
            )
        shape = len(pages), image.height, image.width
        return PlainHeader(shape, np.dtype(name), page_conversions(image), resolution_of_stack(image))


def _pages(image: Image.Image, limits: Limits) -> list[int]:
    """Return which pages are slices: not the small previews that some programs add."""
    return [
        page
        for page in each_page(image, limits)
        if not int(getattr(image, "tag_v2", {}).get(_NEW_SUBFILE_TYPE, 0)) & _REDUCED
    ]


def _checked_pages(image: Image.Image, limits: Limits) -> list[int]:
    pages = _pages(image, limits)
    if len(pages) < 2:
        raise InvalidInputError("a stack has several pages, this file has one: move single pictures away")
    image.seek(pages[0])
    if len(pages) * image.width * image.height > limits.pixels:
        raise InvalidInputError(
            f"a stack may have up to {limits.pixels} pixels, this one promises"
            f" {len(pages)}x{image.height}x{image.width}: make it smaller; {limits.way_out('pixels')}"
        )
    return pages


def read_stack(path: Path, limits: Limits = DEFAULT_LIMITS) -> Shaped[np.ndarray, "Z H W"]:
    """Return the grey pages of one TIFF file, from the first to the last.

    Raises
    ------
    InvalidInputError
        The file is damaged, too large, coloured, or its pages differ in size or kind; the message does
        not name the file.
    """
    with opened_image(path, limits) as image:
        pages = _checked_pages(image, limits)
        check_page(image, limits)
        first = grey_page(image)
        voxels = np.empty((len(pages), *first.shape), first.dtype)
        for row, page in enumerate(pages):
            image.seek(page)
            check_page(image, limits)
            pixels = grey_page(image)
            if pixels.shape != first.shape or pixels.dtype != first.dtype:
                raise InvalidInputError(
                    f"all pages of a stack must be alike, the first is {first.dtype.name} of"
                    f" {first.shape[0]}x{first.shape[1]}, page {page + 1} {pixels.dtype.name} of"
                    f" {pixels.shape[0]}x{pixels.shape[1]}: save them as one kind"
                )
            voxels[row] = pixels
    return voxels


def write_stack(path: Path, sample: Shaped[np.ndarray, "Z H W"], fmt: SampleFormat) -> None:
    """Write one sample as a multi-page TIFF file. See `riemaug.data.sample_writer.SampleWriter`."""
    first, *others = [Image.fromarray(np.ascontiguousarray(page)) for page in sample]
    options = {} if fmt.resolution is None else fmt.resolution.save_options("TIFF", len(sample))
    with atomic_path(path) as temporary:
        first.save(temporary, format="TIFF", save_all=True, append_images=others, **options)
