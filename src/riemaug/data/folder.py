"""A folder of images or of volumes as a data set."""

import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Shaped

from riemaug.data.checks import check_class_sizes, check_variation, find_oddities
from riemaug.data.dataset import Dataset, SampleFormat
from riemaug.data.groups import find_groups
from riemaug.data.images import CONVERSION_NOTES, DecodedImage, decode_image
from riemaug.data.listing import ListedFile, Listing, list_class_folders
from riemaug.data.metadata_table import METADATA_NAME, list_metadata
from riemaug.data.nifti import VolumeHeader, read_volume_header, read_voxels
from riemaug.data.output import check_class_names
from riemaug.data.sizes import SizeOptions, common_kind, stack_images, stored_size
from riemaug.data.volumes import CommonGrid, check_volume_memory, common_grid
from riemaug.errors import InvalidInputError

_MAX_THREADS = 8
_VALUES_AT_ONCE = 2**26
"""Voxels that may be unpacked at a time, at their own size, by all threads."""
_SHOWN_PROBLEMS = 3
_SAME_ASPECT = 0.01
_Result = TypeVar("_Result")


@dataclass(frozen=True, eq=False)
class _Samples:
    """What the files of a listing hold.

    Attributes
    ----------
    samples : ndarray (m, *model_shape)
    rows : list of int
        Places of the samples in the listing; others were skipped as asked.
    format : SampleFormat
    notes : tuple of str
    """

    samples: Shaped[np.ndarray, "m ..."]
    rows: list[int]
    format: SampleFormat
    notes: tuple[str, ...]


def read_folder(
    root: Path, size: SizeOptions, *, skip_bad: bool = False, group_from: str | None = None
) -> Dataset:
    """Read a folder of images or volumes; see `riemaug.data.read_dataset` for the rules and errors."""
    size.check()
    has_table = os.path.isfile(root / METADATA_NAME)
    listing = list_metadata(root) if has_table else list_class_folders(root)
    class_names = class_names_of(listing)
    check_class_names(class_names)
    labels_of(listing.files, class_names, listing.kind)
    groups, group_notes = find_groups(listing.files, group_from, listing.from_metadata)
    read = _read_volumes if listing.kind == "volumes" else _read_images
    found = read(root, listing, size, skip_bad)
    files = [listing.files[row] for row in found.rows]
    labels = labels_of(files, class_names, listing.kind)
    names = tuple(file.name for file in files)
    check_variation(found.samples, labels, class_names, listing.kind)
    oddities = find_oddities(found.samples, labels, class_names, names, listing.kind)
    return Dataset(
        samples=found.samples,
        labels=labels,
        class_names=class_names,
        names=names,
        groups=None if groups is None else tuple(groups[row] for row in found.rows),
        format=found.format,
        label_values=None,
        notes=(*listing.notes, *group_notes, *found.notes, *oddities),
    )


def class_names_of(listing: Listing) -> tuple[str, ...]:
    """Return the classes of a listing, sorted."""
    return tuple(sorted({file.class_name for file in listing.files}))


def _names_of(listing: Listing) -> list[str]:
    return [file.name for file in listing.files]


def labels_of(files: Sequence[ListedFile], class_names: Sequence[str], what: str) -> np.ndarray:
    """Return the index of each file's class, (n,); InvalidInputError for a class of fewer than two."""
    index_of = {name: index for index, name in enumerate(class_names)}
    labels = np.array([index_of[file.class_name] for file in files], dtype=np.int64)
    check_class_sizes(labels, class_names, what)
    return labels


def of_each(
    read: Callable[[int], _Result], count: int, most_threads: int = _MAX_THREADS
) -> list[_Result | InvalidInputError]:
    """Call `read` with 0, 1, ... in threads; in the place of a result may stand why there is none."""

    def attempt(row: int) -> _Result | InvalidInputError:
        try:
            return read(row)
        except InvalidInputError as problem:
            return problem

    with ThreadPoolExecutor(min(most_threads, os.cpu_count() or 1)) as pool:
        return list(pool.map(attempt, range(count)))


def sort_out(
    listing: Listing, results: Sequence[_Result | InvalidInputError], skip_bad: bool
) -> tuple[list[_Result], list[int], list[str]]:
    """Return the good results, their places, and the note on those that were skipped as asked."""
    good = [result for result in results if not isinstance(result, InvalidInputError)]
    rows = [row for row, result in enumerate(results) if not isinstance(result, InvalidInputError)]
    names = _names_of(listing)
    bad = [
        f"{name!r} ({problem})"
        for name, problem in zip(names, results, strict=True)
        if isinstance(problem, InvalidInputError)
    ]
    if not bad:
        return good, rows, []
    if skip_bad:
        labels_of([listing.files[row] for row in rows], class_names_of(listing), listing.kind)
        return good, rows, [f"{len(bad)} files were skipped as asked: {'; '.join(bad)}."]
    more = f" and {len(bad) - _SHOWN_PROBLEMS} more" if len(bad) > _SHOWN_PROBLEMS else ""
    raise InvalidInputError(
        f"every {listing.kind[:-1]} must be readable, {len(bad)} of {len(names)} are not:"
        f" {'; '.join(bad[:_SHOWN_PROBLEMS])}{more}:"
        " repair or remove them, or give --skip-bad"
    )


def _read_images(root: Path, listing: Listing, size: SizeOptions, skip_bad: bool) -> _Samples:
    size.check_axes(2, "images")
    resize = size.image_size
    names = _names_of(listing)
    # Pillow warns about harmless oddities of files; what matters here is an error or a note of ours
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decoded = of_each(lambda row: decode_image(root / names[row], resize), len(names))
    # the decoded pictures get no second name: stacking frees them one by one
    images, rows, skip_notes = sort_out(listing, decoded, skip_bad)
    del decoded
    kept = tuple(names[row] for row in rows)
    as_rgb, grey_as_rgb, kind_notes = common_kind(images, kept)
    notes = [*skip_notes, *_conversion_notes(images), *kind_notes, *_resize_notes(images, size.resize)]
    written = None if size.fit_shape is None else stored_size(images)
    samples, size_notes = stack_images(images, as_rgb, size.pad, size.crop)
    fmt = _image_format(samples, kept, grey_as_rgb, written)
    return _Samples(samples, rows, fmt, (*notes, *size_notes, *_fit_notes(fmt, "images")))


def _read_volumes(root: Path, listing: Listing, size: SizeOptions, skip_bad: bool) -> _Samples:
    size.check_axes(3, "volumes")
    names = _names_of(listing)
    found = of_each(lambda row: read_volume_header(root / names[row]), len(names))
    headers, rows, skip_notes = sort_out(listing, found, skip_bad)
    readable = replace(listing, files=tuple(listing.files[row] for row in rows))
    kept = _names_of(readable)
    common = common_grid(headers, kept)
    fmt = _volume_format(headers, kept, common, size)
    check_volume_memory(len(kept), fmt)
    at_once = max(1, min(_MAX_THREADS, _VALUES_AT_ONCE // math.prod(fmt.shape)))
    samples = np.empty((len(kept), *fmt.model_shape), fmt.dtype)

    def fill(row: int) -> None:
        path = root / kept[row]
        samples[row] = read_voxels(path, headers[row], common.meant_values, fmt.fit_shape)

    _, good, more_notes = sort_out(readable, of_each(fill, len(kept), at_once), skip_bad)
    notes = (*skip_notes, *more_notes, *common.notes, *_fit_notes(fmt, "volumes"))
    whole = len(good) == len(kept)
    return _Samples(samples if whole else samples[good], [rows[row] for row in good], fmt, notes)


def _volume_format(
    headers: Sequence[VolumeHeader], names: Sequence[str], common: CommonGrid, size: SizeOptions
) -> SampleFormat:
    shape = headers[0].shape
    return SampleFormat(
        kind="volumes",
        shape=shape,
        dtype="float32" if common.meant_values else headers[0].dtype.name,
        suffix=".nii" if all(name.casefold().endswith(".nii") for name in names) else ".nii.gz",
        array_keys=None,
        grey_as_rgb=False,
        fit_shape=None if size.fit_shape == shape[:3] else size.fit_shape,
        grid=common.grid,
    )


def _conversion_notes(images: Sequence[DecodedImage]) -> list[str]:
    found = Counter(conversion for image in images for conversion in image.conversions)
    return [f"{count} files {CONVERSION_NOTES[name]}." for name, count in sorted(found.items())]


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


def _fit_notes(fmt: SampleFormat, what: str) -> list[str]:
    if fmt.fit_shape is None:
        return []
    fitted, written = ("x".join(map(str, sides)) for sides in (fmt.fit_shape, fmt.sample_shape))
    return [f"The {what} are modelled at {fitted} and written at their own {written}."]


def _image_format(
    samples: np.ndarray, names: Sequence[str], grey_as_rgb: bool, written: tuple[int, int] | None
) -> SampleFormat:
    """Return the format; `written` is the images' own size where they were made smaller to be modelled."""
    all_tiff = all(Path(name).suffix.casefold() in (".tif", ".tiff") for name in names)
    modelled = tuple(int(side) for side in samples.shape[1:3])
    size = modelled if written is None else written
    channels = (3,) if grey_as_rgb or samples.ndim == 4 else ()
    return SampleFormat(
        kind="folder",
        shape=(*size, *channels),
        dtype=samples.dtype.name,
        suffix=".tiff" if all_tiff or samples.dtype.kind == "f" else ".png",
        array_keys=None,
        grey_as_rgb=grey_as_rgb,
        fit_shape=None if size == modelled else modelled,
    )
