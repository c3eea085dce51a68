"""From a column of a table to how it is modelled, or to the line that says why it cannot be."""

import re
from collections import Counter
from typing import Any

import numpy as np
from jaxtyping import Float64

from riemaug.data.column_rules import COMMAND_LINE, ColumnRules
from riemaug.data.listing import quote_some
from riemaug.data.table_columns import (
    EXACT_INTEGERS,
    MOST_DECIMALS,
    TIME_FORMATS,
    UNITS_PER_SECOND,
    CategoryColumn,
    Column,
    NumberColumn,
    TimeColumn,
    epoch_counts,
)
from riemaug.data.table_dtypes import Frame, Series, dtype_kind, load_pandas, stored_float
from riemaug.data.table_lookalikes import lookalike_of
from riemaug.data.table_names import may_identify, may_name_subjects, written_option
from riemaug.errors import InvalidInputError

MOST_LEVELS, FEW_LEVELS, ROWS_PER_LEVEL = 100, 20, 10
"""A column has at most 100 categories, and one for every ten rows where that is more than 20."""
_TIME_TEXT = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2})?)?")
_SEPARATED = {
    ".": re.compile(r"[+-]?[0-9]{1,3}([,'\u2019 \u00a0\u202f][0-9]{3})+(\.[0-9]+)?"),
    ",": re.compile(r"[+-]?[0-9]{1,3}([.'\u2019 \u00a0\u202f][0-9]{3})+,[0-9]+"),
}
"""Numbers with signs between their thousands, by the sign before the decimals: 1,234.5 and 1.234,5."""


def column_of(series: Series, name: str | int, rules: ColumnRules = COMMAND_LINE) -> Column:
    """Return how a column without missing cells is modelled.

    Parameters
    ----------
    series : pandas.Series
    name : str or int
    rules : ColumnRules
        What becomes of columns that identify the rows, or hold too many categories.

    Raises
    ------
    InvalidInputError
        It holds no numbers, categories or points in time, or the rules refuse it.
    """
    dtype = str(series.dtype)
    match dtype_kind(dtype):
        case "float":
            return _float_column(series, name, dtype, rules)
        case "integer":
            return _integer_column(series, name, dtype, rules)
        case "boolean":
            values = series.to_numpy(dtype=bool)
            return NumberColumn(name, dtype, int(values.min()), int(values.max()), 0)
        case "time":
            return _time_column(series, name, dtype, rules)
        case "text":
            _check_texts(series, name, rules)
            _check_separators(series, name, rules)
            times = _time_of_texts(series, name, dtype, rules)
            return times or _category_column(series, name, dtype, rules)
        case "category":
            return _category_column(series, name, dtype, rules)
    raise InvalidInputError(
        f"columns hold numbers, categories, truth values or points in time, {name!r} holds {dtype}: convert"
        f" it, or {rules.leave_out}"
    )


def check_complete(frame: Frame, otherwise: str = "", rules: ColumnRules = COMMAND_LINE) -> None:
    """Refuse missing cells.

    Parameters
    ----------
    frame : pandas.DataFrame
    otherwise : str
        What else the message says, at its end.
    rules : ColumnRules
        How the message says to leave columns out.

    Raises
    ------
    InvalidInputError
        The message names the columns and counts the cells.
    """
    missing = frame.isna().sum()
    found = [f"{name!r} ({int(count)})" for name, count in missing.items() if count]
    if found:
        shown = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
        raise InvalidInputError(
            f"tables must have no missing cells, {int(missing.sum())} are missing or NaN in {shown}: fill"
            f" them in, drop those rows, or {rules.leave_all_out}{otherwise}"
        )


def check_names(frame: Frame) -> None:
    """Refuse column names that are there twice, or are neither text nor whole numbers."""
    names = frame.columns.tolist()
    wrong = [name for name in names if type(name) not in (str, int)]
    if wrong:
        raise InvalidInputError(f"column names must be text or whole numbers, found {wrong[0]!r}: rename it")
    if len(set(names)) < len(names):
        twice = sorted(str(name) for name, count in Counter(names).items() if count > 1)
        raise InvalidInputError(
            f"columns must have different names, {quote_some(twice)} is there twice: rename one"
        )


def level_column(series: Series, name: str | int) -> CategoryColumn:
    """Return the classes that a column of labels names, in their order.

    Raises
    ------
    InvalidInputError
        It holds neither text, whole numbers, truth values nor categories.
    """
    dtype = str(series.dtype)
    if dtype_kind(dtype) == "text":
        _check_texts(series, name)
    elif dtype_kind(dtype) == "float":
        values = series.to_numpy(dtype=np.float64)
        wrong = np.flatnonzero(~np.isfinite(values) | (values != np.rint(values)))
        if len(wrong):
            raise InvalidInputError(
                f"the label column {name!r} must hold classes, row {wrong[0]} holds {values[wrong[0]]}: use"
                " whole numbers or text, or name another column with --label-from"
            )
    elif dtype_kind(dtype) in (None, "time"):
        raise InvalidInputError(
            f"the label column {name!r} must hold text, whole numbers or truth values, it holds {dtype}:"
            " convert it, or name another column with --label-from"
        )
    return _levels(series, name, dtype)


def _float_column(series: Series, name: str | int, dtype: str, rules: ColumnRules) -> NumberColumn:
    values = series.to_numpy(dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise InvalidInputError(
            f"columns must hold finite numbers, {name!r} holds {values[bad[0]]} in row {bad[0]}"
            f" ({len(bad)} in all): fill them in, drop the rows, or {rules.leave_out}"
        )
    decimals = decimals_of(values, stored_float(dtype))
    return NumberColumn(name, dtype, float(values.min()), float(values.max()), decimals)


def decimals_of(values: Float64[np.ndarray, " n"], dtype: str = "float64") -> int | None:
    """Return the fewest decimals that all values can be written with; None if it takes more than 15.

    Parameters
    ----------
    values : ndarray (n,)
        Finite numbers.
    dtype : str
        In which they are stored: "float64", or "float32" or "float16" with fewer digits.
    """
    stored = values.astype(dtype)
    largest = float(np.abs(values).max(initial=0.0))
    for decimals in range(MOST_DECIMALS + 1):
        if largest * 10.0**decimals >= EXACT_INTEGERS:
            return None
        if np.array_equal(np.round(values, decimals).astype(dtype), stored):
            return decimals
    return None


def _integer_column(series: Series, name: str | int, dtype: str, rules: ColumnRules) -> NumberColumn:
    low, high = int(series.min()), int(series.max())
    if max(-low, high) > EXACT_INTEGERS:
        raise InvalidInputError(
            f"whole numbers beyond 2^53 cannot be modelled, {name!r} holds {high if high > -low else low}:"
            f" subtract an offset, or {rules.leave_out} if it identifies the rows"
        )
    values = series.to_numpy(dtype=np.int64)
    counts_rows = len(values) > 2 and bool((np.diff(values) == 1).all())
    if counts_rows or (may_identify(name) and len(np.unique(values)) == len(values) > 2):
        found = f"columns must describe the rows, {name!r} only numbers them"
        rules.doubt(found, "", f"leave it out with {_drop_option(name)}")
    return NumberColumn(name, dtype, low, high, 0)


def _check_texts(series: Series, name: str | int, rules: ColumnRules = COMMAND_LINE) -> None:
    if str(series.dtype) != "object":
        return
    other = next((value for value in series.tolist() if type(value) is not str), None)
    if other is not None:
        raise InvalidInputError(
            f"a column of objects must hold text, {name!r} holds {other!r} of type {type(other).__name__}:"
            f" convert it, or {rules.leave_out}"
        )


def _check_separators(series: Series, name: str | int, rules: ColumnRules) -> None:
    """Doubt texts that are all numbers, some with signs between their thousands."""
    texts = [text.strip() for text in series.tolist()]
    for sign, pattern in _SEPARATED.items():
        plain = re.compile(rf"[+-]?[0-9]+(\{sign}[0-9]+)?")
        separated = [text for text in texts if pattern.fullmatch(text)]
        if separated and all(pattern.fullmatch(text) or plain.fullmatch(text) for text in texts):
            rules.doubt(
                f"numbers must be written without thousands separators, {name!r} holds {separated[0]!r}",
                "remove the separators",
                "",
            )
            return


def _category_column(series: Series, name: str | int, dtype: str, rules: ColumnRules) -> CategoryColumn:
    column = _levels(series, name, dtype, rules)
    count, rows = len(column.levels), len(series)
    most = min(MOST_LEVELS, max(FEW_LEVELS, rows // ROWS_PER_LEVEL))
    identifies = count > 1 and dtype != "category" and count == rows > 2
    if not identifies and count <= most:
        return column
    alike = lookalike_of(series) if dtype_kind(dtype) == "text" else None
    leave_out = f"leave it out with {_drop_option(name)}"
    if alike is not None:
        # of texts most of which look like numbers or dates, advice on categories would mislead
        found = f"a column must hold {alike.kind} alone or few categories, {name!r} {alike.found}"
        rules.doubt(found, alike.fix, leave_out)
    elif identifies:
        example = quote_some([str(level) for level in column.levels[:2]])
        found = f"{name!r} holds another text in each (such as {example}), so it identifies them"
        rules.doubt(f"columns must describe the rows, {found}", "", leave_out)
    else:
        found = f"{name!r} has {count} (such as {str(column.levels[0])!r})"
        more, fix = _advice_on_many(name)
        rules.doubt(f"a column may have {most} categories in {rows} rows, {found}{more}", "", fix)
    return column


def _advice_on_many(name: str | int) -> tuple[str, str]:
    """Return what else is found of a column of many categories, by its name, and the way out."""
    group = written_option("--group-from", name)
    if may_name_subjects(name):
        fix = f"give {group}, and all rows of a subject stay on one side when data are held back"
        return " and seems to name subjects", fix
    fix = f"join rare ones, give {group} if they are subjects, or leave it out with {_drop_option(name)}"
    return "", fix


def _levels(series: Series, name: str | int, dtype: str, rules: ColumnRules = COMMAND_LINE) -> CategoryColumn:
    if dtype != "category":
        return CategoryColumn(name, dtype, tuple(sorted(set(series.tolist()))))
    categories, held = series.cat.categories, str(series.cat.categories.dtype)
    if dtype_kind(held) not in ("text", "integer", "float", "boolean"):
        raise InvalidInputError(
            f"categories must be text, numbers or truth values, those of {name!r} are {held}: convert them"
            " to text"
        )
    if held == "object":
        _check_texts(categories.to_series(), name, rules)
    known: list[Any] = categories.tolist()
    occurring = sorted(set(series.cat.codes.tolist()))
    return CategoryColumn(
        name, dtype, tuple(known[code] for code in occurring), tuple(known), held, bool(series.cat.ordered)
    )


def _time_of_texts(series: Series, name: str | int, dtype: str, rules: ColumnRules) -> TimeColumn | None:
    """Return a column of times where all texts are such, in one format; else None."""
    texts = series.tolist()
    if not all(_TIME_TEXT.fullmatch(text) for text in texts) or len({len(text) for text in texts}) > 1:
        return None
    for text_format in TIME_FORMATS:
        times = load_pandas().to_datetime(series, format=text_format, errors="coerce")
        if not times.isna().any() and times.dt.strftime(text_format).tolist() == texts:
            return _time_column(series, name, dtype, rules, text_format)
    return None


def _time_column(
    series: Series, name: str | int, dtype: str, rules: ColumnRules, text_format: str | None = None
) -> TimeColumn:
    unit = "s" if text_format is not None else dtype.removeprefix("datetime64[").split(",")[0].rstrip("]")
    counts = epoch_counts(series, unit, text_format)
    origin = int(counts.min())
    since = counts - origin
    second = UNITS_PER_SECOND[unit]
    lengths = [second * length for length in (86400, 3600, 60, 1)]
    lengths += [second // part for part in (10**3, 10**6, 10**9) if second >= part]
    step = next((length for length in lengths if not (since % length).any()), 1)
    num_steps = int(since.max()) // step
    column = TimeColumn(name, dtype, unit, origin, step, num_steps, text_format)
    if num_steps > EXACT_INTEGERS or not column.check():
        raise InvalidInputError(
            f"points in time must span less than 2^53 steps and a few thousand years, {name!r} does not:"
            f" correct it, or {rules.leave_out}"
        )
    return column


def _drop_option(name: str | int) -> str:
    return written_option("--drop-columns", name)
