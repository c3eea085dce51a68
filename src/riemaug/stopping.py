"""Signals that ask a command to end: SIGTERM of a batch system and a lost terminal are as Ctrl-C."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that ask a process to end; Windows has no hang-up."""
ONE_WISH_SECONDS = 0.3
"""Signals that come so soon after the first are of the same wish: a closed terminal sends two."""


class StopSignal(KeyboardInterrupt):
    """A signal asked the command to end; whatever cleans up after Ctrl-C cleans up after it.

    Parameters
    ----------
    number : int
        Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Stop:
    """A handler: the first signal interrupts what is done, another one during the clean-up ends it."""

    def __init__(self) -> None:
        self.first: float | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.first is None:
            self.first = time.monotonic()
            raise StopSignal(number)
        if time.monotonic() - self.first > ONE_WISH_SECONDS:
            _end_at_once(number)


def _end_at_once(number: int) -> None:
    if sys.stderr.isatty():
        os.write(2, b"\x1b[?25h")  # the cursor that a progress bar hid
    # no clean-up: files appear whole or not at all, and workers end with this process
    os._exit(128 + number)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise `StopSignal` in the block where a signal asks it to end; a second one ends the process at once.

    What was ignored when the process began, such as the hang-up under nohup, is ignored still. After a stop
    the handlers stay: the clean-up goes on until the interpreter has ended. Outside the main thread, where
    Python lets no handlers be set, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stop = _Stop()
    before = {number: signal.getsignal(number) for number in STOPPING}
    ours = {number: known for number, known in before.items() if known not in (signal.SIG_IGN, None)}
    for number in ours:
        signal.signal(number, stop)
    try:
        yield
    finally:
        if stop.first is None:
            for number, known in ours.items():
                signal.signal(number, known)


def exit_code(stop: BaseException | None) -> int:
    """Return the exit code of a command that was stopped: 128 and the signal's number, as shells have it."""
    return 128 + (stop.number if isinstance(stop, StopSignal) else signal.SIGINT)


def what_stopped(stop: BaseException | None) -> str:
    """Return in words what stopped a command."""
    if isinstance(stop, StopSignal) and stop.number != signal.SIGINT:
        return f"stopped by {signal.Signals(stop.number).name}"
    return "interrupted"
