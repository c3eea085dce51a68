"""Fits, samples and evaluates again and again in one process, and looks whether anything grows.

    python benchmarks/soak.py --minutes 20 --out benchmarks/results/soak.json

A cycle is a whole user's round on 24 of scikit-learn's digits: `fit`, `sample` and `evaluate` (copies, the
gain of a logistic regression and, in every fourth cycle, fidelity, which takes most of the time) as the
command line runs them, with their logs, into a folder that is then removed. With --jobs 2 the tasks are
done in worker processes. After each cycle garbage is collected; then the resident memory of this process is
noted, and its open files, threads and child processes.

The first fifth of the cycles, 5 at least, is warm-up. Of the rest

- the resident memory must rise by less than `MEGABYTES_PER_100_CYCLES`, by the median of its rises over a
  fifth of these cycles: a leak grows with every cycle, while a table of the interpreter that is made larger
  once (that of interned strings took 7.5 MB more) is a step that few of these rises go over, and
- there must be no more open files, threads and children at the end than after the warm-up.

Ends with status 1 if one of these is broken.
"""

import argparse
import gc
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil

MEGABYTES_PER_100_CYCLES = 2.0
"""A leak of 20 kB a cycle, less than what a cycle reads; below it is what malloc happens to keep."""
WARM_UP_SHARE, LEAST_WARM_UP = 0.2, 5
FIDELITY_EVERY = 4
ROWS_WRITTEN = 200


@dataclass(frozen=True)
class Seen:
    """What the process held after a cycle; memory in MB."""

    cycle: int
    seconds: float
    resident_mb: float
    open_files: int
    threads: int
    children: int


@dataclass(frozen=True)
class Verdict:
    """What grew after the warm-up.

    Attributes
    ----------
    cycles, warm_up : int
    megabytes_per_100_cycles : float
        Slope of the resident memory.
    grown : dict of str to int
        How many more open files, threads and children there were at the end.
    """

    cycles: int
    warm_up: int
    megabytes_per_100_cycles: float
    grown: dict[str, int]

    @property
    def is_steady(self) -> bool:
        """Whether nothing grows."""
        return self.megabytes_per_100_cycles < MEGABYTES_PER_100_CYCLES and not any(
            more > 0 for more in self.grown.values()
        )


def write_digits(folder: Path, first: int) -> Path:
    """Write 12 real zeros and ones each as PNG class folders, from the `first` of each on."""
    from PIL import Image
    from sklearn.datasets import load_digits

    flat, target = load_digits(return_X_y=True)
    for digit in (0, 1):
        (folder / str(digit)).mkdir(parents=True)
        chosen = flat[target == digit][first : first + 12].reshape(-1, 8, 8)
        for number, pixels in enumerate(np.rint(chosen * (255 / 16)).astype(np.uint8)):
            Image.fromarray(pixels).save(folder / str(digit) / f"{number:02d}.png")
    return folder


def cycle(data: Path, test: Path, folder: Path, seed: int, jobs: int) -> None:
    """Do a whole round in `folder`, and remove it."""
    from riemaug.config import Amount, GeneratorConfig, SamplingConfig
    from riemaug.evaluation.settings import EvaluationConfig
    from riemaug.run.evaluate import EvaluateRequest, prepare, run
    from riemaug.run.pipeline import fit
    from riemaug.run.request import FitRequest, RunOptions, SampleRequest
    from riemaug.run.sample_job import sample

    options = RunOptions(jobs=jobs)
    generator = GeneratorConfig(max_epochs=3, seed=seed)
    fit(FitRequest(data=data, out=folder / "model", generator=generator, run=options))
    sample(
        SampleRequest(
            model=folder / "model",
            out=folder / "new",
            sampling=SamplingConfig(seed=seed),
            amount=Amount(per_class=12),
            real=data,
            run=options,
        )
    )
    judged = EvaluationConfig(
        classifiers=("logistic",),
        trained_on=("both",),
        seeds=1,
        seed=seed,
        fidelity=seed % FIDELITY_EVERY == 0,
        jobs=jobs,
    )
    asked = EvaluateRequest(
        data=data, synthetic=folder / "new", test=test, out=folder / "judged", evaluation=judged
    )
    run(prepare(asked))
    shutil.rmtree(folder)


def look(process: psutil.Process, number: int, seconds: float) -> Seen:
    """Return what the process holds now."""
    gc.collect()
    return Seen(
        number,
        round(seconds, 1),
        round(process.memory_info().rss * 1e-6, 2),
        process.num_fds(),
        process.num_threads(),
        len(process.children(recursive=True)),
    )


def soak(seconds: float, jobs: int, least_cycles: int = 0) -> list[Seen]:
    """Do cycles for some time and return what was seen after each."""
    process, started, seen = psutil.Process(), time.monotonic(), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, test = write_digits(folder / "real", 0), write_digits(folder / "test", 40)
        while time.monotonic() - started < seconds or len(seen) < least_cycles:
            cycle(data, test, folder / "cycle", len(seen), jobs)
            seen.append(look(process, len(seen) + 1, time.monotonic() - started))
    return seen


def judge(seen: list[Seen]) -> Verdict:
    """Return what grew."""
    warm_up = max(LEAST_WARM_UP, int(WARM_UP_SHARE * len(seen)))
    rest = seen[warm_up:]
    if len(rest) < 2:
        raise SystemExit(f"{len(seen)} cycles are too few to see a trend: give more time")
    lag = max(1, len(rest) // 5)
    rises = [
        (later.resident_mb - item.resident_mb) / (later.cycle - item.cycle)
        for item, later in zip(rest[:-lag], rest[lag:], strict=True)
    ]
    slope = np.median(rises)
    grown = {
        name: getattr(rest[-1], name) - getattr(seen[warm_up - 1], name)
        for name in ("open_files", "threads", "children")
    }
    return Verdict(len(seen), warm_up, round(float(slope) * 100, 3), grown)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    seen = soak(60 * arguments.minutes, arguments.jobs)
    verdict = judge(seen)
    print(f"{verdict}; steady: {verdict.is_steady}")
    if arguments.out is not None:
        step = max(1, len(seen) // ROWS_WRITTEN)
        content = {
            "minutes": arguments.minutes,
            "jobs": arguments.jobs,
            "limit_megabytes_per_100_cycles": MEGABYTES_PER_100_CYCLES,
            **asdict(verdict),
            "is_steady": verdict.is_steady,
            "seen": [asdict(item) for item in seen[::step]],
        }
        arguments.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.exit(0 if verdict.is_steady else 1)


if __name__ == "__main__":
    main()
