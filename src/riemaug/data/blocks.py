"""Large arrays worked through piece by piece, so that temporary copies stay small."""

import math
import mmap
from collections.abc import Iterator

import numpy as np
from jaxtyping import Shaped

VALUES_PER_BLOCK = 2**21


def row_blocks(shape: tuple[int, ...], values: int = VALUES_PER_BLOCK) -> Iterator[slice]:
    """Yield slices of consecutive rows that cover an array of this shape, each of about `values` values."""
    rows = max(values // max(math.prod(shape[1:]), 1), 1)
    for start in range(0, shape[0], rows):
        yield slice(start, start + rows)


def forget_pages(array: Shaped[np.ndarray, "..."]) -> None:
    """Let go of what was read of an array that lies in a file, mapped read-only; nothing for all others.

    The system takes these pages back whenever memory is short. Until then they count as memory of this
    process, and batch systems that look at no more than that stop it.
    """
    owner = array
    while isinstance(owner, np.ndarray) and not isinstance(owner, np.memmap):
        owner = owner.base
    # of a private map this would undo what was written to it
    if not isinstance(owner, np.memmap) or owner.mode != "r" or not hasattr(mmap, "MADV_DONTNEED"):
        return
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap):
        owner.madvise(mmap.MADV_DONTNEED)
