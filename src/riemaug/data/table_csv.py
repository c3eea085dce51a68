"""CSV files as tables: what divides the cells, and what each column holds, told by all of its cells."""

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from riemaug.data.checks import check_memory
from riemaug.data.listing import quote_some
from riemaug.data.table_cells import decimal_sign, may_hold_codes
from riemaug.data.table_dtypes import Frame, load_pandas
from riemaug.data.table_layout import DELIMITERS
from riemaug.data.table_source import ReadTable, check_table_size, unreadable
from riemaug.errors import InvalidInputError
from riemaug.limits import Limits

CSV_GROWTH = 6
"""Bytes in memory for one of a CSV file, as text and as numbers."""
_ROWS_AT_ONCE = 2**15
_LONGEST_LINE = 2**24
_CODE = re.compile(r"\s*[+-]?0\d+\s*")
"""Whole numbers that begin with a zero are codes: they are read as text."""


@dataclass(frozen=True)
class CsvForm:
    """How a CSV file is written.

    Attributes
    ----------
    delimiter, decimal : str
    missing : tuple of str, optional
        Texts of cells that are missing, beside empty ones; None takes those that pandas does.
    """

    delimiter: str
    decimal: str = "."
    missing: tuple[str, ...] | None = None

    def parse(self, path: Path, **options: Any) -> Any:
        """Return what `pandas.read_csv` makes of the file; its errors."""
        pandas = load_pandas()
        if self.missing is not None:
            options = {"keep_default_na": False, "na_values": ["", *self.missing], **options}
        return pandas.read_csv(
            path,
            sep=self.delimiter,
            decimal=self.decimal,
            encoding="utf-8-sig",
            index_col=False,
            **_exact_floats(pandas.__version__),
            **options,
        )


def read_csv_file(
    path: Path, texts: Collection[str | int], missing: Sequence[str] | None, limits: Limits
) -> ReadTable:
    """Read a .csv or .tsv file; see `riemaug.data.table_files.read_table_file`."""
    num_bytes = path.stat().st_size
    check_table_size(path, num_bytes, 0, limits)
    check_memory(CSV_GROWTH * num_bytes, "rows", "give a part of them")
    delimiter = delimiter_of(path)
    header = read_header(path, delimiter)
    check_table_size(path, num_bytes, len(header), limits)
    form = CsvForm(delimiter, decimal_sign(path, delimiter), None if missing is None else tuple(missing))
    known = [name for name in header if name in texts]
    frame = _parse(path, form, known)
    if frame.iloc[:, -1].isna().any():  # what short rows lack is read as missing
        _check_rows(path, delimiter)
    as_typed = [*_truths_as_typed(path, form, frame), *_codes(path, form, frame)]
    if as_typed:  # "true" would come back as "True", and "007" as 7: categories come back as they are
        frame = _parse(path, form, [*known, *as_typed])
    return _without_row_numbers(ReadTable(frame, delimiter, form.decimal), header, path)


def _without_row_numbers(table: ReadTable, header: Sequence[str], path: Path) -> ReadTable:
    nameless = [place for place, cell in enumerate(header) if not cell.strip()]
    if not nameless:
        return table
    first = table.frame.iloc[:, 0]
    if nameless != [0] or str(first.dtype) != "int64" or not first.is_unique:
        raise InvalidInputError(
            f"every column needs a name, column {nameless[-1] + 1} of {str(path)!r} has none: give it one, or"
            " remove it"
        )
    note = "The column without a name only numbers the rows: it was left out."
    return ReadTable(table.frame.iloc[:, 1:], table.delimiter, table.decimal, (note,))


def _truths_as_typed(path: Path, form: CsvForm, frame: Frame) -> list[str]:
    """Return the columns of truth values that are not all written as "True" and "False"."""
    return [
        name
        for name, column in frame.items()
        if str(column.dtype) == "bool"
        and not {text for part in _texts(path, form, [name]) for text in part[name].tolist()}
        <= {"True", "False"}
    ]


def _codes(path: Path, form: CsvForm, frame: Frame) -> list[str]:
    """Return the columns of whole numbers of which a cell begins with a zero."""
    names = [name for name, column in frame.items() if str(column.dtype) in ("int64", "uint64")]
    if not names or not may_hold_codes(path, form.delimiter):
        return []
    found: set[str] = set()
    for part in _texts(path, form, names):
        rest = [name for name in names if name not in found]
        found |= {name for name in rest if any(map(_CODE.fullmatch, set(part[name].tolist())))}
        if len(found) == len(names):
            break
    return [name for name in names if name in found]


def _texts(path: Path, form: CsvForm, names: Sequence[str]) -> Iterator[Frame]:
    """Yield columns of a file that pandas has read, block by block, as they were typed."""
    options = {"usecols": names, "dtype": "object", "na_filter": False, "chunksize": _ROWS_AT_ONCE}
    with form.parse(path, **options) as parts:
        yield from parts


def texts_of_missing(path: Path, form: CsvForm, frame: Frame) -> list[str]:
    """Return the different texts, but for empty ones, of the cells that are missing in a table.

    Parameters
    ----------
    path : Path
    form : CsvForm
    frame : pandas.DataFrame
        Columns of what was read of it, all rows.
    """
    names = [name for name in frame.columns if frame[name].isna().any()]
    found: dict[str, None] = {}
    start = 0
    for part in _texts(path, form, names):
        missing = frame.iloc[start : start + len(part)].isna()
        for name in names:
            found |= dict.fromkeys(part[name][missing[name].to_numpy()].tolist())
        start += len(part)
    return [text for text in found if text.strip()]


def csv_fault(path: Path, error: Exception) -> InvalidInputError:
    """Return the refusal of a CSV file over which its reader raised this error."""
    if isinstance(error, UnicodeDecodeError):
        return InvalidInputError(f"{str(path)!r} must be UTF-8 text: save it as CSV UTF-8")
    return unreadable(path, "CSV", error, "correct or save it again")


def delimiter_of(path: Path) -> str:
    """Return what stands between the cells of a CSV file, by its header; raises as `read_table_file`."""
    if path.suffix.casefold() == ".tsv":
        return "\t"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline(_LONGEST_LINE)
    except (UnicodeDecodeError, OSError) as error:
        raise csv_fault(path, error) from None
    # of as many of two kinds commas may belong to names such as 400,5
    found = [sign for sign in reversed(DELIMITERS) if sign in header]
    return max(found, key=header.count, default=DELIMITERS[0])


def read_header(path: Path, delimiter: str) -> list[str]:
    """Return the header of a CSV file, as it was typed; raises as `read_table_file`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next((row for row in csv.reader(file, delimiter=delimiter) if row), None)
    except (UnicodeDecodeError, OSError, csv.Error) as error:
        raise csv_fault(path, error) from None
    if header is None:
        raise InvalidInputError(f"a table needs a header and rows, {str(path)!r} is empty: check the export")
    names = [cell for cell in header if cell.strip()]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InvalidInputError(
            f"columns must have different names, {quote_some(twice)} is there twice: rename one"
        )
    return header


def _parse(path: Path, form: CsvForm, texts: Sequence[str]) -> Frame:
    import warnings

    pandas = load_pandas()
    try:
        with warnings.catch_warnings():
            # rows that are longer than the header
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            return form.parse(path, dtype=dict.fromkeys(texts, "object"), low_memory=False)
    except (pandas.errors.ParserWarning, ValueError, OSError, OverflowError) as error:
        _check_rows(path, form.delimiter)
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
