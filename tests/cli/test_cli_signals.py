"""Batch systems and lost terminals end a command as Ctrl-C does: in seconds, in one line, to be resumed."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from cli_runs import Finished, epochs_done, run_for_real, same_bytes, start, wait_until, write_digits

pytestmark = pytest.mark.slow
ENDLESS = ("--max-epochs", 10**6, "--model", "vae", "--device", "cpu")
RESUME = "run the same command with --resume to go on where it stopped"
SECONDS = 15.0
"""A few seconds on an idle machine."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("data") / "data", {"zero": 12, "one": 12})


def ended(process: subprocess.Popen[str], number: int, whom: str) -> Finished:
    """Send a signal to the command alone or to all its processes; return how it ended, soon."""
    workers = psutil.Process(process.pid).children(recursive=True)
    started = time.monotonic()
    (os.killpg if whom == "all" else os.kill)(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - started < SECONDS
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []
    return Finished(process.returncode, out, err)


@pytest.mark.parametrize(
    ("number", "whom", "jobs", "code", "words"),
    [
        (signal.SIGTERM, "parent", 1, 143, "stopped by SIGTERM"),
        (signal.SIGTERM, "all", 2, 143, "stopped by SIGTERM"),
        (signal.SIGHUP, "parent", 2, 129, "stopped by SIGHUP"),
    ],
)
def test_a_stopped_run_is_resumable(data, tmp_path, number, whom, jobs, code, words):
    out = tmp_path / "out"
    process = start("augment", data, out, *ENDLESS, "--jobs", jobs)
    wait_until(lambda: epochs_done(out, 0) >= 2, process)
    done = ended(process, number, whom)
    assert done.code == code, done
    assert done.err.splitlines()[-1] == f"riemaug: {words}; {RESUME}"
    assert "Traceback" not in done.err
    assert (out / ".riemaug" / "journal.json").is_file()


def test_a_stopped_run_resumes_to_the_same_bytes(data, tmp_path):
    options = ["--max-epochs", 300, "--model", "vae", "--per-class", 5, "--seed", 1, "--jobs", 1]
    whole = run_for_real("augment", data, tmp_path / "whole", *options, "--quiet")
    assert whole.code == 0, whole.err
    process = start("augment", data, tmp_path / "out", *options, "--training-batch-size", 3)
    wait_until(lambda: epochs_done(tmp_path / "out", 0) >= 2, process)
    assert ended(process, signal.SIGTERM, "parent").code == 143
    changed = run_for_real("augment", data, tmp_path / "out", *options, "--resume")
    assert changed.code == 2
    assert "--training-batch-size" in changed.message
    process = start("augment", data, tmp_path / "other", *options)
    wait_until(lambda: epochs_done(tmp_path / "other", 0) >= 2, process)
    assert ended(process, signal.SIGTERM, "parent").code == 143
    resumed = run_for_real("augment", data, tmp_path / "other", *options, "--resume")
    assert resumed.code == 0, resumed.err
    assert same_bytes(tmp_path / "other") == same_bytes(tmp_path / "whole")


def test_an_evaluation_says_how_it_goes_on(data, tmp_path):
    options = ["--cv", 2, "--model", "vae", "--max-epochs", 10**6, "--jobs", 1, "--out", tmp_path / "out"]
    process = start("evaluate", data, *options)
    work = tmp_path / "out"
    wait_until(lambda: any(work.glob(".fold-1.*.unfinished/.riemaug/journal.json")), process)
    done = ended(process, signal.SIGTERM, "parent")
    assert done.code == 143, done
    assert done.err.splitlines()[-1] == (
        "riemaug: stopped by SIGTERM; run the same command again to go on where it stopped"
    )
