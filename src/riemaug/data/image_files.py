"""Image files as the samples of a data set."""

import threading
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from riemaug.data.channels import channel_axis, channel_count
from riemaug.data.dataset import SampleFormat
from riemaug.data.file_samples import FileSamples, fit_notes, names_of, of_each, sort_out
from riemaug.data.images import DecodedImage, conversion_notes, decode_image
from riemaug.data.listing import Listing
from riemaug.data.resolution import common_resolution
from riemaug.data.scratch import ScratchFile, memory_for_samples
from riemaug.data.sizes import FEWER, CommonKind, SizeOptions, common_kind, stack_images, stored_size
from riemaug.errors import InvalidInputError
from riemaug.limits import Limits

_SAME_ASPECT = 0.01


def read_image_files(root: Path, listing: Listing, size: SizeOptions, skip_bad: bool) -> FileSamples:
    """Read the pictures of a listing, brought to one size if that was asked for.

    Raises
    ------
    InvalidInputError
        A file that cannot be read, pictures of several sizes or bit depths, or wishes that images cannot
        meet.
    ResourceError
        Neither memory nor the disk has room for them.
    """
    size.check_axes(2, "images")
    size.check_no_grid("images")
    resize = size.image_size
    names = names_of(listing)
    # Pillow warns about harmless oddities of files; what matters here is an error or a note of ours
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decoded = _decoded([root / name for name in names], resize, size.limits)
    # the decoded pictures get no second name: stacking frees them one by one
    images, rows, skip_notes = sort_out(listing, decoded, skip_bad)
    del decoded
    kept = tuple(names[row] for row in rows)
    kind = common_kind(images, kept)
    converted = conversion_notes(conversion for image in images for conversion in image.conversions)
    notes = [*skip_notes, *converted, *kind.notes, *_resize_notes(images, size.resize)]
    written = None if size.fit_shape is None else stored_size(images)
    # pixels of resized pictures are larger or smaller than their files say
    found = [None if size.resize else image.resolution for image in images]
    resolution, told = common_resolution(found, "images")
    samples, size_notes = stack_images(images, kind.channels, size.pad, size.crop)
    fmt = replace(_image_format(samples, kept, kind, written), resolution=resolution)
    return FileSamples(samples, rows, fmt, (*notes, *told, *size_notes, *fit_notes(fmt, "images")))


class _KeptPictures:
    """Decoded pictures: in memory as long as there is room for them, the others in a file. For threads."""

    def __init__(self) -> None:
        self._room, self._taken, self._lock = memory_for_samples(), 0, threading.Lock()
        self._file: ScratchFile | None = None
        self._begins: dict[int, int] = {}

    def keep(self, row: int, image: DecodedImage) -> DecodedImage:
        """Return the picture, or where there is no room for it one that only has its shape and dtype."""
        pixels = image.pixels
        with self._lock:
            self._taken += pixels.nbytes
            if self._taken <= self._room:
                return image
            if self._file is None:
                self._file = ScratchFile("images", FEWER)
            begin = self._begins[row] = self._file.reserve(pixels.nbytes)
        self._file.write(begin, pixels)
        return replace(image, pixels=np.broadcast_to(np.zeros((), pixels.dtype), pixels.shape))

    def bring_back(self, pictures: list[DecodedImage | InvalidInputError]) -> None:
        """Put the pixels of those that lie in the file in their places, mapped."""
        for row, begin in self._begins.items():
            image = pictures[row]
            assert isinstance(image, DecodedImage)
            assert self._file is not None
            pixels = self._file.mapped(image.pixels.shape, image.pixels.dtype, begin)
            pictures[row] = replace(image, pixels=pixels)


def _decoded(
    paths: Sequence[Path], resize: tuple[int, int] | None, limits: Limits
) -> list[DecodedImage | InvalidInputError]:
    """Decode pictures, each once: what is in them says how all are to be read."""
    kept = _KeptPictures()
    pictures = of_each(lambda row: kept.keep(row, decode_image(paths[row], resize, limits)), len(paths))
    kept.bring_back(pictures)
    return pictures


def _resize_notes(images: Sequence[DecodedImage], resize: tuple[int, int] | None) -> list[str]:
    if resize is None:
        return []
    height, width = resize
    changed = [image.stored_size for image in images if image.stored_size != resize]
    stretched = sum(abs((h * width) / (w * height) - 1) > _SAME_ASPECT for h, w in changed)
    notes = [f"{len(changed)} images were resized to {height}x{width}."] if changed else []
    if stretched:
        notes.append(f"{stretched} of them changed their aspect ratio: use --pad or --crop to keep it.")
    return notes


def _image_format(
    samples: np.ndarray, names: Sequence[str], kind: CommonKind, written: tuple[int, int] | None
) -> SampleFormat:
    """Return the format; `written` is the images' own size where they were made smaller to be modelled."""
    all_tiff = all(Path(name).suffix.casefold() in (".tif", ".tiff") for name in names)
    modelled = tuple(int(side) for side in samples.shape[1:3])
    size = modelled if written is None else written
    channels = channel_count(kind.coloured or kind.grey_as_rgb, kind.alpha or kind.opaque_alpha)
    return SampleFormat(
        kind="folder",
        shape=(*size, *channel_axis(channels)),
        dtype=samples.dtype.name,
        suffix=".tiff" if all_tiff or samples.dtype.kind == "f" else ".png",
        array_keys=None,
        grey_as_rgb=kind.grey_as_rgb,
        fit_shape=None if size == modelled else modelled,
        opaque_alpha=kind.opaque_alpha,
    )
