"""What a table's file holds beside its columns: the labels and their place, and what divides the cells."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from riemaug.data.table_columns import CategoryColumn, column_from_dict
from riemaug.data.table_dtypes import Frame
from riemaug.data.table_plan import TablePlan
from riemaug.errors import InvalidInputError

DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class TableLayout:
    """All that is needed to write a table as the input was.

    Parameters
    ----------
    plan : TablePlan
        The columns that are modelled.
    label : CategoryColumn
        The column of labels, its levels the classes in their order.
    position : int
        How many of the other columns stand before the labels.
    delimiter, decimal : str
        Of CSV files.
    """

    plan: TablePlan
    label: CategoryColumn
    position: int
    delimiter: str = ","
    decimal: str = "."

    def table_of(self, numbers: Float64[np.ndarray, "n d"], labels: Int64[np.ndarray, " n"]) -> Frame:
        """Return rows with their labels as a `pandas.DataFrame`, the columns in the input's order.

        Parameters
        ----------
        numbers : ndarray (n, d)
            See `TablePlan.to_table`.
        labels : ndarray (n,)
            Index of each row's class.

        Raises
        ------
        InvalidInputError
            As `TablePlan.to_table`, or a class that the layout does not know.
        """
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.label.levels):
            raise InvalidInputError(
                f"rows must be of the {len(self.label.levels)} classes of the table, some are of class"
                f" {labels.max()}: the model is damaged, fit it anew"
            )
        table = self.plan.to_table(numbers)
        table.insert(self.position, self.label.name, self.label.of_codes(labels))
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return the layout as JSON types."""
        return self.plan.to_dict() | {
            "label": self.label.to_dict(),
            "position": self.position,
            "delimiter": self.delimiter,
            "decimal": self.decimal,
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "TableLayout":
        """Return the layout that `to_dict` described.

        Raises
        ------
        InvalidInputError
            A field is missing, unknown, or holds what no table can have.
        """
        try:
            plan, label = TablePlan.from_dict(fields), column_from_dict(dict(fields["label"]))
            position, delimiter, decimal = (fields[key] for key in ("position", "delimiter", "decimal"))
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InvalidInputError):
                raise
            raise InvalidInputError(f"a table's layout lacks or misstates a field: {error}") from None
        rules = {
            "label": isinstance(label, CategoryColumn) and label.name not in plan.names,
            "position": type(position) is int and 0 <= position <= len(plan.columns),
            "delimiter": delimiter in DELIMITERS,
            "decimal": decimal in (".", ",") and decimal != delimiter,
        }
        for name, holds in rules.items():
            if not holds:
                raise InvalidInputError(f"a table's layout has an impossible {name}: {fields.get(name)!r}")
        assert isinstance(label, CategoryColumn)
        return cls(plan, label, position, delimiter, decimal)
