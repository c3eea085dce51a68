"""joblib's processes of this machine, ended in mid-work without noise."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from joblib.parallel import LokyBackend

HANDOVER_SECONDS = 1.0
"""How long the end waits for what was submitted to be taken; that lasts milliseconds."""


class LocalBackend(LokyBackend):
    """Ends its processes only once they have all that was submitted.

    loky's manager thread, told to kill its workers while a task still waits to be handed over, ends with a
    KeyError: a traceback on the user's screen, and queues that are never closed.
    """

    def __init__(self) -> None:
        super().__init__(nesting_level=0)
        self._submitting, self._is_ending = threading.Lock(), False
        self._submitted: list[Future[Any]] = []

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> Any:
        """Begin a batch of tasks; after the end has begun, never."""
        with self._submitting:
            if self._is_ending:
                return Future()
            self._submitted = [future for future in self._submitted if not future.done()]
            future = super().submit(func)
            self._submitted.append(future)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Kill the processes."""
        with self._submitting:
            self._is_ending = True
        end = time.monotonic() + HANDOVER_SECONDS
        while self._is_handing_over() and time.monotonic() < end:
            time.sleep(0.001)
        super().abort_everything(ensure_ready)

    def _is_handing_over(self) -> bool:
        return not all(future.running() or future.done() for future in self._submitted)
