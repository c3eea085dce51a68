"""Full disks, read-only disks and files that are taken away in mid-run: one line each, and resumable."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_runs import (
    QUICK,
    QUICK_CELL,
    Finished,
    epochs_done,
    leftovers,
    needs_data,
    run_for_real,
    same_bytes,
    start,
    wait_until,
)

pytestmark = pytest.mark.slow
BASELINE = ("--per-class", 10, "--seed", 3, *QUICK)
"""As the fixture `finished` was run."""


class SmallDisk:
    """A file system in memory, of a size that can be changed."""

    def __init__(self, place: Path, kilobytes: int) -> None:
        self.place = place
        place.mkdir()
        self._mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs")

    def fill(self) -> Path:
        """Leave no room, as another process may; return the file that takes it."""
        filler = self.place / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        return filler

    def change(self, options: str) -> None:
        self._mount("-o", f"remount,{options}")

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """Let nothing be written, as a disk with errors; processes that have files open keep them."""
        self._mount("--bind", str(self.place))
        self.change("bind,ro")
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", self.place], check=True)

    def remove(self) -> None:
        subprocess.run(["umount", "--lazy", self.place], check=True)

    def _mount(self, *options: str) -> None:
        subprocess.run(["mount", *options, self.place], check=True, capture_output=True)


def ended(process: subprocess.Popen[str]) -> Finished:
    out, err = process.communicate(timeout=120)
    return Finished(process.returncode, out, err)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], SmallDisk]]:
    """Makes a small disk of so many kilobytes."""
    made: list[SmallDisk] = []

    def make(kilobytes: int) -> SmallDisk:
        try:
            made.append(SmallDisk(tmp_path / "disk", kilobytes))
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("a disk of a few kilobytes needs the right to mount one")
        return made[-1]

    yield make
    for small in made:
        small.remove()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_disk_that_becomes_full(digits, finished, disk, jobs):
    small = disk(20_000)
    out = small.place / "out"
    command = ["augment", digits, out, *BASELINE[:-1], jobs]
    process = start(*command, "--quiet")
    wait_until((out / ".riemaug" / "journal.json").is_file, process)
    filler = small.fill()
    stopped = ended(process)
    assert stopped.code == 1, stopped
    assert "the disk must have room for what is written, it has not" in stopped.message
    assert "free space, then run the same command with --resume" in stopped.message
    assert not (out / "run.json").exists()
    filler.unlink()
    resumed = run_for_real(*command, "--resume")
    assert resumed.code == 0, resumed.err
    assert same_bytes(out) == same_bytes(finished)
    assert leftovers(out) == []


def test_a_full_disk_in_an_evaluation(digits, finished, disk):
    small = disk(20_000)
    command = ["evaluate", digits, finished, "--no-gain", "--jobs", 1, "--out", small.place / "out"]
    process = start(*command, "--quiet")
    wait_until((small.place / "out" / "runs.jsonl").is_file, process)
    filler = small.fill()
    stopped = ended(process)
    assert stopped.code == 1, stopped
    assert "free space, then run the same command again to go on where it stopped" in stopped.message
    filler.unlink()
    assert run_for_real(*command).code == 0
    assert (small.place / "out" / "evaluation.json").is_file()


def test_a_read_only_disk(digits, disk):
    small = disk(1_000)
    small.change("ro")
    refused = run_for_real("augment", digits, small.place / "out", *BASELINE)
    assert refused.code == 2
    assert "must be writable" in refused.message
    assert "Read-only file system" in refused.message


def test_a_disk_that_becomes_read_only(digits, finished, disk):
    small = disk(20_000)
    out = small.place / "out"
    command = ["augment", digits, out, *BASELINE]
    process = start(*command, "--quiet")
    wait_until(lambda: epochs_done(out, 0) >= 1, process)
    with small.read_only():
        stopped = ended(process)
    assert stopped.code == 1, stopped
    assert "read-only" in stopped.message
    assert "--resume" in stopped.message
    resumed = run_for_real(*command, "--resume")
    assert resumed.code == 0, resumed.err
    assert same_bytes(out) == same_bytes(finished)


@needs_data
def test_a_full_disk_in_a_study(disk):
    small = disk(60_000)
    options = ["study", "run", "--cells", QUICK_CELL, "--runs", 2, "--jobs", 1]
    options += ["--store", small.place / "results", "--cache", small.place / "cache"]
    process = start(*options, "--quiet")
    wait_until((small.place / "cache" / "run.log").is_file, process)
    filler = small.fill()
    stopped = ended(process)
    assert stopped.code == 1, stopped
    assert "free space, then run the same command again" in stopped.message
    filler.unlink()
    again = run_for_real(*options)
    assert again.code == 0, again.err
    (lines,) = (small.place / "results").glob("*.jsonl")
    assert len(lines.read_text().splitlines()) == 2


def test_an_input_that_is_removed_in_mid_run(tmp_path, digits):
    data = tmp_path / "data"
    subprocess.run(["cp", "-r", digits, data], check=True)
    out, taken = tmp_path / "out", data / "one" / "scan-03.png"
    command = ["augment", data, out, "--max-epochs", 300, "--model", "vae", "--per-class", 5]
    command += ["--include-real", "copy", "--jobs", 1, "--seed", 1]
    process = start(*command, "--quiet")
    wait_until(lambda: epochs_done(out, 0) >= 1, process)
    content = taken.read_bytes()
    taken.unlink()
    stopped = ended(process)
    assert stopped.code in (1, 2), stopped
    assert str(taken) in stopped.message
    assert "--resume" in stopped.message
    taken.write_bytes(content)
    os.utime(taken)
    resumed = run_for_real(*command, "--resume")
    assert resumed.code == 0, resumed.err
    assert len(list((out / "one").glob("one-real-*"))) == len(list((data / "one").iterdir()))
