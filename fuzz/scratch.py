"""A folder of this process in memory, where the system has one, for the files that targets read."""

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

_IN_MEMORY = "/dev/shm"


@cache
def folder(name: str) -> Path:
    """Return a folder of that name, empty at first."""
    path = _root() / name
    path.mkdir()
    return path


@cache
def _root() -> Path:
    import atexit

    root = tempfile.mkdtemp(prefix="riemaug-fuzz-", dir=_IN_MEMORY if os.path.isdir(_IN_MEMORY) else None)
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return Path(root)
