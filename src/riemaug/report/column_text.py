"""Numbers, times and shares of a table's columns as text, rounded as the column itself is."""

import math

import numpy as np

from riemaug.report.columns import CategoryColumn, NumberColumn, TimeScale
from riemaug.report.formats import MINUS, duration, number

_SIGNIFICANT = 3
"""Digits of a standard deviation that are told; means have as many decimals."""
_LARGEST, _MOST_DECIMALS = 1e9, 9
_FAR, _NARROW, _WIDE = 0.2, 0.8, 1.25
"""From where on means and spreads are called different, in standard deviations of the real ones."""
_ALIKE = 0.1
_SECONDS_A_DAY = 86400
_TIME_UNITS = ("D", "m", "s")


def mean_text(column: NumberColumn, value: float) -> str:
    """Return a mean of a column: a number, or a point in time."""
    return _point(column.times, value) if column.times else _plain(value, _mean_decimals(column))


def deviation_text(column: NumberColumn, value: float) -> str:
    """Return a standard deviation of a column: a number, or a length of time."""
    if column.times is None:
        return _plain(value, _mean_decimals(column))
    seconds = value * column.times.step_seconds
    return f"{number(seconds / _SECONDS_A_DAY)} d" if seconds >= _SECONDS_A_DAY else duration(seconds)


def cell_text(column: NumberColumn, value: float) -> str:
    """Return a value of a column, never with more decimals than the column has."""
    if column.times:
        return _point(column.times, value)
    wanted = _mean_decimals(column)
    if value == 0 or wanted is None:
        return number(value, _SIGNIFICANT + 1)
    return _plain(value, wanted if column.decimals is None else min(wanted, column.decimals))


def share_text(share: float, coarse: bool = False) -> str:
    """Return a share as a percentage with one decimal, or `coarse` with none."""
    return f"{100 * share:.{0 if coarse else 1}f}\u202f%"


def number_words(column: NumberColumn) -> str:
    """Return in what the synthetic numbers of a column differ from the real ones; "" without real ones."""
    real, made = column.real, column.synthetic
    if real is None:
        return ""
    means = f"mean {mean_text(column, made.mean)} against {mean_text(column, real.mean)}"
    if real.deviation == 0:
        return f"{means}; the real rows of the class all have the same value"
    gap, ratio = (made.mean - real.mean) / real.deviation, made.deviation / real.deviation
    if abs(gap) >= _FAR:
        which = "higher" if gap > 0 else "lower"
        return f"{means}, {abs(gap):.1f} standard deviations {which}"
    if not _NARROW <= ratio <= _WIDE:
        which = "wider" if ratio > 1 else "narrower"
        shown = [deviation_text(column, spread.deviation) for spread in (made, real)]
        return f"{which}: standard deviation {shown[0]} against {shown[1]}"
    if (column.distance or 0) < _ALIKE:
        return "much alike"
    return "alike in mean and standard deviation, but of another shape"


def category_words(column: CategoryColumn, coarse: bool = False) -> str:
    """Return which category's share differs most; "" without real rows."""
    if column.real is None:
        return ""
    gaps = np.abs(np.subtract(column.synthetic, column.real))
    level = int(gaps.argmax())
    if gaps[level] == 0:
        return "the same shares"
    made, real = column.synthetic[level], column.real[level]
    return f"“{column.levels[level]}” {share_text(made, coarse)} against {share_text(real, coarse)}"


def _mean_decimals(column: NumberColumn) -> int | None:
    """Return how many decimals means of a column have; None where these would be too many."""
    spreads = [spread for spread in (column.synthetic, column.real) if spread is not None]
    deviation = max(spread.deviation for spread in spreads)
    largest = max(abs(spread.mean) + spread.deviation for spread in spreads)
    if deviation == 0:
        return column.decimals
    wanted = max(0, _SIGNIFICANT - 1 - math.floor(math.log10(deviation)))
    if largest >= _LARGEST or wanted > _MOST_DECIMALS:
        return None
    return wanted if column.decimals is None else min(wanted, column.decimals + 2)


def _plain(value: float, decimals: int | None) -> str:
    if decimals is None:
        return number(value, _SIGNIFICANT + 1)
    # adding 0.0 turns a negative zero into the usual one
    return f"{round(value, decimals) + 0.0:,.{decimals}f}".replace("-", MINUS)


def _point(times: TimeScale, value: float) -> str:
    """Return a point in time, to the coarsest unit that all points of the column are whole numbers of."""
    point = times.origin + round(value) * times.step
    for unit in _TIME_UNITS:
        coarse = (times.origin.astype(f"datetime64[{unit}]"), times.step.astype(f"timedelta64[{unit}]"))
        if coarse == (times.origin, times.step):
            return str(point.astype(f"datetime64[{unit}]")).replace("T", " ")
    return str(point).replace("T", " ")
