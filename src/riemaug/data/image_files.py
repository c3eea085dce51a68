"""Image files as the samples of a data set."""

import threading
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from riemaug.data.channels import channel_axis, channel_count
from riemaug.data.dataset import SampleFormat
from riemaug.data.file_samples import FileSamples, fit_notes, names_of, of_each, sort_out
from riemaug.data.images import DecodedImage, conversion_notes, decode_image
from riemaug.data.listing import Listing
from riemaug.data.sizes import CommonKind, SizeOptions, common_kind, stack_images, stored_size
from riemaug.errors import InvalidInputError, ResourceError
from riemaug.free_memory import free_memory
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
        They do not fit the memory.
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
    samples, size_notes = stack_images(images, kind.channels, size.pad, size.crop)
    fmt = _image_format(samples, kept, kind, written)
    return FileSamples(samples, rows, fmt, (*notes, *size_notes, *fit_notes(fmt, "images")))


def _decoded(
    paths: Sequence[Path], resize: tuple[int, int] | None, limits: Limits
) -> list[DecodedImage | InvalidInputError]:
    """Decode pictures as long as there is memory for them: each may be small, and there may be many."""
    free, taken, lock = free_memory(), 0, threading.Lock()

    def decode(row: int) -> DecodedImage:
        nonlocal taken
        image = decode_image(paths[row], resize, limits)
        with lock:
            taken += image.pixels.nbytes
        if taken > free:
            raise ResourceError(
                f"the images need more than the {free / 2**30:.3g} GiB of memory that are free: give --resize"
                " HxW, or fewer images"
            )
        return image

    return of_each(decode, len(paths))


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
