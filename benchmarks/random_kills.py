"""Kills augment, fit, sample and study run with SIGKILL at random times, resumes them, compares all bytes.

    python benchmarks/random_kills.py --kills 200

Each command runs to its end twice, on a few of scikit-learn's digits. Then it is started again and again, and
killed after a random time, uniform over its length: the whole process group, the parent alone, or one of its
workers. No file that it left may be half a file. Every third resumption is killed in its turn. In the end
the command must have made the very bytes of the run that was not killed; of JSON files, all fields but times.

Commands are processes forked from this one, which has all libraries loaded: the moments of the kills fall on
the work, not on imports. In them training states are written after every epoch, the study reads digits, and
its trainings are short. Prints a line for each trial that failed, and writes --out; ends with status 1 if
one did. A failed trial is repeated by --only with its number and the same --seed.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from kill_checks import contents, differences, half_files, hidden_files
from PIL import Image

COMMANDS = ("augment", "fit", "sample", "study run")
KILLED_AGAIN, TWO_JOBS = 1 / 3, 0.1
LONGEST = 120.0
RUNS_THROUGH = 2
"""The first one may compile what later ones find in a cache; the shortest tells how long a run takes."""
STUDY_CELL = "mnist_balanced@5/small-cnn/manifold_200/both"


@dataclass
class Trial:
    """A command that was killed and resumed.

    Attributes
    ----------
    number : int
    command : str
    jobs : int
    victims : list of str
        What was killed, each time: "group", "parent" or "worker".
    shares : list of float
        When, as a share of the length of the run that was not killed.
    problems : list of str
        Empty if all went as it should.
    """

    number: int
    command: str
    jobs: int
    victims: list[str] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def fork(arguments: list[str], told: Path) -> int:
    """Start a command in a process group of its own, without importing anything; return its number."""
    process = os.fork()
    if process:
        return process
    os.setsid()
    output = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
        os.dup2(source, stream)
    code = 70
    try:
        code = _command(arguments)
    finally:
        os._exit(code)  # what is to be done at exit is the parent's; workers end with this process


def _command(arguments: list[str]) -> int:
    from riemaug.cli.main import main

    sys.argv = ["riemaug", *arguments]
    try:
        main()
    except SystemExit as end:
        sys.stderr.flush()
        return end.code if isinstance(end.code, int) else 0
    return 0


def load() -> None:
    """Import all that the commands use, and make the study small."""
    import riemaug.run.evaluate
    import riemaug.run.pipeline
    import riemaug.study.execution
    import riemaug.study.readiness
    import riemaug.study.runner
    from riemaug.baselines.deep import DeepGenerator
    from riemaug.evaluation.classifiers import classifier_named
    from riemaug.training import Trainer

    real = Trainer.__init__

    def eager(self: Trainer, *arguments: object, **named: object) -> None:
        real(self, *arguments, **named)
        self.config = self.config.model_copy(update={"checkpoint_seconds": 1e-3})

    def classifier(cell: object, device: str = "cpu") -> object:
        return classifier_named("small-cnn", device, max_epochs=3)

    Trainer.__init__ = eager
    riemaug.study.fits.DeepGenerator = partial(DeepGenerator, max_epochs=15)
    riemaug.study.execution.study_data = lambda name, draw, folder: study_digits(draw)
    riemaug.study.readiness.load_study_data = lambda *_: None
    riemaug.study.settings.study_classifier = riemaug.study.execution.study_classifier = classifier


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 8, 8), uint8, and labels of scikit-learn's digits 0 and 1."""
    from sklearn.datasets import load_digits

    flat, target = load_digits(n_class=2, return_X_y=True)
    return np.rint(flat.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8), target


def study_digits(draw: int) -> object:
    """Return digits as one of the study's data sets."""
    from riemaug.evaluation.samples import LabelledSamples
    from riemaug.study.datasets import StudyData

    images, labels = digits()
    order = np.random.default_rng(draw).permutation(len(labels))
    rows = order[:12], order[12:24], order[24:64]
    parts = [
        LabelledSamples((images[part] / 255).astype(np.float32), labels[part].astype(np.int64))
        for part in rows
    ]
    return StudyData("digits", draw, ("0", "1"), *parts, rows[0], rows[1])


class Bench:
    """Runs trials in a folder.

    Parameters
    ----------
    folder : Path
        Empty.
    seed : int
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        images, labels = digits()
        for label in (0, 1):
            (folder / "data" / str(label)).mkdir(parents=True)
            for number, image in enumerate(images[labels == label][:10]):
                Image.fromarray(image).save(folder / "data" / str(label) / f"{number}.png")
        self.whole: dict[str, dict] = {}
        self.seconds: dict[str, float] = {}
        for command in ("fit", *(name for name in COMMANDS if name != "fit")):
            self._run_through(command)

    def arguments(self, command: str, out: Path, jobs: int = 1) -> list[str]:
        """Return the command line; what it makes is under `out`."""
        data, common = str(self.folder / "data"), ["--seed", "1", "--jobs", str(jobs), "--quiet"]
        made = ["--batch-size", "4", "--per-class", "20"]
        if command == "study run":
            study = ["--cells", STUDY_CELL, "--runs", "2", "--store", str(out / "store"), "--jobs", "1"]
            return ["study", "run", *study, "--cache", str(out / "cache"), "--data-dir", data, "--quiet"]
        if command == "sample":
            return ["sample", str(self.folder / "fit"), str(out), *made, *common]
        own = ["--max-epochs", "15", "--model", "rhvae", "--device", "cpu"]
        if command == "fit":
            return ["fit", data, str(out), *own, *common]
        return ["augment", data, str(out), *own, "--include-real", "copy", *made, *common]

    def _run_through(self, command: str) -> None:
        out, self.seconds[command] = self.folder / command, LONGEST
        for _ in range(RUNS_THROUGH):
            shutil.rmtree(out, ignore_errors=True)
            started = time.monotonic()
            code = _wait(fork(self.arguments(command, out), self.folder / "told"), LONGEST)
            self.seconds[command] = min(self.seconds[command], time.monotonic() - started)
            if code != 0:
                raise RuntimeError(f"{command} ended with {code}: {(self.folder / 'told').read_text()}")
        self.whole[command] = contents(out)

    def trial(self, number: int) -> Trial:
        """Kill and resume a command; all chance comes from the seed and the number."""
        chance = random.Random(f"{self.seed} {number}")
        command = COMMANDS[number % len(COMMANDS)]
        jobs = 2 if command != "study run" and chance.random() < TWO_JOBS else 1
        trial, out = Trial(number, command, jobs), self.folder / f"trial-{number}"
        arguments, resume = self.arguments(command, out, jobs), []
        code = self._killed(trial, arguments, out, chance)
        while code != 0 and not trial.problems:
            resume = [] if command == "study run" else ["--resume"]
            if chance.random() < KILLED_AGAIN:
                code = self._killed(trial, arguments + resume, out, chance)
            else:
                code = _wait(fork(arguments + resume, self.folder / "told"), LONGEST)
                if code != 0:
                    told = (self.folder / "told").read_text()
                    trial.problems.append(f"the resumption ended with {code}: {told[-500:]}")
        if not trial.problems:
            trial.problems += [f"other than uninterrupted: {n}" for n in self._other(command, out)]
        return trial

    def _killed(self, trial: Trial, arguments: list[str], out: Path, chance: random.Random) -> int:
        """Start a command and kill it; return its exit code, -9 if it was killed."""
        moment = chance.uniform(0.0, self.seconds[trial.command])
        kinds = ["group"] * 4 + ["parent"] + (["worker"] * 5 if trial.jobs > 1 else [])
        victim = chance.choice(kinds)
        process = fork(arguments, self.folder / "told")
        code = _wait(process, moment if trial.jobs == 1 else 4 * moment, then_kill=victim)
        if code == 0:
            return 0  # it was quicker than the moment
        trial.victims.append(victim)
        trial.shares.append(round(moment / self.seconds[trial.command], 3))
        trial.problems += [f"half a file after a kill of the {victim}: {name}" for name in half_files(out)]
        return code

    def _other(self, command: str, out: Path) -> list[str]:
        left = [] if command == "study run" else [f"{name} is left" for name in hidden_files(out)]
        return differences(contents(out), self.whole[command]) + left


def _wait(process: int, seconds: float, then_kill: str = "group") -> int:
    """Wait for a process, and kill it or what belongs to it when the time is over; return its exit code."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    if then_kill == "worker":
        _kill_a_worker(process)
        return _wait(process, LONGEST)
    (os.killpg if then_kill == "group" else os.kill)(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _kill_a_worker(parent: int) -> None:
    import psutil

    for child in psutil.Process(parent).children(recursive=True):
        if "LokyProcess" in " ".join(child.cmdline()):
            child.kill()
            return


def report(trials: list[Trial], bench: Bench, seconds: float) -> dict:
    """Return what came of all trials, JSON-safe."""
    by_command = {
        command: {
            "trials": sum(trial.command == command for trial in trials),
            "kills": sum(len(trial.victims) for trial in trials if trial.command == command),
            "seconds_uninterrupted": round(bench.seconds[command], 2),
            "kills_by_tenth_of_it": _tenths([t for t in trials if t.command == command]),
        }
        for command in COMMANDS
    }
    return {
        "seed": bench.seed,
        "kills": sum(len(trial.victims) for trial in trials),
        "killed": dict(Counter(victim for trial in trials for victim in trial.victims)),
        "commands": by_command,
        "failures": [asdict(trial) for trial in trials if trial.problems],
        "minutes": round(seconds / 60, 1),
    }


def _tenths(trials: list[Trial]) -> list[int]:
    counts = Counter(min(9, int(10 * share)) for trial in trials for share in trial.shares)
    return [counts[tenth] for tenth in range(10)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="number of the one trial to be done")
    parser.add_argument("--out", type=Path, help="JSON file, such as benchmarks/results/random_kills.json")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    load()
    started, trials = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), given.seed)
        number = 0 if given.only is None else given.only
        while sum(len(trial.victims) for trial in trials) < given.kills:
            trials.append(bench.trial(number))
            for problem in trials[-1].problems:
                print(f"trial {number}, {trials[-1].command}: {problem}", flush=True)
            if given.only is not None:
                break
            number += 1
        result = report(trials, bench, time.monotonic() - started)
    text = json.dumps(result, indent=1)
    print(text)
    if given.out is not None:
        given.out.write_text(text + "\n")
    sys.exit(1 if result["failures"] else 0)


if __name__ == "__main__":
    main()
