"""A run that was stopped goes on where it stopped, to the very same bytes."""

import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import (
    QUICK,
    Command,
    Finished,
    digit_arrays,
    everything_in,
    leftovers,
    same_bytes,
    write_digits,
)
from PIL import Image

import riemaug.run.class_tasks
import riemaug.run.pipeline
import riemaug.run.sinks
import riemaug.run.tasks
from riemaug.run.progress import ProgressFile

BASELINE = ("--per-class", 10, "--seed", 3, *QUICK)
"""As the fixture `finished` was run."""


class Stop:
    """Stands in for a function of riemaug: Ctrl-C comes at its n-th call, or at the first that fits."""

    def __init__(self, function: Any, call: int = 1) -> None:
        self.function, self.left = function, call

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return self.function(*arguments, **named)


def interrupt(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, call: int = 1) -> None:
    monkeypatch.setattr(module, name, Stop(getattr(module, name), call))


def check_interrupted(done: Finished) -> None:
    assert done.code == 130
    assert done.message == (
        "riemaug: interrupted; run the same command with --resume to go on where it stopped"
    )


@pytest.fixture
def unfinished(cli: Command, tmp_path: Path) -> tuple[Path, Path]:
    """Data, and an output whose run was stopped before its second class began."""
    data, out = write_digits(tmp_path / "data", {"a": 4, "b": 5}), tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, riemaug.run.tasks, "_fitted", 2)
        check_interrupted(cli("augment", data, out, *VAE, "-q"))
    return data, out


VAE = ("--model", "vae", "--per-class", 3, *QUICK)

STAGES = [
    ("before anything", riemaug.run.class_tasks, "run_tasks", 1),
    ("between two classes", riemaug.run.tasks, "_fitted", 2),
    ("after a fit", riemaug.run.tasks, "load_fitted", 2),
    ("while writing images", riemaug.run.sinks, "write_class_files", 6),
    ("before the model is saved", riemaug.run.pipeline, "save_generators", 1),
    ("before the tables", riemaug.run.pipeline, "write_tables", 1),
    ("before the report", riemaug.run.pipeline, "write_report", 1),
    ("before run.json", riemaug.run.pipeline, "write_json", 1),
]
QUICK_STAGES = {"while writing images"}


def fitted_models(out: Path) -> dict[str, int]:
    """Return the time of each file of a trained model in the working folder."""
    kept = [path for path in (out / ".riemaug").glob("model-*") if path.name.count(".") == 1]
    return {path.name: path.stat().st_mtime_ns for path in kept}


@pytest.mark.parametrize(
    ("module", "name", "call"),
    [
        pytest.param(*where, id=stage, marks=() if stage in QUICK_STAGES else pytest.mark.slow)
        for stage, *where in STAGES
    ],
)
def test_a_run_stopped_at_any_stage_resumes_to_the_same_bytes(
    cli, digits, finished, tmp_path, monkeypatch, module, name, call
):
    out = tmp_path / "out"
    command = ["augment", digits, out, *BASELINE, "--batch-size", 3, "--quiet"]
    with monkeypatch.context() as patch:
        interrupt(patch, module, name, call)
        check_interrupted(cli(*command))
    assert not (out / "run.json").exists()
    fitted = fitted_models(out)
    seen: dict[str, int] = {}
    collect = riemaug.run.pipeline.write_report

    def note_models(*arguments: Any) -> None:
        seen.update(fitted_models(out))
        collect(*arguments)

    monkeypatch.setattr(riemaug.run.pipeline, "write_report", note_models)
    resumed = cli(*command, "--resume")
    assert (resumed.code, resumed.err) == (0, "")
    assert same_bytes(out) == same_bytes(finished)
    assert leftovers(out) == []
    # what was fitted before was not fitted again
    assert {name: seen[name] for name in fitted} == fitted
    assert len(seen) == 4


def test_training_goes_on_from_where_it_was_stopped(cli, digits, finished, tmp_path, monkeypatch):
    out = tmp_path / "out"
    command = ["augment", digits, out, *BASELINE, "--quiet"]
    epochs: list[int] = []
    tell = ProgressFile.tell

    def stop_at_epoch_7_of_the_second_class(self: ProgressFile, stage: Any, **fields: Any) -> None:
        tell(self, stage, **fields)
        if self.task.name == "one" and stage == "fit":
            epochs.append(fields["done"])
            if epochs == [1, 2, 3, 4, 5, 6, 7]:
                raise KeyboardInterrupt

    monkeypatch.setattr(ProgressFile, "tell", stop_at_epoch_7_of_the_second_class)
    check_interrupted(cli(*command))
    assert (out / ".riemaug" / "model-0001.training.safetensors").is_file()
    assert cli(*command, "--resume").code == 0
    assert epochs == list(range(1, 16))
    assert same_bytes(out) == same_bytes(finished)


def test_without_resume_an_unfinished_run_is_left_as_it_is(cli, unfinished):
    data, out = unfinished
    before = everything_in(out)
    for command in (["augment", data], ["fit", data], ["sample", data]):
        refused = cli(*command, out)
        assert refused.code == 2
        assert "unfinished run" in refused.message
        assert "--resume" in refused.message
    assert everything_in(out) == before


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--max-epochs", 16], "--max-epochs (it was 15, now 16)"),
        (["--per-class", 4], "--per-class (it was 3, now 4)"),
        (["--seed", 1], "--seed (it was 0, now 1)"),
        (["--latent-dim", 3], "--latent-dim (it was not given, now 3)"),
        (["--resize", "6x6"], "--resize (it was not given, now 6x6)"),
        (["--skip-bad"], "--skip-bad (it was off, now on)"),
        (["--no-real-images"], "--no-real-images changed"),
        (["--include-real", "copy"], "--include-real (it was not given, now copy)"),
    ],
)
def test_resume_with_other_options_names_them(cli, unfinished, options, named):
    data, out = unfinished
    before = everything_in(out)
    refused = cli("augment", data, out, *VAE, *options, "--resume")
    assert refused.code == 2
    assert named in refused.message
    assert everything_in(out) == before


def test_resume_with_options_that_change_no_byte(cli, unfinished):
    data, out = unfinished
    moved = data.rename(data.with_name("moved"))
    options = ["--device", "cpu", "--batch-size", 2, "--json", "--resume"]
    assert cli("augment", moved, out, *VAE, *options).code == 0


def test_resume_with_changed_data_says_so(cli, unfinished):
    data, out = unfinished
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(data / "a" / "scan-00.png")
    before = everything_in(out)
    refused = cli("augment", data, out, *VAE, "--resume")
    assert refused.code == 2
    assert "the data changed" in refused.message
    assert everything_in(out) == before


def test_resume_of_another_command_says_so(cli, unfinished):
    data, out = unfinished
    refused = cli("fit", data, out, *QUICK, "--resume")
    assert refused.code == 2
    assert "begun by riemaug augment" in refused.message


def test_resume_by_a_damaged_journal_says_so(cli, unfinished):
    data, out = unfinished
    for text in ('{"job"', "[]", "null"):
        (out / ".riemaug" / "journal.json").write_text(text)
        refused = cli("augment", data, out, *VAE, "--resume")
        assert refused.code == 2
        assert "journal.json" in refused.message


def test_inspect_tells_of_an_unfinished_run(cli, unfinished):
    _, out = unfinished
    told = cli("inspect", out, "--json").document
    assert told["kind"] == "unfinished run"
    assert told["classes begun"] == [{"class": "a", "at": "done"}]
    assert "--resume" in cli("inspect", out).out


def test_files_that_others_put_there_meanwhile_are_kept(cli, unfinished):
    data, out = unfinished
    (out / "notes.txt").write_text("mine")
    (out / ".tmp-mine").mkdir()
    assert cli("augment", data, out, *VAE, "--resume").code == 0
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / ".tmp-mine").is_dir()


def test_half_written_files_of_a_killed_run_are_removed(cli, unfinished):
    data, out = unfinished
    for folder in (out, out / "a", out / ".riemaug"):
        (folder / ".tmp-0123456789ab.png").write_bytes(b"half")
    assert cli("augment", data, out, *VAE, "--resume").code == 0
    assert leftovers(out) == []


class TestFinished:
    def run(self, cli: Command, tmp_path: Path) -> tuple[list[object], Path]:
        data, out = write_digits(tmp_path / "data", {"a": 4, "b": 5}), tmp_path / "out"
        command = ["augment", data, out, *VAE]
        assert cli(*command, "--resume").code == 0  # on a new OUT it just runs
        return command, out

    def test_nothing_is_left_to_do(self, cli, tmp_path):
        command, out = self.run(cli, tmp_path)
        before = everything_in(out)
        again = cli(*command, "--resume")
        assert again.code == 0
        assert "nothing was left to do" in again.err
        refused = cli(*command)
        assert refused.code == 2
        assert "must be new or empty" in refused.message
        assert everything_in(out) == before

    def test_other_options_are_not_taken_for_done(self, cli, tmp_path):
        command, out = self.run(cli, tmp_path)
        before = everything_in(out)
        refused = cli(*command, "--resume", "--per-class", 4)
        assert refused.code == 2
        assert "--per-class (it was 3, now 4)" in refused.message
        (tmp_path / "data" / "a" / "scan-03.png").unlink()
        refused = cli(*command, "--resume")
        assert refused.code == 2
        assert "the data changed" in refused.message
        assert everything_in(out) == before

    def test_what_is_left_of_the_working_folder_is_removed(self, cli, tmp_path):
        command, out = self.run(cli, tmp_path)
        (out / ".riemaug").mkdir()
        (out / ".riemaug" / "class-0001.result.json").write_text("{}")
        assert cli(*command, "--resume").code == 0
        assert leftovers(out) == []

    def test_fit_and_sample_know_it_too(self, cli, tmp_path):
        data = write_digits(tmp_path / "data", {"a": 4, "b": 5})
        for command in (
            ["fit", data, tmp_path / "model", "--model", "vae", *QUICK],
            ["sample", tmp_path / "model", tmp_path / "out", "--per-class", 2],
        ):
            assert cli(*command, "--resume").code == 0
            before = everything_in(tmp_path)
            again = cli(*command, "--resume")
            assert "nothing was left to do" in again.err
            assert everything_in(tmp_path) == before


def test_results_left_of_another_run_are_not_taken_for_ours(cli, unfinished):
    data, out = unfinished
    # the user emptied OUT, and did not see the hidden folder; its journal was gone already
    shutil.rmtree(out / "a")
    (out / "run.log").unlink()
    (out / ".riemaug" / "journal.json").unlink()
    result = out / ".riemaug" / "class-0000.result.json"
    assert json.loads(result.read_text())["class"] == "a"
    assert cli("augment", data, out, *VAE).code == 0
    assert len(list((out / "a").iterdir())) == 3
    assert leftovers(out) == []


def test_two_runs_cannot_write_to_one_folder(cli, unfinished):
    data, out = unfinished
    before = everything_in(out)
    other = os.open(out / ".riemaug", os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    try:
        refused = cli("augment", data, out, *VAE, "--resume")
        assert refused.code == 2
        assert "one run at a time" in refused.message
        refused = cli("augment", data, out, *VAE)
        assert refused.code == 2
        assert "at work now" in refused.message
        assert "--resume" not in refused.message
    finally:
        os.close(other)
    assert everything_in(out) == before
    assert cli("augment", data, out, *VAE, "--resume").code == 0


def test_sample_resumes(cli, finished, tmp_path, monkeypatch):
    command = ["sample", finished, tmp_path / "out", "--per-class", 10, "--seed", 3, "--batch-size", 4]
    with monkeypatch.context() as patch:
        interrupt(patch, riemaug.run.sinks, "write_class_files", 5)
        check_interrupted(cli(*command))
    assert len(list((tmp_path / "out" / "one").iterdir())) == 4
    refused = cli(*command)
    assert refused.code == 2
    assert "--resume" in refused.message
    assert cli(*command, "--resume").code == 0
    made, wanted = same_bytes(tmp_path / "out"), same_bytes(finished)
    assert all(made[name] == wanted[name] for name in wanted if name.endswith(".png"))


def test_arrays_resume(cli, tmp_path, monkeypatch):
    images, target = digit_arrays([5, 6])
    np.savez(tmp_path / "data.npz", X=images, y=target)
    command = ["augment", tmp_path / "data.npz", tmp_path / "a", *VAE, "--batch-size", 2]
    assert cli(*command).code == 0
    command[2] = tmp_path / "b"
    with monkeypatch.context() as patch:
        interrupt(patch, riemaug.run.sinks, "append_rows", 4)
        check_interrupted(cli(*command, "-q"))
    assert cli(*command, "--resume").code == 0
    assert same_bytes(tmp_path / "b") == same_bytes(tmp_path / "a")
    assert leftovers(tmp_path / "b") == []
