"""The folder by which tasks and the process that wants their results know of each other.

It lies where all workers see it. Each attempt at a task leaves a mark there as long as it lasts, so that a
mark that stays tells of a lost worker. A file `alive` changes as long as somebody waits for the results: a
worker of a cluster outlives a run that was killed, and must not write beside the run that goes on.
"""

import itertools
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from riemaug.errors import ResourceError
from riemaug.repeating import repeating

PREFIX = ".tasks-"
ALIVE, OWNER = "alive", "owner"
BEAT_SECONDS = 5.0
"""How often `alive` changes."""
SILENCE_SECONDS = 60.0
"""A run of which nothing was heard for so long is gone."""
FAREWELL_SECONDS = 10.0
"""How long tasks have to end of which the results are no longer wanted."""

CLOCKS_SECONDS = 60.0
"""How far the clocks of this machine and of a file system may be apart."""


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
        return bool(self._marked())

    def is_at_work(self) -> bool:
        """Return whether some task has a mark, and its process is not seen to be gone."""
        here = socket.gethostname()
        return any(
            host != here or _is_running(process, self.path / str(number))
            for number in self._marked()
            for host, process in self.begun(number)
        )

    def _marked(self) -> list[int]:
        with suppress(FileNotFoundError):
            return [int(name) for name in os.listdir(self.path) if name.isdigit()]
        return []

    def close(self) -> None:
        """Tell tasks that their results are not wanted, and let them end; then remove the folder.

        If tasks of a cluster take longer it stays, so that a run that goes on waits for them.
        """
        try:
            (self.path / ALIVE).unlink()
        except FileNotFoundError:
            pass  # only workers of this machine, which are gone
        else:
            if not self._wait():
                return
        shutil.rmtree(self.path, ignore_errors=True)

    def end_old(self) -> None:
        """Do so for a run that was killed.

        Raises
        ------
        ResourceError
            A task of it is still at work. After a long silence it is taken for lost with its machine.
        """
        is_lost = self.is_silent()
        with suppress(FileNotFoundError):
            (self.path / ALIVE).unlink()
        if not self._wait() and not is_lost:
            raise ResourceError(
                "tasks of the earlier run must have ended before it goes on, some are still at work: repeat "
                f"the command in {2 * SILENCE_SECONDS:.0f} seconds"
            )
        shutil.rmtree(self.path, ignore_errors=True)

    def is_silent(self) -> bool:
        """Return whether nothing was heard of the run for long, by the clock of the folder's file system."""
        try:
            beat = self.path / ALIVE
            last = (beat if beat.exists() else self.path).stat().st_mtime
            with tempfile.NamedTemporaryFile(dir=self.path.parent) as file:
                now = os.stat(file.name).st_mtime
        except OSError:
            return False
        return now - last > 2 * SILENCE_SECONDS

    def _wait(self) -> bool:
        """Return whether all tasks have ended within the time that they have for it."""
        end = time.monotonic() + FAREWELL_SECONDS
        while self.is_at_work():
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True


def _is_running(process: int, mark: Path) -> bool:
    """Return whether a process of this machine, not a later one of its number, may still be at work."""
    try:
        found = psutil.Process(process)
        is_later = found.create_time() > mark.stat().st_mtime + CLOCKS_SECONDS
        return not is_later and found.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except (psutil.AccessDenied, OSError):
        return True


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

    Raises
    ------
    ResourceError
        Tasks of a run that was killed are still at work.
    """
    place = Path(parent or tempfile.gettempdir()).absolute()
    with suppress(OSError):
        if parent is not None:
            end_old_runs(parent, is_only)
        else:
            _remove_ownerless(place)
    place.mkdir(parents=True, exist_ok=True)
    folder = RunFolder(place / f"{PREFIX}{secrets.token_hex(6)}")
    folder.path.mkdir(mode=0o700)  # samples may lie there
    (folder.path / OWNER).write_text(f"{socket.gethostname()} {os.getpid()}\n", encoding="utf-8")
    try:
        if on_cluster:
            with _beating(folder.path / ALIVE):
                yield folder
        else:
            yield folder
    finally:
        folder.close()


def _remove_ownerless(place: Path) -> None:
    """Remove what runs of this machine that were killed have left in a folder for temporary files."""
    for path in place.glob(f"{PREFIX}*"):
        owner = path / OWNER
        with suppress(OSError, ValueError):  # those of other users cannot be looked into
            host, process = owner.read_text(encoding="utf-8").split()
            if host == socket.gethostname() and not _is_running(int(process), owner):
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _beating(path: Path) -> Iterator[None]:
    beats = itertools.count(1)
    path.write_text("0", encoding="utf-8")

    def beat() -> None:
        path.write_text(str(next(beats)), encoding="utf-8")

    with repeating(beat, BEAT_SECONDS, "riemaug beat"):
        yield


def end_old_runs(parent: Path, is_only: bool) -> None:
    """End what runs that were killed have left in a folder; see `run_folder`."""
    for path in parent.glob(f"{PREFIX}*"):
        folder = RunFolder(path)
        if is_only or folder.is_silent():
            folder.end_old()
