"""Samples as one Zarr store (format 3): an array of them with a chunk a sample, and one of their labels."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from riemaug.errors import InvalidInputError


def load_zarr() -> Any:
    """Return the package; InvalidInputError if it is not installed."""
    try:
        import zarr
    except ImportError:
        raise InvalidInputError(
            "--shards zarr needs the package zarr, it is not installed: pip install 'riemaug[shards]'"
        ) from None
    return zarr


def append_to_class_array(
    path: Path, samples: Shaped[np.ndarray, "n ..."], start: int, shape: tuple[int, ...], dtype: str
) -> None:
    """Write samples from row `start` on into the array of a segment, which is made where it is missing."""
    zarr = load_zarr()
    if not (path / "zarr.json").is_file():
        zarr.create_array(store=path, shape=shape, chunks=(1, *shape[1:]), dtype=dtype, zarr_format=3)
    array = zarr.open_array(store=path, mode="r+")
    array[start : start + len(samples)] = samples


def cut_class_array(path: Path, count: int) -> None:
    """Remove the chunks of a segment after its first `count`, and what a killed process left beside them."""
    chunks = path / "c"
    for chunk in chunks.iterdir() if chunks.is_dir() else ():
        if chunk.name.isdigit() and int(chunk.name) >= count:
            shutil.rmtree(chunk)


def join_class_arrays(
    parts: Sequence[tuple[Path, int]],
    path: Path,
    keys: tuple[str, str],
    labels: Sequence[Any],
    sample_shape: tuple[int, ...],
    dtype: str,
    attributes: dict[str, Any],
) -> None:
    """Join the arrays of segments to one store, which appears whole or not at all.

    The chunk files are moved, not copied; a call that was interrupted goes on where it stopped.

    Parameters
    ----------
    parts : sequence of (Path, int)
        Array of each segment and the number of its samples.
    path : Path
        The store.
    keys : tuple of str
        Names of the arrays of samples and labels.
    labels : sequence
        Label of each segment's samples.
    sample_shape, dtype
        Of a sample.
    attributes : dict
        Of the store; JSON-safe.
    """
    zarr = load_zarr()
    if path.exists():
        return
    counts = [count for _, count in parts]
    unfinished = parts[0][0].parent / path.name
    group = zarr.open_group(store=unfinished, mode="a", zarr_format=3)
    group.attrs.update(attributes)
    if keys[0] not in group:
        shape = (sum(counts), *sample_shape)
        group.create_array(keys[0], shape=shape, chunks=(1, *sample_shape), dtype=dtype)
    _move_chunks(parts, unfinished / keys[0])
    values = np.repeat(np.array(labels), counts)
    chunks = (max(len(values), 1),)
    array = group.create_array(keys[1], shape=values.shape, chunks=chunks, dtype=values.dtype, overwrite=True)
    array[:] = values
    os.replace(unfinished, path)


def _move_chunks(parts: Sequence[tuple[Path, int]], target: Path) -> None:
    offset = 0
    for source, count in parts:
        for row in range(count):
            chunk, place = source / "c" / str(row), target / "c" / str(offset + row)
            if chunk.exists():  # it is not if it was moved before, or if all of it is the fill value
                place.parent.mkdir(parents=True, exist_ok=True)
                if place.exists():  # moved before, and written again since
                    shutil.rmtree(place)
                os.replace(chunk, place)
        offset += count
