"""A table as numbers for a model, and back with the same columns in the same order."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float64

from riemaug.data.column_rules import COMMAND_LINE, ColumnRules
from riemaug.data.listing import quote_some
from riemaug.data.table_columns import Column, NumberColumn, TimeColumn, column_from_dict
from riemaug.data.table_dtypes import Frame, load_pandas
from riemaug.data.table_fit import check_complete, check_names, column_of
from riemaug.errors import InvalidInputError

_SINGLE_LEVELS = 2**24


@dataclass(frozen=True)
class TablePlan:
    """How the columns of a table become numbers, and numbers become rows again.

    Use `TablePlan.fit`. Numbers, truth values and points in time are one number each, categories one for
    each that occurs ("one-hot"), constant columns none. On the way back numbers are clamped to the range of
    the fitted table and rounded to its decimals, and the category with the largest number is taken.

    Parameters
    ----------
    columns : tuple of Column
        In the order of the table.

    Examples
    --------
    >>> import pandas as pd
    >>> from riemaug.data import TablePlan
    >>> frame = pd.DataFrame({"dose": [0.5, 1.25, 2.0], "arm": ["a", "b", "a"], "site": [7, 7, 7]})
    >>> plan = TablePlan.fit(frame)
    >>> plan.number_names
    ('dose', 'arm=a', 'arm=b')
    >>> plan.to_numbers(frame).tolist()
    [[0.5, 1.0, 0.0], [1.25, 0.0, 1.0], [2.0, 1.0, 0.0]]
    >>> plan.to_table(plan.to_numbers(frame)).equals(frame)
    True
    """

    columns: tuple[Column, ...]

    @classmethod
    def fit(cls, frame: Frame, rules: ColumnRules = COMMAND_LINE) -> "TablePlan":
        """Learn the columns of a table.

        Parameters
        ----------
        frame : pandas.DataFrame (n, columns)
            At least one row. The index plays no part.
        rules : ColumnRules
            What becomes of columns that identify the rows, or hold too many categories: by default they are
            refused, as on the command line.

        Raises
        ------
        InvalidInputError
            Missing cells, two columns of one name, or a column that cannot be modelled or that the rules
            refuse; the message names it.
        """
        check_names(frame)
        if not len(frame) or not len(frame.columns):
            raise InvalidInputError(
                f"a table needs rows and columns, this one has {frame.shape}: check the export"
            )
        check_complete(frame, rules=rules)
        plan = cls(tuple(column_of(frame[name], name, rules) for name in frame.columns))
        if not plan.num_numbers:
            raise InvalidInputError(
                f"rows must differ, all {len(frame)} of this table are the same in each of its"
                f" {len(plan.columns)} columns: check the export"
            )
        return plan

    @property
    def names(self) -> tuple[str | int, ...]:
        """The columns by name."""
        return tuple(column.name for column in self.columns)

    @property
    def num_numbers(self) -> int:
        """How many numbers stand for a row."""
        return sum(column.width for column in self.columns)

    @property
    def number_names(self) -> tuple[str, ...]:
        """What each of the numbers of a row is called: "age", "sex=f", ..."""
        return tuple(name for column in self.columns for name in column.number_names)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user on columns that come back in another way than one may think."""
        constant = [str(column.name) for column in self.columns if not column.width]
        wide = [
            str(column.name)
            for column in self.columns
            if (
                isinstance(column, NumberColumn)
                and column.decimals == 0
                and column.high - column.low > _SINGLE_LEVELS
            )
            or (isinstance(column, TimeColumn) and column.num_steps > _SINGLE_LEVELS)
        ]
        notes = []
        if constant:
            notes.append(
                f"Constant columns are not modelled and written as they are: {quote_some(constant)}."
            )
        if wide:
            notes.append(
                "Columns that span more than 2^24 steps are modelled to about 7 digits of their span; new"
                f" cells have all digits, but those beyond mean nothing: {quote_some(wide)}."
            )
        return tuple(notes)

    def to_numbers(self, frame: Frame) -> Float64[np.ndarray, "n d"]:
        """Return the rows of a table as numbers, not scaled.

        Values beyond the range of the fitted table stay so; a category that did not occur in it becomes
        zeros only. Columns that the plan does not know play no part.

        Raises
        ------
        InvalidInputError
            A column is not there, has missing cells, or holds something else than in the fitted table.
        """
        lacking = [str(name) for name in self.names if name not in frame.columns]
        if lacking:
            raise InvalidInputError(
                f"the table must have the columns {quote_some([str(name) for name in self.names])}, it lacks"
                f" {quote_some(lacking)}: add or rename them"
            )
        chosen = frame[list(self.names)]
        check_names(chosen)
        check_complete(chosen)
        numbers = np.empty((len(frame), self.num_numbers))
        for column, place in self._places():
            numbers[:, place] = _numbers_of(column, chosen[column.name])
        return numbers

    def settled(self, numbers: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "n d"]:
        """Return the numbers of the rows that `to_table` makes of any numbers.

        Raises
        ------
        InvalidInputError
            NaN, or another number of columns than `num_numbers`.
        """
        if numbers.shape[1] != self.num_numbers:
            raise InvalidInputError(
                f"a row of this table has {self.num_numbers} numbers, got {numbers.shape[1]}: check the array"
            )
        if np.isnan(numbers).any():
            raise InvalidInputError("numbers of a table must not be NaN, some are: check the array")
        settled = np.empty(numbers.shape)
        for column, place in self._places():
            settled[:, place] = column.settled(numbers[:, place])
        return settled

    def to_table(self, numbers: Float64[np.ndarray, "n d"]) -> Frame:
        """Return numbers as a `pandas.DataFrame` with the columns, order and dtypes of the fitted table.

        Raises
        ------
        InvalidInputError
            As `settled`.
        """
        settled = self.settled(np.asarray(numbers))
        parts = [column.to_series(settled[:, place]) for column, place in self._places()]
        table = load_pandas().concat(parts, axis=1)
        table.columns = list(self.names)
        return table

    def _places(self) -> list[tuple[Column, slice]]:
        """Return each column with the place of its numbers in a row."""
        ends: list[int] = np.cumsum([0, *(column.width for column in self.columns)]).tolist()
        return [
            (column, slice(start, end))
            for column, (start, end) in zip(self.columns, pairwise(ends), strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON types."""
        return {"columns": [column.to_dict() for column in self.columns]}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "TablePlan":
        """Return the plan that `to_dict` described.

        Raises
        ------
        InvalidInputError
            A field is missing, unknown, or holds what no plan can have.
        """
        try:
            listed = list(fields["columns"])
        except (KeyError, TypeError) as error:
            raise InvalidInputError(f"a table's plan lacks or misstates its columns: {error}") from None
        if not all(isinstance(item, dict) for item in listed):
            raise InvalidInputError("a table's plan describes each of its columns, one is no description")
        plan = cls(tuple(map(column_from_dict, listed)))
        if len(set(plan.names)) < len(plan.names) or not plan.num_numbers:
            raise InvalidInputError("a table's plan needs columns of different names, of which one varies")
        return plan


def _numbers_of(column: Column, series: Any) -> Float64[np.ndarray, "n width"]:
    try:
        numbers = column.to_numbers(series)
    except (ValueError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise InvalidInputError(
            f"column {column.name!r} must hold {column.dtype} as in the table that the plan was made of, it"
            f" holds {series.dtype} ({reason}): convert it"
        ) from None
    if not np.isfinite(numbers).all():
        raise InvalidInputError(
            f"column {column.name!r} must hold finite numbers, some are infinite: correct them"
        )
    return numbers
