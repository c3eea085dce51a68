"""Processor time of one-threaded work: on an idle machine the wall time, and still right on a busy one.

It counts the time of all threads of the process, so work that spread over several would not look faster.
"""

import os
import time
from collections.abc import Callable

clock = time.process_time


def seconds_of(function: Callable[[], object]) -> float:
    """Return the processor time of one call."""
    started = clock()
    function()
    return clock() - started


def best_of(function: Callable[[], object], seconds: float, least: int = 3) -> float:
    """Return the shortest of at least `least` calls, repeated for about `seconds`; one more goes first."""
    function()
    times, started = [], clock()
    while len(times) < least or clock() - started < seconds:
        times.append(seconds_of(function))
    return min(times)


def load_average() -> float | None:
    """Return the mean number of running processes over the last minute, None where it is unknown."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
