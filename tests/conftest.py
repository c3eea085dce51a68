"""One thread a process: the tests run in several, and threads that wait for each other would slow them.

Property tests look at the same examples in each run: a new one would fail in somebody else's change. To look
for new ones: `HYPOTHESIS_PROFILE=new pytest ...`.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import zlib
from pathlib import Path

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("same", derandomize=True)
settings.register_profile("new", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

_MANY_CASES = tuple(
    Path(__file__).parent / name
    for name in (
        "statistics",
        "numerics",
        "cli/test_cli_kill.py",
        "cli/test_cli_disk.py",
        "cli/test_cli_same_bytes.py",
        "cli/test_cli_signals.py",
    )
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave half the cases of laws, maps, kills and bytes to `make test-long`.

    Which ones is as good as drawn by lot, and the same in each run, so that all kinds are in both halves.
    """
    for item in items:
        is_case = "[" in item.name and any(item.path.is_relative_to(folder) for folder in _MANY_CASES)
        if is_case and item.get_closest_marker("slow") and zlib.crc32(item.name.encode()) % 2:
            item.add_marker(pytest.mark.long)
