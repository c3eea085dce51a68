"""Kills a training with SIGKILL at random epochs, resumes it, and compares the weights bit by bit.

    python benchmarks/kill_fit.py --points 5

A training of an RHVAE on 40 of scikit-learn's digits runs once to its end, and once for each point in a
process that is killed there and started again. Weights and history must be the same. Prints a line for each
point; ends with status 1 if any differs.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

EPOCHS = 60
OPTIONS: dict[str, dict] = {
    "full batch": {"batch_size": 200},
    "batches": {"batch_size": 8},
    "validation": {"batch_size": 8, "monitor": "validation", "warmup_epochs": 10},
}


@dataclass(frozen=True)
class Point:
    """A kill.

    Attributes
    ----------
    killed_at, resumed_at : int
        Number of epochs done when the process was killed, and when it went on.
    is_same : bool
        Whether weights and history are those of the training that ran through.
    """

    killed_at: int
    resumed_at: int
    is_same: bool


def work(option: str, folder: Path) -> None:
    """Train, in this process, with a state file in `folder`; print each epoch; leave the outcome there."""
    import torch
    from safetensors.torch import save_file
    from sklearn.datasets import load_digits

    from riemaug.models import ModelConfig, build_model
    from riemaug.random import Stream
    from riemaug.training import Trainer, TrainingConfig

    torch.set_num_threads(1)
    digits = load_digits()
    data = torch.from_numpy(digits.images[digits.target == 3][:40].reshape(40, -1) / 16.0).float()
    model = build_model(ModelConfig(data_dim=64, encoder_hidden=(64,), decoder_hidden=(64,)), 0)
    settings = TrainingConfig(
        max_epochs=EPOCHS, patience=EPOCHS, checkpoint_seconds=1e-3, learning_rate=3e-3, **OPTIONS[option]
    )
    trainer = Trainer(
        model,
        data,
        settings,
        Stream(0),
        folder / "state.safetensors",
        lambda report: print(report.epoch, flush=True),
    )
    history = trainer.fit().to_dict()
    del history["seconds"]
    save_file(model.state_dict(), folder / "weights.safetensors")
    (folder / "history.json").write_text(json.dumps(history))


def start(option: str, folder: Path) -> subprocess.Popen:
    """Return a process that trains in `folder`."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, __file__, "--work", option, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> int:
    """Let a training end; return the number of epochs that it found done."""
    told, _ = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the training ended with status {process.returncode}")
    return int(told.split()[0]) - 1


def outcome(folder: Path) -> tuple[bytes, bytes]:
    """Return the weights and the history that a training left, as bytes."""
    return (folder / "weights.safetensors").read_bytes(), (folder / "history.json").read_bytes()


def kill_and_resume(option: str, folder: Path, epoch: int, delay: float, whole: tuple) -> Point:
    """Kill a training `delay` seconds after so many epochs, resume it, compare with the whole one."""
    process = start(option, folder)
    assert process.stdout is not None
    done = 0
    while done < epoch:
        done = int(process.stdout.readline())
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    if process.returncode != -signal.SIGKILL:
        raise RuntimeError("the training had ended before it was killed")
    killed_at = int(rest.split()[-1]) if rest.split() else done
    resumed_at = finish(start(option, folder))
    return Point(killed_at, resumed_at, outcome(folder) == whole)


def check(option: str, num_points: int, seed: int, folder: Path) -> list[Point]:
    """Return what came of kills at random epochs of one kind of training."""
    finish(start(option, folder / "whole"))
    whole, choice, points = outcome(folder / "whole"), random.Random(seed), []
    for number in range(num_points):
        epoch, delay = choice.randrange(5, EPOCHS - 10), choice.uniform(0.0, 0.03)
        points.append(kill_and_resume(option, folder / f"killed-{number}", epoch, delay, whole))
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", nargs=2, metavar=("OPTION", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work is not None:
        work(arguments.work[0], Path(arguments.work[1]))
        return
    all_same = True
    for option in OPTIONS:
        with tempfile.TemporaryDirectory() as folder:
            for point in check(option, arguments.points, arguments.seed, Path(folder)):
                verdict = "same weights" if point.is_same else "OTHER WEIGHTS"
                print(f"{option:12s} killed at {point.killed_at}, resumed at {point.resumed_at}: {verdict}")
                all_same = all_same and point.is_same
    sys.exit(0 if all_same else 1)


if __name__ == "__main__":
    main()
