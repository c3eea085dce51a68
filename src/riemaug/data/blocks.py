"""Large arrays worked through piece by piece, so that temporary copies stay small."""

import math
from collections.abc import Iterator

VALUES_PER_BLOCK = 2**21


def row_blocks(shape: tuple[int, ...], values: int = VALUES_PER_BLOCK) -> Iterator[slice]:
    """Yield slices of consecutive rows that cover an array of this shape, each of about `values` values."""
    rows = max(values // max(math.prod(shape[1:]), 1), 1)
    for start in range(0, shape[0], rows):
        yield slice(start, start + rows)
