"""Maximum mean discrepancy between two sets: KID with a standard error, Gaussian MMD with a p-value.

MMD: Gretton et al., A kernel two-sample test, JMLR 2012. KID: Bińkowski et al., Demystifying MMD GANs,
ICLR 2018.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from riemaug.data.blocks import row_blocks
from riemaug.errors import InvalidInputError
from riemaug.evaluation.pairwise import (
    centred_pair,
    check_pair,
    largest_square,
    squared_distance_blocks,
)
from riemaug.random import Stream, as_stream

LEAST_SAMPLES = 4
KID_BLOCKS = 10
PERMUTATIONS = 500
MEDIAN_PAIRS = 2**18
"""Pairs of which the median distance is taken where there are more."""
_LABEL_VALUES = 2**24
_TIE = 1e-12


@dataclass(frozen=True)
class KernelDistance:
    """KID: the squared MMD for the kernel (x . y / D + 1)^3.

    Attributes
    ----------
    value : float
        Unbiased estimate of a number that is 0 or more; itself below 0 about every other time if both
        sets follow one law.
    standard_error : float
        By a jackknife that leaves out one block of both sets at a time.
    num_blocks : int
    """

    value: float
    standard_error: float
    num_blocks: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class DiscrepancyTest:
    """Squared MMD for the kernel exp(-|x - y|^2 / (2 bandwidth^2)), and a permutation test of equal laws.

    Attributes
    ----------
    value : float
        Unbiased estimate of a number in [0, 2].
    p_value : float
        Share of the permutations, the sets as they are among them, whose value is as large.
    bandwidth : float
    num_permutations : int
    """

    value: float
    p_value: float
    bandwidth: float
    num_permutations: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def kernel_inception_distance(
    real: Float[np.ndarray, "n D"],
    synthetic: Float[np.ndarray, "m _"],
    num_blocks: int = KID_BLOCKS,
    random_state: int | Stream = 0,
) -> KernelDistance:
    """Return the KID of two sets of features, over all pairs.

    Parameters
    ----------
    real, synthetic : ndarray (n, D), (m, D)
        Features, of Inception or any other space; not centred, as the kernel depends on the origin.
    num_blocks : int
        Blocks of the jackknife, at least 2; no more than the smaller set has samples.
    random_state : int or Stream
        Deals the samples into blocks.

    Raises
    ------
    InvalidInputError
        Fewer than 4 samples or 2 blocks, other widths, values that are not finite.
    """
    if num_blocks < 2:
        raise InvalidInputError(f"num_blocks must be at least 2, got {num_blocks}: choose {KID_BLOCKS}")
    check_pair(real, synthetic, LEAST_SAMPLES, "KID")
    num_blocks = min(num_blocks, len(real), len(synthetic))
    rng = np.random.default_rng(as_stream(random_state).child("kid blocks").generator_seed())
    real, real_starts = _dealt(real, num_blocks, rng)
    synthetic, synthetic_starts = _dealt(synthetic, num_blocks, rng)
    within_real = _block_sums(real, real, real_starts, real_starts, is_same=True)
    within_synthetic = _block_sums(synthetic, synthetic, synthetic_starts, synthetic_starts, is_same=True)
    across = _block_sums(real, synthetic, real_starts, synthetic_starts, is_same=False)
    sizes = np.stack([_sizes(real_starts, len(real)), _sizes(synthetic_starts, len(synthetic))])
    value = _squared_mmd(within_real.sum(), within_synthetic.sum(), across.sum(), *sizes.sum(1))
    without = _squared_mmd(
        _sum_without_each(within_real),
        _sum_without_each(within_synthetic),
        _sum_without_each(across),
        *(sizes.sum(1, keepdims=True) - sizes),
    )
    variance = (num_blocks - 1) / num_blocks * np.square(without - without.mean()).sum()
    return KernelDistance(float(value), float(np.sqrt(variance)), num_blocks)


def _dealt(
    rows: Float[np.ndarray, "n D"], num_blocks: int, rng: np.random.Generator
) -> tuple[Float64[np.ndarray, "n D"], np.ndarray]:
    """Return the rows in random order, and where each block of them begins."""
    starts = np.linspace(0, len(rows), num_blocks, endpoint=False).astype(int)
    return rows[rng.permutation(len(rows))].astype(np.float64), starts


def _sizes(starts: np.ndarray, total: int) -> np.ndarray:
    return np.diff(starts, append=total)


def _block_sums(
    rows: Float64[np.ndarray, "n D"],
    columns: Float64[np.ndarray, "m D"],
    row_starts: np.ndarray,
    column_starts: np.ndarray,
    is_same: bool,
) -> Float64[np.ndarray, "G G"]:
    """Return the sums of the polynomial kernel over pairs of blocks, no row paired with itself."""
    by_row = np.empty((len(rows), len(column_starts)))
    for part in row_blocks((len(rows), len(columns))):
        linear = rows[part] @ columns.T / rows.shape[1] + 1.0
        kernel = linear * linear * linear  # far faster than numpy's power
        if is_same:
            num = len(kernel)
            kernel[np.arange(num), part.start + np.arange(num)] = 0.0
        by_row[part] = np.add.reduceat(kernel, column_starts, axis=1)
    return np.add.reduceat(by_row, row_starts, axis=0)


def _sum_without_each(sums: Float64[np.ndarray, "G G"]) -> Float64[np.ndarray, " G"]:
    """Return the sum of all entries but those of one row and column, for each of them."""
    return sums.sum() - sums.sum(0) - sums.sum(1) + sums.diagonal()


def _squared_mmd(within_first: Any, within_second: Any, across: Any, first: Any, second: Any) -> Any:
    """Return the unbiased squared MMD from kernel sums (ordered pairs, none with itself) and set sizes."""
    within = within_first / (first * (first - 1)) + within_second / (second * (second - 1))
    return within - 2.0 * across / (first * second)


def discrepancy_test(
    real: Float[np.ndarray, "n D"],
    synthetic: Float[np.ndarray, "m _"],
    bandwidth: float | None = None,
    num_permutations: int = PERMUTATIONS,
    random_state: int | Stream = 0,
) -> DiscrepancyTest:
    """Test by the MMD with a Gaussian kernel whether two sets follow one law.

    Parameters
    ----------
    real, synthetic : ndarray (n, D), (m, D)
        Features.
    bandwidth : float, optional
        None: the median distance between two samples of both sets together, of those that differ.
    num_permutations : int
        The smallest p-value there can be is 1 / (num_permutations + 1).
    random_state : int or Stream
        Draws the permutations, and pairs for the median where there are more than `MEDIAN_PAIRS`.

    Raises
    ------
    InvalidInputError
        Fewer than 4 samples, no permutations, a bandwidth that is not above 0, other widths, values that
        are not finite.
    """
    if num_permutations < 1:
        raise InvalidInputError(f"num_permutations must be at least 1, got {num_permutations}: choose 500")
    if bandwidth is not None and not 0.0 < bandwidth < np.inf:
        raise InvalidInputError(f"the bandwidth must be above 0, got {bandwidth}: leave it out")
    check_pair(real, synthetic, LEAST_SAMPLES, "the MMD test")
    pooled = np.concatenate(centred_pair(real, synthetic))
    stream = as_stream(random_state).child("mmd")
    bandwidth = bandwidth or _median_distance(pooled, stream.child("pairs"))
    rng = np.random.default_rng(stream.child("permutations").generator_seed())
    values = np.concatenate(
        [
            _discrepancies(pooled, labels, bandwidth)
            for labels in _labellings(len(real), len(pooled), num_permutations, rng)
        ]
    )
    p_value = float((values >= values[0] - _TIE).mean())
    return DiscrepancyTest(float(values[0]), p_value, float(bandwidth), num_permutations)


def _median_distance(pooled: Float64[np.ndarray, "N D"], stream: Stream) -> float:
    """Return the median distance of pairs of rows that differ; 1 if none do."""
    num = len(pooled)
    first, second = np.triu_indices(num, 1) if num * (num - 1) // 2 <= MEDIAN_PAIRS else _pairs(num, stream)
    squares = np.empty(len(first))
    for part in row_blocks((len(first), pooled.shape[1])):
        gaps = pooled[first[part]] - pooled[second[part]]
        squares[part] = np.einsum("ij,ij->i", gaps, gaps)
    differing = squares[squares > 1e-24 * largest_square(pooled)]
    return float(np.sqrt(np.median(differing))) if len(differing) else 1.0


def _pairs(num: int, stream: Stream) -> tuple[np.ndarray, np.ndarray]:
    """Return random pairs of different rows: never by which set they are of, so the test keeps its level."""
    rng = np.random.default_rng(stream.generator_seed())
    first = rng.integers(num, size=MEDIAN_PAIRS)
    return first, (first + rng.integers(1, num, size=MEDIAN_PAIRS)) % num


def _labellings(
    num_real: int, total: int, num_permutations: int, rng: np.random.Generator
) -> Iterator[Float64[np.ndarray, "N B"]]:
    """Yield columns that mark `num_real` rows with 1: first the real ones, then any."""
    actual = np.zeros(total)
    actual[:num_real] = 1.0
    at_once, left = max(1, _LABEL_VALUES // total), num_permutations + 1
    while left:
        columns = [rng.permutation(actual) for _ in range(min(at_once, left))]
        if left == num_permutations + 1:
            columns[0] = actual
        left -= len(columns)
        yield np.stack(columns, 1)


def _discrepancies(
    pooled: Float64[np.ndarray, "N D"], labels: Float64[np.ndarray, "N B"], bandwidth: float
) -> Float64[np.ndarray, " B"]:
    """Return the unbiased squared MMD between the marked rows and the others, for each column of marks.

    One pass over the kernel matrix K, a block of rows at a time: with marks a, the sums within and across
    the two sets follow from a.K a, a.K 1 and 1.K 1.
    """
    num = labels[:, 0].sum()
    within, marked, total = np.zeros(labels.shape[1]), np.zeros(labels.shape[1]), 0.0
    for part, squares in squared_distance_blocks(pooled, pooled):
        kernel = np.exp(squares * (-0.5 / bandwidth**2))
        rows = np.arange(len(kernel))
        kernel[rows, part.start + rows] = 0.0
        sums = kernel.sum(1)
        within += np.einsum("ij,ij->j", labels[part], kernel @ labels)
        marked += sums @ labels[part]
        total += sums.sum()
    return _squared_mmd(within, total - 2.0 * marked + within, marked - within, num, len(pooled) - num)
