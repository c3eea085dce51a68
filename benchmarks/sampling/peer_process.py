"""Starts `peers.py` in the peers' own environment and reads what it measured."""

import json
import os
import subprocess
from pathlib import Path

from .cases import Case

_QUICK_BATCHES, _FULL_BATCHES = (0, 1), (1, 5)
"""Full runs in ten dimensions, where one takes minutes, and in two, where it takes seconds."""

PYTHAE_STEPS = 100
"""Steps of a chain by pythae's defaults."""

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def one_thread_environment() -> dict[str, str]:
    """Return this process's environment with the thread pools held to one thread."""
    return {**os.environ, **_ONE_THREAD}


def measure_pythae(python: Path | None, case: Case, metric_file: Path, draws_file: Path, quick: bool) -> dict:
    """Return the time of pythae's sampler on the metric, or a dictionary that says why there is none."""
    if python is None:
        return {"left_out": "no --peers-python given"}
    if reason := _lacking(python):
        return {"left_out": reason}
    command = [str(python), str(Path(__file__).with_name("peers.py")), str(metric_file), str(draws_file)]
    command += ["--chains", str(case.num_chains)]
    command += ["--timing-steps", "2" if quick else "5", "--repeats", "2" if quick else "3"]
    batches = _QUICK_BATCHES if quick else _FULL_BATCHES
    command += ["--batches", str(batches[case.dim == 2])]
    done = subprocess.run(command, capture_output=True, text=True, env=one_thread_environment(), check=False)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["no message"]
        return {"left_out": f"the run failed: {reason[0]}"}
    result = json.loads(done.stdout.splitlines()[-1])
    steps = result.setdefault("steps", PYTHAE_STEPS)
    result["draws_per_second"] = case.num_chains / (result["seconds_a_step"] * steps)
    return result


def _lacking(python: Path) -> str | None:
    """Return why the interpreter cannot run pythae, None if it can."""
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pythae') is None)"
    try:
        found = subprocess.run([str(python), "-c", look], capture_output=True, check=False).returncode == 0
    except OSError as error:
        return f"{python.name} cannot be started: {error.strerror}"
    return None if found else f"pythae is not installed for {python.name}"
