"""What this process is called in logs: no other one of the run has the name, on whatever machine it is."""

import os
import platform
import re
import secrets
from functools import cache


def process_name() -> str:
    """Return machine, number and a random word: numbers come again, and machines may share a name."""
    return _name_of(os.getpid())


@cache
def _name_of(pid: int) -> str:
    machine = re.sub(r"[^A-Za-z0-9]+", "-", platform.node())[:40].strip("-") or "machine"
    return f"{machine}-{pid}-{secrets.token_hex(3)}"
