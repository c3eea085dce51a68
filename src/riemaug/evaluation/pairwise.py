"""Two sets of features, checked and centred, and all distances between their rows, block by block."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float64

from riemaug.data.blocks import row_blocks
from riemaug.errors import InvalidInputError

ROUNDING = 1e-12
"""Squared distances of centred rows are off by less than this times the largest squared norm."""


def check_pair(
    real: Float[np.ndarray, "n D"],
    synthetic: Float[np.ndarray, "m _"],
    least: int,
    purpose: str,
    way_out: str = "",
) -> None:
    """Refuse two sets of features that cannot be compared.

    Parameters
    ----------
    least : int
        Number of rows that each set must have.
    purpose, way_out : str
        For the message: what is to be computed, and how to do with fewer rows.

    Raises
    ------
    InvalidInputError
        Too few rows, other widths, or values that are not finite.
    """
    for name, rows in (("real", real), ("synthetic", synthetic)):
        if len(rows) < least:
            raise InvalidInputError(
                f"{purpose} needs at least {least} {name} samples, got {len(rows)}: "
                f"pass more samples{way_out}"
            )
        check_finite(rows, f"{name} features")
    check_widths(real, synthetic, "real and synthetic features")


def centred_pair(
    real: Float[np.ndarray, "n D"], synthetic: Float[np.ndarray, "m D"]
) -> tuple[Float64[np.ndarray, "n D"], Float64[np.ndarray, "m D"]]:
    """Return both sets in float64 about the mean of all their rows: small norms, small rounding errors."""
    total = real.sum(0, dtype=np.float64) + synthetic.sum(0, dtype=np.float64)
    centre = total / (len(real) + len(synthetic))
    return real - centre, synthetic - centre


def check_widths(first: Float[np.ndarray, "n _"], second: Float[np.ndarray, "m _"], names: str) -> None:
    """Refuse two sets of rows of other widths; `names` is how the message calls them."""
    if first.shape[1] != second.shape[1]:
        raise InvalidInputError(
            f"{names} must have the same width, got {first.shape[1]} and {second.shape[1]}: compute both "
            "in one feature space"
        )


def check_finite(rows: Float[np.ndarray, "n ..."], name: str) -> None:
    """Refuse rows with NaN or infinite values; `name` is how the message calls them."""
    for part in row_blocks(rows.shape):
        if not np.isfinite(rows[part]).all():
            raise InvalidInputError(
                f"{name} must be finite, some values are NaN or infinite: remove those samples"
            )


def squared_distance_blocks(
    rows: Float64[np.ndarray, "n D"], columns: Float64[np.ndarray, "m D"]
) -> Iterator[tuple[slice, Float64[np.ndarray, "b m"]]]:
    """Yield slices of `rows` and their squared Euclidean distances to all of `columns`.

    Centre both sets first: the error is `ROUNDING` times the largest squared norm.
    """
    row_squares = np.einsum("ij,ij->i", rows, rows)
    column_squares = np.einsum("ij,ij->i", columns, columns)
    for part in row_blocks((len(rows), len(columns))):
        block = rows[part] @ columns.T
        block *= -2.0
        block += row_squares[part, None]
        block += column_squares
        yield part, np.maximum(block, 0.0, out=block)


def largest_square(*sets: Float64[np.ndarray, "_ D"]) -> float:
    """Return the largest squared norm of any row."""
    return max(float(np.einsum("ij,ij->i", rows, rows).max()) for rows in sets)
