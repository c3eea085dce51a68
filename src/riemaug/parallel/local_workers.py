"""Worker processes of this machine: they end with the process that started them, and Ctrl-C is that one's."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing import resource_tracker

from joblib.externals.loky.backend import resource_tracker as loky_tracker

from riemaug.stopping import STOPPING

WATCH_SECONDS = 1.0
"""How often a worker looks whether the process that started it is still there."""


@cache
def end_with(parent: int) -> None:
    """Let this worker end soon after its parent: it would go on writing beside a resumed run.

    From now on Ctrl-C and its like are the parent's alone. Workers that `interrupts_held_back` started do
    not hear of them anyway; but joblib lends those that other code of the process has started before.
    """
    if os.getppid() != parent:
        return
    if threading.current_thread() is threading.main_thread():
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)  # a mask would be that of one thread of several

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Start processes in the block that never see Ctrl-C, which a terminal sends to all: this one ends them.

    So with SIGTERM and SIGHUP, which batch systems send to all. A process inherits the mask from its first
    instruction on. A signal during the block reaches this process at its end. Where signals have no masks
    (Windows) nothing is done.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    loky_tracker.ensure_running()  # as it starts it would lift the mask
    resource_tracker.ensure_running()  # so would that of the standard library, up to Python 3.12
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
