"""What the columns of a table can be: pandas' dtypes by name, and pandas itself where it is installed."""

import re
from types import ModuleType
from typing import Any, Literal

from riemaug.errors import InvalidInputError

Frame = Any
"""A `pandas.DataFrame`; pandas is optional, so its types are not named in signatures."""
Series = Any
"""A `pandas.Series`."""
DtypeKind = Literal["integer", "float", "boolean", "text", "time", "category"]

_KINDS: dict[DtypeKind, re.Pattern[str]] = {
    "integer": re.compile(r"u?int(8|16|32|64)(\[pyarrow\])?|U?Int(8|16|32|64)"),
    "float": re.compile(r"float(16|32|64)|Float(32|64)|(halffloat|float|double)\[pyarrow\]"),
    "boolean": re.compile(r"bool(\[pyarrow\])?|boolean"),
    "text": re.compile(r"object|str|string|(large_)?string\[pyarrow\]"),
    "time": re.compile(r"datetime64\[(s|ms|us|ns)(, [\w/+:\-]+)?\]"),
    "category": re.compile(r"category"),
}
_SHORT_FLOATS = {
    "float16": "float16",
    "halffloat[pyarrow]": "float16",
    "float32": "float32",
    "Float32": "float32",
    "float[pyarrow]": "float32",
}
_BITS = re.compile(r"\d+")


def load_pandas() -> ModuleType:
    """Return pandas; InvalidInputError with the fix where it is not installed."""
    try:
        import pandas
    except ImportError:
        raise InvalidInputError(
            "tables need the package pandas, it is not installed: pip install 'riemaug[tables]'"
        ) from None
    return pandas


def load_parquet() -> ModuleType:
    """Return `pyarrow.parquet`; InvalidInputError with the fix where it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise InvalidInputError(
            "Parquet tables need the package pyarrow, it is not installed: pip install 'riemaug[tables]',"
            " or save the table as CSV"
        ) from None
    return pyarrow.parquet


def dtype_kind(name: object) -> DtypeKind | None:
    """Return what columns of the dtype with this name hold; None if a plan has no such columns."""
    if not isinstance(name, str):
        return None
    return next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(name)), None)


def stored_float(name: str) -> str:
    """Return numpy's name of the floats that a dtype of real numbers stores: with their digits."""
    return _SHORT_FLOATS.get(name, "float64")


def integer_limits(name: str) -> tuple[int, int]:
    """Return the smallest and the largest integer of the integer dtype with this name."""
    found = _BITS.search(name)
    bits = int(found.group()) if found else 64
    return (0, 2**bits - 1) if name.casefold().startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def with_dtype(series: Series, name: str) -> Series:
    """Return the series in the dtype with this name, as `str(dtype)` gives it."""
    if name in ("string[pyarrow]", "large_string[pyarrow]"):
        import pyarrow

        # pandas takes this name for its own strings, which are others
        kind = pyarrow.string() if name.startswith("string") else pyarrow.large_string()
        return series.astype(load_pandas().ArrowDtype(kind))
    return series.astype(name)
