"""Samples written back in the user's own format."""

import hashlib
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from jaxtyping import Shaped
from PIL import ExifTags, Image

from riemaug.atomic import atomic_path
from riemaug.data.array_files import write_array_file
from riemaug.data.channels import num_channels, with_channels
from riemaug.data.dataset import Dataset, SampleFormat
from riemaug.data.images import decode_image, opened_image
from riemaug.data.listing import kind_of_name, split_suffix
from riemaug.data.names import check_class_names
from riemaug.data.nifti import on_written_grid, write_volume
from riemaug.data.output import check_output_folder as check_output_folder
from riemaug.data.output import prepare_output as prepare_output
from riemaug.data.sample_writer import SampleWriter
from riemaug.data.stack_files import write_stack
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

_PILLOW_FORMATS: dict[str, Literal["PNG", "TIFF"]] = {".png": "PNG", ".tiff": "TIFF"}
_LONGEST_STEM = 220
_THREADS = 8
_Result = TypeVar("_Result")


def file_name(class_name: str, number: int, suffix: str) -> str:
    """Return the path of a class's `number`-th synthetic sample relative to the output folder."""
    return f"{class_name}/{stem_of(class_name)}-{number:06d}{suffix}"


def sample_name(class_name: str, number: int, fmt: SampleFormat) -> str:
    """Return where the `number`-th sample of an output lies; BIDS counts subjects, whatever their class."""
    if fmt.bids is not None:
        return fmt.bids.file_name(number, fmt.suffix)
    return file_name(class_name, number, fmt.suffix)


def _real_file_name(class_name: str, number: int) -> str:
    # synthetic ones have digits only after the class name, so the two can never meet
    return f"{class_name}/{stem_of(class_name)}-real-{number:06d}"


def stem_of(class_name: str) -> str:
    """Return how the names of a class's files begin: short enough for a file system."""
    if len(class_name.encode()) <= _LONGEST_STEM:
        return class_name
    # a file name holds 255 bytes, and so may the name of the folder
    digest = hashlib.sha256(class_name.encode()).hexdigest()[:8]
    return class_name.encode()[: _LONGEST_STEM - 9].decode(errors="ignore") + "-" + digest


def write_image(path: Path, sample: Shaped[np.ndarray, "H W ..."], fmt: SampleFormat) -> None:
    """Write one sample as an image file. See `riemaug.data.sample_writer.SampleWriter`."""
    image = Image.fromarray(np.ascontiguousarray(with_channels(sample, num_channels(fmt.shape))))
    kind = _PILLOW_FORMATS[fmt.suffix]
    options = {} if fmt.resolution is None else fmt.resolution.save_options(kind)
    with atomic_path(path) as temporary:
        image.save(temporary, format=kind, **options)


_WRITERS: dict[str, SampleWriter] = {
    "folder": write_image,
    "stacks": write_stack,
    "npy": write_array_file,
    "volumes": write_volume,
}


def write_sample(path: Path, sample: Shaped[np.ndarray, "..."], fmt: SampleFormat) -> None:
    """Write one sample as a file of its own, whole or not at all, as its format says."""
    _WRITERS[fmt.kind](path, sample, fmt)


def _in_threads(jobs: list[Callable[[], _Result]]) -> list[_Result]:
    """Run the jobs and return their results in order; waiting for the disk overlaps."""
    with ThreadPoolExecutor(_THREADS) as pool:
        # each in a copy of this context, which knows whether files are flushed together
        contexts = [copy_context() for _ in jobs]
        return list(pool.map(lambda context, job: context.run(job), contexts, jobs))


def _check_fits(samples: np.ndarray, fmt: SampleFormat, kinds: tuple[str, ...]) -> None:
    if fmt.kind not in kinds:
        raise InvalidInputError(f"these samples are written as {fmt.kind}, not as {' or '.join(kinds)}")
    if samples.shape[1:] != fmt.sample_shape or samples.dtype.name != fmt.dtype:
        raise InvalidInputError(
            f"samples to write must be {fmt.dtype} of shape {fmt.sample_shape},"
            f" got {samples.dtype.name} of shape {samples.shape[1:]}"
        )


def write_class_files(
    out: Path, class_name: str, samples: Shaped[np.ndarray, "n ..."], fmt: SampleFormat, start: int = 1
) -> list[str]:
    """Write the synthetic samples of one class into its folder; each file is whole or absent.

    Parameters
    ----------
    out : Path
        The output folder. The class folder is made where it is missing.
    class_name : str
        The class.
    samples : ndarray (n, *fmt.sample_shape)
        In the dtype of the format.
    fmt : SampleFormat
        Format of images or volumes.
    start : int
        Number of the first file.

    Returns
    -------
    list of str
        Paths relative to `out`: "cat/cat-000001.png", ..., or those of a BIDS derivative.

    Raises
    ------
    InvalidInputError
        Samples of another shape or dtype than the format, or an impossible class name.
    """
    _check_fits(samples, fmt, tuple(_WRITERS))
    if fmt.bids is None:
        check_class_names([class_name])
        (out / class_name).mkdir(parents=True, exist_ok=True)
    names = [sample_name(class_name, start + row, fmt) for row in range(len(samples))]
    for name in names if fmt.bids is not None else ():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
    _in_threads(
        [partial(write_sample, out / name, sample, fmt) for name, sample in zip(names, samples, strict=True)]
    )
    return names


def write_arrays(
    path: Path, samples: Shaped[np.ndarray, "n ..."], labels: Shaped[np.ndarray, " n"], fmt: SampleFormat
) -> None:
    """Write samples and labels as one npz file with the input's keys; whole or not at all.

    Equal arrays give equal bytes. A `numpy.memmap` is written block by block.

    Parameters
    ----------
    path : Path
        The npz file.
    samples : ndarray (n, *fmt.shape)
        In the dtype of the format.
    labels : ndarray (n,)
        Label values as they are to be written: `dataset.label_values[index]`.
    fmt : SampleFormat
        Format of arrays.

    Raises
    ------
    InvalidInputError
        Samples of another shape or dtype than the format, or labels that numpy would have to pickle.
    """
    _check_fits(samples, fmt, ("arrays",))
    if fmt.array_keys is None:
        raise InvalidInputError("a format of arrays needs its array_keys, it has none")
    if labels.dtype.hasobject:
        raise InvalidInputError("labels to write must be numbers or text, got Python objects")
    samples_key, labels_key = fmt.array_keys
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **{samples_key: samples, labels_key: labels})


def include_real(
    data_root: Path,
    dataset: Dataset,
    out: Path,
    how: Literal["copy", "link"],
    limits: Limits = DEFAULT_LIMITS,
) -> list[str]:
    """Put the real images or volumes beside the synthetic ones, in the class folders.

    An image that was changed at reading (resized, turned, its kind converted) is written as it was
    read, at its own size if it was only modelled at another one; a volume of another grid is written on the
    common one. All others are copied byte by byte, or linked by absolute symbolic links.

    Parameters
    ----------
    data_root : Path
        The folder the data set was read from.
    dataset : Dataset
        The data set, read from a folder.
    out : Path
        The output folder.
    how : {"copy", "link"}
        Copies, or links where the file is unchanged.
    limits : Limits
        As the data set was read with.

    Returns
    -------
    list of str
        Paths relative to `out`, in the order of the data set: "cat/cat-real-000001.png", ... The
        numbers count within the class.

    Raises
    ------
    InvalidInputError
        The data set does not come from a folder, or links cannot be made in `out`.
    """
    if dataset.format.is_one_file:
        raise InvalidInputError("real samples can be included for folders only, this data set is one file")
    check_class_names(dataset.class_names)
    jobs = []
    numbers = [0] * len(dataset.class_names)
    for name, label, sample in zip(dataset.names, dataset.labels, dataset.samples, strict=True):
        numbers[label] += 1
        target = _real_file_name(dataset.class_names[label], numbers[label])
        (out / target).parent.mkdir(parents=True, exist_ok=True)
        source = (data_root / name).absolute()
        jobs.append(partial(_include_one, out, target, source, sample, dataset.format, how, limits))
    return _in_threads(jobs)


def check_can_include_real(dataset: Dataset) -> None:
    """Raise InvalidInputError for real samples that cannot lie beside the new ones as files of one kind."""
    fmt = dataset.format
    if fmt.bids is not None:
        raise InvalidInputError(
            "--include-real puts real samples into class folders, OUT becomes a BIDS derivative: give"
            " --layout folders"
        )
    if fmt.kind == "volumes" and kind_of_name(dataset.names[0]) not in (None, "volumes"):
        raise InvalidInputError(
            "--include-real copies files as they are, DATA is DICOM and new volumes are NIfTI: convert DATA"
            " to NIfTI (dcm2niix)"
        )


def _include_one(
    out: Path,
    stem: str,
    source: Path,
    sample: np.ndarray,
    fmt: SampleFormat,
    how: Literal["copy", "link"],
    limits: Limits,
) -> str:
    if fmt.kind == "folder":
        shown = sample if fmt.fit_shape is None else _at_own_size(source, fmt, limits)
        if not _is_unchanged(source, shown, fmt, limits):
            write_image(out / (stem + fmt.suffix), shown, fmt)
            return stem + fmt.suffix
    if fmt.kind == "volumes":
        moved = on_written_grid(source, fmt, limits)
        if moved is not None:
            write_volume(out / (stem + fmt.suffix), moved, fmt)
            return stem + fmt.suffix
    name = stem + split_suffix(source.name)[1]
    if how == "link":
        _link(out / name, source)
        return name
    with atomic_path(out / name) as temporary:
        shutil.copyfile(source, temporary)
    return name


def _at_own_size(source: Path, fmt: SampleFormat, limits: Limits) -> np.ndarray:
    """Return the picture as it would have been read without a fit shape."""
    try:
        pixels = decode_image(source, limits=limits).pixels
    except InvalidInputError as error:
        raise _changed(source, error) from None
    pixels = with_channels(pixels, fmt.model_channels)
    if pixels.shape != fmt.sample_shape or pixels.dtype.name != fmt.dtype:
        raise _changed(source, f"it is {pixels.dtype.name} of shape {pixels.shape}")
    return pixels


def _changed(source: Path, found: object) -> InvalidInputError:
    return InvalidInputError(
        f"the data must not change during a run, {str(source)!r} can no longer be read ({found}): put it "
        "back as it was and add --resume, or start anew"
    )


def _is_unchanged(source: Path, sample: np.ndarray, fmt: SampleFormat, limits: Limits) -> bool:
    """Tell whether any reader sees in the file just what was read from it."""
    try:
        with opened_image(source, limits) as image:
            plain = image.mode in ("L", "LA", "RGB", "RGBA", "F") or image.mode.startswith("I;16")
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
            pixels = np.asarray(image) if plain and not turned else None
    except InvalidInputError as error:
        raise _changed(source, error) from None
    stored = with_channels(sample, num_channels(fmt.shape))
    return pixels is not None and pixels.dtype == stored.dtype and np.array_equal(pixels, stored)


def _link(target: Path, source: Path) -> None:
    try:
        target.unlink(missing_ok=True)
        os.symlink(source, target)
    except OSError as error:
        raise InvalidInputError(
            f"links cannot be made in {str(target.parent)!r} ({error.strerror}): use --include-real copy"
        ) from None
