"""Names of unknown origin: classes that would be folders, files that a table names."""

import os
from pathlib import Path

import pytest

from riemaug.data import ManifestRow, SampleFormat, check_class_names, file_inside, write_manifest
from riemaug.data.names import check_case, ignores_case
from riemaug.errors import InvalidInputError
from riemaug.run.sample_names import SampleNames
from riemaug.run.samples_hash import samples_hash


@pytest.mark.parametrize(
    "name",
    [
        "a\nb",
        "a\rb",
        "a\tb",
        "a\0b",
        "a\x1b[31mb",
        "a\x7fb",
        "a\x9bb",
        "a\u2028b",
        "\ud800",
        "png.\u202egnp",
        "a\u2066b",
        "..",
        "a/b",
        "a\\b",
        "/etc",
        "",
        "é" * 128,
    ],
)
def test_classes_that_would_be_no_plain_folder_are_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="a class name becomes a folder name") as caught:
        check_class_names([name])
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "name", ["<script>", "a b", "=1+1", "con", "שלום", "日本", "a\u0301", "é" * 127, "-rf"]
)
def test_any_other_class_is_a_folder(name: str, tmp_path: Path) -> None:
    check_class_names([name])
    (tmp_path / name).mkdir()


@pytest.mark.parametrize("name", ["con", "NUL.txt", "com1", "a.", "a ", "a:b", "a?"])
def test_on_windows_its_own_names_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riemaug.data.names.os.name", "nt")
    with pytest.raises(InvalidInputError, match="is no folder on Windows"):
        check_class_names([name])


@pytest.fixture
def output(tmp_path: Path) -> Path:
    out = tmp_path / "out"
    (out / "cat").mkdir(parents=True)
    (out / "cat" / "a.png").write_bytes(b"a")
    (tmp_path / "secret").write_bytes(b"secret")
    (out / "cat" / "link.png").symlink_to(tmp_path / "secret")
    (out / "cat" / "up").symlink_to(tmp_path)
    (out / "cat" / "loop").symlink_to(out / "cat" / "loop")
    os.mkfifo(out / "cat" / "pipe")
    return out


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "cat/../../secret",
        "/etc/passwd",
        "C:\\x",
        "cat/link.png",
        "cat/up/secret",
        "cat/loop",
        "cat/pipe",
        "cat",
        "",
        "gone.png",
        "a\0b",
        "x" * 5000,
    ],
)
def test_a_manifest_leads_to_no_file_outside_and_to_nothing_that_is_none(output: Path, name: str) -> None:
    with pytest.raises(InvalidInputError):
        file_inside(output, name)
    write_manifest(output / "manifest.csv", [ManifestRow("cat/a.png", "cat"), ManifestRow(name, "cat")])
    assert samples_hash(output) is None


def test_files_inside_are_found(output: Path) -> None:
    assert file_inside(output, "cat/a.png").read_bytes() == b"a"
    write_manifest(output / "manifest.csv", [ManifestRow("cat/a.png", "cat")])
    assert samples_hash(output) is not None


def test_classes_that_differ_in_case_need_a_disk_that_tells_it(tmp_path: Path) -> None:
    telling, other = tmp_path / "Telling", tmp_path / "Other"
    telling.mkdir()
    other.mkdir()
    (tmp_path / "oTHER").symlink_to(other)  # as a disk that ignores case has it
    names = ("Cat", "dog", "cat")
    assert not ignores_case(telling / "new" / "out")
    assert ignores_case(other)
    check_case(names, telling)
    check_case(("cat", "dog"), other)
    with pytest.raises(InvalidInputError, match="differ in upper and lower case alone.*rename one"):
        check_case(names, other)


def test_samples_of_different_classes_have_different_keys() -> None:
    fmt = SampleFormat("folder", (2, 2), "uint8", ".png", None, False)
    names = ["a.b", "a_b", "a-b", "a b", "a.b.c", "a_b.c", "A.B"]
    keys = [SampleNames(name, fmt, shards="webdataset").key(0) for name in names]
    assert len(set(keys)) == len(names)
    assert not any("." in key for key in keys)
    assert keys[1] == "a_b-000001"
