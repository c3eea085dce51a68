"""Samples read back from a Zarr store that anybody may have made, if it is as `zarr_store` writes them.

The package zarr takes codecs, key names and sizes from the store, and unpacks a chunk to whatever it holds.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from riemaug.data.names import file_inside
from riemaug.limits import read_bounded
from riemaug.run.zarr_store import load_zarr

_MOST_METADATA = 2**16
_MAGIC = 0xFD2FB528
_RLE_BLOCK = 1
_LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
_ZSTD = {"name": "zstd", "configuration": {"level": 0, "checksum": False}}
_SLACK = 2**10
"""Bytes that a chunk which cannot be packed is larger than what it holds, at most, and some."""


def zarr_row(
    store: Path, key: str, row: int, sample_shape: tuple[int, ...], dtype: str
) -> Shaped[np.ndarray, "..."]:
    """Return one sample; memory is taken for this one alone.

    Parameters
    ----------
    store : Path
    key : str
        Name of the array of samples.
    row : int
    sample_shape, dtype
        Of a sample.

    Raises
    ------
    ValueError, OSError
        There is no such row, or the array is not of the kind that `riemaug sample` writes; of the first,
        InvalidInputError is one.
    """
    kind = np.dtype(dtype)
    num_rows = _checked_rows(file_inside(store, f"{key}/zarr.json"), sample_shape, kind)
    if not 0 <= row < num_rows:
        raise ValueError(f"there is no row {row}")
    size = math.prod(sample_shape) * kind.itemsize
    chunk = "/".join([key, "c", str(row), *("0" for _ in sample_shape)])
    if not os.path.lexists(store / chunk):  # all of it is the fill value
        return np.zeros(sample_shape, kind)
    # no pipe, which would wait for a writer for ever, nor a link to elsewhere
    content = read_bounded(file_inside(store, chunk), size + size // 128 + _SLACK, "a chunk of a sample")
    if not is_one_frame(content, size):
        raise ValueError(f"the chunk of row {row} holds something else than a sample")
    return _unpacked(content, size).view(kind.newbyteorder("<")).astype(kind).reshape(sample_shape)


def _checked_rows(path: Path, sample_shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Return the number of rows by an array's metadata; ValueError where they are not such as we write."""
    told = json.loads(read_bounded(path, _MOST_METADATA, path.name))
    if not isinstance(told, dict):
        raise ValueError(f"{path.name} holds no metadata")
    shape = told.get("shape")
    if not isinstance(shape, list) or not shape or type(shape[0]) is not int:
        raise ValueError(f"{path.name} tells no shape")
    for name, value in _metadata(shape[0], sample_shape, dtype).items():
        if told.get(name) != value:
            raise ValueError(f"{name} must be {value}, it is {str(told.get(name))[:200]}")
    codecs = told.get("codecs")
    if codecs not in ([_LITTLE, _ZSTD], [{"name": "bytes"}, _ZSTD]):  # of one byte the order may be left out
        raise ValueError(f"codecs must be bytes and zstd, they are {str(codecs)[:200]}")
    return shape[0]


def _metadata(num_rows: int, sample_shape: tuple[int, ...], dtype: np.dtype) -> dict[str, Any]:
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [num_rows, *sample_shape],
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, *sample_shape]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    }


def _unpacked(content: bytes, size: int) -> Shaped[np.ndarray, " size"]:
    load_zarr()  # says what to install, and brings numcodecs with it
    from numcodecs.zstd import Zstd

    unpacked = np.empty(size, np.uint8)
    try:
        Zstd().decode(content, out=unpacked)
    except RuntimeError as error:
        raise ValueError(str(error)) from None
    return unpacked


def is_one_frame(content: bytes, size: int) -> bool:
    """Tell whether bytes are one Zstandard frame, and no more, that says it unpacks to so many bytes.

    Decoders go on with frames that follow the first, and with frames that do not say how large they are,
    until memory is full. The layout of frames and blocks: RFC 8878, 3.1.1.
    """
    if int.from_bytes(content[:4], "little") != _MAGIC or len(content) < 6:
        return False
    descriptor = content[4]
    is_single, has_checksum = bool(descriptor & 0x20), bool(descriptor & 0x04)
    at = 5 + (not is_single) + (0, 1, 2, 4)[descriptor & 0x03]
    width = (int(is_single), 2, 4, 8)[descriptor >> 6]
    told = int.from_bytes(content[at : at + width], "little") + (256 if width == 2 else 0)
    if not width or told != size:
        return False
    at += width
    is_last = False
    while not is_last and at + 3 <= len(content):
        head = int.from_bytes(content[at : at + 3], "little")
        is_last, kind, length = bool(head & 1), head >> 1 & 3, head >> 3
        at += 3 + (1 if kind == _RLE_BLOCK else length)
    return is_last and at + 4 * has_checksum == len(content)
