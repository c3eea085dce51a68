"""Columns of text that look like numbers or dates, and the cells for which they are not taken as such."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from riemaug.data.listing import quote_some
from riemaug.data.table_dtypes import Series

_EXPONENT = r"([eE][+-]?[0-9]+)?"
_NUMBERS = {
    sign: re.compile(rf"\s*[+-]?([0-9]+(\{sign}[0-9]*)?|\{sign}[0-9]+){_EXPONENT}\s*") for sign in (".", ",")
}
"""By the sign before the decimals."""
_WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*")
_CODE = re.compile(r"\s*[+-]?0[0-9]+\s*")
_HOUR = r"([T ,]+[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?( ?[AaPp][Mm])?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
_DATE = re.compile(
    r"\s*("
    r"[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}"
    r"|[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{4}"
    r"|[0-9]{2}\.[0-9]{2}\.[0-9]{2}"
    r"|[0-9]{1,2}/[0-9]{1,2}/[0-9]{2}"
    r"|[0-9]{1,2}\.?[- ]?[A-Za-z]{3,9}[- ,]+[0-9]{4}"
    rf"){_HOUR}\s*"
)
TIMES_AS_READ = "2024-02-29, with 13:45 or 13:45:00 behind it or without"


@dataclass(frozen=True)
class Lookalike:
    """What the texts of a column look like, most of them or all.

    Attributes
    ----------
    kind : "numbers" or "dates"
    count, rows : int
        How many cells look so, of how many.
    example : str
        Of a cell that looks so; of numbers one with decimals, if there is any.
    others : tuple of str
        The different texts that do not, in the order of the rows.
    first_row : int
        Of the first cell that does not; of the first cell of all where each does.
    sign : str
        What stands before the decimals of numbers.
    """

    kind: Literal["numbers", "dates"]
    count: int
    rows: int
    example: str
    others: tuple[str, ...]
    first_row: int
    sign: str = "."

    @property
    def found(self) -> str:
        """What the column holds, to follow its name."""
        if not self.others:
            return f"holds {self.kind} such as {self.example!r} as text"
        cells = "cell that is none" if self.rows - self.count == 1 else "cells that are none"
        return (
            f"holds {self.count} {self.kind} and {self.rows - self.count} {cells}:"
            f" {quote_some(list(self.others))} (first in row {self.first_row})"
        )

    @property
    def fix(self) -> str:
        """What to do, for it to be read as what it looks like."""
        if self.kind == "dates":
            also = ", and fill in or drop the others" if self.others else ""
            return f"write all of them as {TIMES_AS_READ}{also}"
        if self._other_decimals() or (not self.others and self.sign == ","):
            return "write all decimals of the table with one sign, which is a comma only between semicolons"
        return "write numbers in their place, or drop those rows" if self.others else "convert it to numbers"

    def _other_decimals(self) -> bool:
        other = _NUMBERS["." if self.sign == "," else ","]
        return bool(self.others) and all(other.fullmatch(text) for text in self.others)


def lookalike_of(texts: Series) -> Lookalike | None:
    """Tell what more than half of the cells of a column of text look like.

    Codes are what they are: no column with whole numbers that begin with a zero, or of whole numbers alone,
    looks like numbers.

    Parameters
    ----------
    texts : pandas.Series
        Of str, without missing cells.

    Returns
    -------
    Lookalike or None
    """
    counts = Counter(texts.tolist())
    if any(_CODE.fullmatch(text) for text in counts):
        return None
    by_sign = {
        sign: {text for text in counts if pattern.fullmatch(text)} for sign, pattern in _NUMBERS.items()
    }
    sign = max(by_sign, key=lambda each: sum(counts[text] for text in by_sign[each]))
    alike = by_sign[sign]
    with_decimals = next((text for text in counts if text in alike and not _WHOLE.fullmatch(text)), None)
    if with_decimals is not None or len(alike) < len(counts):
        found = _most("numbers", texts, counts, alike, with_decimals, sign)
        if found is not None:
            return found
    return _most("dates", texts, counts, {text for text in counts if _DATE.fullmatch(text)})


def _most(
    kind: Literal["numbers", "dates"],
    texts: Series,
    counts: Counter[str],
    alike: set[str],
    example: str | None = None,
    sign: str = ".",
) -> Lookalike | None:
    count, rows = sum(counts[text] for text in alike), len(texts)
    if 2 * count <= rows:
        return None
    others = tuple(text for text in counts if text not in alike)
    first_row = texts.tolist().index(others[0]) if others else 0
    example = example or next(text for text in counts if text in alike)
    return Lookalike(kind, count, rows, example, others, first_row, sign)
