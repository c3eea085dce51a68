"""The output folder, whole files, and the tables."""

import csv
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riemaug.atomic import atomic_path, atomic_write_bytes, atomic_write_text, remove_leftovers
from riemaug.data import (
    ManifestRow,
    check_output_folder,
    prepare_output,
    read_manifest,
    write_manifest,
    write_metadata,
)
from riemaug.data.cells import escape_cell, escape_file_cell, unescape_cell, unescape_file_cell
from riemaug.errors import InvalidInputError


def test_atomic_write_replaces_whole(tmp_path):
    path = tmp_path / "a.txt"
    atomic_write_text(path, "é\n")
    assert path.read_bytes() == "é\n".encode()
    atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_failed_write_leaves_nothing(tmp_path, error):
    path = tmp_path / "a.txt"

    def fail():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            assert temporary.parent == tmp_path
            assert temporary.suffix == ".txt"
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []
    path.write_text("old")
    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_atomic_file_has_ordinary_permissions(tmp_path):
    (tmp_path / "plain").write_text("x")
    atomic_write_text(tmp_path / "atomic", "x")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_a_killed_run_left_is_removed(tmp_path):
    script = f"""
import os
from pathlib import Path
from riemaug.atomic import atomic_path
Path({str(tmp_path)!r}, "cat").mkdir()
with atomic_path(Path({str(tmp_path)!r}, "cat", "a.png")) as temporary:
    temporary.write_text("half")
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    kept = tmp_path / "cat" / ".tmp-mine"
    kept.write_text("x")
    assert len(list((tmp_path / "cat").iterdir())) == 2
    assert remove_leftovers(tmp_path) == 1
    assert list((tmp_path / "cat").iterdir()) == [kept]


def check_refused(match, *arguments, **options):
    with pytest.raises(InvalidInputError, match=match) as caught:
        check_output_folder(*arguments, **options)
    assert "\n" not in str(caught.value)


def test_new_and_empty_folders_are_accepted_and_untouched(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for out in (tmp_path / "new" / "deep", tmp_path / "empty"):
        if out.name == "empty":
            out.mkdir()
            (out / ".DS_Store").write_text("x")
        before = sorted(tmp_path.rglob("*"))
        check_output_folder(out, data)
        assert sorted(tmp_path.rglob("*")) == before
        assert prepare_output(out, data) == out
        assert out.is_dir()


def test_full_folder_is_refused_unless_resumed(tmp_path):
    (tmp_path / "x").write_text("x")
    check_refused("new or empty", tmp_path)
    check_output_folder(tmp_path, allow_existing=True)


def test_files_and_broken_links_are_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    check_refused("is a file", tmp_path / "file")
    check_refused("broken link", tmp_path / "link")
    check_refused("not writable|must be writable|is not", tmp_path / "file" / "below")


@pytest.mark.parametrize("allow_existing", [False, True])
def test_output_and_data_stay_apart(tmp_path, allow_existing):
    data = tmp_path / "around" / "data"
    data.mkdir(parents=True)
    (tmp_path / "link").symlink_to(data)
    check_refused("outside the data folder", data / "out", data, allow_existing=allow_existing)
    check_refused("outside the data folder", tmp_path / "link" / "out", data, allow_existing=allow_existing)
    check_refused("the data folder itself", tmp_path / "link", data, allow_existing=allow_existing)
    check_refused("must not contain the data", tmp_path / "around", data, allow_existing=allow_existing)
    check_output_folder(tmp_path / "around" / "data2", data, allow_existing=allow_existing)


def test_folder_that_is_not_writable_is_refused(tmp_path):
    """Run as an ordinary user, since root may write anywhere."""
    out = tmp_path / "out"
    out.mkdir(mode=0o555)
    if os.geteuid() != 0:
        check_refused("must be writable", out)
        check_refused("must be writable", out / "deep" / "new")
        return
    tmp_path.chmod(0o755)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.chdir(tmp_path)
            os.setgid(65534)
            os.setuid(65534)
            found = []
            for target in (os.curdir, "out", "out/deep/new"):
                try:
                    check_output_folder(target, allow_existing=True)
                except InvalidInputError as error:
                    found.append("must be writable" in str(error) and "\n" not in str(error))
            code = 0 if found == [True, True, True] else 2
        except OSError:
            code = 77
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == 77:
        pytest.skip("this machine does not let the test become an unprivileged user")
    assert code == 0


ROWS = [
    ManifestRow("cat/cat-000001.png", "cat"),
    ManifestRow(
        file="=x/=x-000001.png",
        class_name="=x",
        seed=-3,
        start="=x/a b.png",
        log_density=-1234.56789,
        acceptance=1 / 3,
        nearest_file="-y/ü,\"'.png",
        nearest_distance=2.5e-7,
        copy="near",
        model_hash="ab12",
        version="0.1.0",
    ),
    ManifestRow("row 3", "-1", seed=0, start="row 17", copy="no"),
]


def test_manifest_round_trip(tmp_path):
    path = tmp_path / "manifest.csv"
    write_manifest(path, iter(ROWS))
    rows = read_manifest(path)
    assert rows[0] == ROWS[0]
    assert rows[2] == ROWS[2]
    assert (rows[1].file, rows[1].class_name, rows[1].seed, rows[1].copy) == (
        "=x/=x-000001.png",
        "=x",
        -3,
        "near",
    )
    assert rows[1].nearest_file == "-y/ü,\"'.png"
    assert (rows[1].log_density, rows[1].acceptance, rows[1].nearest_distance) == (-1234.57, 0.333333, 2.5e-7)


def test_manifest_as_others_read_it(tmp_path):
    write_manifest(tmp_path / "manifest.csv", ROWS)
    content = (tmp_path / "manifest.csv").read_bytes()
    assert b"\r" not in content
    rows = list(csv.reader(content.decode().splitlines()))
    assert ",".join(rows[0]) == (
        "file,class,seed,start,log_density,acceptance,nearest_file,nearest_distance,copy,model_hash,version"
    )
    assert rows[1] == ["cat/cat-000001.png", "cat", *[""] * 9]
    assert rows[2][:4] == ["./=x/=x-000001.png", "'=x", "-3", "./=x/a b.png"]
    assert rows[2][4:6] == ["-1234.57", "0.333333"]
    assert rows[2][8] == "near"
    assert rows[3][1] == "-1"


def test_manifest_of_a_failed_run_is_absent(tmp_path):
    def rows():
        yield ROWS[0]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_manifest(tmp_path / "manifest.csv", rows())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"a,b\n1,2\n", b"\xff\xfe", b'file,class\n"a"b,c\n', None],
)
def test_other_files_are_no_manifest(tmp_path, content):
    path = tmp_path / "manifest.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInputError, match="manifest"):
        read_manifest(path)


def test_manifest_with_an_impossible_cell_is_refused(tmp_path):
    path = tmp_path / "manifest.csv"
    write_manifest(path, ROWS[:1])
    path.write_text(path.read_text().replace("cat,,", "cat,seed,"))
    with pytest.raises(InvalidInputError, match="must be a manifest.csv"):
        read_manifest(path)


def test_metadata_file(tmp_path):
    write_metadata(tmp_path / "metadata.csv", [("a/a-1.png", "a", True), ("-b/x.png", "@b", False)])
    assert (tmp_path / "metadata.csv").read_text() == (
        "file_name,label,synthetic\na/a-1.png,a,true\n./-b/x.png,'@b,false\n"
    )
    assert os.path.normpath("./-b/x.png") == "-b/x.png"


@given(st.text(alphabet="='+-@\t\ra1./", max_size=6))
def test_cells_come_back_and_never_start_a_formula(text):
    cell = escape_cell(text)
    assert unescape_cell(cell) == text
    if cell[:1] and cell[0] in "=+-@\t\r":
        float(cell)


@given(st.text(alphabet="='+-@\t\ra1.", max_size=6).filter(lambda text: text != "."))
def test_file_cells_come_back_and_name_the_same_file(name):
    cell = escape_file_cell(name)
    assert unescape_file_cell(cell) == name
    assert os.path.normpath(cell) == os.path.normpath(name)
    assert cell[:1] not in set("=+-@\t\r")
