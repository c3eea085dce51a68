"""Which file of an output is its manifest: a CSV file up to 100,000 samples, a Parquet file above."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any

from riemaug.atomic import atomic_path
from riemaug.data.manifest import MANIFEST_COLUMNS, ManifestRow, read_manifest
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits

CSV_MANIFEST, PARQUET_MANIFEST = "manifest.csv", "manifest.parquet"
MOST_CSV_ROWS = 100_000
_ROWS_AT_ONCE = 10_000
_MOST_OF_A_ROW = 2**14
"""Bytes; on average, as names of files have 4,096 at most."""
_NUMBERS = {"seed": "int64", "log_density": "float64", "acceptance": "float64", "nearest_distance": "float64"}
_NAMES = tuple(field.name for field in fields(ManifestRow))


def find_manifest(out: str | os.PathLike[str]) -> Path | None:
    """Return the manifest of an output folder; None if there is none."""
    paths = (Path(out) / name for name in (CSV_MANIFEST, PARQUET_MANIFEST))
    return next((path for path in paths if os.path.isfile(path)), None)


def manifest_rows(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> Iterator[ManifestRow]:
    """Yield the rows of a manifest, whichever kind its file is, without holding all of them.

    Raises
    ------
    InvalidInputError
        The file cannot be read or is no manifest, or pyarrow is not installed.
    """
    if Path(path).suffix == ".parquet":
        return _parquet_rows(Path(path), limits)
    return iter(read_manifest(path, limits))


def manifest_files(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> Iterator[str]:
    """Yield the cells "file" of a manifest in their order; of a Parquet file nothing else is read.

    Raises
    ------
    InvalidInputError
        As `manifest_rows`.
    """
    if Path(path).suffix != ".parquet":
        yield from (row.file for row in read_manifest(path, limits))
        return
    pa, parquet = _load_parquet()
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[MANIFEST_COLUMNS[0]]):
                yield from map(str, batch.column(0).to_pylist())
    except (OSError, ValueError, LookupError, pa.ArrowException) as error:
        raise _no_manifest(Path(path), error) from None


def check_manifest_package(count: int) -> None:
    """Refuse so many samples where the manifest of them cannot be written."""
    if count > MOST_CSV_ROWS:
        _load_parquet()


def write_parquet_manifest(path: Path, rows: Iterable[ManifestRow]) -> None:
    """Write a manifest as a Parquet file, part by part, whole or not at all; equal rows, equal bytes."""
    pa, parquet = _load_parquet()
    schema = _schema(pa)
    remaining = iter(rows)
    with atomic_path(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        while part := list(islice(remaining, _ROWS_AT_ONCE)):
            columns = [[getattr(row, name) for row in part] for name in _NAMES]
            writer.write_table(pa.table(columns, schema=schema))


def _schema(pa: Any) -> Any:
    types = [getattr(pa, _NUMBERS.get(name, "string"))() for name in MANIFEST_COLUMNS]
    return pa.schema(list(zip(MANIFEST_COLUMNS, types, strict=True)))


def _parquet_rows(path: Path, limits: Limits) -> Iterator[ManifestRow]:
    pa, parquet = _load_parquet()
    texts = [name for name in MANIFEST_COLUMNS if name not in _NUMBERS]
    try:
        if not parquet.read_schema(path).equals(_schema(pa)):
            raise ValueError("it has other columns")
        with parquet.ParquetFile(path, read_dictionary=texts) as file:
            _check_unpacked(file.metadata, limits)
            for batch in file.iter_batches(_ROWS_AT_ONCE):
                if any(batch.column(name).null_count for name in texts):
                    raise ValueError("a cell of text is missing")
                _check_texts([batch.column(name) for name in texts], batch.num_rows)
                columns = [column.to_pylist() for column in batch.columns]
                for cells in zip(*columns, strict=True):
                    yield ManifestRow(*cells)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _no_manifest(path, error) from None


def _no_manifest(path: Path, error: Exception) -> InvalidInputError:
    return InvalidInputError(f"{str(path)!r} must be a manifest of riemaug, it is not ({error}): remake it")


def _check_unpacked(metadata: Any, limits: Limits) -> None:
    """Refuse a file that is larger unpacked than tables may be, or a part of it than its rows can make it."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    total = sum(group.total_byte_size for group in groups)
    if total > limits.bytes:
        way_out = limits.way_out("bytes")
        raise ValueError(
            f"it has {total / 2**30:.3g} GiB of at most {limits.bytes / 2**30:.3g} GiB; {way_out}"
        )
    if any(group.total_byte_size > _MOST_OF_A_ROW * max(group.num_rows, 1_000) for group in groups):
        raise ValueError("it holds more than a manifest can")


def _check_texts(columns: Sequence[Any], num_rows: int) -> None:
    """Refuse texts that are stored once and stand in many rows, before they are there in each of them."""
    import pyarrow.compute

    compute: Any = pyarrow.compute  # its functions are made when it is imported
    total = 0
    for column in columns:
        lengths = compute.binary_length(column.dictionary)
        total += compute.sum(lengths.take(column.indices)).as_py() or 0
    if total > _MOST_OF_A_ROW * num_rows:
        raise ValueError("its texts are longer than names are")


def _load_parquet() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InvalidInputError(
            f"the manifest of more than {MOST_CSV_ROWS:,} samples is a Parquet file, which needs pyarrow: "
            "pip install 'riemaug[tables]'"
        ) from None
    return pyarrow, pyarrow.parquet
