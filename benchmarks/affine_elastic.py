"""How strong the affine + elastic transforms of the study are: chosen on real samples that it does not use.

    RIEMAUG_DATA=DIR python benchmarks/affine_elastic.py

For each data set the small CNN is trained with every candidate of `riemaug.baselines.transform_tuning` on
the training part of a few draws (numbers from 100 on) and judged by their validation parts; the smallest mean
loss wins. Test images are not looked at. The outcome is written where `riemaug study` reads it.
"""

import argparse
import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from riemaug.baselines.transform_tuning import CANDIDATES, TunedTransform, tune_affine_elastic
from riemaug.parallel import run_tasks
from riemaug.random import Stream
from riemaug.study.datasets import load_study_data
from riemaug.study.transforms import FILE

DATA = ("mnist_balanced", "fashion_balanced")
FIRST_DRAW = 100
DEFAULT_OUT = Path(__file__).parent.parent / "src" / "riemaug" / "study" / FILE


def tuned(task: tuple[str, int, Path]) -> TunedTransform:
    """Return the search on one draw."""
    name, draw, folder = task
    data = load_study_data(name, draw, folder)
    stream = Stream(draw, ("affine elastic", name))
    return tune_affine_elastic(data.train, data.validation, len(data.class_names), stream)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("RIEMAUG_DATA"))
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    arguments = parser.parse_args()
    if arguments.data_dir is None:
        parser.error("name the folder that holds the data sets with --data-dir or RIEMAUG_DATA")
    document = json.loads(arguments.out.read_text(encoding="utf-8"))
    for name in arguments.data:
        started = time.monotonic()
        draws = range(FIRST_DRAW, FIRST_DRAW + arguments.draws)
        tasks = [(name, draw, Path(arguments.data_dir)) for draw in draws]
        losses = np.array([found.losses for found in run_tasks(tuned, tasks, arguments.jobs)]).mean(0)
        document["data"][name] = {
            "transform": asdict(CANDIDATES[int(losses.argmin())]),
            "validation_loss": [round(float(loss), 4) for loss in losses],
            "draws": list(draws),
            "seconds": round(time.monotonic() - started),
        }
        print(name, document["data"][name], flush=True)
        arguments.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
