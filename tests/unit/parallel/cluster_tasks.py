"""Tasks for the tests of clusters: workers import them by name, as they would a user's module."""

import os
import signal
import time
from pathlib import Path

import joblib
import numpy as np
import torch

from riemaug.errors import TrainingError


def square(number: int) -> int:
    return number * number


def about_the_process(number: int) -> tuple[int, int, int]:
    """Return process, PyTorch's threads, and how many jobs a library's own parallel call would get."""
    time.sleep(0.2)
    return os.getpid(), torch.get_num_threads(), joblib.parallel.get_active_backend()[1] or 1


def total(array: np.ndarray) -> tuple[float, bool]:
    return float(array.sum()), bool(array.flags.writeable)


def killed_once(task: tuple[int, str]) -> int:
    """Lose the worker of task 1 at the first attempt."""
    number, folder = task
    flag = Path(folder) / "killed"
    if number == 1 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def killed_always(task: tuple[int, str]) -> int:
    """Lose the worker of task 1 at every attempt, and count them."""
    number, folder = task
    if number == 1:
        with (Path(folder) / "attempts").open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
    (Path(folder) / f"done-{number}").touch()
    return number


def failing(number: int) -> int:
    if number in (1, 3):
        raise TrainingError(f"class {number}: it diverged")
    return number


def endless(task: tuple[int, str]) -> int:
    """Task 1 writes for ever, as a training does; the others are done at once."""
    number, folder = task
    while number == 1:
        (Path(folder) / "written").write_text(str(time.time()))
        time.sleep(0.02)
    return number
