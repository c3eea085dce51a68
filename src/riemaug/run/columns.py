"""The columns of a table's class, real and synthetic, from the numbers that stand for its rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Shaped

from riemaug.data import Dataset, SampleFormat
from riemaug.data.table_columns import CategoryColumn, Column, NumberColumn, TimeColumn
from riemaug.data.table_dtypes import dtype_kind
from riemaug.data.table_files import read_table_file
from riemaug.errors import InvalidInputError
from riemaug.report.columns import Columns, ComparedColumn, TimeScale, category_column, number_column
from riemaug.run.collect import SAMPLES_NAME, SAMPLES_STEM
from riemaug.run.workdir import WorkDir

MOST_NUMBERED = 50
"""Longest rows of an npz file that are taken for a table: longer ones are rather pictures laid flat."""

Rows = Shaped[np.ndarray, "_ d"]


def has_columns(fmt: SampleFormat) -> bool:
    """Tell whether samples are rows of a table: of a CSV or Parquet file, or short rows of an npz file."""
    return fmt.kind == "table" or (
        fmt.kind == "arrays" and len(fmt.shape) == 1 and fmt.shape[0] <= MOST_NUMBERED
    )


def class_columns(synthetic: Rows, real: Rows | None, fmt: SampleFormat) -> Columns | None:
    """Compare the columns of one class.

    Parameters
    ----------
    synthetic : ndarray (n, d)
        The synthetic rows as they are written: numbers of `TablePlan.to_numbers`, or rows of an npz file.
    real : ndarray (m, d) or None
        The training rows of the class; None where they are not at hand.
    fmt : SampleFormat

    Returns
    -------
    Columns or None
        None of samples that are no rows, and of a class without any.
    """
    if not has_columns(fmt) or not len(synthetic) or (real is not None and not len(real)):
        return None
    if fmt.table is None:
        compared, constant = _numbered(synthetic, real, fmt.dtype), 0
    else:
        compared = [part.compared(synthetic, real) for part in _parts(fmt.table.plan.columns)]
        constant = len(fmt.table.plan.columns) - len(compared)
    return Columns(
        compared=tuple(compared),
        num_real=0 if real is None else len(real),
        num_synthetic=len(synthetic),
        num_constant=constant,
    )


def columns_of_run(dataset: Dataset, index: int, work: WorkDir) -> Columns | None:
    """Return the columns of a class of a run that is about to end; None of other data than tables."""
    if not has_columns(dataset.format):
        return None
    synthetic = np.load(work.samples(index), mmap_mode="r", allow_pickle=False)
    return class_columns(synthetic, dataset.of_class(index), dataset.format)


def _cells(rows: Rows, place: slice) -> Float64[np.ndarray, "n width"]:
    """Return some of the numbers of all rows; only these are read of a `numpy.memmap`."""
    return np.asarray(rows[:, place], dtype=np.float64)


def _numbered(new: Rows, old: Rows | None, dtype: str) -> list[ComparedColumn]:
    decimals, compared = None if np.dtype(dtype).kind == "f" else 0, []
    for number in range(new.shape[1]):
        place = slice(number, number + 1)
        theirs = None if old is None else _cells(old, place)[:, 0]
        compared.append(number_column(f"column {number + 1}", _cells(new, place)[:, 0], theirs, decimals))
    return compared


@dataclass(frozen=True)
class _Part:
    """A column with the place of its numbers in a row."""

    column: Column
    place: slice

    def compared(self, new: Rows, old: Rows | None) -> ComparedColumn:
        column, name = self.column, str(self.column.name)
        mine, theirs = _cells(new, self.place), None if old is None else _cells(old, self.place)
        if isinstance(column, CategoryColumn):
            codes = None if theirs is None else theirs.argmax(axis=1)
            return category_column(name, [str(level) for level in column.levels], mine.argmax(axis=1), codes)
        mine, theirs = mine[:, 0], None if theirs is None else theirs[:, 0]
        if isinstance(column, TimeColumn):
            origin, step = np.int64(column.origin), np.int64(column.step)
            times = TimeScale(
                origin.astype(f"datetime64[{column.unit}]"), step.astype(f"timedelta64[{column.unit}]")
            )
            return number_column(name, mine, theirs, times=times)
        assert isinstance(column, NumberColumn)
        if dtype_kind(column.dtype) == "boolean":
            codes = None if theirs is None else (theirs >= 0.5).astype(np.int64)
            return category_column(name, ("False", "True"), (mine >= 0.5).astype(np.int64), codes)
        return number_column(name, mine, theirs, column.decimals)


def _parts(columns: tuple[Column, ...]) -> Iterator[_Part]:
    ends: list[int] = np.cumsum([0, *(column.width for column in columns)]).tolist()
    for column, (start, end) in zip(columns, pairwise(ends), strict=True):
        if column.width:
            yield _Part(column, slice(start, end))


def written_rows(out: Path, fmt: SampleFormat) -> Rows:
    """Return all synthetic rows of an output folder, as `class_columns` takes them.

    Parameters
    ----------
    out : Path
    fmt : SampleFormat
        Of which `has_columns` is true.

    Raises
    ------
    InvalidInputError
        The file of samples is missing, damaged, or no longer what was written.
    """
    if fmt.table is None:
        assert fmt.array_keys is not None
        try:
            with np.load(out / SAMPLES_NAME, allow_pickle=False) as arrays:
                rows = arrays[fmt.array_keys[0]]
        except (OSError, ValueError, KeyError) as error:
            raise _changed(SAMPLES_NAME, error) from None
        if rows.shape[1:] != fmt.shape or rows.dtype != np.dtype(fmt.dtype):
            raise _changed(SAMPLES_NAME, f"its samples are {rows.dtype} of shape {rows.shape[1:]}")
        return rows
    name, plan = SAMPLES_STEM + fmt.suffix, fmt.table.plan
    texts = [column.name for column in plan.columns if dtype_kind(column.dtype) == "text"]
    try:
        # what was written has no missing cells, whatever its categories are called
        return plan.to_numbers(read_table_file(out / name, texts, missing=()).frame)
    except (InvalidInputError, OSError) as error:
        raise _changed(name, error) from None


def _changed(name: str, found: object) -> InvalidInputError:
    return InvalidInputError(
        f"samples are needed as they were written, {name!r} is not so ({found}): make them anew"
    )
