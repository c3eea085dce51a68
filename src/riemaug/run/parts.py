"""What a run took of time, memory and processor, all its parts together: a resumed run has several."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from riemaug.atomic import atomic_write_text
from riemaug.logs.usage import Usage


@dataclass(frozen=True)
class Part:
    """One process's share of a run: all of it, unless the run was stopped and resumed.

    Attributes
    ----------
    began : str
        When, in UTC.
    seconds : float
    stages : dict of str to float
        Seconds of each stage.
    cpu_seconds : float
        Of this process alone.
    peak_memory_mb : float
        Of this process alone.
    """

    began: str
    seconds: float
    stages: dict[str, float] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    peak_memory_mb: float = 0.0


def read_parts(path: Path) -> list[Part]:
    """Return the parts that were kept; none if nothing can be read, for that is no reason to end a run."""
    try:
        return [Part(**item) for item in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def write_parts(path: Path, parts: Sequence[Part]) -> None:
    """Keep the parts, whole or not at all."""
    atomic_write_text(path, json.dumps([asdict(part) for part in parts]))


def summary(parts: Sequence[Part], workers: Sequence[Usage]) -> dict[str, Any]:
    """Return what run.json says of the parts, this one last, and of the worker processes of all of them."""
    stages: Counter[str] = Counter()
    for part in parts:
        stages.update(part.stages)
    own = max(part.peak_memory_mb for part in parts)
    largest = max((item.peak_memory_mb for item in workers), default=0.0)
    return {
        "seconds": round(sum(part.seconds for part in parts), 2),
        "resumes": len(parts) - 1,
        "stages": {name: round(seconds, 2) for name, seconds in stages.items()},
        "cpu_seconds": {
            "main process": round(sum(part.cpu_seconds for part in parts), 2),
            "workers": round(sum(item.cpu_seconds for item in workers), 2),
        },
        "peak_memory_mb": round(max(own, largest), 1),
        "peak_memory_by_process_mb": {"main process": round(own, 1), "largest worker": round(largest, 1)},
        "worker_processes": len(workers),
    }
