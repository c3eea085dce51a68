"""Cells of a table that are missing, and texts that are only taken for such."""

from collections.abc import Sequence
from pathlib import Path

from riemaug.data.listing import quote_some
from riemaug.data.table_csv import CsvForm, texts_of_missing
from riemaug.data.table_dtypes import Frame
from riemaug.data.table_files import ReadTable, is_csv
from riemaug.data.table_fit import check_complete


def check_no_missing(
    path: Path, table: ReadTable, names: Sequence[str | int], missing: Sequence[str] | None
) -> None:
    """Refuse missing cells of some columns.

    Parameters
    ----------
    path : Path
        Of the file.
    table : ReadTable
        What was read of it.
    names : sequence of str or int
    missing : sequence of str, optional
        See `riemaug.data.table_files.read_table_file`.

    Raises
    ------
    InvalidInputError
        The message names the columns, counts the cells, and says how texts such as "None" can be data.
    """
    frame = table.frame[list(names)]
    if not frame.isna().any(axis=None):
        return
    is_default = missing is None and is_csv(path)
    form = CsvForm(table.delimiter, table.decimal)
    check_complete(frame, _way_to_keep(path, form, frame) if is_default else "")


def _way_to_keep(path: Path, form: CsvForm, frame: Frame) -> str:
    texts = texts_of_missing(path, form, frame)
    if not texts:
        return ""
    count = "counts" if len(texts) == 1 else "count"
    keep = "if that is data, give --missing '' (only empty cells do then)"
    return f"; {quote_some(texts)} {count} as missing: {keep}"
