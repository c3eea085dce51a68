"""The columns of a table as a report compares them: spreads of numbers and times, shares of categories."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64


@dataclass(frozen=True)
class Spread:
    """How the numbers of a column lie.

    Parameters
    ----------
    mean, deviation : float
        The standard deviation is that of the numbers themselves (divided by n).
    low, high : float
        The smallest and the largest.
    quartiles : tuple of 3 float
        First quartile, median, third quartile.
    """

    mean: float
    deviation: float
    low: float
    high: float
    quartiles: tuple[float, float, float]

    @classmethod
    def of(cls, values: Float64[np.ndarray, " n"]) -> "Spread":
        """Return the spread of one number or more."""
        low, first, median, third, high = np.quantile(values, (0, 0.25, 0.5, 0.75, 1)).tolist()
        return cls(float(values.mean()), float(values.std()), low, high, (first, median, third))


@dataclass(frozen=True)
class TimeScale:
    """What the numbers of a column of times count.

    Parameters
    ----------
    origin : numpy.datetime64
        The point in time that is 0.
    step : numpy.timedelta64
        How much later 1 is, in the unit of `origin`.
    """

    origin: np.datetime64
    step: np.timedelta64

    @property
    def step_seconds(self) -> float:
        """The step in seconds."""
        return float(self.step / np.timedelta64(1, "s"))


@dataclass(frozen=True, kw_only=True)
class NumberColumn:
    """A column of numbers or times.

    Parameters
    ----------
    name : str
    synthetic : Spread
    real : Spread or None
        None where the real rows are not at hand, or not to be shown.
    distance : float or None
        Two-sample Kolmogorov-Smirnov distance, 0 to 1: the largest difference of the two distribution
        functions.
    decimals : int or None
        That the cells have; None of no fixed number.
    times : TimeScale or None
        Of times.
    """

    name: str
    synthetic: Spread
    real: Spread | None = None
    distance: float | None = None
    decimals: int | None = None
    times: TimeScale | None = None


@dataclass(frozen=True, kw_only=True)
class CategoryColumn:
    """A column of categories.

    Parameters
    ----------
    name : str
    levels : tuple of str
    synthetic : tuple of float
        Share of each level, 0 to 1.
    real : tuple of float or None
    distance : float or None
        Total variation, 0 to 1: half the sum of the differences of the shares.
    """

    name: str
    levels: tuple[str, ...]
    synthetic: tuple[float, ...]
    real: tuple[float, ...] | None = None
    distance: float | None = None


ComparedColumn = NumberColumn | CategoryColumn


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of one class.

    Parameters
    ----------
    compared : tuple of NumberColumn or CategoryColumn
        In the order of the table.
    num_real, num_synthetic : int
        Rows that they are of; no real ones where these are not at hand.
    num_constant : int
        Columns with one value in the whole training set: there is nothing to compare.
    """

    compared: tuple[ComparedColumn, ...]
    num_real: int
    num_synthetic: int
    num_constant: int = 0


def number_column(
    name: str,
    synthetic: Float64[np.ndarray, " n"],
    real: Float64[np.ndarray, " m"] | None,
    decimals: int | None = None,
    times: TimeScale | None = None,
) -> NumberColumn:
    """Compare the numbers of a column.

    Parameters
    ----------
    name : str
    synthetic : ndarray (n,)
        At least one.
    real : ndarray (m,) or None
        At least one.
    decimals, times
        See `NumberColumn`.
    """
    distance = None
    if real is not None:
        from scipy.stats import ks_2samp  # takes long to import, also for reports of no table

        # only the distance is used: the exact law behind the p-value would take long
        compared: Any = ks_2samp(synthetic, real, method="asymp")
        distance = float(compared.statistic)
    return NumberColumn(
        name=name,
        synthetic=Spread.of(synthetic),
        real=None if real is None else Spread.of(real),
        distance=distance,
        decimals=decimals,
        times=times,
    )


def category_column(
    name: str, levels: Sequence[str], synthetic: Int64[np.ndarray, " n"], real: Int64[np.ndarray, " m"] | None
) -> CategoryColumn:
    """Compare the categories of a column.

    Parameters
    ----------
    name : str
    levels : sequence of str
        What the categories are called.
    synthetic : ndarray (n,)
        The number of each row's level, at least one row.
    real : ndarray (m,) or None
        At least one row.
    """
    shares = np.bincount(synthetic, minlength=len(levels)) / len(synthetic)
    if real is None:
        return CategoryColumn(name=name, levels=tuple(levels), synthetic=tuple(shares.tolist()))
    wanted = np.bincount(real, minlength=len(levels)) / len(real)
    return CategoryColumn(
        name=name,
        levels=tuple(levels),
        synthetic=tuple(shares.tolist()),
        real=tuple(wanted.tolist()),
        distance=float(np.abs(shares - wanted).sum() / 2),
    )
