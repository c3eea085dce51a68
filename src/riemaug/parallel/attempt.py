"""What a worker does with a task, and what becomes of it: a result, an error, or neither."""

import ctypes
import pickle
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import joblib

from riemaug._version import __version__
from riemaug.errors import RiemaugError
from riemaug.parallel.gpus import on_a_gpu
from riemaug.parallel.local_workers import end_with
from riemaug.parallel.run_folder import SILENCE_SECONDS, RunFolder
from riemaug.parallel.threads import one_thread, one_thread_of_libraries

WATCH_SECONDS = 0.5
"""How often a task on a cluster looks whether its result is still wanted."""


class RunEnded(BaseException):
    """Nobody waits for a task's result any more; no `Exception`, so that no task takes it for its own."""


@dataclass(frozen=True, eq=False)
class Done:
    """A task's result."""

    result: Any


@dataclass(frozen=True, eq=False)
class Failed:
    """What a task raised."""

    error: Exception


@dataclass(frozen=True)
class Lost:
    """The worker was lost with the task, or has been so often that the task was not begun again."""


@dataclass(frozen=True)
class Unfit:
    """The worker cannot do tasks of this run, for a reason in words."""

    reason: str


@dataclass(frozen=True)
class Unwanted:
    """The run ended before the task did."""


Outcome = Done | Failed | Lost | Unfit | Unwanted


@dataclass(frozen=True, eq=False)
class Attempt:
    """A task that is given to a worker.

    Attributes
    ----------
    function : callable
    task : bytes
        See `riemaug.parallel.payload`.
    number : int
    folder : RunFolder
    limit : int
        After so many lost workers the task is not begun again: a cluster's scheduler retries unasked.
    device : str
    parent : int, optional
        The process that a worker of this machine ends with; None on a cluster.
    version : str
        Of the riemaug of the process that wants the result; of this machine's it is not asked.
    """

    function: Callable[[Any], Any]
    task: bytes
    number: int
    folder: RunFolder
    limit: int
    device: str = "cpu"
    parent: int | None = None
    version: str = ""

    def __call__(self) -> Outcome:
        """Do the task, in a worker."""
        if self.parent is not None:
            end_with(self.parent)
        try:
            if self.parent is None and (reason := self._unfit()) is not None:
                return Unfit(reason)
            return self._marked()
        except FileNotFoundError:
            return Unwanted()
        except OSError as error:  # of the marks: raised here it would be taken for one of the cluster
            return Failed(_portable(error))

    def _marked(self) -> Outcome:
        """Do the task under its mark; raises OSError if that cannot be left or taken back."""
        if len(self.folder.begun(self.number)) >= self.limit:
            return Lost()
        self.folder.begin(self.number)
        try:
            with _watched(self.folder, self.parent is None):
                return self._outcome()
        except RunEnded:
            return Unwanted()
        finally:
            self.folder.end(self.number)

    def _outcome(self) -> Outcome:
        try:
            task = pickle.loads(self.task)
            # a library that finds itself in a cluster must not send its own small tasks there
            alone = joblib.parallel_config(backend="sequential")
            with alone, one_thread_of_libraries(), one_thread(), on_a_gpu(self.device):
                return Done(self.function(task))
        except Exception as error:
            return Failed(_portable(error))

    def _unfit(self) -> str | None:
        host = socket.gethostname()
        if self.version != __version__:
            return (
                f"the workers must have riemaug {self.version} like this process, {host} has {__version__}: "
                "install the same version there"
            )
        if not self.folder.path.is_dir():
            return (
                f"the workers must see the folder {str(self.folder.path.parent)!r}, {host} does not: put it "
                "on a file system that all machines share"
            )
        return None


def _portable(error: Exception) -> Exception:
    """Return an error that can reach another process; with its traceback as a note if nobody foresaw it."""
    if not isinstance(error, RiemaugError | OSError):
        error.add_note("".join(traceback.format_exception(error)).rstrip())
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        plain = RuntimeError(f"{type(error).__name__}: {error}")
        plain.__notes__ = getattr(error, "__notes__", [])
        return plain
    return error


@contextmanager
def _watched(folder: RunFolder, is_elsewhere: bool) -> Iterator[None]:
    """Raise RunEnded in the block, as Ctrl-C would be, once nobody waits for its result."""
    if not is_elsewhere:
        yield
        return
    thread, stop, lock = threading.get_ident(), threading.Event(), threading.Lock()

    def watch() -> None:
        last, heard = None, time.monotonic()
        while not stop.wait(WATCH_SECONDS):
            pulse = folder.pulse()
            if pulse and pulse != last:
                last, heard = pulse, time.monotonic()
            if pulse is None or time.monotonic() - heard > SILENCE_SECONDS:
                with lock:
                    if not stop.is_set():
                        _raise_in(thread, RunEnded)
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        with lock:
            stop.set()


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    argument = ctypes.py_object(error) if error is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), argument)
