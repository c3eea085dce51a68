"""A resumed run looks whether what it left is still there, and makes anew what is not."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Command, digit_arrays, leftovers, read_log

import riemaug.run.collect
import riemaug.run.sample_job
import riemaug.run.sampling
import riemaug.run.segments
import riemaug.run.sinks
from riemaug.run.stretches import StretchFiles

AMOUNT = ("--per-class", 10, "--seed", 3)
SHARDS = ("--shards", "npz", "--shard-size", 4)


def all_bytes(out: Path) -> dict[str, bytes]:
    """Return the bytes of all samples and tables."""
    names = [path for path in out.rglob("*") if path.is_file() and path.name not in ("run.json", "run.log")]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in names}


def stop(*arguments: object, **named: object) -> None:
    raise KeyboardInterrupt


def stop_in_the_fifth_stretch(cli: Command, sink: type, *command: object) -> None:
    """Run a command of two classes of three stretches until the second class has one of them recorded."""
    end, ended = sink.end, []

    def stopping(self: object) -> None:
        ended.append(self)
        if len(ended) == 5:
            raise KeyboardInterrupt
        end(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sink, "end", stopping)
        assert cli(*command).code == 130


def resume(cli: Command, out: Path, *command: object) -> list[str]:
    """Go on with a run; return what it noted, which the log has, too."""
    done = cli(*command, "--resume")
    assert done.code == 0, done.err
    notes = [line.removeprefix("note ") for line in done.err.splitlines() if line.startswith("note ")]
    assert [item["message"] for item in read_log(out) if "drawn again" in item["message"]] == notes
    assert leftovers(out) == []
    return notes


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs of `shards` are kept."""
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture
def shards(cli: Command, finished: Path, shelf: Path, tmp_path: Path) -> tuple[list[object], Path, Path]:
    """A command, what it makes in its OUT when nothing stops it, and that OUT with a run that was stopped."""
    command = ["sample", finished, shelf / "whole", *AMOUNT, *SHARDS]
    if not (shelf / "begun").exists():
        assert cli(*command).code == 0
        command[2] = shelf / "begun"
        stop_in_the_fifth_stretch(cli, riemaug.run.sinks.RowShards, *command)
    command[2] = out = tmp_path / "out"
    shutil.copytree(shelf / "begun", out)
    return command, shelf / "whole", out


def cut_short(path: Path) -> None:
    os.truncate(path, 50)


def test_a_shard_that_is_cut_short_is_made_anew(cli, shards):
    command, whole, out = shards
    name = "shards/one-000001.npz"
    cut_short(out / name)
    (note,) = resume(cli, out, *command)
    size = (whole / name).stat().st_size
    assert note == (
        f"{name} is not as the run left it (it has 50 bytes, {size:,} were recorded): samples 1 to 10 of "
        "class 'one' are drawn again"
    )
    assert all_bytes(out) == all_bytes(whole)


@pytest.mark.parametrize(
    ("options", "sink", "name"),
    [
        pytest.param(
            ("--shards", "webdataset", "--shard-size", 4),
            "TarShards",
            "shards/none-000002.tar",
            marks=pytest.mark.slow,
        ),
        (("--shards", "zarr"), "ZarrSink", ".riemaug/class-0000.zarr/c/3/0/0"),
        ((), "FileSink", "none/none-000007.png"),
    ],
)
def test_a_file_that_is_gone_is_made_anew(cli, finished, tmp_path, monkeypatch, options, sink, name):
    pytest.importorskip("zarr")
    command = ["sample", finished, tmp_path / "whole", *AMOUNT, *options]
    monkeypatch.setattr(riemaug.run.segments, "STRETCH_SAMPLES", 4)
    assert cli(*command).code == 0
    command[2] = out = tmp_path / "out"
    stop_in_the_fifth_stretch(cli, getattr(riemaug.run.sinks, sink), *command)
    (out / name).unlink()
    if sink == "ZarrSink":  # as zarr does, killed while it writes
        (out / ".riemaug" / "class-0001.zarr" / "c" / "5" / "0" / "0.1a2b.partial").touch()
    (note,) = resume(cli, out, *command)
    assert note.startswith(
        f"{name} is not as the run left it (it is missing): samples 1 to 10 of class 'none'"
    )
    assert all_bytes(out) == all_bytes(tmp_path / "whole")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("class-0001.stretch-000000.npz", cut_short),
        ("class-0001.preview.npz", cut_short),
        pytest.param("class-0000.stretch-000001.npz", cut_short, marks=pytest.mark.slow),
        pytest.param("class-0000.stretch-000000.npz", Path.unlink, marks=pytest.mark.slow),
        pytest.param("class-0001.state-000000.npz", Path.unlink, marks=pytest.mark.slow),
        pytest.param("class-0000.end.npz", cut_short, marks=pytest.mark.slow),
    ],
)
def test_a_record_that_is_damaged_costs_its_segment_alone(cli, shards, name, damage):
    command, whole, out = shards
    damage(out / ".riemaug" / name)
    (note,) = resume(cli, out, *command)
    assert note.startswith(f".riemaug/{name} is not as the run left it (it is ")
    assert all_bytes(out) == all_bytes(whole)


def test_records_of_an_earlier_version_know_no_sizes(cli, shards):
    command, _, out = shards
    for path in (out / ".riemaug").glob("*.stretch-*.npz"):
        with np.load(path) as arrays:
            kept = {name: arrays[name] for name in arrays.files if name != "sizes"}
        assert len(kept) == len(arrays.files) - 1
        np.savez(path, **kept)
    cut_short(out / "shards" / "none-000001.npz")
    assert resume(cli, out, *command) == []
    assert (out / "shards" / "none-000001.npz").stat().st_size == 50


@pytest.mark.slow
@pytest.mark.parametrize("name", ["images/c/12", None])
def test_a_store_that_was_joined_already(cli, finished, tmp_path, monkeypatch, name):
    pytest.importorskip("zarr")
    command = ["sample", finished, tmp_path / "whole", *AMOUNT, "--shards", "zarr"]
    if name is not None:
        assert cli(*command).code == 0
    command[2] = out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(riemaug.run.sample_job, "write_json", stop)
        assert cli(*command).code == 130
    if name is None:
        before = all_bytes(out / "synthetic.zarr")
        assert resume(cli, out, *command) == []
        assert all_bytes(out / "synthetic.zarr") == before
        return
    shutil.rmtree(out / "synthetic.zarr" / name)
    (note,) = resume(cli, out, *command)
    assert "samples 1 to 10 of class 'one' are drawn again" in note
    assert all_bytes(out) == all_bytes(tmp_path / "whole")


@pytest.mark.parametrize("damage", [cut_short, pytest.param(None, marks=pytest.mark.slow)])
def test_rows_of_one_file(cli, tmp_path, monkeypatch, damage):
    X, y = digit_arrays([8, 8])
    np.savez(tmp_path / "data.npz", X=X, y=y)
    model, whole, out = tmp_path / "model", tmp_path / "whole", tmp_path / "out"
    assert cli("fit", tmp_path / "data.npz", model, "--model", "vae", "--max-epochs", 2, "-q").code == 0
    command = ["sample", model, whole, *AMOUNT]
    assert cli(*command).code == 0
    for size in ("STRETCH_SAMPLES", "SEGMENT_SAMPLES"):
        monkeypatch.setattr(riemaug.run.segments, size, 4)
    command[2] = out
    with monkeypatch.context() as patch:
        patch.setattr(riemaug.run.sampling, "_save_pictures", stop)  # once segments are joined
        assert cli(*command).code == 130
    joined, second = (
        out / ".riemaug" / f"class-000{name}.npy" for name in ("0.samples", "1.segment-00001.samples")
    )
    if damage is None:
        assert resume(cli, out, *command) == []
    else:
        damage(joined)
        damage(second)
        (note,) = resume(cli, out, *command)
        assert ".riemaug/class-0000.samples.npy is not as the run left it" in note
        assert "samples 1 to 4 of class '0', and 2 more parts of the run are drawn again" in note
    assert all_bytes(out) == all_bytes(whole)
    (out / "synthetic.npz").unlink()
    assert "1 is missing" in cli(*command, "--resume").message


def test_a_result_that_is_damaged_is_gathered_again(cli, shards, monkeypatch):
    command, whole, out = shards
    with monkeypatch.context() as patch:
        patch.setattr(riemaug.run.sample_job, "write_tables", stop)
        assert cli(*command, "--resume").code == 130
    cut_short(out / ".riemaug" / "class-0001.result.json")
    forgotten = []
    monkeypatch.setattr(StretchFiles, "forget", forgotten.append)
    assert resume(cli, out, *command) == []
    assert forgotten == []
    assert all_bytes(out) == all_bytes(whole)


class TestFinished:
    """A run that has ended is taken for done only if all files of its samples are there."""

    @pytest.mark.parametrize(
        "options", [(), SHARDS, pytest.param(("--shards", "zarr"), marks=pytest.mark.slow)]
    )
    def test_missing_files_are_counted_and_the_first_is_named(
        self, cli, finished, tmp_path, monkeypatch, options
    ):
        pytest.importorskip("zarr")
        pytest.importorskip("pyarrow")
        if options == SHARDS:
            monkeypatch.setattr(riemaug.run.collect, "MOST_CSV_ROWS", 5)
        out = tmp_path / "out"
        command = ["sample", finished, out, *AMOUNT, *options]
        assert cli(*command).code == 0
        assert "nothing was left to do" in cli(*command, "--resume").err
        gone = {
            (): ["none/none-000002.png", "one/one-000010.png", "metadata.csv"],
            SHARDS: ["shards/none-000003.npz", "shards/one-000001.npz"],
        }.get(options, ["synthetic.zarr"])
        for name in gone:
            (out / name).rename(tmp_path / "gone")
            if not (tmp_path / "gone").is_dir():
                (tmp_path / "gone").unlink()
        refused = cli(*command, "--resume")
        assert refused.code == 2
        told = f"{len(gone)} {'is' if len(gone) == 1 else 'are'} missing in {str(out)!r}, first {gone[0]!r}"
        assert told in refused.message
        assert "another OUT" in refused.message
        next(out.glob("manifest.*")).unlink()
        refused = cli(*command, "--resume")
        assert refused.code == 2
        assert "manifest.csv, which names them, is missing" in refused.message
