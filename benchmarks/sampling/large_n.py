"""Time and memory of the mixture sampler on one metric of N centroids; run as a script, a process for each N.

    python benchmarks/sampling/large_n.py --num 10000 --dim 2

The centroids are uniform in a box of volume N T^d, one for each T^d, so that every N has the same density.
Prints one JSON line.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch

_BANDWIDTH, _REGULARIZATION = 0.8, 1e-3
_ADDRESS_SPACE = 16 * 2**30
_BYTES_A_DRAW = 24
"""Log density, origin and acceptance; the coordinates come on top."""


def dense_metric(num: int, dim: int):
    """Return a metric of `num` nearly isotropic kernels in a box that holds one for each T^d."""
    from riemaug.geometry import KernelMetric

    generator = torch.Generator().manual_seed(num + dim)
    options = {"generator": generator, "dtype": torch.float64}
    centroids = _BANDWIDTH * num ** (1.0 / dim) * torch.rand(num, dim, **options)
    below = torch.tril(0.05 * torch.randn(num, dim, dim, **options), -1)
    diagonal = 0.6 * torch.exp(0.1 * torch.randn(num, dim, **options))
    return KernelMetric(centroids, below + torch.diag_embed(diagonal), _BANDWIDTH, _REGULARIZATION)


def peak_memory() -> float:
    """Return the largest resident memory of this process so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage tells includes the parent from before this program was started
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(num: int, dim: int, least_seconds: float) -> dict:
    """Return setup, time a draw, and peak memory after few and after many draws, each less the draws kept."""
    from riemaug.samplers import MixtureSampler

    MixtureSampler(dense_metric(50, dim)).sample(1, 0)  # imports and compiles what a first call does
    empty = peak_memory()
    metric = dense_metric(num, dim)
    started = time.process_time()
    sampler = MixtureSampler(metric)
    sampler.sample(1, 0)
    setup = time.process_time() - started
    block = sampler.block_size
    after_setup, count, peaks = peak_memory(), 4 * block, []
    fixed = min(_seconds(sampler, block) for _ in range(3))
    while True:
        seconds = _seconds(sampler, count)
        peaks.append((count, peak_memory()))
        if seconds - fixed > max(least_seconds, 0.5 * fixed) or count >= 2**21:
            break
        count *= 4
    seconds = min(seconds, *(_seconds(sampler, count) for _ in range(2)))
    draws = sampler.sample(2 * block, 0)
    return {
        "num_centroids": num,
        "dim": dim,
        "setup_seconds": setup,
        "timed_draws": count,
        "microseconds_a_draw": 1e6 * (seconds - fixed) / (count - block),
        "peak_mb": {
            "before": empty,
            "after_setup": after_setup,
            "draws": [
                {"num_draws": number, "peak": peak, "kept_draws": number * (_BYTES_A_DRAW + 8 * dim) / 2**20}
                for number, peak in peaks
            ],
        },
        "acceptance": draws.diagnostics.acceptance,
        "log_normalizer_a_centroid": (draws.diagnostics.log_normalizer or math.nan) - math.log(num),
        "mean_log_density": draws.diagnostics.expected_log_density,
        "message": draws.diagnostics.message,
    }  # fmt: skip


def _seconds(sampler, count: int) -> float:
    started = time.process_time()
    sampler.sample(count, 0)
    return time.process_time() - started


def measure_apart(num: int, dim: int, least_seconds: float, limit: float, environment: dict) -> dict:
    """Return what this script prints for N = `num`, run in a process of its own; or why it failed."""
    command = [
        sys.executable,
        __file__,
        "--num",
        str(num),
        "--dim",
        str(dim),
        "--seconds",
        str(least_seconds),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return {"num_centroids": num, "dim": dim, "failed": f"not done within {limit:.0f} s"}
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        return {"num_centroids": num, "dim": dim, "failed": reason[0]}
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--num", type=int, required=True)
    parser.add_argument("--dim", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=1.0, help="least time to draw for")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    # a run that would take all memory fails alone instead of taking others with it
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    print(json.dumps(measure(arguments.num, arguments.dim, arguments.seconds)))


if __name__ == "__main__":
    main()
