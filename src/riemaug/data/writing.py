"""Samples written back in the user's own format."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from jaxtyping import Shaped
from PIL import Image

from riemaug.atomic import atomic_path
from riemaug.data.array_files import write_array_file
from riemaug.data.channels import num_channels, with_channels
from riemaug.data.dataset import SampleFormat
from riemaug.data.names import check_class_names
from riemaug.data.nifti import write_volume
from riemaug.data.output import check_output_folder as check_output_folder
from riemaug.data.output import prepare_output as prepare_output
from riemaug.data.sample_writer import SampleWriter
from riemaug.data.stack_files import write_stack
from riemaug.errors import InvalidInputError

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


def in_threads(jobs: list[Callable[[], _Result]]) -> list[_Result]:
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
    in_threads(
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
