"""Times the samplers against the floor, the paper's walk as published, and pythae, and checks all laws.

    python benchmarks/samplers.py --peers-python PEERS/bin/python --json benchmarks/results/samplers.json

Everything runs on one thread, on the same two random metrics (N = 120, d = 2 and 10). PEERS is an environment
of its own with torch and pythae (`pip install torch pythae`); without it that part is left out, and the
output says so. `--quick` shortens every part (minutes instead of half an hour; the long chains of the peers
in ten dimensions are timed but not run to their end). `--only machine,walk,...` runs some of the parts.
"""

import os
import sys


def main() -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"  # read when the libraries are loaded, so before the import below
    from sampling.run import main as run

    run(sys.argv[1:], __doc__ or "")


if __name__ == "__main__":
    main()
