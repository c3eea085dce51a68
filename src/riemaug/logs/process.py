"""What this process is called in logs: no other one of the run has the name, on whatever machine it is."""

import os
import platform
import re
import secrets
from functools import cache


def process_name() -> str:
    """Return machine, number and a random word: numbers come again, and machines may share a name."""
    return _name_of(os.getpid())


def is_gone(name: str) -> bool:
    """Return whether a process of this machine that had this name has ended; False for other machines'."""
    import psutil

    machine, _, rest = name.rpartition("-")[0].rpartition("-")
    return machine == _machine() and rest.isdigit() and not psutil.pid_exists(int(rest))


@cache
def _name_of(pid: int) -> str:
    return f"{_machine()}-{pid}-{secrets.token_hex(3)}"


def _machine() -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", platform.node())[:40].strip("-") or "machine"
