"""A folder of images as a data set."""

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from riemaug.data.checks import check_class_sizes, check_variation, find_oddities
from riemaug.data.dataset import Dataset, SampleFormat
from riemaug.data.groups import find_groups
from riemaug.data.images import CONVERSION_NOTES, DecodedImage, decode_image
from riemaug.data.listing import ListedFile, list_class_folders
from riemaug.data.metadata_table import METADATA_NAME, list_metadata
from riemaug.data.output import check_class_names
from riemaug.data.sizes import check_size_options, common_kind, stack_images
from riemaug.errors import InvalidInputError

_MAX_THREADS = 8
_SHOWN_PROBLEMS = 3
_SAME_ASPECT = 0.01


def read_folder(
    root: Path,
    *,
    resize: tuple[int, int] | None = None,
    pad: bool = False,
    crop: bool = False,
    skip_bad: bool = False,
    group_from: str | None = None,
) -> Dataset:
    """Read a folder of images; see `riemaug.data.read_dataset` for the rules and errors."""
    check_size_options(resize, pad, crop)
    has_table = os.path.isfile(root / METADATA_NAME)
    listing = list_metadata(root) if has_table else list_class_folders(root)
    class_names = tuple(sorted({file.class_name for file in listing.files}))
    check_class_names(class_names)
    _check_sizes(listing.files, class_names)
    groups, group_notes = find_groups(listing.files, group_from, listing.from_metadata)
    # the decoded pictures get no second name: stacking frees them one by one
    images, kept, skip_notes = _sort_out(listing.files, _decode_all(root, listing.files, resize), skip_bad)
    files = [listing.files[row] for row in kept]
    labels = _check_sizes(files, class_names)
    names = tuple(file.name for file in files)
    as_rgb, grey_as_rgb, kind_notes = common_kind(images, names)
    notes = [*listing.notes, *group_notes, *skip_notes, *_conversion_notes(images), *kind_notes]
    notes += _resize_notes(images, resize)
    samples, size_notes = stack_images(images, as_rgb, pad, crop)
    check_variation(samples, labels, class_names, "images")
    notes += [*size_notes, *find_oddities(samples, labels, class_names, names)]
    return Dataset(
        samples=samples,
        labels=labels,
        class_names=class_names,
        names=names,
        groups=None if groups is None else tuple(groups[row] for row in kept),
        format=_format_of(samples, names, grey_as_rgb),
        label_values=None,
        notes=tuple(notes),
    )


def _check_sizes(files: Sequence[ListedFile], class_names: Sequence[str]) -> np.ndarray:
    index_of = {name: index for index, name in enumerate(class_names)}
    labels = np.array([index_of[file.class_name] for file in files], dtype=np.int64)
    check_class_sizes(labels, class_names, "images")
    return labels


def _decode_all(
    root: Path, files: Sequence[ListedFile], resize: tuple[int, int] | None
) -> list[DecodedImage | InvalidInputError]:
    def decode(file: ListedFile) -> DecodedImage | InvalidInputError:
        try:
            return decode_image(root / file.name, resize)
        except InvalidInputError as problem:
            return problem

    threads = min(_MAX_THREADS, os.cpu_count() or 1)
    # Pillow warns about harmless oddities of files; what matters here is an error or a note of ours
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore")
        return list(pool.map(decode, files))


def _sort_out(
    files: Sequence[ListedFile], decoded: Sequence[DecodedImage | InvalidInputError], skip_bad: bool
) -> tuple[list[DecodedImage], list[int], list[str]]:
    images = [image for image in decoded if isinstance(image, DecodedImage)]
    kept = [row for row, image in enumerate(decoded) if isinstance(image, DecodedImage)]
    bad = [
        f"{file.name!r} ({problem})"
        for file, problem in zip(files, decoded, strict=True)
        if isinstance(problem, InvalidInputError)
    ]
    if not bad:
        return images, kept, []
    if skip_bad:
        return images, kept, [f"{len(bad)} files were skipped as asked: {'; '.join(bad)}."]
    more = f" and {len(bad) - _SHOWN_PROBLEMS} more" if len(bad) > _SHOWN_PROBLEMS else ""
    raise InvalidInputError(
        f"every image must be readable, {len(bad)} of {len(files)} are not:"
        f" {'; '.join(bad[:_SHOWN_PROBLEMS])}{more}:"
        " repair or remove them, or give --skip-bad"
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


def _format_of(samples: np.ndarray, names: Sequence[str], grey_as_rgb: bool) -> SampleFormat:
    all_tiff = all(Path(name).suffix.casefold() in (".tif", ".tiff") for name in names)
    shape = (*samples.shape[1:], 3) if grey_as_rgb else samples.shape[1:]
    return SampleFormat(
        kind="folder",
        shape=tuple(int(side) for side in shape),
        dtype=samples.dtype.name,
        suffix=".tiff" if all_tiff or samples.dtype.kind == "f" else ".png",
        array_keys=None,
        grey_as_rgb=grey_as_rgb,
    )
