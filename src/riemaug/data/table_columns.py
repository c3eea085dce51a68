"""One column of a table as numbers for the model, and back: a number, a category, or a point in time."""

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from riemaug.data.table_dtypes import (
    Series,
    dtype_kind,
    integer_limits,
    load_pandas,
    stored_float,
    with_dtype,
)
from riemaug.errors import InvalidInputError

MOST_DECIMALS = 15
EXACT_INTEGERS = 2**53
"""Integers up to here are float64 numbers."""
UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
TIME_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
"""Texts that are taken as points in time."""
_SECONDS_OF_UTC = 2**36
_LEVEL_TYPES: dict[str, type] = {"text": str, "integer": int, "float": float, "boolean": bool}

Level = str | int | float | bool


@dataclass(frozen=True)
class Column(ABC):
    """A column and the numbers that stand for it; constant columns have none.

    Parameters
    ----------
    name : str or int
        As in the table.
    dtype : str
        pandas' name of the dtype.
    """

    name: str | int
    dtype: str

    @property
    @abstractmethod
    def width(self) -> int:
        """How many numbers stand for a cell; 0 for a constant column."""

    @property
    def number_names(self) -> tuple[str, ...]:
        """What each of the numbers is called."""
        return (str(self.name),) * self.width

    @abstractmethod
    def to_numbers(self, series: Series) -> Float64[np.ndarray, "n width"]:
        """Return the numbers of cells without missing ones; values beyond the learned range stay so."""

    @abstractmethod
    def settled(self, numbers: Float64[np.ndarray, "n width"]) -> Float64[np.ndarray, "n width"]:
        """Return the nearest numbers that stand for a cell of the learned range."""

    @abstractmethod
    def to_series(self, numbers: Float64[np.ndarray, "n width"]) -> Series:
        """Return the cells of settled numbers, in the column's dtype."""

    @abstractmethod
    def check(self) -> bool:
        """Tell whether the fields make sense: a description may come from someone else."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        fields = {"kind": type(self).__name__} | asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}


@dataclass(frozen=True)
class NumberColumn(Column):
    """Real numbers, whole numbers or truth values: the number itself.

    Parameters
    ----------
    low, high : float or int
        The range of the training data; equal ones make a constant column.
    decimals : int, optional
        What new numbers are rounded to; None leaves all digits.
    """

    low: float | int
    high: float | int
    decimals: int | None

    @property
    def width(self) -> int:
        """1, or 0 for a constant."""
        return int(self.low < self.high)

    def to_numbers(self, series: Series) -> Float64[np.ndarray, "n width"]:
        """Return the numbers; ValueError or TypeError for what is none."""
        return series.to_numpy(dtype=np.float64).reshape(-1, 1)[:, : self.width]

    def settled(self, numbers: Float64[np.ndarray, "n width"]) -> Float64[np.ndarray, "n width"]:
        """Return numbers in the range, rounded, with the digits that the dtype stores."""
        inside = np.clip(numbers, self.low, self.high)
        # adding 0.0 turns a negative zero into the usual one
        rounded = inside if self.decimals is None else np.round(inside, self.decimals) + 0.0
        return rounded.astype(stored_float(self.dtype)).astype(np.float64)

    def to_series(self, numbers: Float64[np.ndarray, "n width"]) -> Series:
        """Return the numbers in the column's dtype."""
        kind, pandas = dtype_kind(self.dtype), load_pandas()
        values: np.ndarray = numbers[:, 0] if self.width else np.full(len(numbers), self.low)
        if kind == "boolean":
            values = values >= 0.5
        elif kind == "integer":
            values = np.rint(values).astype(np.uint64 if integer_limits(self.dtype)[0] == 0 else np.int64)
        return with_dtype(pandas.Series(values), self.dtype)

    def check(self) -> bool:
        """Tell whether the range and the decimals are ones of the dtype."""
        ends = (self.low, self.high)
        if not all(type(end) in (int, float) and math.isfinite(end) for end in ends) or self.low > self.high:
            return False
        match dtype_kind(self.dtype):
            case "float":
                return self.decimals is None or (
                    type(self.decimals) is int and 0 <= self.decimals <= MOST_DECIMALS
                )
            case "integer":
                lowest, highest = integer_limits(self.dtype)
                lowest, highest = max(lowest, -EXACT_INTEGERS), min(highest, EXACT_INTEGERS)
            case "boolean":
                lowest, highest = 0, 1
            case _:
                return False
        return self.decimals == 0 and lowest <= self.low and self.high <= highest


@dataclass(frozen=True)
class CategoryColumn(Column):
    """Categories: one number for each that occurs, 1 for the cell's own and 0 for the others.

    Parameters
    ----------
    levels : tuple
        The values that occur in the training data; one alone makes a constant column.
    categories : tuple, optional
        Of the dtype "category": all that the dtype knows, also those that do not occur.
    level_dtype : str, optional
        Of the dtype "category": the dtype of the categories.
    ordered : bool
        Of the dtype "category": whether these have an order.
    """

    levels: tuple[Level, ...]
    categories: tuple[Level, ...] | None = None
    level_dtype: str | None = None
    ordered: bool = False

    @property
    def width(self) -> int:
        """The number of levels, or 0 for a constant."""
        return len(self.levels) if len(self.levels) > 1 else 0

    @property
    def number_names(self) -> tuple[str, ...]:
        """The column's name with each level."""
        return tuple(f"{self.name}={level}" for level in self.levels) if self.width else ()

    def codes(self, series: Series) -> Int64[np.ndarray, " n"]:
        """Return the number of each cell's level; -1 for one that did not occur."""
        of_level = {level: code for code, level in enumerate(self.levels)}
        return np.array([of_level.get(value, -1) for value in series.tolist()], dtype=np.int64)

    def to_numbers(self, series: Series) -> Float64[np.ndarray, "n width"]:
        """Return a 1 for the level of each cell; only zeros for one that did not occur."""
        numbers = np.zeros((len(series), self.width))
        if self.width:
            codes = self.codes(series)
            known = np.flatnonzero(codes >= 0)
            numbers[known, codes[known]] = 1.0
        return numbers

    def settled(self, numbers: Float64[np.ndarray, "n width"]) -> Float64[np.ndarray, "n width"]:
        """Return 1 for the level with the largest number, the first of equal ones, and 0 for the others."""
        settled = np.zeros(numbers.shape)
        if self.width:
            settled[np.arange(len(numbers)), numbers.argmax(axis=1)] = 1.0
        return settled

    def to_series(self, numbers: Float64[np.ndarray, "n width"]) -> Series:
        """Return the levels in the column's dtype."""
        codes = numbers.argmax(axis=1) if self.width else np.zeros(len(numbers), np.int64)
        return self.of_codes(codes.astype(np.int64))

    def of_codes(self, codes: Int64[np.ndarray, " n"]) -> Series:
        """Return the levels of these numbers, in the column's dtype."""
        pandas = load_pandas()
        if self.dtype != "category":
            # not by an array of the levels: numpy would cut texts at their zero bytes
            return with_dtype(pandas.Series([self.levels[code] for code in codes], dtype=object), self.dtype)
        known = self.categories or ()
        categories = with_dtype(pandas.Series(list(known), dtype=object), self.level_dtype or "object")
        place = {level: code for code, level in enumerate(known)}
        places = np.array([place[level] for level in self.levels], dtype=np.int64)
        return pandas.Series(
            pandas.Categorical.from_codes(places[codes], pandas.Index(categories), ordered=self.ordered)
        )

    def check(self) -> bool:
        """Tell whether levels, categories and dtype go together."""
        known = self.levels if self.categories is None else self.categories
        held = self.dtype if self.dtype != "category" else self.level_dtype
        return (
            (self.dtype == "category") == (self.categories is not None)
            and type(self.ordered) is bool
            and dtype_kind(held) in _LEVEL_TYPES
            and isinstance(self.levels, tuple)
            and isinstance(known, tuple)
            and len(self.levels) > 0
            and all(_is_level(level, str(held)) for level in known)
            and len(set(known)) == len(known)
            and len(set(self.levels)) == len(self.levels)
            and set(self.levels) <= set(known)
        )


@dataclass(frozen=True)
class TimeColumn(Column):
    """Points in time: the number of steps since the first one.

    Parameters
    ----------
    unit : str
        "s", "ms", "us" or "ns": what `origin` and `step` count.
    origin : int
        The first point in time, since 1970 in UTC.
    step : int
        A day, an hour, a minute, a second or less: the longest that all distances are multiples of.
    num_steps : int
        From the first point in time to the last; 0 makes a constant column.
    text_format : str, optional
        How texts that hold points in time are written; None where the dtype is one of time.
    """

    unit: str
    origin: int
    step: int
    num_steps: int
    text_format: str | None = None

    @property
    def width(self) -> int:
        """1, or 0 for a constant."""
        return int(self.num_steps > 0)

    def to_numbers(self, series: Series) -> Float64[np.ndarray, "n width"]:
        """Return the steps since the first point in time; ValueError or TypeError for what is no time."""
        counts = epoch_counts(series, self.unit, self.text_format)
        return ((counts - self.origin) / self.step).reshape(-1, 1)[:, : self.width]

    def settled(self, numbers: Float64[np.ndarray, "n width"]) -> Float64[np.ndarray, "n width"]:
        """Return whole steps in the range."""
        return np.rint(np.clip(numbers, 0, self.num_steps)) + 0.0

    def to_series(self, numbers: Float64[np.ndarray, "n width"]) -> Series:
        """Return the points in time, in the column's dtype or as text."""
        pandas = load_pandas()
        steps = numbers[:, 0].astype(np.int64) if self.width else np.zeros(len(numbers), np.int64)
        times = pandas.Series((self.origin + steps * self.step).astype(f"datetime64[{self.unit}]"))
        if self.text_format is not None:
            return with_dtype(times.dt.strftime(self.text_format), self.dtype)
        if "," not in self.dtype:
            return times
        return times.dt.tz_localize("UTC").astype(self.dtype)

    def check(self) -> bool:
        """Tell whether all points in time are ones of the unit."""
        whole = all(type(count) is int for count in (self.origin, self.step, self.num_steps))
        if not whole or not isinstance(self.unit, str) or self.unit not in UNITS_PER_SECOND:
            return False
        if self.text_format is None:
            held = dtype_kind(self.dtype) == "time" and self.dtype.startswith(f"datetime64[{self.unit}")
        else:
            held = self.text_format in TIME_FORMATS and dtype_kind(self.dtype) == "text"
        most = min(2**62, _SECONDS_OF_UTC * UNITS_PER_SECOND[self.unit])
        last = self.origin + self.step * self.num_steps
        return held and self.step > 0 and -most <= self.origin <= last <= most


def epoch_counts(series: Series, unit: str, text_format: str | None = None) -> Int64[np.ndarray, " n"]:
    """Return the units since 1970 in UTC; ValueError or TypeError for cells that are no such times."""
    pandas = load_pandas()
    if text_format is not None:
        series = pandas.to_datetime(series, format=text_format)
    if getattr(series.dt, "tz", None) is not None:
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    return series.to_numpy(dtype=f"datetime64[{unit}]").astype(np.int64)


def _is_level(level: object, dtype: str) -> bool:
    kind = dtype_kind(dtype)
    if kind is None or type(level) is not _LEVEL_TYPES.get(kind):
        return False
    if kind == "integer":
        lowest, highest = integer_limits(dtype)
        return lowest <= level <= highest  # type: ignore[operator]
    return not isinstance(level, float) or math.isfinite(level)


_CLASSES: dict[str, type[Column]] = {
    "NumberColumn": NumberColumn,
    "CategoryColumn": CategoryColumn,
    "TimeColumn": TimeColumn,
}


def column_from_dict(fields: dict[str, Any]) -> Column:
    """Return the column that `Column.to_dict` described.

    Raises
    ------
    InvalidInputError
        A field is missing, unknown, or holds what no column can have.
    """
    try:
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()
        }
        column = _CLASSES[values.pop("kind")](**values)
        sensible = type(column.name) in (str, int) and isinstance(column.dtype, str) and column.check()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInputError(f"a column of a table lacks or misstates a field: {error}") from None
    if not sensible:
        raise InvalidInputError(f"a column of a table has impossible fields: {fields}")
    return column
