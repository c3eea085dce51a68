"""How long each stage of a run takes."""

import threading
import time


class StageClock:
    """Counts the wall time of stages; time within an inner stage is not counted for the outer one."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._running: list[str] = []
        self._since = self._started = time.monotonic()
        self._lock = threading.Lock()

    def enter(self, stage: str) -> None:
        """Begin a stage, within the present one if there is one."""
        with self._lock:
            self._charge()
            self._running.append(stage)

    def leave(self) -> None:
        """End the innermost stage."""
        with self._lock:
            self._charge()
            self._running.pop()

    @property
    def total(self) -> float:
        """Seconds since the clock was made."""
        return time.monotonic() - self._started

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each stage so far, in the order of their beginnings."""
        with self._lock:
            self._charge()
            return dict(self._seconds)

    def _charge(self) -> None:
        now = time.monotonic()
        if self._running:
            stage = self._running[-1]
            self._seconds[stage] = self._seconds.get(stage, 0.0) + now - self._since
        self._since = now
