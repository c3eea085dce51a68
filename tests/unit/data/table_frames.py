"""Tables of any columns, drawn by hypothesis."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow
from hypothesis import assume
from hypothesis import strategies as st

from riemaug.data.tables import GROUP_NAME, LABEL_NAMES

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=6).filter(
    lambda text: text.strip() == text
)
"""Cells that every reader of CSV gives back; what pandas takes for missing ones or for numbers is left out"
" below."""
LETTERS = st.text("abcdefgh =+@'\"é,;", min_size=1, max_size=5).filter(
    lambda text: text.strip() == text and text not in ("e", "E")
)
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "Int8", "Int64", "UInt16")


def _floats(draw: Any, rows: int) -> list[float]:
    decimals = draw(st.integers(0, 6))
    whole = draw(st.lists(st.integers(-(10**8), 10**8), min_size=rows, max_size=rows))
    return [number / 10**decimals for number in whole]


def _integers(draw: Any, rows: int, dtype: str) -> pd.Series:
    limits = np.iinfo(dtype.lower())
    bounds = max(int(limits.min), -(2**50)), min(int(limits.max), 2**50)
    return pd.Series(
        draw(st.lists(st.integers(*bounds), min_size=rows, max_size=rows)),
        dtype=dtype,  # type: ignore[call-overload]
    )


def _categories(draw: Any, rows: int, texts: Any) -> list[str]:
    levels = draw(st.lists(texts, min_size=1, max_size=4, unique=True))
    chosen = draw(st.lists(st.sampled_from(levels), min_size=rows, max_size=rows))
    assume(rows <= 2 or len(set(chosen)) < rows)  # a text of its own in each row would identify it
    return chosen


@st.composite
def columns(draw: Any, rows: int, kinds: tuple[str, ...], texts: Any = TEXTS) -> pd.Series:
    """Draw one column of one of the kinds."""
    kind = draw(st.sampled_from(kinds))
    if kind in INTEGERS or kind == "int64[pyarrow]":
        series = _integers(draw, rows, kind.removesuffix("[pyarrow]")).astype(kind)  # type: ignore[call-overload]
        steps = np.diff(series.to_numpy(dtype=np.int64))
        assume(rows <= 2 or not (steps == 1).all())  # a column that numbers the rows is refused
        return series
    if kind in ("float64", "Float64", "float32"):
        return pd.Series(_floats(draw, rows), dtype=kind)  # type: ignore[call-overload]
    if kind in ("bool", "boolean"):
        return pd.Series(draw(st.lists(st.booleans(), min_size=rows, max_size=rows)), dtype=kind)
    if kind == "category":
        chosen = _categories(draw, rows, texts)
        known = draw(st.permutations([*dict.fromkeys(chosen), "never seen"]))
        return pd.Series(pd.Categorical(chosen, categories=known, ordered=draw(st.booleans())))
    if kind.startswith("datetime64"):
        days = draw(st.lists(st.integers(0, 20_000), min_size=rows, max_size=rows))
        times = pd.Series(pd.to_datetime(days, unit="D"))
        if "," in kind:
            times = times.dt.tz_localize("UTC")
        return times.astype(kind)  # type: ignore[call-overload]
    # pandas takes the name of Arrow's strings for its own ones that lie in Arrow's memory
    dtype = pd.ArrowDtype(pyarrow.string()) if kind == "string[pyarrow]" else kind
    return pd.Series(_categories(draw, rows, texts), dtype=dtype)  # type: ignore[call-overload]


def _means_something(name: str) -> bool:
    """Tell whether a column of that name would be taken for the labels or for the subjects."""
    return name.casefold() in LABEL_NAMES | {GROUP_NAME}


@st.composite
def tables(draw: Any, kinds: tuple[str, ...], texts: Any = TEXTS, names: Any = TEXTS) -> pd.DataFrame:
    """Draw a table of one to four columns, of which one varies at least."""
    rows = draw(st.integers(2, 10))
    plain = names.filter(lambda name: not _means_something(name))
    labels = draw(st.lists(plain, min_size=1, max_size=4, unique=True))
    table = pd.DataFrame({label: draw(columns(rows, kinds, texts)) for label in labels})
    assume((table.nunique() > 1).any())
    return table
