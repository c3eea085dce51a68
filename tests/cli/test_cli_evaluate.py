"""`riemaug evaluate`: what it says and writes, what it refuses, and how it goes on after Ctrl-C."""

import hashlib
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Command, digit_images, everything_in, read_log, start, wait_until
from PIL import Image

from riemaug.data.manifest import write_manifest, write_metadata

CLASSES = ("none", "one")
QUICK = ("--classifier", "logistic", "--seeds", 2, "--jobs", 1, "--no-fidelity")


def write_part(folder: Path, first: int, last: int) -> Path:
    """Write class folders of the digits 0 and 1, those from `first` to before `last` of each."""
    for digit, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number, pixels in enumerate(digit_images(digit, last)[first:], first):
            Image.fromarray(pixels).save(folder / name / f"scan-{number:03d}.png")
    return folder


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return write_part(tmp_path / "real", 0, 30)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return write_part(tmp_path / "made", 30, 60)


@pytest.fixture
def test(tmp_path: Path) -> Path:
    return write_part(tmp_path / "test", 60, 120)


def write_npz(path: Path, first: int, last: int) -> Path:
    images = [digit_images(digit, last)[first:] for digit in range(2)]
    np.savez(path, X=np.concatenate(images), y=np.repeat([3, 7], last - first))
    return path


def test_the_verdict_is_told_and_all_is_written_beside_the_synthetic_samples(
    cli: Command, real: Path, made: Path, test: Path, tmp_path: Path
) -> None:
    done = cli("evaluate", real, made, "--test", test, *QUICK)
    assert (done.code, done.out) == (0, "")
    assert "verdict" in done.err
    assert "real + synthetic against real" in done.err
    assert "2 seeds, logistic" in done.err
    assert "nothing points to copying" in done.err
    out = tmp_path / "made-evaluation"
    made = ["evaluation.json", "evaluation.md", "run.log", "runs.jsonl"]
    assert sorted(path.name for path in out.iterdir()) == made
    told = read_log(out)
    assert told[0]["fields"]["job"] == "evaluate"
    assert told[0]["fields"]["command"].startswith("riemaug evaluate ")
    runs = [record for record in told if record["fields"].get("key", [""])[0] == "run"]
    assert len(runs) == 10, "two seeds of five training sets"
    document = json.loads((out / "evaluation.json").read_text())
    assert {run["trained_on"] for run in document["runs"]} == {"real", "synthetic", "both", "classic", "all"}
    assert document["verdicts"][0]["words"] in (out / "evaluation.md").read_text()
    assert document["settings"]["samples"][0]["test"] == [60, 60]


def test_the_same_command_takes_over_what_is_done_and_json_says_the_same(
    cli: Command, real: Path, made: Path, test: Path, tmp_path: Path
) -> None:
    command = ("evaluate", real, made, "--test", test, *QUICK)
    first = cli(*command, "--json").document
    lines = (tmp_path / "made-evaluation" / "runs.jsonl").read_text()
    again = cli(*command, "--json").document
    assert (tmp_path / "made-evaluation" / "runs.jsonl").read_text() == lines
    assert first["out"] == str(tmp_path / "made-evaluation")
    assert {**first, "seconds": 0} == {**again, "seconds": 0}
    more = cli("evaluate", real, made, "--test", test, *QUICK, "--seeds", 3, "--json").document
    assert more["runs"][: len(first["runs"])] == first["runs"]


def test_a_planted_leak_stops_the_run(
    cli: Command, real: Path, made: Path, test: Path, tmp_path: Path
) -> None:
    Image.fromarray(digit_images(0, 1)[0]).save(test / "none" / "renamed.png")
    message = cli("evaluate", real, made, "--test", test, *QUICK).message
    assert "must share nothing" in message
    assert str(real) in message
    assert "none/renamed.png" in message
    assert not (tmp_path / "made-evaluation").exists()


def test_without_a_test_set_only_the_checks_are_done(cli: Command, real: Path, made: Path) -> None:
    message = cli("evaluate", real, made).message
    assert "--test" in message
    assert "--no-gain" in message
    done = cli("evaluate", real, made, "--no-gain", "--no-fidelity", "--json").document
    assert done["runs"] == done["verdicts"] == []
    assert done["copying"][0]["findings"] == []


def write_output(folder: Path, with_real: bool) -> Path:
    """Write what `riemaug augment` leaves: synthetic images, with `with_real` also real ones beside them."""
    write_part(folder, 30, 60)
    synthetic = sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*.png"))
    beside = []
    if with_real:
        for digit, name in enumerate(CLASSES):
            for number, pixels in enumerate(digit_images(digit, 10)):
                Image.fromarray(pixels).save(folder / name / f"{name}-real-{number}.png")
                beside.append(f"{name}/{name}-real-{number}.png")
    entries = [(name, name.split("/")[0], name in synthetic) for name in (*synthetic, *beside)]
    write_metadata(folder / "metadata.csv", entries)
    write_manifest(folder / "manifest.csv", [])
    return folder


def test_of_an_output_only_the_synthetic_samples_are_taken(
    cli: Command, real: Path, test: Path, tmp_path: Path
) -> None:
    output = write_output(tmp_path / "output", with_real=True)
    done = cli("evaluate", real, output, "--test", test, *QUICK, "--json").document
    assert done["settings"]["samples"][0]["synthetic"] == [30, 30]
    assert any("20 real samples: only the 60 synthetic ones" in note for note in done["notes"])
    # they would be exact copies
    assert done["copying"][0]["findings"] == []


def test_synthetic_samples_are_not_taken_for_real_ones(
    cli: Command, real: Path, made: Path, test: Path, tmp_path: Path
) -> None:
    output = write_output(tmp_path / "output", with_real=False)
    for command in (("evaluate", output, made, "--test", test), ("evaluate", real, made, "--test", output)):
        assert "60 of the 60 samples" in cli(*command).message


def test_arrays_and_the_output_of_arrays(cli: Command, tmp_path: Path) -> None:
    real, test = write_npz(tmp_path / "real.npz", 0, 30), write_npz(tmp_path / "test.npz", 60, 120)
    output = tmp_path / "output"
    output.mkdir()
    write_npz(output / "synthetic.npz", 30, 60)
    done = cli("evaluate", real, output, "--test", test, *QUICK, "--json").document
    assert done["settings"]["classes"] == ["3", "7"]
    assert done["settings"]["samples"][0]["synthetic"] == [30, 30]
    judged = hashlib.sha256((output / "synthetic.npz").read_bytes()).hexdigest()
    assert done["settings"]["synthetic_sha256"] == judged


def test_what_does_not_go_together_is_refused(cli: Command, real: Path, made: Path, test: Path) -> None:
    refused = [
        ((real,), "say what is judged"),
        ((real, made, "--cv", 3), "leave out SYNTHETIC"),
        ((real, "--cv", 3, "--test", test), "leave out SYNTHETIC"),
        ((real, "--cv", 3, "--no-gain"), "--no-gain"),
        ((real, "--cv", 1), "--cv: input should be greater"),
        ((real, made, "--test", test, "--per-class", 5), "--per-class is for the generator of --cv"),
        ((real, made, "--test", test, "--latent-dim", 3), "--latent-dim is for the generator of --cv"),
        ((real, "--cv", 2, "--model", "gan"), "--model: input should be"),
        ((real, made, "--test", test, "--seeds", 0), "--seeds: input should be greater"),
        ((real, made, "--test", test, "--classifier", "forest"), "small-cnn"),
        ((real, made, "--test", test, "--trained-on", "fake"), "--trained-on takes one of real, synthetic"),
        ((real, made, "--test", test, "--classic", "x3"), "--classic: input should be 'x5'"),
        ((real, "--cv", 50), "use fewer folds"),
    ]
    for arguments, told in refused:
        done = cli("evaluate", *arguments)
        assert told in done.message, done.message
        assert done.code == 2


def test_sets_of_other_sizes_are_named(cli: Command, real: Path, made: Path, test: Path) -> None:
    for path in test.rglob("*.png"):
        Image.open(path).resize((9, 9)).save(path)
    message = cli("evaluate", real, made, "--test", test, *QUICK).message
    assert all(word in message for word in (str(real), "8x8", str(test), "9x9", "--resize"))
    assert cli("evaluate", real, made, "--test", test, *QUICK, "--resize", "8x8").code == 0


def test_a_dry_run_tells_the_work_and_writes_nothing(
    cli: Command, real: Path, made: Path, test: Path, tmp_path: Path
) -> None:
    before = everything_in(tmp_path)
    command = ("evaluate", real, made, "--test", test, "--classifier", "logistic,mlp", "--dry-run")
    told = cli(*command, "--json").document
    assert told["trainings"] == 2 * 5 * 5
    assert told["seconds"] > 0
    assert "nothing was done" in cli(*command).err
    assert everything_in(tmp_path) == before


def test_options_may_come_from_a_file(
    cli: Command, real: Path, made: Path, test: Path, tmp_path: Path
) -> None:
    (tmp_path / "how.toml").write_text('classifier = "logistic,mlp"\nseeds = 3\ntrained-on = "both"\n')
    command = ("evaluate", real, made, "--test", test, "--config", tmp_path / "how.toml", "--dry-run")
    assert cli(*command, "--json").document["trainings"] == 2 * 3 * 2


def test_nothing_of_the_users_is_written_over(
    cli: Command, real: Path, made: Path, test: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "notes.txt").write_text("mine")
    command = ("evaluate", real, made, "--test", test, *QUICK)
    assert "must be new or empty" in cli(*command, "--out", own).message
    assert "must not be the data folder" in cli(*command, "--out", real).message
    assert cli(*command, "--out", tmp_path / "out", "--quiet").err == ""
    kept = everything_in(tmp_path / "out")
    other = write_part(tmp_path / "other", 31, 59)
    message = cli("evaluate", real, other, "--test", test, *QUICK, "--out", tmp_path / "out").message
    assert "holds an evaluation of other samples" in message
    assert everything_in(tmp_path / "out") == kept


def test_folds_with_the_generator_refitted(cli: Command, real: Path, tmp_path: Path) -> None:
    generator = ("--preset", "paper", "--max-epochs", 3, "--per-class", 8)
    command = ("evaluate", real, "--cv", 2, *generator, *QUICK, "--trained-on", "both", "--seeds", 1)
    document = cli(*command, "--json").document
    out = tmp_path / "real-evaluation"
    assert len(list(out.glob("fold-*.npz"))) == 2
    assert [run["fold"] for run in document["runs"]] == [1, 1, 2, 2]
    assert [fold["synthetic"] for fold in document["settings"]["samples"]] == [[8, 8], [8, 8]]
    assert "2 folds x 1 seed" in document["verdicts"][0]["words"]
    again = cli(*command, "--json").document
    assert {**document, "seconds": 0} == {**again, "seconds": 0}
    other = *command, "--model", "vae", "--latent-dim", 3
    refused = cli(*other)
    assert refused.code == 2
    assert "or another generator" in refused.message
    assert cli(*other, "--out", tmp_path / "vae", "--json").document["runs"]


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_after_ctrl_c_the_same_command_goes_on(
    cli: Command, real: Path, made: Path, test: Path, tmp_path: Path, jobs: int
) -> None:
    command = (
        *("evaluate", real, made, "--test", test, "--classifier", "logistic", "--seeds", 30),
        *("--trained-on", "both", "--no-fidelity", "--jobs", jobs),
    )
    path = tmp_path / "made-evaluation" / "runs.jsonl"
    process = start(*command)
    wait_until(lambda: path.is_file() and path.read_text().count("\n") >= 3, process)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130, told
    assert "run the same command again" in told
    assert "Traceback" not in told
    before = path.read_text()
    assert before.count("\n") < 60
    document = cli(*command, "--json").document
    assert path.read_text().startswith(before)
    assert len(document["runs"]) == 60
