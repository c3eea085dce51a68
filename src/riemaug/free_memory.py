"""How much memory this process may still take: what the machine has free, or what a container leaves it."""

from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")


def memory_limit(cgroup: Path = CGROUP) -> int | None:
    """Return the limit of a container in bytes; None, or an absurd number, where there is none."""
    return _number_in(cgroup / "memory.max") or _number_in(cgroup / "memory/memory.limit_in_bytes")


def free_memory(cgroup: Path = CGROUP) -> int:
    """Return the bytes that can be taken without swapping and without being killed for it."""
    available = int(psutil.virtual_memory().available)
    limit = memory_limit(cgroup)
    return available if limit is None else min(available, max(0, limit - _used(cgroup)))


def _used(cgroup: Path) -> int:
    """Return what counts against the limit, without cached files that are given up when memory is needed."""
    used = _number_in(cgroup / "memory.current") or _number_in(cgroup / "memory/memory.usage_in_bytes") or 0
    return used - (_field_of(cgroup / "memory.stat", "inactive_file") or 0)


def _field_of(path: Path, name: str) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name} ")]
    return int(found[0]) if found and found[0].isdecimal() else None


def _number_in(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
