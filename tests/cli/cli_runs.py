"""Small real data sets, the command line run for real, and what an output is compared by."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

EXECUTABLE = Path(sys.executable).with_name("riemaug")
QUICK_CELL = "mnist_balanced@5/small-cnn/raw/real"
"""The cell of the study that takes the least."""
needs_data = pytest.mark.skipif(
    os.environ.get("RIEMAUG_DATA") is None, reason="needs MNIST: set RIEMAUG_DATA"
)
QUICK = ("--max-epochs", 15, "--jobs", 1)
"""Options that make a job of small digits take a second or two."""

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x9b]")


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """The one line on stderr with which a command was refused."""
        assert self.out == ""
        assert "Traceback" not in self.err
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("riemaug: ")
        return lines[0]

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out, parse_constant=_no_constant)


Command = Callable[..., Finished]
"""A command line run in this process: the fixture `cli`."""


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def digit_images(digit: int, count: int) -> np.ndarray:
    """Return the first images (count, 8, 8), uint8, of a digit."""
    flat, target = load_digits(return_X_y=True)
    chosen = flat[target == digit][:count].reshape(-1, 8, 8)
    return np.rint(chosen * (255 / 16)).astype(np.uint8)


def write_digits(folder: Path, sizes: dict[str, int]) -> Path:
    """Write PNG class folders: class name to number of images; the i-th class holds the digit i mod 10."""
    for digit, (name, count) in enumerate(sizes.items()):
        (folder / name).mkdir(parents=True)
        for number, pixels in enumerate(digit_images(digit % 10, count)):
            Image.fromarray(pixels).save(folder / name / f"scan-{number:02d}.png")
    return folder


def digit_arrays(sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return X (n, 8, 8) and y (n,) of the first digits."""
    parts = [digit_images(digit, count) for digit, count in enumerate(sizes)]
    return np.concatenate(parts), np.repeat(np.arange(len(sizes)), sizes)


def run_for_real(*arguments: object, timeout: float = 300, **options: Any) -> Finished:
    """Run the installed command in a process of its own."""
    command = [str(EXECUTABLE), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **options)
    return Finished(done.returncode, done.stdout, done.stderr)


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start the installed command as the head of its own process group."""
    command = [str(EXECUTABLE), *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, start_new_session=True, **(pipes | options))


def kill_group(process: subprocess.Popen[str]) -> None:
    """Kill the command with all its processes at once, and sweep up what nobody is left to sweep up."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    for path in Path("/dev/shm").glob(f"*[_-]{process.pid}[_-]*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str], timeout: float = 120) -> None:
    """Wait until the condition holds, while the process runs."""
    end = time.monotonic() + timeout
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def epochs_done(out: Path, index: int, what: str = "class") -> int:
    """Return how many epochs the task of a class, or of a shared model, has told of."""
    try:
        told = json.loads((out / ".riemaug" / f"{what}-{index:04d}.progress.json").read_text())
    except FileNotFoundError:
        return 0
    return told["done"] if told["stage"] == "fit" else 10**9


def read_image_folder(root: Path) -> tuple[list[str], list[tuple[Path, int]]]:
    """Read a folder as torchvision's ImageFolder does: every sub-folder is a class, in sorted order."""
    classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    samples = [
        (Path(folder) / name, index)
        for index, class_name in enumerate(classes)
        for folder, _, names in sorted(os.walk(root / class_name))
        for name in sorted(names)
    ]
    return classes, samples


def same_bytes(out: Path) -> dict[str, str]:
    """Return the hash of every file whose bytes the seed decides: samples, tables, weights."""
    fixed = ("*/*", "manifest.csv", "metadata.csv", "model.safetensors", "synthetic.npz")
    found = sorted(path for pattern in fixed for path in out.glob(pattern) if path.is_file())
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
        if not path.relative_to(out).parts[0].startswith(".")
    }


def everything_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and modification time of every file in a folder, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read_log(out: Path) -> list[dict[str, Any]]:
    """Return the records of an output's run.log."""
    lines = (out / "run.log").read_text(encoding="utf-8").splitlines()
    return [json.loads(line, parse_constant=_no_constant) for line in lines]


def leftovers(out: Path) -> list[str]:
    """Return the hidden files and folders in an output."""
    return [path.relative_to(out).as_posix() for path in out.rglob(".*")]
