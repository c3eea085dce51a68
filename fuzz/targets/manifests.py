"""manifest.csv and manifest.parquet of an output, as reports and evaluations read them."""

from functools import cache
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from fuzz import scratch
from fuzz.editing import edited
from riemaug.data.manifest import MANIFEST_COLUMNS, ManifestRow, write_manifest
from riemaug.data.manifest_files import (
    CSV_MANIFEST,
    PARQUET_MANIFEST,
    find_manifest,
    manifest_rows,
    write_parquet_manifest,
)
from riemaug.limits import Limits
from riemaug.run.sample_names import place_in_shard
from riemaug.run.samples_hash import samples_hash

LIMITS = Limits(text_bytes=2**16, bytes=2**22)
_CSV, _PARQUET, _COLUMNS = range(3)
_MOST_ROWS = 1_000
ROWS = (
    ManifestRow(
        "cat/cat-000001.png", "cat", 3, "cat/1.png", -1.5, 0.75, "cat/2.png", 0.25, "no", "ab", "1.0"
    ),
    ManifestRow("shards/cat-000001.npz#1", "cat", 3, "", None, None, "", None, "", "ab", "1.0"),
    ManifestRow("synthetic.zarr#0", "=1+1", 3, "row 3", 0.0, 1.0, "row 4", 1e-9, "exact", "ab", "1.0"),
)


def target(data: bytes) -> None:
    """Read the bytes as a CSV file, as a Parquet file, or as edits of the columns of one."""
    kind, content = (data[0] % 3 if data else _CSV), data[1:]
    folder = scratch.folder("manifests")
    for name in (CSV_MANIFEST, PARQUET_MANIFEST):
        (folder / name).unlink(missing_ok=True)
    if kind == _CSV:
        (folder / CSV_MANIFEST).write_bytes(content)
    elif kind == _PARQUET:
        (folder / PARQUET_MANIFEST).write_bytes(content)
    elif not _write_columns(edited(_columns(), content)):
        return
    path = find_manifest(folder)
    assert path is not None
    for row in islice(manifest_rows(path, LIMITS), _MOST_ROWS):
        assert isinstance(row.file, str)
        assert isinstance(row.class_name, str)
        place_in_shard(row.file)
    samples_hash(folder)


@cache
def _columns() -> dict[str, Any]:
    names = dict(zip(MANIFEST_COLUMNS, ManifestRow.__dataclass_fields__, strict=True))
    return {column: [getattr(row, field) for row in ROWS] for column, field in names.items()}


def _write_columns(columns: Any) -> bool:
    """Write a Parquet file of these columns, if there is such a file."""
    try:
        table = pa.table(columns)
        pyarrow.parquet.write_table(table, scratch.folder("manifests") / PARQUET_MANIFEST)
    except (pa.ArrowException, TypeError, ValueError, AttributeError, OverflowError):
        return False
    return True


def seeds() -> dict[str, bytes]:
    """Return a manifest of each kind, and edits of columns."""
    folder = scratch.folder("manifest-seeds")
    write_manifest(folder / CSV_MANIFEST, ROWS)
    write_parquet_manifest(folder / PARQUET_MANIFEST, ROWS)
    files = {"csv": (_CSV, CSV_MANIFEST), "parquet": (_PARQUET, PARQUET_MANIFEST)}
    whole = {name: bytes([kind]) + (folder / file).read_bytes() for name, (kind, file) in files.items()}
    edits = {f"edit-{place:03d}": bytes([_COLUMNS, place, 0, 200, place % 32]) for place in range(0, 40, 8)}
    return {**whole, "columns": bytes([_COLUMNS]), **edits}
