"""The learning rate of each classifier on OASIS, chosen once on the real samples alone.

    RIEMAUG_DATA=DIR python benchmarks/oasis_learning_rates.py --classifiers mlp

Each candidate trains on the raw part of the `oasis_paper` split with five seeds; the best mean balanced
accuracy on the validation part wins (the larger rate of equal ones). The test part is not looked at. The
outcome is written where `riemaug study` reads it.
"""

import argparse
import json
import os
import time
from pathlib import Path
from statistics import mean

from riemaug.evaluation.classifiers import classifier_named
from riemaug.evaluation.scores import classification_scores
from riemaug.parallel import run_tasks
from riemaug.random import Stream
from riemaug.study.datasets import load_study_data
from riemaug.study.learning_rates import FILE, PATIENCE, RATES

DEFAULT_OUT = Path(__file__).parent.parent / "src" / "riemaug" / "study" / FILE


def score(task: tuple[str, float, int, Path]) -> float:
    """Return the balanced accuracy on the validation part of one training."""
    name, rate, seed, folder = task
    data = load_study_data("oasis_paper", 0, folder)
    classifier = classifier_named(name, patience=PATIENCE[name], learning_rate=rate)
    stream = Stream(seed, ("learning rates", name))
    fitted = classifier.fit(data.train, data.validation, len(data.class_names), stream)
    return classification_scores(
        fitted.predict_proba(data.validation.samples), data.validation.labels
    ).balanced_accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--classifiers", nargs="+", choices=list(PATIENCE), default=["mlp"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("RIEMAUG_DATA"))
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    arguments = parser.parse_args()
    if arguments.data_dir is None:
        parser.error("name the folder that holds the OASIS files with --data-dir or RIEMAUG_DATA")
    document = json.loads(arguments.out.read_text(encoding="utf-8"))
    for name in arguments.classifiers:
        started = time.monotonic()
        tasks = [
            (name, rate, seed, Path(arguments.data_dir)) for rate in RATES for seed in range(arguments.seeds)
        ]
        scores = list(run_tasks(score, tasks, arguments.jobs))
        means = {
            rate: mean(value for task, value in zip(tasks, scores, strict=True) if task[1] == rate)
            for rate in RATES
        }
        best = max(RATES, key=lambda rate: (means[rate], rate))
        document["classifiers"][name] = {
            "learning_rate": best,
            "validation_balanced_accuracy": {f"{rate:g}": round(value, 4) for rate, value in means.items()},
            "seeds": arguments.seeds,
            "seconds": round(time.monotonic() - started),
        }
        print(name, best, means, flush=True)
        arguments.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
