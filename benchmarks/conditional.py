"""One model of all classes against one perceptron a class: what their samples are worth to a CNN.

    RIEMAUG_DATA=DIR python benchmarks/conditional.py --docs docs/models.md

For each draw of 40 training images a class of MNIST and of Fashion-MNIST: both presets are fitted, 500 images
a class are drawn from each by the default sampler, and a small CNN is trained on the synthetic images alone,
and on real and synthetic ones together; beside it on the real ones alone. With `--validation` the draws are
others (from 100 on) and the CNNs are scored on 3,000 further training images: that is what constants were
chosen by. Without it the test set is used, once. Each finished draw is a line in the result file, so a run
that was interrupted goes on where it was; `--report` only prints what is there.
"""

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import torch
from scipy import stats

from riemaug import Augmentor
from riemaug.evaluation.networks import SmallCNN
from riemaug.evaluation.training import accuracy, fit_classifier
from riemaug.parallel import one_thread
from riemaug.random import Stream

PRESETS = {
    "one perceptron a class": {"preset": "paper"},
    "one shared model": {"preset": "conditional", "sharing": "always"},
}
FILES = {"mnist": "mnist.npz", "fashion": "fashion_mnist.npz"}
REAL, SYNTHETIC, NUM_VALIDATION = 40, 500, 3000
FIRST_VALIDATION_DRAW = 100
MARKS = ("<!-- conditional:begin -->", "<!-- conditional:end -->")


@dataclass(frozen=True)
class Task:
    """One draw of one data set."""

    data: str
    draw: int
    validation: bool
    folder: Path


def load(task: Task) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the 40 real images a class with their labels, and those that are scored."""
    with np.load(task.folder / FILES[task.data], allow_pickle=False) as file:
        images, labels = file["train_images"], file["train_labels"]
        test = file["test_images"], file["test_labels"]
    order = np.random.default_rng(task.draw).permutation(len(labels))
    rows = np.concatenate([order[labels[order] == value][:REAL] for value in range(10)])
    if task.validation:
        others = np.setdiff1d(order, rows)
        others = np.random.default_rng(task.draw).permutation(others)[:NUM_VALIDATION]
        test = images[others], labels[others]
    return (images[rows], labels[rows]), test


def cnn_score(
    images: np.ndarray, labels: np.ndarray, test: tuple[np.ndarray, np.ndarray], stream: Stream
) -> float:
    """Return the accuracy on `test` of a CNN trained on the images."""
    model = SmallCNN((1, 28, 28), 10, stream)
    fit_classifier(model, _unit(images), torch.from_numpy(labels.astype(np.int64)), stream)
    return accuracy(model, _unit(test[0]), torch.from_numpy(test[1].astype(np.int64)))


def _unit(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images.astype(np.float32) / 255.0).unsqueeze(1)


def run(task: Task) -> dict:
    """Fit, draw and score one draw; return its line of the result file."""
    with one_thread():
        real, test = load(task)
        stream = Stream(task.draw, ("cnn", task.data))
        scores: dict = {"real only": cnn_score(*real, test, stream)}
        seconds = {}
        for name, options in PRESETS.items():
            started = time.process_time()
            augmentor = Augmentor(**options, random_state=task.draw, n_jobs=1).fit(*real)
            seconds[name] = round(time.process_time() - started, 1)
            images, labels = augmentor.sample(SYNTHETIC)
            together = np.concatenate([real[0], images]), np.concatenate([real[1], labels])
            scores[name] = {
                "synthetic": cnn_score(images, labels, test, stream),
                "real and synthetic": cnn_score(*together, test, stream),
            }
    return {"data": task.data, "draw": task.draw, "accuracy": scores, "fit_cpu_seconds": seconds}


def difference(rows: list[dict], trained_on: str) -> tuple[float, float, float]:
    """Return the mean paired difference of the second preset over the first, and its 95 % t interval."""
    first, second = PRESETS
    gaps = np.array(
        [100 * (row["accuracy"][second][trained_on] - row["accuracy"][first][trained_on]) for row in rows]
    )
    if len(gaps) < 2:
        return float(gaps.mean()), float("-inf"), float("inf")
    low, high = stats.t.interval(0.95, len(gaps) - 1, gaps.mean(), stats.sem(gaps))
    return float(gaps.mean()), float(low), float(high)


def table(rows: list[dict]) -> str:
    """Return the results as a Markdown table."""
    lines = ["| data | trained on | accuracy, mean (sd) | difference, 95 % interval | fit, CPU s |"]
    lines += ["|---|---|---|---|---|"]
    for data in dict.fromkeys(row["data"] for row in rows):
        of_data = [row for row in rows if row["data"] == data]
        lines.append(f"| {data}, {len(of_data)} draws | real only | {_spread(of_data, 'real only')} | | |")
        for trained_on in ("synthetic", "real and synthetic"):
            for position, name in enumerate(PRESETS):
                gap = ""
                if position:
                    gap = _interval(*difference(of_data, trained_on))
                spent = np.mean([row["fit_cpu_seconds"][name] for row in of_data])
                score = _spread(of_data, name, trained_on)
                lines.append(f"| {data} | {trained_on}, {name} | {score} | {gap} | {spent:.0f} |")
    return "\n".join(lines)


def _interval(gap: float, low: float, high: float) -> str:
    return f"{gap:+.1f} ({low:+.1f} to {high:+.1f})" if np.isfinite(low) else f"{gap:+.1f} (one draw)"


def _spread(rows: list[dict], *keys: str) -> str:
    values = []
    for row in rows:
        value = row["accuracy"]
        for key in keys:
            value = value[key]
        values.append(100 * value)
    spread = f" ({np.std(values, ddof=1):.1f})" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"


def write_docs(page: Path, text: str) -> None:
    """Put the table between its marks in a page."""
    before, rest = page.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    page.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--data", nargs="+", choices=list(FILES), default=list(FILES))
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("RIEMAUG_DATA"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--report", action="store_true", help="only print what the result file holds")
    parser.add_argument("--docs", type=Path, help="page to write the table into")
    arguments = parser.parse_args()
    name = "conditional_validation.jsonl" if arguments.validation else "conditional.jsonl"
    out = arguments.out or Path(__file__).parent / "results" / name
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.is_file() else []
    if not arguments.report:
        if arguments.data_dir is None:
            parser.error("name the folder that holds mnist.npz with --data-dir or RIEMAUG_DATA")
        first = FIRST_VALIDATION_DRAW if arguments.validation else 0
        done = {(row["data"], row["draw"]) for row in rows}
        tasks = [
            Task(data, first + draw, arguments.validation, Path(arguments.data_dir))
            for draw in range(arguments.draws)
            for data in arguments.data
            if (data, first + draw) not in done
        ]
        for row in joblib.Parallel(n_jobs=arguments.jobs, return_as="generator_unordered")(
            joblib.delayed(run)(task) for task in tasks
        ):
            rows.append(row)
            with open(out, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
    rows.sort(key=lambda row: (list(FILES).index(row["data"]), row["draw"]))
    print(table(rows))
    if arguments.docs:
        write_docs(arguments.docs, table(rows))


if __name__ == "__main__":
    main()
