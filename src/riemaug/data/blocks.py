"""Large arrays worked through piece by piece, so that temporary copies stay small."""

import math
import mmap
from collections.abc import Iterator

import numpy as np
from jaxtyping import Shaped

VALUES_PER_BLOCK = 2**21
FORGOTTEN_AFTER = 2**26
"""Bytes that are read of an array in a file before they are let go."""


def row_blocks(shape: tuple[int, ...], values: int = VALUES_PER_BLOCK) -> Iterator[slice]:
    """Yield slices of consecutive rows that cover an array of this shape, each of about `values` values."""
    rows = max(values // max(math.prod(shape[1:]), 1), 1)
    for start in range(0, shape[0], rows):
        yield slice(start, start + rows)


def blocks_of(array: Shaped[np.ndarray, "n *shape"]) -> Iterator[Shaped[np.ndarray, "m *shape"]]:
    """Yield the rows of an array block by block; of one in a file, few count as memory at a time."""
    read = 0
    for rows in row_blocks(array.shape):
        block = array[rows]
        yield block
        read += block.nbytes
        if read > FORGOTTEN_AFTER:
            forget_pages(array)
            read = 0


def forget_pages(array: Shaped[np.ndarray, "..."]) -> None:
    """Let go of what was read of an array that lies in a file, mapped read-only; nothing for all others.

    The system takes these pages back whenever memory is short. Until then they count as memory of this
    process, and batch systems that look at no more than that stop it.
    """
    content = _mapped_content(array)
    if content is not None and hasattr(mmap, "MADV_DONTNEED"):
        content.madvise(mmap.MADV_DONTNEED)


def _mapped_content(array: Shaped[np.ndarray, "..."]) -> mmap.mmap | None:
    """Return the file behind an array; None without one, or where what is written to the array is private."""
    owner = array
    while isinstance(owner, np.ndarray):
        if isinstance(owner, np.memmap) and owner.mode != "r":
            return None
        owner = owner.base
    if isinstance(owner, memoryview):
        owner = owner.obj if owner.readonly else None
    return owner if isinstance(owner, mmap.mmap) else None
