"""The rows of a table's file as they stand there, to be divided without changing any."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from riemaug.atomic import atomic_path
from riemaug.data.checks import check_memory
from riemaug.data.table_csv import CSV_GROWTH, csv_fault, delimiter_of
from riemaug.data.table_dtypes import load_parquet
from riemaug.data.table_files import PARQUET_SUFFIX


def read_csv_rows(path: Path) -> tuple[list[list[str]], str]:
    """Return the cells of a CSV file as they were typed, without empty lines, and the delimiter.

    Raises
    ------
    InvalidInputError
        It is no UTF-8 text, or no CSV.
    ResourceError
        It does not fit the memory.
    """
    check_memory(2 * CSV_GROWTH * path.stat().st_size, "rows", "give a part of them")
    delimiter = delimiter_of(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [row for row in csv.reader(file, delimiter=delimiter) if row], delimiter
    except (UnicodeDecodeError, OSError, csv.Error) as error:
        raise csv_fault(path, error) from None


@dataclass(frozen=True, eq=False)
class TableRows:
    """The rows of a table's file, to be divided without changing any.

    Attributes
    ----------
    suffix : str
        ".csv", ".tsv" or ".parquet".
    header : list of str
        Of a CSV file.
    rows : list of list of str, or pyarrow.Table
        The cells as they were typed, or what a Parquet file holds.
    delimiter : str
        Of a CSV file.
    """

    suffix: str
    header: list[str]
    rows: Any
    delimiter: str = ","

    @classmethod
    def read(cls, path: Path) -> "TableRows":
        """Read a file that `read_table_file` takes; the same errors."""
        suffix = path.suffix.casefold()
        if suffix == PARQUET_SUFFIX:
            with load_parquet().ParquetFile(path) as file:
                return cls(suffix, [], file.read())
        cells, delimiter = read_csv_rows(path)
        return cls(suffix, cells[0], cells[1:], delimiter)

    def write(self, path: Path, chosen: Shaped[np.ndarray, " m"]) -> None:
        """Write some of the rows, in their order."""
        with atomic_path(path) as temporary:
            if self.suffix == PARQUET_SUFFIX:
                load_parquet().write_table(self.rows.take(chosen), temporary)
                return
            with temporary.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, delimiter=self.delimiter, lineterminator="\n")
                writer.writerow(self.header)
                writer.writerows(self.rows[row] for row in chosen.tolist())
