"""Twenty kills at random times; `python benchmarks/random_kills.py --kills 200` does more."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "random_kills.py"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_commands_killed_at_random_resume_to_the_same_bytes(tmp_path: Path) -> None:
    out = tmp_path / "kills.json"
    command = [sys.executable, SCRIPT, "--kills", "20", "--seed", "7", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(out.read_text())
    assert told["failures"] == []
    assert told["kills"] >= 20
    assert all(part["kills"] >= 1 for part in told["commands"].values())
