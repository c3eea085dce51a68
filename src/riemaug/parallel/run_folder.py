"""The folder by which tasks and the process that wants their results know of each other.

It lies where all workers see it. Each attempt at a task leaves a mark there as long as it lasts, so that a
mark that stays tells of a lost worker. A file `alive` changes as long as somebody waits for the results: a
worker of a cluster outlives a run that was killed, and must not write beside the run that goes on.
"""

import os
import secrets
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PREFIX = ".tasks-"
ALIVE = "alive"
BEAT_SECONDS = 5.0
"""How often `alive` changes."""
SILENCE_SECONDS = 60.0
"""A run of which nothing was heard for so long is gone."""
FAREWELL_SECONDS = 10.0
"""How long tasks have to end of which the results are no longer wanted."""


@dataclass(frozen=True)
class RunFolder:
    """The marks of some tasks, each under its number.

    Attributes
    ----------
    path : Path
        Absolute.
    """

    path: Path

    def pulse(self) -> str | None:
        """Return what changes as long as the run is alive; None if it has ended."""
        try:
            return (self.path / ALIVE).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except OSError:  # the file system of a network may refuse for a moment
            return ""

    def begin(self, number: int) -> None:
        """Note that this process begins with a task."""
        with (self.path / str(number)).open("a", encoding="utf-8") as file:
            file.write(f"{socket.gethostname()} {os.getpid()}\n")

    def end(self, number: int) -> None:
        """Take back all marks of a task: this process is alive and has ended with it, well or not."""
        (self.path / str(number)).unlink(missing_ok=True)

    def begun(self, number: int) -> list[tuple[str, int]]:
        """Return host and process of each attempt at a task since one last came to an end."""
        try:
            lines = (self.path / str(number)).read_text(encoding="utf-8").splitlines()
        except OSError:
            return []
        return [(host, int(process)) for host, process in map(str.split, lines)]

    def has_marks(self) -> bool:
        """Return whether some task has begun and not ended."""
        with suppress(FileNotFoundError):
            return any(name.isdigit() for name in os.listdir(self.path))
        return False

    def close(self) -> None:
        """Tell tasks that their results are not wanted, let them end, and remove the folder."""
        try:
            (self.path / ALIVE).unlink()
        except FileNotFoundError:
            pass  # only workers of this machine, which are gone
        else:
            end = time.monotonic() + FAREWELL_SECONDS
            while self.has_marks() and time.monotonic() < end:
                time.sleep(0.1)
        shutil.rmtree(self.path, ignore_errors=True)


@contextmanager
def run_folder(parent: Path | None, on_cluster: bool, is_only: bool = True) -> Iterator[RunFolder]:
    """Give a new folder; it is removed with the block.

    Parameters
    ----------
    parent : Path, optional
        Where it is made; None for a temporary folder of this machine.
    on_cluster : bool
        Tasks may be at work on machines that do not know when this process ends.
    is_only : bool
        No other run has tasks in `parent`: what is there is left of one that was killed, and is ended.
        Else only that is ended of which nothing was heard for a while, on a cluster.
    """
    with suppress(OSError):
        if parent is not None:
            _end_old_runs(parent, is_only)
    folder = RunFolder(Path(parent or tempfile.gettempdir()).absolute() / f"{PREFIX}{secrets.token_hex(6)}")
    folder.path.mkdir(parents=True)
    try:
        if on_cluster:
            with _beating(folder.path / ALIVE):
                yield folder
        else:
            yield folder
    finally:
        folder.close()


@contextmanager
def _beating(path: Path) -> Iterator[None]:
    stop = threading.Event()
    path.write_text("0", encoding="utf-8")

    def beat() -> None:
        number = 0
        while not stop.wait(BEAT_SECONDS):
            number += 1
            with suppress(OSError):
                path.write_text(str(number), encoding="utf-8")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _end_old_runs(parent: Path, is_only: bool) -> None:
    for path in parent.glob(f"{PREFIX}*"):
        if is_only or _is_silent(path):
            RunFolder(path).close()


def _is_silent(path: Path) -> bool:
    """Return whether nothing was heard of a run for long, by the clock of the file system that it is on."""
    try:
        last = (path / ALIVE).stat().st_mtime
        with tempfile.NamedTemporaryFile(dir=path) as file:
            now = os.stat(file.name).st_mtime
    except OSError:
        return False
    return now - last > 2 * SILENCE_SECONDS
