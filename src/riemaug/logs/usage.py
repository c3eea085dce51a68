"""What a process has used of memory and of the processor."""

import contextlib
import json
import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # not on Windows
    resource = None

_STATUS = Path("/proc/self/status")
USAGE_SUFFIX = ".usage.json"


def peak_memory_mb() -> float:
    """Return the largest resident memory of this process since it began, in MB (10^6 bytes)."""
    # getrusage would count, too, what the process that started this one had at that time
    with contextlib.suppress(OSError):
        found = re.search(r"^VmHWM:\s*(\d+) kB", _STATUS.read_text(encoding="ascii", errors="replace"), re.M)
        if found:
            return int(found[1]) * 1024e-6
    if resource is None:
        import psutil

        told: Any = psutil.Process().memory_info()
        return told.peak_wset * 1e-6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1e-6  # bytes on macOS


@dataclass(frozen=True)
class Usage:
    """What one process has used.

    Attributes
    ----------
    peak_memory_mb : float
        Since the process began.
    cpu_seconds : float
        Of all its threads.
    tasks : int
    """

    peak_memory_mb: float = 0.0
    cpu_seconds: float = 0.0
    tasks: int = 0


class TaskUsage:
    """Notes in a file of its own what the tasks of this process use; a lost note is no loss."""

    def __init__(self, folder: str, process: str) -> None:
        self.path = Path(folder) / (process + USAGE_SUFFIX)
        self.started = time.process_time()

    def note(self) -> None:
        """Add the task that has just ended."""
        before = read_usage(self.path)
        spent = before.cpu_seconds + time.process_time() - self.started
        usage = Usage(round(peak_memory_mb(), 1), round(spent, 3), before.tasks + 1)
        temporary = self.path.with_name("." + self.path.name)
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps(asdict(usage)), encoding="utf-8")
            os.replace(temporary, self.path)


def read_usage(path: Path) -> Usage:
    """Return what a process noted last; nothing used if it noted nothing."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Usage(float(content["peak_memory_mb"]), float(content["cpu_seconds"]), int(content["tasks"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Usage()
