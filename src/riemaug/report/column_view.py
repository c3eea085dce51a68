"""The columns of one class as the template shows them: those that differ most first, with bars."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from riemaug.report.column_text import (
    category_words,
    cell_text,
    deviation_text,
    mean_text,
    number_words,
    share_text,
)
from riemaug.report.columns import CategoryColumn, Columns, ComparedColumn, NumberColumn, Spread
from riemaug.report.formats import DASH, count

MOST_COLUMNS = 30
MOST_LEVELS = 8
MOST_NAMED = 3
LEAST_TOLD = 10
"""Where real samples are not to be shown: so many rows must stand behind a mean or a share."""
_KS_CRITICAL = 1.358
"""Of the Kolmogorov-Smirnov distance for large samples: that 1 of 20 pairs of samples of one law exceeds."""
_BAR_WIDTH = 100.0


@dataclass(frozen=True)
class Bar:
    """One spread as a bar, in hundredths of the width of its cell.

    Parameters
    ----------
    line : tuple of 2 float or None
        From the smallest to the largest value; None where these are not to be told.
    box : tuple of 2 float
        From the first to the third quartile.
    median : float
    text : str
        What it shows, for those who cannot see it.
    """

    line: tuple[float, float] | None
    box: tuple[float, float]
    median: float
    text: str


@dataclass(frozen=True)
class Measured:
    """A column's numbers in one of the two groups of rows.

    Parameters
    ----------
    kind : {"real", "synthetic"}
    mean, deviation, ends : str
        The last one: smallest to largest, a dash where these are not to be told.
    bar : Bar
    """

    kind: str
    mean: str
    deviation: str
    ends: str
    bar: Bar


@dataclass(frozen=True)
class NumberRow:
    """A column of numbers or times; `groups` are real and synthetic, or synthetic alone."""

    name: str
    distance: str
    groups: tuple[Measured, ...]


@dataclass(frozen=True)
class LevelRow:
    """One category: its shares as text ("" if unknown), and as widths of bars in hundredths."""

    name: str
    real: str
    synthetic: str
    widths: tuple[float, float]


@dataclass(frozen=True)
class CategoryRow:
    """A column of categories; `num_more` of its categories are not shown."""

    name: str
    distance: str
    levels: tuple[LevelRow, ...]
    num_more: int


@dataclass(frozen=True)
class ColumnsView:
    """The columns of one class, ready for the template.

    Parameters
    ----------
    findings : tuple of (str, str, str)
        Name, distance and a few words of the columns that differ most.
    yardstick : str
        How far apart samples of one law would be, and how many columns are further.
    numbers, categories : tuple
    counted : str
        How many columns are not shown; "" if all are.
    absence : {"", "withheld", "unknown"}
        Why there are no real columns: too few rows to tell anything of, or no real data at hand.
    hides_ends : bool
        The smallest and the largest real values are not told.
    """

    findings: tuple[tuple[str, str, str], ...]
    yardstick: str
    numbers: tuple[NumberRow, ...]
    categories: tuple[CategoryRow, ...]
    counted: str
    absence: str
    hides_ends: bool


def columns_view(columns: Columns | None, show_real: bool) -> ColumnsView | None:
    """Return the columns of a class, ready for the template; None of data that are no table.

    Parameters
    ----------
    columns : Columns or None
    show_real : bool
        False leaves out the smallest and the largest real values, rounds real shares to whole percents, and
        leaves out all that is real where the class has fewer than `LEAST_TOLD` real rows.
    """
    if columns is None:
        return None
    told = columns.num_real >= (1 if show_real else LEAST_TOLD)
    absence = "" if told else "withheld" if columns.num_real else "unknown"
    known = columns.compared if told else tuple(map(_without_real, columns.compared))
    ordered = sorted(known, key=lambda column: -(column.distance or 0.0))
    shown = ordered[:MOST_COLUMNS]
    return ColumnsView(
        findings=_findings(ordered, not show_real) if told else (),
        yardstick=_yardstick(columns) if told else "",
        numbers=tuple(
            _number_row(column, not show_real) for column in shown if isinstance(column, NumberColumn)
        ),
        categories=tuple(
            _category_row(column, not show_real) for column in shown if isinstance(column, CategoryColumn)
        ),
        counted=_counted(len(ordered) - len(shown), columns.num_constant, told),
        absence=absence,
        hides_ends=told and not show_real,
    )


def _without_real(column: ComparedColumn) -> ComparedColumn:
    if isinstance(column, NumberColumn):
        return NumberColumn(
            name=column.name, synthetic=column.synthetic, decimals=column.decimals, times=column.times
        )
    return CategoryColumn(name=column.name, levels=column.levels, synthetic=column.synthetic)


def _findings(ordered: Sequence[ComparedColumn], coarse: bool) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (
            column.name,
            _distance(column),
            number_words(column) if isinstance(column, NumberColumn) else category_words(column, coarse),
        )
        for column in ordered[:MOST_NAMED]
    )


def _yardstick(columns: Columns) -> str:
    """Return what the distances of number columns would be for samples of one law."""
    distances = [column.distance or 0.0 for column in columns.compared if isinstance(column, NumberColumn)]
    if not distances:
        return ""
    limit = _KS_CRITICAL * np.sqrt(1 / columns.num_real + 1 / columns.num_synthetic)
    further = sum(distance > limit for distance in distances)
    found = f"{further:,} of {count(len(distances), 'such column')} here {'is' if further == 1 else 'are'}"
    if limit >= 1:
        return "There are too few rows to tell a difference of numbers from chance."
    return (
        "Of two samples of one law and of these sizes, 1 in 20 columns of numbers would be further apart than"
        f" {limit:.2f}; {found}."
    )


def _counted(left_out: int, constant: int, ordered: bool) -> str:
    parts = []
    if left_out:
        parts.append(count(left_out, "column") + (" that differ less" if ordered and left_out > 1 else ""))
    if constant:
        parts.append(count(constant, "column") + " with one value in the whole training set")
    return "Not shown: " + " and ".join(parts) + "." if parts else ""


def _distance(column: ComparedColumn) -> str:
    return DASH if column.distance is None else f"{column.distance:.2f}"


def _number_row(column: NumberColumn, hide_ends: bool) -> NumberRow:
    groups = [("real", column.real, hide_ends), ("synthetic", column.synthetic, False)]
    known = [(kind, spread, hidden) for kind, spread, hidden in groups if spread is not None]
    edges = [edge for _, spread, hidden in known for edge in _extent(spread, hidden)]
    low, high = min(edges), max(edges)
    return NumberRow(
        column.name,
        _distance(column),
        tuple(_measured(column, kind, spread, hidden, (low, high)) for kind, spread, hidden in known),
    )


def _extent(spread: Spread, hidden: bool) -> tuple[float, float]:
    return (spread.quartiles[0], spread.quartiles[2]) if hidden else (spread.low, spread.high)


def _measured(
    column: NumberColumn, kind: str, spread: Spread, hidden: bool, scale: tuple[float, float]
) -> Measured:
    def place(value: float) -> float:
        low, high = scale
        return round(_BAR_WIDTH * (value - low) / (high - low), 1) if high > low else _BAR_WIDTH / 2

    first, median, third = spread.quartiles
    ends = f"{cell_text(column, spread.low)} to {cell_text(column, spread.high)}"
    told = "spread" if hidden else f"half of the values from {cell_text(column, first)} to "
    told = told if hidden else f"{told}{cell_text(column, third)}, median {cell_text(column, median)}"
    return Measured(
        kind,
        mean_text(column, spread.mean),
        deviation_text(column, spread.deviation),
        DASH if hidden else ends,
        Bar(
            None if hidden else (place(spread.low), place(spread.high)),
            (place(first), place(third)),
            place(median),
            f"{kind}: {told}",
        ),
    )


def _category_row(column: CategoryColumn, coarse: bool) -> CategoryRow:
    real = column.real
    weights = column.synthetic if real is None else np.abs(np.subtract(column.synthetic, real)).tolist()
    order = sorted(range(len(column.levels)), key=lambda level: (-weights[level], -column.synthetic[level]))
    levels = tuple(
        LevelRow(
            column.levels[level],
            "" if real is None else share_text(real[level], coarse),
            share_text(column.synthetic[level]),
            (
                0.0 if real is None else round(100 * real[level], 0 if coarse else 1),
                round(100 * column.synthetic[level], 1),
            ),
        )
        for level in order[:MOST_LEVELS]
    )
    return CategoryRow(column.name, _distance(column), levels, len(order) - len(levels))
