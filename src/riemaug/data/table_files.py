"""CSV and Parquet files as tables, and tables as such files."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from riemaug.atomic import atomic_path
from riemaug.data.checks import check_memory
from riemaug.data.table_csv import delimiter_of, read_csv_file, read_header
from riemaug.data.table_dtypes import load_pandas, load_parquet
from riemaug.data.table_layout import TableLayout
from riemaug.data.table_source import ReadTable, check_table_size, unreadable
from riemaug.disk import stops_all
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

CSV_SUFFIXES, PARQUET_SUFFIX = (".csv", ".tsv"), ".parquet"
TABLE_SUFFIXES = (*CSV_SUFFIXES, PARQUET_SUFFIX)
ROWS_AT_ONCE = 2**15


def is_table(path: Path) -> bool:
    """Tell whether a file is taken for a table, by its suffix."""
    return path.suffix.casefold() in TABLE_SUFFIXES


def is_csv(path: Path) -> bool:
    """Tell whether a file is taken for a table of text, by its suffix."""
    return path.suffix.casefold() in CSV_SUFFIXES


def read_table_file(
    path: Path,
    texts: Collection[str | int] = (),
    limits: Limits = DEFAULT_LIMITS,
    missing: Sequence[str] | None = None,
) -> ReadTable:
    """Read a .csv, .tsv or .parquet file.

    Parameters
    ----------
    path : Path
    texts : collection of str or int
        Columns of a CSV file that hold text, whatever it looks like.
    limits : Limits
    missing : sequence of str, optional
        Texts of a CSV file's cells that are missing, beside empty ones; None takes those that pandas does.
        A Parquet file marks missing cells itself.

    Raises
    ------
    InvalidInputError
        It cannot be read, has no rows, or two columns of one name; or pandas or pyarrow is not installed.
    ResourceError
        It does not fit the memory.
    """
    load_pandas()
    is_parquet = path.suffix.casefold() == PARQUET_SUFFIX
    table = _read_parquet(path, limits) if is_parquet else read_csv_file(path, texts, missing, limits)
    if not len(table.frame):
        raise InvalidInputError(f"a table needs rows, {str(path)!r} has none: check the export")
    return table


def column_names(path: Path) -> tuple[str, ...]:
    """Return the names of the columns that have one; the errors of `read_table_file`, rows are not read."""
    check_memory(path.stat().st_size, "rows", "give a part of them")  # one line may be all of it
    if path.suffix.casefold() != PARQUET_SUFFIX:
        return tuple(cell for cell in read_header(path, delimiter_of(path)) if cell.strip())
    parquet = load_parquet()
    import pyarrow

    try:
        return tuple(parquet.read_schema(path).names)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise unreadable(path, "Parquet", error, "save it again") from None


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
            check_table_size(path, needed, head.num_columns, limits)
            needed += _bytes_of_texts(path, file.schema_arrow)
            check_table_size(path, needed, head.num_columns, limits)
            check_memory(2 * needed, "rows", "give a part of them")
            yield file
    except InvalidInputError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, TypeError) as error:
        if stops_all(error):  # of what is written while it is open
            raise
        raise unreadable(path, "Parquet", error, "save it again") from None


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
