"""Manifests of many samples: Parquet, the same rows, read part by part."""

import dataclasses
import resource

import pytest

import riemaug.data.manifest_files as manifest_files
from riemaug.data import ManifestRow, write_manifest
from riemaug.data.manifest_files import find_manifest, manifest_rows, write_parquet_manifest
from riemaug.errors import InvalidInputError

ROWS = [
    ManifestRow("shards/a-000001.npz#0", "=a", 3, "x.png", -1.5, 0.25, "y.png", 0.125, "near", "abc", "1"),
    ManifestRow("row 1", "b"),
    *(ManifestRow(f"row {i}", "b", i) for i in range(2, 25)),
]


def test_both_kinds_give_back_their_rows(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(manifest_files, "_ROWS_AT_ONCE", 7)
    assert find_manifest(tmp_path) is None
    write_parquet_manifest(tmp_path / "manifest.parquet", iter(ROWS))
    assert find_manifest(tmp_path) == tmp_path / "manifest.parquet"
    assert list(manifest_rows(tmp_path / "manifest.parquet")) == ROWS
    first = (tmp_path / "manifest.parquet").read_bytes()
    write_parquet_manifest(tmp_path / "manifest.parquet", iter(ROWS))
    assert (tmp_path / "manifest.parquet").read_bytes() == first
    write_manifest(tmp_path / "manifest.csv", ROWS)
    assert list(manifest_rows(tmp_path / "manifest.csv")) == ROWS


def test_another_parquet_file_is_refused(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    path = tmp_path / "manifest.parquet"
    parquet.write_table(pyarrow.table({"file": ["a"]}), path)
    with pytest.raises(InvalidInputError, match="must be a manifest of riemaug"):
        list(manifest_rows(path))
    path.write_bytes(b"PAR1")
    with pytest.raises(InvalidInputError, match="must be a manifest of riemaug"):
        list(manifest_rows(path))


def test_the_columns_are_those_of_a_csv_manifest():
    assert len(dataclasses.fields(ManifestRow)) == len(manifest_files.MANIFEST_COLUMNS)


def test_without_pyarrow_one_line_before_anything(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    manifest_files.check_manifest_package(100_000)
    with pytest.raises(InvalidInputError, match=r"100,000 samples is a Parquet file, which needs pyarrow"):
        manifest_files.check_manifest_package(100_001)


def test_a_text_stored_once_and_standing_in_many_rows_is_refused_before_it_is_there(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    path = tmp_path / "manifest.parquet"
    write_parquet_manifest(path, iter(ROWS))
    table = parquet.read_table(path)
    long = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 20_000), ["x" * 2**20])
    repeated = pyarrow.concat_tables([table.slice(0, 1)] * 20_000)
    parquet.write_table(repeated.set_column(0, "file", long), path, store_schema=False)
    assert path.stat().st_size < 2**22
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidInputError, match="texts are longer than names are|more than a manifest can"):
        list(manifest_rows(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024
