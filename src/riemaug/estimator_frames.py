"""pandas DataFrames as estimators take them: whatever the columns are called, whichever rows there are."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Shaped

from riemaug.data import TablePlan
from riemaug.data.checks import check_memory
from riemaug.data.column_rules import EstimatorRules
from riemaug.data.table_dtypes import Frame
from riemaug.estimator_warnings import ColumnWarning

_OF_THE_CALLER = 6
"""Calls from the warning up to the line that called `fit`; `fit_resample` has one more."""


@dataclass(frozen=True, eq=False)
class FramePlan:
    """How the columns of a DataFrame become numbers, and numbers become rows again.

    A plan, and a model folder, knows columns by text and whole numbers. Other names, such as wavelengths or
    the tuples of several levels, are their text there; what comes back has the names that were given.

    Attributes
    ----------
    plan : TablePlan
    columns : pandas.Index, optional
        As they were given; None of a model that was saved.
    notes : tuple of str
        What is doubted about columns, and said of them.
    """

    plan: TablePlan
    columns: Any = None
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(cls, X: Frame) -> "FramePlan":
        """Learn the columns; warn of those that hardly should be modelled.

        Raises
        ------
        InvalidInputError
            Missing cells, two columns of one name, or a column that cannot be modelled.

        Warns
        -----
        ColumnWarning
            A column only numbers the rows, identifies them, or holds very many categories.
        """
        rules = EstimatorRules()
        plan = TablePlan.fit(_with_plain_names(X), rules)
        for doubt in rules.doubts:
            warnings.warn(doubt, ColumnWarning, stacklevel=_OF_THE_CALLER)
        return cls(plan, X.columns, (*rules.doubts, *plan.notes))

    def to_numbers(self, X: Frame) -> Float64[np.ndarray, "n d"]:
        """Return rows as numbers; see `TablePlan.to_numbers`.

        Raises
        ------
        InvalidInputError
            A column is not there, or holds something else than in `fit`.
        ResourceError
            The numbers do not fit the memory: each category is one.
        """
        width = self.plan.num_numbers
        check_memory(
            math.prod((len(X), width, 8)), f"{width} numbers of each row", "drop columns of many categories"
        )
        return self.plan.to_numbers(_with_plain_names(X))

    def to_table(self, numbers: Shaped[np.ndarray, "n d"]) -> Frame:
        """Return numbers as rows; see `TablePlan.to_table`."""
        table = self.plan.to_table(numbers)
        if self.columns is not None:
            table.columns = self.columns
        return table


def plain_name(name: Any) -> str | int:
    """Return what a column or Series is called in a plan: by its text, if not by text or a whole number."""
    return name if type(name) in (str, int) else str(name)


def _with_plain_names(frame: Frame) -> Frame:
    return frame.set_axis([plain_name(name) for name in frame.columns.tolist()], axis=1)
