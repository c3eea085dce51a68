"""The real samples beside the new ones: their names, and what is copied, linked or written anew."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from PIL import ExifTags

from riemaug.atomic import atomic_path
from riemaug.data.bids import is_bids
from riemaug.data.bids_names import BidsNames, is_synthetic_subject, name_of_real
from riemaug.data.bids_split import SIDECAR, sidecar_of
from riemaug.data.channels import num_channels, with_channels
from riemaug.data.dataset import Dataset, SampleFormat
from riemaug.data.images import decode_image, opened_image
from riemaug.data.listing import kind_of_name, split_suffix
from riemaug.data.names import check_class_names
from riemaug.data.nifti import as_written, write_volume
from riemaug.data.writing import in_threads, stem_of, write_image
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits


def include_real(
    data_root: Path,
    dataset: Dataset,
    out: Path,
    how: Literal["copy", "link"],
    limits: Limits = DEFAULT_LIMITS,
    nan: float | None = None,
) -> list[str]:
    """Put the real images or volumes beside the synthetic ones, in the class folders or among the subjects.

    An image that was changed at reading (resized, turned, its kind converted) is written as it was
    read, at its own size if it was only modelled at another one; a volume of another grid is written on the
    common one, one with NaN with what was taken for it, and a DICOM series as NIfTI. All others are copied
    byte by byte, or linked by absolute symbolic links. In a BIDS derivative so are the JSON files of volumes.

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
    nan : float, optional
        Both as the data set was read with.

    Returns
    -------
    list of str
        Paths relative to `out`, in the order of the data set: "cat/cat-real-000001.png", ..., where the
        numbers count within the class; or "sub-01/anat/sub-01_desc-real_T1w.nii.gz", ... of a BIDS
        derivative.

    Raises
    ------
    InvalidInputError
        As `check_can_include_real`, or links cannot be made in `out`.
    """
    check_can_include_real(data_root, dataset)
    fmt = dataset.format
    put = _link if how == "link" else _copy
    jobs, stems = [], list(_stems(data_root, dataset))
    for name, stem, sample in zip(dataset.names, stems, dataset.samples, strict=True):
        (out / stem).parent.mkdir(parents=True, exist_ok=True)
        source = (data_root / name).absolute()
        jobs.append(partial(_include_one, out, stem, source, sample, fmt, put, limits, nan))
    names = in_threads(jobs)
    if fmt.bids is not None:
        for name, stem in zip(dataset.names, stems, strict=True):
            sidecar = sidecar_of(data_root, name)
            if sidecar is not None:
                put((data_root / sidecar).absolute(), out / (stem + SIDECAR))
    return names


def check_can_include_real(data_root: Path, dataset: Dataset) -> None:
    """Raise InvalidInputError for real samples that cannot lie beside the new ones as files of one kind."""
    fmt = dataset.format
    if fmt.is_one_file:
        raise InvalidInputError("real samples can be included for folders only, this data set is one file")
    if fmt.kind == "volumes" and fmt.fit_shape is not None and _is_of_series(dataset.names[0]):
        raise InvalidInputError(
            "--include-real writes DICOM series as they were read, which --fit-shape makes smaller: convert"
            " DATA to NIfTI (dcm2niix)"
        )
    if fmt.bids is None:
        check_class_names(dataset.class_names)
    elif is_bids(data_root):
        _check_bids_names(data_root, dataset)


def _is_of_series(name: str) -> bool:
    """Tell whether a file that holds a volume, or a slice of one, is DICOM; those often have no suffix."""
    return kind_of_name(name) != "volumes"


def _check_bids_names(data_root: Path, dataset: Dataset) -> None:
    taken = [name for name in dataset.names if is_synthetic_subject(PurePosixPath(name).parts[0])]
    twice = [stem for stem, count in Counter(_stems(data_root, dataset)).items() if count > 1]
    if taken or twice:
        found = f"{taken[0]!r} may be that of a new one" if taken else f"two volumes would be {twice[0]!r}"
        raise InvalidInputError(
            f"--include-real keeps the names of subjects in a BIDS derivative, {found}: give --layout folders"
        )


def _stems(data_root: Path, dataset: Dataset) -> Iterator[str]:
    """Yield the names of the real samples relative to the output, without suffix."""
    names = dataset.format.bids
    if names is None:
        return _stems_in_classes(dataset)
    if is_bids(data_root):
        return (name_of_real(split_suffix(name)[0]) for name in dataset.names)
    return _stems_of_new_subjects(dataset, names)


def _stems_in_classes(dataset: Dataset) -> Iterator[str]:
    numbers = [0] * len(dataset.class_names)
    for label in dataset.labels.tolist():
        numbers[label] += 1
        class_name = dataset.class_names[label]
        # synthetic ones have digits only after the class name, so the two can never meet
        yield f"{class_name}/{stem_of(class_name)}-real-{numbers[label]:06d}"


def _stems_of_new_subjects(dataset: Dataset, names: BidsNames) -> Iterator[str]:
    """Yield the names of samples that were in no BIDS data set: a subject has one class there."""
    keys = list(zip(dataset.groups or dataset.names, dataset.labels.tolist(), strict=True))
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys), 1)}
    sizes, runs = Counter(keys), Counter[tuple[str, int]]()
    for key in keys:
        runs[key] += 1
        yield names.real_stem(numbers[key], runs[key] if sizes[key] > 1 else None)


def _include_one(
    out: Path,
    stem: str,
    source: Path,
    sample: np.ndarray,
    fmt: SampleFormat,
    put: Callable[[Path, Path], None],
    limits: Limits,
    nan: float | None,
) -> str:
    if fmt.kind == "folder":
        shown = sample if fmt.fit_shape is None else _at_own_size(source, fmt, limits)
        if not _is_unchanged(source, shown, fmt, limits):
            write_image(out / (stem + fmt.suffix), shown, fmt)
            return stem + fmt.suffix
    if fmt.kind == "volumes":
        moved = sample if _is_of_series(source.name) else as_written(source, fmt, limits, nan)
        if moved is not None:
            write_volume(out / (stem + fmt.suffix), moved, fmt)
            return stem + fmt.suffix
    name = stem + split_suffix(source.name)[1]
    put(source, out / name)
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


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)


def _link(source: Path, target: Path) -> None:
    try:
        target.unlink(missing_ok=True)
        os.symlink(source, target)
    except OSError as error:
        raise InvalidInputError(
            f"links cannot be made in {str(target.parent)!r} ({error.strerror}): use --include-real copy"
        ) from None
