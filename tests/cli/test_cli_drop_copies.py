"""--drop-copies: what is left, what is told of it, and that nothing but the seed decides the bytes."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from cli_runs import (
    QUICK,
    Command,
    digit_arrays,
    kill_group,
    leftovers,
    read_log,
    run_for_real,
    same_bytes,
    start,
    wait_until,
)

import riemaug.run.drawing
import riemaug.run.sinks
from riemaug.data import read_dataset, read_manifest
from riemaug.data.manifest import ManifestRow

AMOUNT = ("--per-class", 15, "--seed", 3)


@pytest.fixture(scope="module")
def dropped(digits: Path, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Samples of the short training of `finished`, which copies much; only to be read."""
    out = tmp_path_factory.mktemp("dropped") / "out"
    done = run_for_real("sample", finished, out, *AMOUNT, "--real", digits, "--drop-copies")
    assert done.code == 0, done.err
    return out


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """One draw a sample, so that each copy leaves one missing."""
    monkeypatch.setattr(riemaug.run.drawing, "DRAWS_PER_SAMPLE", 1)
    monkeypatch.setattr(riemaug.run.drawing, "LEAST_LIMIT", 1)


def classes_of(out: Path) -> dict[str, dict]:
    return {entry["class"]: entry for entry in json.loads((out / "run.json").read_text())["classes"]}


def drawn_as(row: ManifestRow) -> tuple:
    return row.class_name, row.log_density, row.start, row.nearest_file, row.nearest_distance


def test_samples_are_those_of_the_plain_run_that_are_no_copies_then_further_draws(
    cli, digits, finished, dropped, tmp_path
):
    plain = tmp_path / "plain"
    assert cli("sample", finished, plain, "--per-class", 150, "--seed", 3, "--real", digits).code == 0
    kept, rows = read_manifest(dropped / "manifest.csv"), read_manifest(plain / "manifest.csv")
    assert {row.copy for row in kept} == {"no"}
    for name, entry in classes_of(dropped).items():
        mine, all_rows = ([row for row in table if row.class_name == name] for table in (kept, rows))
        free = [row for row in all_rows if row.copy == "no"][:15]
        assert [drawn_as(row) for row in mine] == [drawn_as(row) for row in free]
        for ours, other in zip(mine, free, strict=True):
            assert (dropped / ours.file).read_bytes() == (plain / other.file).read_bytes()
        told, looked_at = entry["dropped"], all_rows[: all_rows.index(free[-1]) + 1]
        assert (told["wanted"], told["drawn"], entry["synthetic"]) == (15, len(looked_at), 15)
        for flag in ("exact", "near"):
            assert told[flag] == sum(row.copy == flag for row in looked_at)
        assert told["share"] == pytest.approx((told["exact"] + told["near"]) / told["drawn"], abs=1e-6)
    assert sum(entry["dropped"]["near"] for entry in classes_of(dropped).values()) > 10


def test_sample_with_real_data_says_of_copies_what_augment_says(cli, digits, finished, tmp_path):
    done = cli("sample", finished, tmp_path / "out", "--per-class", 10, "--seed", 3, "--real", digits)
    assert done.code == 0
    made, wanted = same_bytes(tmp_path / "out"), same_bytes(finished)
    assert made == {name: wanted[name] for name in made}
    assert "manifest.csv" in made


@pytest.mark.slow
@pytest.mark.parametrize(("jobs", "batch"), [(1, 1), (2, 7)])
def test_jobs_and_batches_change_no_byte(cli, digits, finished, dropped, tmp_path, jobs, batch):
    options = ["--real", digits, "--drop-copies", "--jobs", jobs, "--batch-size", batch]
    assert cli("sample", finished, tmp_path / "out", *AMOUNT, *options).code == 0
    assert same_bytes(tmp_path / "out") == same_bytes(dropped)
    assert classes_of(tmp_path / "out")["one"]["dropped"] == classes_of(dropped)["one"]["dropped"]


def test_a_stopped_run_resumes_to_the_same_bytes(cli, digits, finished, dropped, tmp_path, monkeypatch):
    out, written = tmp_path / "out", []
    command = ["sample", finished, out, *AMOUNT, "--drop-copies", "--batch-size", 4]
    write = riemaug.run.sinks.write_class_files

    def stop_at_the_12th(*arguments):
        if len(written) == 11:
            raise KeyboardInterrupt
        written.append(write(*arguments))
        return written[-1]

    with monkeypatch.context() as patch:
        patch.setattr(riemaug.run.sinks, "write_class_files", stop_at_the_12th)
        assert cli(*command, "--real", digits).code == 130
    moved = digits.with_name("moved")
    moved.symlink_to(digits)
    try:
        other = cli(*[part for part in command if part != "--drop-copies"], "--real", moved, "--resume")
        assert "--drop-copies (it was on, now off)" in other.message
        assert cli(*command, "--real", moved, "--resume").code == 0
    finally:
        moved.unlink()
    assert same_bytes(out) == same_bytes(dropped)
    assert leftovers(out) == []


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [pytest.param(1, marks=pytest.mark.long), 2])
def test_a_killed_run_resumes_to_the_same_bytes(digits, tmp_path, jobs):
    options = ["--per-class", 60, "--max-epochs", 15, "--drop-copies", "--batch-size", 1]
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert run_for_real("augment", digits, whole, *options, "--jobs", 1).code == 0
    assert sum(entry["dropped"]["near"] for entry in classes_of(whole).values()) > 60
    command = ["augment", digits, out, *options, "--jobs", jobs]
    process = start(*command)
    wait_until((out / "none" / "none-000010.png").is_file, process)
    kill_group(process)
    assert not (out / "run.json").exists()
    resumed = run_for_real(*command, "--resume")
    assert resumed.code == 0, resumed.err
    assert same_bytes(out) == same_bytes(whole)
    assert leftovers(out) == []


@pytest.mark.slow
class TestAugment:
    COMMAND = ("--max-epochs", 15, "--per-class", 12, "--jobs", 1, "--drop-copies")

    def test_all_that_it_tells_agrees(self, cli: Command, digits: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        done = cli("augment", digits, out, *self.COMMAND)
        assert (done.code, done.out) == (0, "")
        assert {row.copy for row in read_manifest(out / "manifest.csv")} == {"no"}
        entries, report = classes_of(out), (out / "report.html").read_text()
        total = {key: sum(e["dropped"][key] for e in entries.values()) for key in ("drawn", "exact", "near")}
        assert total["near"] > 0
        assert f"{total['exact'] + total['near']} of {total['drawn']} draws" in report
        assert "no longer follow the sampler&#39;s law exactly" in report
        for name, entry in entries.items():
            told = entry["dropped"]
            count = told["exact"] + told["near"]
            assert entry["synthetic"] == told["wanted"] == told["drawn"] - count == 12
            of_draws = f"{count} of {told['drawn']} draws"
            assert f"{of_draws} ({told['exact']} exact and {told['near']} near copies) were" in report
            (drawn,) = [r for r in read_log(out) if r["stage"] == "sample" and r["class"] == name]
            assert drawn["message"].startswith(f"12 samples; {of_draws} dropped")
            share = f"{100 * told['share']:.0f} %"
            assert re.search(rf"{name} .* {told['drawn']} .* {count} \({share}\)", done.err)
        assert "no longer follow the sampler's law exactly" in done.err
        assert done.err.count("at most 10 draws a sample (100 a class where that is more)") == 1

    def test_json(self, cli: Command, digits: Path, tmp_path: Path) -> None:
        plan = cli("augment", digits, tmp_path / "a", *self.COMMAND, "--json", "--dry-run").document
        assert plan["drop_copies"] is True
        done = cli("augment", digits, tmp_path / "a", *self.COMMAND, "--json", "-q").document
        told = {entry["class"]: entry["dropped"] for entry in done["classes"]}
        assert told == {name: entry["dropped"] for name, entry in classes_of(tmp_path / "a").items()}

    def test_the_dry_run_promises_nothing_that_may_not_be_kept(self, cli, digits, tmp_path):
        done = cli("augment", digits, tmp_path / "out", *self.COMMAND, "--dry-run")
        assert "up to 24 new samples" in done.err
        assert "new, at most" in done.err
        assert "the time above is for no copies" in " ".join(done.err.split())
        plain = cli("augment", digits, tmp_path / "out", *self.COMMAND[:-1], "--dry-run")
        assert "at most" not in plain.err
        assert not (tmp_path / "out").exists()

    def test_missing_samples_are_told_everywhere(self, cli, digits, tmp_path, few_draws):
        out = tmp_path / "out"
        done = cli("augment", digits, out, *self.COMMAND)
        assert done.code == 0
        report = (out / "report.html").read_text()
        assert "There are fewer images than asked for" in report
        for name, entry in classes_of(out).items():
            made = entry["synthetic"]
            assert made == len(list((out / name).glob("*.png"))) < 12
            assert f"class {name}: {made} of 12 samples: " in done.err
            assert f"{12 - made} samples of the 12 asked for are missing." in report


def test_without_the_option_nothing_is_dropped(finished):
    assert [entry["dropped"] for entry in classes_of(finished).values()] == [None, None]
    report = (finished / "report.html").read_text()
    assert "written or dropped" in report
    assert "dropped" not in report.replace("written or dropped", "").lower()


def test_arrays_hold_what_there_is(cli, tmp_path, few_draws):
    images, target = digit_arrays([12, 14])
    np.savez(tmp_path / "data.npz", X=images, y=target)
    command = ["augment", tmp_path / "data.npz", tmp_path / "out", *QUICK, "--per-class", 20, "--drop-copies"]
    assert cli(*command, "-q").code == 0
    made = [entry["synthetic"] for entry in classes_of(tmp_path / "out").values()]
    assert all(0 < count < 20 for count in made)
    with np.load(tmp_path / "out" / "synthetic.npz") as file:
        assert file["X"].shape == (sum(made), 8, 8)
        assert np.bincount(file["y"]).tolist() == made
    rows = read_manifest(tmp_path / "out" / "manifest.csv")
    assert [row.file for row in rows] == [f"row {number}" for number in range(sum(made))]


class TestSampleRefuses:
    def test_without_the_training_data(self, cli, finished, tmp_path):
        refused = cli("sample", finished, tmp_path / "out", *AMOUNT, "--drop-copies")
        assert refused.code == 2
        assert "--real DATA" in refused.message
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("options", [("--resize", "6x6"), ()])
    def test_other_data(self, cli, digits, finished, tmp_path, options):
        data = digits
        if not options:
            dataset = read_dataset(digits)
            np.savez(tmp_path / "data.npz", X=dataset.samples[1:], y=dataset.labels[1:])
            data = tmp_path / "data.npz"
        refused = cli("sample", finished, tmp_path / "out", *AMOUNT, "--real", data, *options)
        assert refused.code == 2
        assert "must be the data that MODEL was fitted on (26 in 2)" in refused.message
        assert not (tmp_path / "out").exists()

    def test_an_output_in_the_data(self, cli, digits, finished):
        refused = cli("sample", finished, digits / "out", *AMOUNT, "--real", digits)
        assert refused.code == 2
        assert "must lie outside the data folder" in refused.message
