"""A million samples to npz shards and 100,000 PNG files: memory, pace, and a run that is killed half-way.

    python benchmarks/streaming.py                          # results/streaming.json; about 15 minutes
    python benchmarks/streaming.py --npz 20000 --png 2000   # a short trial, printed only
    python benchmarks/streaming.py --one-class 200000       # printed only, as the next
    python benchmarks/streaming.py --one-class 40000 --sampler hmc --turns 1

A model a class (preset "paper", 5 epochs) is fitted on 300 of scikit-learn's digits at 28 x 28; then `riemaug
sample` draws from it in a process of its own, one class at a time. Peak memory is the largest sum of the
high-water marks (VmHWM) of all its processes. "decoder + writer alone" decodes random latent points with the
same model and writes them in the same way, in one thread and one after the other, just before. The second run
is killed (SIGKILL) when half of the files are there, and resumed; all files of both runs have to be equal.

With --one-class a model of one class alone is drawn from, to npz shards, by one job and by two in turn, then
by two that are killed half-way and go on by one.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sampling.machine import describe
from sklearn.datasets import load_digits

from riemaug.atomic import flush_file_system, flushed_later
from riemaug.data import restore_samples, write_class_files
from riemaug.serialization import load_generators

RESULTS = Path(__file__).parent / "results" / "streaming.json"
CLASSES, SIDE, BATCH, ALONE = 10, 28, 256, 20_000
MOST_MEMORY_MB, MOST_RATIO = 1500, 2.0


@dataclass(frozen=True)
class Case:
    """How many samples in all, and the options that decide what is written."""

    name: str
    total: int
    options: tuple[str, ...]
    suffix: str
    num_classes: int = CLASSES
    jobs: int = 1

    @property
    def num_files(self) -> int:
        """Files of samples in the end."""
        return self.total // 10_000 if self.suffix == ".npz" else self.total


def write_data(folder: Path, num_classes: int = CLASSES) -> None:
    """Write some of the digits as PNG files of 28 x 28, a folder a class."""
    digits = load_digits()
    for number, (picture, label) in enumerate(zip(digits.images[:300], digits.target[:300], strict=True)):
        if label >= num_classes:
            continue
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        image = Image.fromarray((picture * 255 / 16).astype(np.uint8)).resize((SIDE, SIDE))
        image.save(folder / str(label) / f"{number:04d}.png")


def command(*arguments: object) -> list[str]:
    """Return a command line of riemaug in this interpreter."""
    return [sys.executable, "-m", "riemaug", *map(str, arguments), "--quiet"]


def sampling(model: Path, out: Path, case: Case) -> list[str]:
    """Return the command that draws a case."""
    amount = ("--per-class", case.total // case.num_classes, "--jobs", case.jobs, "--batch-size", BATCH)
    return command("sample", model, out, *amount, *case.options)


def decoder_and_writer(model: Path, folder: Path, case: Case) -> float:
    """Return the seconds a sample that decoding and writing take by themselves, one after the other."""
    made = load_generators(model, only_class="0")
    item, fmt = made.classes[0], made.sample_format
    points = torch.randn(ALONE, item.model.config.latent_dim, generator=torch.Generator().manual_seed(0))
    folder.mkdir()
    torch.set_num_threads(1)
    started, rows = time.perf_counter(), []
    for number, batch in enumerate(points.split(BATCH)):
        unit = item.decode(batch).numpy().reshape(-1, *fmt.model_shape)
        samples = restore_samples(unit, made.scaler, fmt)
        if case.suffix == ".npz":
            rows.append(samples)
            continue
        with flushed_later():
            write_class_files(folder, "0", samples, fmt, number * BATCH + 1)
    for start in range(0, ALONE if rows else 0, 10_000):
        part = np.concatenate(rows)[start : start + 10_000]
        np.savez_compressed(folder / f"{start}.npz", images=part, labels=np.full(len(part), "0"))
    flush_file_system(folder)
    return (time.perf_counter() - started) / ALONE


def high_water_mb(root: int) -> float:
    """Return the sum of the high-water marks of a process and all below it, in MB."""
    total, pending = 0.0, [root]
    while pending:
        process = pending.pop()
        try:
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
            children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        except OSError:
            continue
        total += sum(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
        pending += map(int, children)
    return total


def measured(arguments: list[str]) -> dict[str, float]:
    """Run a command; return its seconds and its peak memory."""
    started, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(arguments)
    while process.poll() is None:
        peak = max(peak, high_water_mb(process.pid))
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{arguments} ended with {process.returncode}")
    return {"seconds": round(time.perf_counter() - started, 1), "peak_memory_mb": round(peak, 1)}


def num_files(out: Path, suffix: str) -> int:
    """Return how many files of samples there are."""
    return sum(name.endswith(suffix) for folder in os.walk(out) for name in folder[2] if name[0] != ".")


def kill_half_way(arguments: list[str], out: Path, case: Case) -> int:
    """Start a command and kill it when half of the files are there; return how many there are."""
    process = subprocess.Popen(arguments)
    while num_files(out, case.suffix) < case.num_files / 2:
        if process.poll() is not None:
            raise SystemExit("the run ended before it could be killed")
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return num_files(out, case.suffix)


def hash_of(out: Path) -> str:
    """Return a hash of the names and bytes of all samples and tables."""
    total = hashlib.sha256()
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        if path.name not in ("run.json", "run.log"):
            total.update(
                path.relative_to(out).as_posix().encode() + hashlib.sha256(path.read_bytes()).digest()
            )
    return total.hexdigest()


def run_case(case: Case, model: Path, folder: Path) -> dict[str, object]:
    """Measure one case."""
    alone = decoder_and_writer(model, folder / f"{case.name}-alone", case)
    whole, broken = folder / f"{case.name}-whole", folder / f"{case.name}-broken"
    found = measured(sampling(model, whole, case))
    there = kill_half_way(sampling(model, broken, case), broken, case)
    resumed = measured([*sampling(model, broken, case), "--resume"])
    ratio = found["seconds"] / (alone * case.total)
    equal = hash_of(whole) == hash_of(broken)
    return {
        "samples": case.total,
        **found,
        "samples_per_second": round(case.total / found["seconds"]),
        "alone_samples_per_second": round(1 / alone),
        "times_decoder_and_writer": round(ratio, 2),
        "files_when_killed": there,
        "resumed": resumed,
        "resumed_to_the_same_bytes": equal,
        "passes": equal and ratio <= MOST_RATIO and found["peak_memory_mb"] < MOST_MEMORY_MB,
    }


def run_one_class(case: Case, turns: int, model: Path, folder: Path) -> dict[str, object]:
    """Measure the samples of one class, drawn by one job and by two in turn."""
    found: dict[str, object] = {"samples": case.total, "options": case.options}
    hashes = set()
    for turn in range(1, turns + 1):
        for jobs in (1, 2):
            out = folder / f"one-{jobs}-{turn}"
            found[f"jobs {jobs}, turn {turn}"] = {
                "load_average": os.getloadavg()[0],
                **measured(sampling(model, out, replace(case, jobs=jobs))),
                "cpu_seconds": json.loads((out / "run.json").read_text())["cpu_seconds"],
            }
            hashes.add(hash_of(out))
    broken = folder / "one-broken"
    found["files_when_killed"] = kill_half_way(sampling(model, broken, replace(case, jobs=2)), broken, case)
    found["resumed"] = measured([*sampling(model, broken, case), "--resume"])
    hashes.add(hash_of(broken))
    return {**found, "same_bytes": len(hashes) == 1}


def fitted(folder: Path, num_classes: int = CLASSES) -> Path:
    """Return the folder of a model of so many digits."""
    write_data(folder / "data", num_classes)
    fit = command("fit", folder / "data", folder / "model", "--preset", "paper", "--max-epochs", 5)
    subprocess.run(fit, check=True)
    return folder / "model"


def main() -> None:
    """Measure both cases, or that of one class, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--npz", type=int, default=1_000_000)
    parser.add_argument("--png", type=int, default=100_000)
    parser.add_argument("--one-class", type=int)
    parser.add_argument("--sampler", default="mixture", help="of --one-class")
    parser.add_argument("--turns", type=int, default=2, help="of --one-class")
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    cases = (Case("npz", chosen.npz, ("--shards", "npz"), ".npz"), Case("png", chosen.png, (), ".png"))
    found: dict[str, object] = {"machine": describe(), "shape": [SIDE, SIDE]}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if chosen.one_class is not None:
            options = ("--shards", "npz", "--sampler", chosen.sampler)
            case = Case("one", chosen.one_class, options, ".npz", num_classes=1)
            found |= run_one_class(case, chosen.turns, fitted(folder, 1), folder)
            print(json.dumps(found, indent=1), flush=True)
            return
        model = fitted(folder)
        for case in cases:
            found[case.name] = run_case(case, model, folder)
            print(json.dumps(found[case.name], indent=1), flush=True)
    if (chosen.npz, chosen.png) == (1_000_000, 100_000):
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
