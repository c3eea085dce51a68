"""The first samples of a class read back from an output folder, and scaled as the model saw them."""

import math
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped

from riemaug.data import RangeScaler, SampleFormat, file_inside
from riemaug.data.array_files import read_array_file
from riemaug.data.channels import with_channels
from riemaug.data.images import decode_image
from riemaug.data.nifti import read_volume_header, read_voxels
from riemaug.data.resampling import resample
from riemaug.data.stack_files import read_stack
from riemaug.disk import stops_all
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits
from riemaug.run.collect import SAMPLES_NAME
from riemaug.run.sample_names import path_inside, place_in_shard
from riemaug.run.shard_samples import member_of_tar, row_of_shard
from riemaug.run.written_files import DEFAULT_KEYS


def written_samples(
    out: Path,
    names: Sequence[str],
    scaler: RangeScaler,
    fmt: SampleFormat,
    limits: Limits = DEFAULT_LIMITS,
) -> Float32[np.ndarray, "n ..."]:
    """Return samples of an output folder in [0, 1], at the size that is modelled.

    Parameters
    ----------
    out : Path
    names : sequence of str
        As the manifest has them: files relative to `out`, or "row 17" of its npz file.
    scaler : RangeScaler
    fmt : SampleFormat
    limits : Limits
        How large shards may be.

    Raises
    ------
    InvalidInputError
        A file is missing, damaged, or no longer what was written.
    """
    if not names or fmt.kind == "table":  # rows of a table are no pictures
        return np.empty((0, *fmt.model_shape), np.float32)
    if place_in_shard(names[0]) is not None:
        return scaler.transform(np.stack([sample_of_shard(out, name, fmt, limits) for name in names]))
    samples = _rows_of(out, names, fmt) if fmt.kind == "arrays" else _files_of(out, names, fmt)
    return scaler.transform(samples)


def sample_of_shard(out: Path, name: str, fmt: SampleFormat, limits: Limits) -> Shaped[np.ndarray, "..."]:
    """Return one sample of a shard, at the size that is modelled.

    Parameters
    ----------
    out : Path
    name : str
        As the manifest has it: "shards/cat-000002.npz#17".
    fmt : SampleFormat
    limits : Limits

    Raises
    ------
    InvalidInputError
        The shard is missing, damaged, or no longer what was written.
    """
    try:
        shard, place = place_in_shard(name) or ("", "")
        path = path_inside(out, shard)
        if path.suffix == ".tar":
            with tempfile.TemporaryDirectory() as folder:
                member = Path(folder) / ("sample" + (fmt.suffix or ".npy"))
                member.write_bytes(member_of_tar(path, place, fmt).read())
                sample = _READERS[fmt.kind](member, fmt)
        else:
            key = (fmt.array_keys or DEFAULT_KEYS)[0]
            sample = _fitted(row_of_shard(path, key, int(place), fmt, limits), fmt)
    except (InvalidInputError, OSError, KeyError, ValueError, tarfile.TarError) as error:
        if stops_all(error):  # the disk of temporary files, not the shard
            raise
        raise changed(name, error) from None
    if sample.shape != fmt.model_shape or sample.dtype != fmt.dtype:
        raise changed(name, f"it has the shape {sample.shape} and the dtype {sample.dtype}")
    if sample.dtype.kind == "f" and not np.isfinite(sample).all():
        raise changed(name, "it has values that are NaN or infinite")
    return sample


def _rows_of(out: Path, names: Sequence[str], fmt: SampleFormat) -> Shaped[np.ndarray, "n ..."]:
    assert fmt.array_keys is not None
    try:
        rows = [int(name.removeprefix("row ")) for name in names]
        with np.load(out / SAMPLES_NAME, allow_pickle=False) as arrays:
            samples = arrays[fmt.array_keys[0]][rows]
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise changed(SAMPLES_NAME, error) from None
    if samples.shape[1:] != fmt.model_shape:
        raise changed(SAMPLES_NAME, f"its samples have the shape {samples.shape[1:]}")
    return samples


def _files_of(out: Path, names: Sequence[str], fmt: SampleFormat) -> Shaped[np.ndarray, "n ..."]:
    read = _READERS[fmt.kind]
    samples = []
    for name in names:
        try:
            sample = read(file_inside(out, name), fmt)
        except InvalidInputError as error:
            raise changed(name, error) from None
        if sample.shape != fmt.model_shape:
            raise changed(name, f"it has the shape {sample.shape}")
        samples.append(sample)
    return np.stack(samples)


def _image(path: Path, fmt: SampleFormat) -> np.ndarray:
    # all of its pixels may happen to be grey, or opaque
    pixels = decode_image(path, limits=_of_one_sample(fmt)).pixels
    return _fitted(with_channels(pixels, fmt.model_channels), fmt)


def _stack(path: Path, fmt: SampleFormat) -> np.ndarray:
    return _fitted(read_stack(path, _of_one_sample(fmt)), fmt)


def _array(path: Path, fmt: SampleFormat) -> np.ndarray:
    return _fitted(read_array_file(path, _of_one_sample(fmt)), fmt)


def _of_one_sample(fmt: SampleFormat) -> Limits:
    """Return limits that let pass what was written, and nothing larger."""
    return Limits(pixels=math.prod(fmt.shape))


def _fitted(sample: np.ndarray, fmt: SampleFormat) -> np.ndarray:
    return sample if fmt.fit_shape is None else resample(sample, fmt.fit_shape)


def _volume(path: Path, fmt: SampleFormat) -> np.ndarray:
    return _fitted(read_voxels(path, read_volume_header(path, _of_one_sample(fmt))), fmt)


_READERS = {"folder": _image, "volumes": _volume, "stacks": _stack, "npy": _array, "arrays": _array}


def changed(name: str, found: object) -> InvalidInputError:
    """Return the refusal of a file, or of a sample in it, that is no longer what was written."""
    return InvalidInputError(
        f"samples are needed as they were written, {name!r} is not so ({found}): make them anew"
    )
