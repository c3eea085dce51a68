"""The same ten-class job on each engine: its bytes, its seconds, and the loss of a worker.

    python benchmarks/engines.py

Classes are scikit-learn's ten digits. Each engine has two workers, all on this machine: loky's processes, a
Dask scheduler with two worker processes, a Ray head with two cores. The job is done `--repeats` times by
each engine in turn, then once more while one of its workers is killed by SIGKILL in the middle of a training.
Wall times are those of the command, from its start to its end; clusters are started before. Results go to
benchmarks/results/engines.json and engines.txt.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.local_clusters import dask_cluster, ray_cluster

RESULTS = Path(__file__).parent / "results"
RIEMAUG = Path(sys.executable).with_name("riemaug")
FIXED = ("*/*", "manifest.csv", "metadata.csv", "model.safetensors")
"""Files whose bytes the seed decides."""
EPOCHS_BEFORE_KILL = 3


@contextmanager
def _no_cluster() -> Iterator[str]:
    yield "loky"


ENGINES: dict[str, Callable[[], Any]] = {"loky": _no_cluster, "dask": dask_cluster, "ray": ray_cluster}


def write_digits(folder: Path) -> Path:
    """Write the digits as PNG images in ten class folders."""
    images, target = load_digits(return_X_y=True)
    for number, (row, label) in enumerate(zip(images, target, strict=True)):
        place = folder / f"digit-{label}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.rint(row.reshape(8, 8) * (255 / 16)).astype(np.uint8)
        Image.fromarray(pixels).save(place / f"{number:04d}.png")
    return folder


def digest(out: Path) -> str:
    """Return one hash of all files whose bytes the seed decides."""
    total = hashlib.sha256()
    for path in sorted(path for pattern in FIXED for path in out.glob(pattern) if path.is_file()):
        total.update(f"{path.relative_to(out)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def started(data: Path, out: Path, engine: str, epochs: int) -> subprocess.Popen[str]:
    """Start the job."""
    options = ["--max-epochs", str(epochs), "--per-class", "20", "--seed", "0", "--jobs", "2", "--quiet"]
    command = [str(RIEMAUG), "augment", str(data), str(out), "--engine", engine, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> None:
    """Wait for the end of a job; it must end well."""
    out, err = process.communicate(timeout=1200)
    if process.returncode:
        raise SystemExit(f"{process.args} ended with {process.returncode}: {out}{err}")


def timed(data: Path, out: Path, engine: str, epochs: int) -> float:
    """Return the seconds of the job."""
    begun = time.monotonic()
    ended(started(data, out, engine, epochs))
    return time.monotonic() - begun


def timed_with_a_kill(data: Path, out: Path, engine: str, epochs: int) -> tuple[float, str]:
    """Return the seconds of the job while one of its workers is killed, and what that was doing."""
    begun = time.monotonic()
    process = started(data, out, engine, epochs)
    while (found := _in_training(out)) is None:
        if process.poll() is not None:
            raise SystemExit(f"the job ended before a worker could be killed: {process.communicate()}")
        time.sleep(0.02)
    worker, doing = found
    os.kill(worker, signal.SIGKILL)
    ended(process)
    return time.monotonic() - begun, doing


def _in_training(out: Path) -> tuple[int, str] | None:
    """Return the process and the words of a task that is in the middle of a training, None as yet."""
    for mark in sorted((out / ".riemaug").glob(".tasks-*/[0-9]*")):
        try:
            told = json.loads((out / ".riemaug" / f"class-{int(mark.name):04d}.progress.json").read_text())
            worker = int(mark.read_text().split()[-1])
        except (OSError, ValueError, IndexError):
            continue
        if told["stage"] == "fit" and told["done"] >= EPOCHS_BEFORE_KILL:
            return worker, f"class {told['name']}, epoch {told['done']}"
    return None


def measure(names: list[str], repeats: int, epochs: int) -> dict[str, Any]:
    """Do all runs and return what came of them."""
    folder = Path(tempfile.mkdtemp(prefix="riemaug-engines-"))
    rows: dict[str, dict[str, Any]] = {name: {"seconds": [], "digests": []} for name in names}
    try:
        with ExitStack() as stack:
            data = write_digits(folder / "data")
            engines = {name: stack.enter_context(ENGINES[name]()) for name in names}
            for number in range(repeats):
                for name, engine in engines.items():
                    out = folder / f"{name}-{number}"
                    rows[name]["seconds"].append(round(timed(data, out, engine, epochs), 2))
                    rows[name]["digests"].append(digest(out))
            for name, engine in engines.items():
                out = folder / f"{name}-killed"
                seconds, doing = timed_with_a_kill(data, out, engine, epochs)
                rows[name] |= {"seconds_with_a_kill": round(seconds, 2), "killed_in": doing}
                rows[name]["digests"].append(digest(out))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    every = {item for row in rows.values() for item in row["digests"]}
    return {
        "command": " ".join(["python", *sys.argv]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "classes": 10,
        "samples": 1797,
        "epochs": epochs,
        "workers": 2,
        "identical": len(every) == 1,
        "engines": rows,
    }


def table(found: dict[str, Any]) -> str:
    """Return the results as text."""
    job = f"{found['classes']} classes, {found['samples']} images, {found['epochs']} epochs"
    lines = [
        f"{job}, {found['workers']} workers; {found['machine']}; all bytes identical: {found['identical']}",
        "",
        f"{'engine':8} {'seconds, median (all)':32} {'a worker killed':16} killed in",
    ]
    for name, row in found["engines"].items():
        told = ", ".join(f"{value:.1f}" for value in row["seconds"])
        median = f"{statistics.median(row['seconds']):.1f} ({told})"
        lines.append(f"{name:8} {median:32} {row['seconds_with_a_kill']:<16.1f} {row['killed_in']}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--out", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    found = measure(chosen.engines, chosen.repeats, chosen.epochs)
    (chosen.out / "engines.json").write_text(json.dumps(found, indent=1) + "\n")
    (chosen.out / "engines.txt").write_text(table(found))
    print(table(found), end="")
    if not found["identical"]:
        raise SystemExit("the engines' bytes differ")


if __name__ == "__main__":
    main()
