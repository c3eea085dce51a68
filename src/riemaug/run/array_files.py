"""Samples on their way into one npz file: appended to an .npy file block by block."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Shaped

from riemaug.data.npy_header import HEADER_ERRORS

BLOCK_ROWS = 1024


def start_array_file(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Write the header of an .npy file of `shape`; the rows are to follow by `append_rows`.

    Raises
    ------
    OSError
        The disk is full or the folder is not writable.
    """
    with path.open("wb") as file:
        _write_header(file, shape, dtype)


def set_row_count(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Correct the header of a file begun by `start_array_file` whose rows became fewer: `shape` as it is now.

    Raises
    ------
    OSError
        The file cannot be written to.
    """
    with path.open("r+b") as file:  # numpy leaves room for 21 digits, so the rows stay where they are
        _write_header(file, shape, dtype)


def _write_header(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def append_rows(path: Path, rows: Shaped[np.ndarray, "n ..."]) -> None:
    """Append rows to a file begun by `start_array_file`; OSError if the disk is full."""
    # not through a memory map: on a full disk that ends the process instead of raising
    with path.open("ab") as file:
        file.write(np.ascontiguousarray(rows).data)


def join_array_files(parts: Sequence[Path], path: Path) -> list[int]:
    """Write the rows of several .npy files one after the other to `path`; return how many each has."""
    arrays = [np.load(part, mmap_mode="r", allow_pickle=False) for part in parts]
    counts = [len(array) for array in arrays]
    start_array_file(path, (sum(counts), *arrays[0].shape[1:]), arrays[0].dtype)
    for array in arrays:
        for start in range(0, len(array), BLOCK_ROWS):
            append_rows(path, array[start : start + BLOCK_ROWS])
    return counts


def holds_rows(path: Path, count: int) -> bool:
    """Tell whether a file begun by `start_array_file` is there, with `count` rows at least; by its size."""
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            whole = file.tell() + count * int(np.prod(shape[1:])) * dtype.itemsize
            return os.fstat(file.fileno()).st_size >= whole
    except HEADER_ERRORS:
        return False


def cut_rows(path: Path, count: int) -> None:
    """Cut a file begun by `start_array_file` after its first `count` rows.

    Raises
    ------
    OSError
        The file cannot be changed.
    """
    with path.open("r+b") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        file.truncate(file.tell() + count * int(np.prod(shape[1:])) * dtype.itemsize)
