"""CSV and Parquet files as tables, and tables as such files."""

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from riemaug.atomic import atomic_path
from riemaug.data.checks import check_memory
from riemaug.data.listing import quote_some
from riemaug.data.table_dtypes import Frame, load_pandas, load_parquet
from riemaug.data.table_layout import DELIMITERS, TableLayout
from riemaug.disk import stops_all
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

CSV_SUFFIXES, PARQUET_SUFFIX = (".csv", ".tsv"), ".parquet"
TABLE_SUFFIXES = (*CSV_SUFFIXES, PARQUET_SUFFIX)
ROWS_AT_ONCE = 2**15
CSV_GROWTH = 6
"""Bytes in memory for one of a CSV file, as text and as numbers."""
_HEAD_LINES = 200
_LONGEST_LINE = 2**24
_CODE = re.compile(r"[+-]?0\d+")
"""Whole numbers that begin with a zero are codes: they are read as text."""
_OF_PARSER = "Error tokenizing data. C error: "


@dataclass(frozen=True, eq=False)
class ReadTable:
    """A table as its file holds it.

    Attributes
    ----------
    frame : pandas.DataFrame
    delimiter, decimal : str
        Of a CSV file.
    notes : tuple of str
        For the user.
    """

    frame: Frame
    delimiter: str = ","
    decimal: str = "."
    notes: tuple[str, ...] = ()


def is_table(path: Path) -> bool:
    """Tell whether a file is taken for a table, by its suffix."""
    return path.suffix.casefold() in TABLE_SUFFIXES


def read_table_file(
    path: Path, texts: Collection[str | int] = (), limits: Limits = DEFAULT_LIMITS
) -> ReadTable:
    """Read a .csv, .tsv or .parquet file.

    Parameters
    ----------
    path : Path
    texts : collection of str or int
        Columns of a CSV file that hold text, whatever it looks like.
    limits : Limits

    Raises
    ------
    InvalidInputError
        It cannot be read, has no rows, or two columns of one name; or pandas or pyarrow is not installed.
    ResourceError
        It does not fit the memory.
    """
    load_pandas()
    is_parquet = path.suffix.casefold() == PARQUET_SUFFIX
    table = _read_parquet(path, limits) if is_parquet else _read_csv(path, texts, limits)
    if not len(table.frame):
        raise InvalidInputError(f"a table needs rows, {str(path)!r} has none: check the export")
    return table


def column_names(path: Path) -> tuple[str, ...]:
    """Return the names of the columns that have one; the errors of `read_table_file`, rows are not read."""
    check_memory(path.stat().st_size, "rows", "give a part of them")  # one line may be all of it
    if path.suffix.casefold() != PARQUET_SUFFIX:
        return tuple(cell for cell in _read_head(path, delimiter_of(path))[0] if cell.strip())
    parquet = load_parquet()
    import pyarrow

    try:
        return tuple(parquet.read_schema(path).names)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, "Parquet", error, "save it again") from None


def _unreadable(path: Path, kind: str, error: object, fix: str) -> InvalidInputError:
    reason = " ".join(str(error).removeprefix(_OF_PARSER).split()) or type(error).__name__
    return InvalidInputError(f"{str(path)!r} must be a {kind} table, it cannot be read ({reason}): {fix}")


def _read_parquet(path: Path, limits: Limits) -> ReadTable:
    with opened_parquet(path, limits) as file:
        frame = file.read().to_pandas()
    kept = frame.index.names != [None] or not isinstance(frame.index, load_pandas().RangeIndex)
    notes = ("The index of the table was not read: only its columns are.",) if kept else ()
    return ReadTable(frame.reset_index(drop=True), notes=notes)


@contextmanager
def opened_parquet(path: Path, limits: Limits) -> Iterator[Any]:
    """Open a Parquet file, a `pyarrow.parquet.ParquetFile`, that is no larger unpacked than the limits allow.

    Raises
    ------
    InvalidInputError
        It cannot be read or is too large; pyarrow is not installed. What goes wrong while it is open is one
        line, too.
    ResourceError
        Its rows do not fit the memory.
    """
    parquet = load_parquet()
    import pyarrow

    try:
        with parquet.ParquetFile(path) as file:
            head = file.metadata
            stored = sum(head.row_group(i).total_byte_size for i in range(head.num_row_groups))
            needed = max(stored, 8 * head.num_rows * head.num_columns)
            _check_size(path, needed, head.num_columns, limits)
            needed += _bytes_of_texts(path, file.schema_arrow)
            _check_size(path, needed, head.num_columns, limits)
            check_memory(2 * needed, "rows", "give a part of them")
            yield file
    except InvalidInputError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, TypeError) as error:
        if stops_all(error):  # of what is written while it is open
            raise
        raise _unreadable(path, "Parquet", error, "save it again") from None


def _bytes_of_texts(path: Path, schema: Any) -> int:
    """Return how many bytes the texts of a Parquet file take row by row.

    The file may hold a long one once, and say that it stands in a billion rows.
    """
    import pyarrow.compute
    from pyarrow import types

    compute: Any = pyarrow.compute  # its functions are made when it is imported, and unknown to type checkers
    kinds = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    names = [field.name for field in schema if any(is_kind(field.type) for is_kind in kinds)]
    total = 0
    if names:
        with load_parquet().ParquetFile(path, read_dictionary=names) as file:
            for batch in file.iter_batches(columns=names):
                for packed in batch.columns:
                    lengths = compute.binary_length(packed.dictionary)
                    total += compute.sum(lengths.take(packed.indices)).as_py() or 0
    return total


def csv_fault(path: Path, error: Exception) -> InvalidInputError:
    """Return the refusal of a CSV file over which its reader raised this error."""
    if isinstance(error, UnicodeDecodeError):
        return InvalidInputError(f"{str(path)!r} must be UTF-8 text: save it as CSV UTF-8")
    return _unreadable(path, "CSV", error, "correct or save it again")


def delimiter_of(path: Path) -> str:
    """Return what stands between the cells of a CSV file, by its header; raises as `read_table_file`."""
    if path.suffix.casefold() == ".tsv":
        return "\t"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline(_LONGEST_LINE)
    except (UnicodeDecodeError, OSError) as error:
        raise csv_fault(path, error) from None
    return max(DELIMITERS, key=header.count)


def _check_size(path: Path, num_bytes: int, num_columns: int, limits: Limits) -> None:
    if num_bytes > limits.bytes:
        raise InvalidInputError(
            f"a table may have up to {limits.bytes / 2**30:.3g} GiB, {str(path)!r} has"
            f" {num_bytes / 2**30:.3g} GiB: give a part of it; {limits.way_out('bytes')}"
        )
    if num_columns > limits.columns:
        raise InvalidInputError(
            f"a table may have up to {limits.columns} columns, {str(path)!r} has {num_columns}: give a part"
            f" of them; {limits.way_out('columns')}"
        )


def _read_csv(path: Path, texts: Collection[str | int], limits: Limits) -> ReadTable:
    num_bytes = path.stat().st_size
    _check_size(path, num_bytes, 0, limits)
    check_memory(CSV_GROWTH * num_bytes, "rows", "give a part of them")
    delimiter = delimiter_of(path)
    header, *head = _read_head(path, delimiter)
    _check_size(path, num_bytes, len(header), limits)
    decimal = _decimal_sign(head, delimiter)
    known = [name for name in header if name in texts]
    frame = _parse_csv(path, delimiter, decimal, dict.fromkeys(known, "object"))
    as_typed = [
        name
        for place, (name, column) in enumerate(frame.items())
        if (str(column.dtype) == "bool" and not _is_plain_truth(path, delimiter, str(name)))
        or (str(column.dtype) == "int64" and any(_CODE.fullmatch(row[place].strip()) for row in head))
    ]
    if frame.iloc[:, -1].isna().any():  # what short rows lack is read as missing
        _check_rows(path, delimiter)
    if as_typed:  # "true" would come back as "True", and "007" as 7: categories come back as they are
        frame = _parse_csv(path, delimiter, decimal, dict.fromkeys([*known, *as_typed], "object"))
    nameless = [place for place, cell in enumerate(header) if not cell.strip()]
    if not nameless:
        return ReadTable(frame, delimiter, decimal)
    first = frame.iloc[:, 0]
    if nameless != [0] or str(first.dtype) != "int64" or not first.is_unique:
        raise InvalidInputError(
            f"every column needs a name, column {nameless[-1] + 1} of {str(path)!r} has none: give it one, or"
            " remove it"
        )
    note = "The column without a name only numbers the rows: it was left out."
    return ReadTable(frame.iloc[:, 1:], delimiter, decimal, (note,))


def _read_head(path: Path, delimiter: str) -> list[list[str]]:
    """Return the header and some rows that are as long, as they were typed."""
    rows: list[list[str]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.reader(file, delimiter=delimiter):
                rows += [row] if row else []
                if len(rows) > _HEAD_LINES:
                    break
    except (UnicodeDecodeError, OSError, csv.Error) as error:
        raise csv_fault(path, error) from None
    if not rows:
        raise InvalidInputError(f"a table needs a header and rows, {str(path)!r} is empty: check the export")
    names = [cell for cell in rows[0] if cell.strip()]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InvalidInputError(
            f"columns must have different names, {quote_some(twice)} is there twice: rename one"
        )
    return [row for row in rows if len(row) == len(rows[0])]


def _decimal_sign(rows: list[list[str]], delimiter: str) -> str:
    """Return the sign before the decimals: a comma only between other delimiters, and without points."""
    cells = [cell.strip().lstrip("+-") for row in rows for cell in row]
    with_comma = any(_is_number(cell, ",") for cell in cells)
    with_point = any(_is_number(cell, ".") for cell in cells)
    return "," if delimiter != "," and with_comma and not with_point else "."


def _is_number(cell: str, sign: str) -> bool:
    whole, found, part = cell.partition(sign)
    return bool(found) and whole.isdecimal() and part.isdecimal()


def _parse_csv(path: Path, delimiter: str, decimal: str, dtypes: dict[Any, str]) -> Frame:
    import warnings

    pandas = load_pandas()
    try:
        with warnings.catch_warnings():
            # rows that are longer than the header
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            return pandas.read_csv(
                path,
                sep=delimiter,
                decimal=decimal,
                dtype=dtypes,
                encoding="utf-8-sig",
                index_col=False,
                low_memory=False,
                **_exact_floats(pandas.__version__),
            )
    except (pandas.errors.ParserWarning, ValueError, OSError, OverflowError) as error:
        _check_rows(path, delimiter)
        raise csv_fault(path, error) from None


def _check_rows(path: Path, delimiter: str) -> None:
    """Refuse a CSV file of which a row is shorter or longer than the header, by the line it begins in."""
    rows = _numbered_rows(path, delimiter)
    _, header = next(rows, (0, []))
    for line, row in rows:
        if len(row) != len(header):
            fix = "fill it up" if len(row) < len(header) else 'put a cell that holds the delimiter in "..."'
            raise InvalidInputError(
                f"every row must have as many cells as the header, line {line} of {str(path)!r} has"
                f" {len(row)} and the header {len(header)}: {fix}"
            )


def _numbered_rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, each with the line that it begins in, from 1."""
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for row in reader:
                if any(cell.strip() for cell in row) or len(row) > 1:
                    yield line, row
                line = reader.line_num + 1
    except (UnicodeDecodeError, OSError) as error:
        raise csv_fault(path, error) from None
    except csv.Error as error:
        raise InvalidInputError(
            f"quotation marks must come in pairs, the row that begins in line {line} of {str(path)!r} has"
            f" some that do not ({error}): correct it"
        ) from None


def _exact_floats(version: str) -> dict[str, str]:
    """Return what makes pandas read floats to the last bit: later versions do, and want no such option."""
    later = tuple(map(int, version.split(".")[:2])) >= (3, 1)
    return {} if later else {"float_precision": "round_trip"}


def _is_plain_truth(path: Path, delimiter: str, name: str) -> bool:
    texts = load_pandas().read_csv(
        path, sep=delimiter, encoding="utf-8-sig", index_col=False, usecols=[name], dtype="object"
    )[name]
    return set(texts.tolist()) <= {"True", "False"}


def write_table(
    path: Path,
    numbers: Float64[np.ndarray, "n d"],
    labels: Int64[np.ndarray, " n"],
    layout: TableLayout,
) -> None:
    """Write rows as a file of the kind that the suffix says, whole or not at all; equal rows, equal bytes.

    A `numpy.memmap` is written block by block.

    Parameters
    ----------
    path : Path
        A .csv, .tsv or .parquet file.
    numbers : ndarray (n, d)
        See `TablePlan.to_table`.
    labels : ndarray (n,)
        Index of each row's class.
    layout : TableLayout

    Raises
    ------
    InvalidInputError
        As `TableLayout.table_of`; or pandas or pyarrow is not installed.
    """
    blocks = [slice(start, start + ROWS_AT_ONCE) for start in range(0, max(len(numbers), 1), ROWS_AT_ONCE)]
    with atomic_path(path) as temporary:
        if path.suffix == PARQUET_SUFFIX:
            _write_parquet(temporary, numbers, labels, layout, blocks)
            return
        for block in blocks:
            layout.table_of(np.asarray(numbers[block]), labels[block]).to_csv(
                temporary,
                sep=layout.delimiter,
                decimal=layout.decimal,
                index=False,
                header=block.start == 0,
                mode="w" if block.start == 0 else "a",
                lineterminator="\n",
                encoding="utf-8",
            )


def _write_parquet(
    path: Path, numbers: np.ndarray, labels: np.ndarray, layout: TableLayout, blocks: list[slice]
) -> None:
    parquet = load_parquet()
    import pyarrow

    writer = None
    try:
        for block in blocks:
            frame = layout.table_of(np.asarray(numbers[block]), labels[block])
            schema = None if writer is None else writer.schema
            table = pyarrow.Table.from_pandas(frame, schema=schema, preserve_index=False)
            if writer is None:
                writer = parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
