"""What 500 synthetic images a class are worth when a class has only 40 real ones (MNIST).

    RIEMAUG_DATA=DIR python benchmarks/mnist40.py --draws 3 --jobs 2

For each draw of 40 training images a class: one generator a class (the preset "paper"), 500 samples each, a
small CNN trained on the synthetic images alone and tested on the 10,000 test images; the same for a plain
VAE's prior with the same networks, for the RHVAE's own prior, and for the 40 real images. Beside it:
how many synthetic images leave a CNN that was trained on 10,000 other real images less than half sure.
Prints a table and writes
`results/mnist40.json`.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch

from riemaug import Augmentor
from riemaug.evaluation.networks import SmallCNN
from riemaug.evaluation.training import accuracy, fit_classifier, predict_log_probabilities
from riemaug.parallel import run_tasks
from riemaug.random import Stream

METHODS = {
    "rhvae mixture": {"model": "rhvae", "sampler": "mixture"},
    "rhvae prior": {"model": "rhvae", "sampler": "prior"},
    "vae prior": {"model": "vae", "sampler": "prior"},
}
NUM_REFERENCE = 10_000


def load(data_dir: Path) -> dict[str, np.ndarray]:
    with np.load(data_dir / "mnist.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def draw_rows(labels: np.ndarray, per_class: int, draw: int) -> np.ndarray:
    """Return the rows of one draw; the same as examples/mnist_folders.py takes."""
    order = np.random.default_rng(draw).permutation(len(labels))
    return np.concatenate([order[labels[order] == digit][:per_class] for digit in range(10)])


def train_cnn(images: np.ndarray, labels: np.ndarray, stream: Stream) -> SmallCNN:
    model = SmallCNN((1, 28, 28), 10, stream)
    fit_classifier(model, as_tensor(images), torch.from_numpy(labels.astype(np.int64)), stream)
    return model


def as_tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images.astype(np.float32) / 255.0).unsqueeze(1)


def synthetic_sets(
    images: np.ndarray, labels: np.ndarray, per_class: int, jobs: int, seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return synthetic images and labels by method; the two RHVAE samplers share their models."""
    made, fitted = {}, {}
    for name, options in METHODS.items():
        if options["model"] not in fitted:
            augmentor = Augmentor(preset="paper", model=options["model"], random_state=seed, n_jobs=jobs)
            fitted[options["model"]] = augmentor.fit(images, labels)
        made[name] = fitted[options["model"]].set_params(sampler=options["sampler"]).sample(per_class)
    return made


def score(task: tuple) -> float:
    images, labels, test_images, test_labels, stream = task
    model = train_cnn(images, labels, stream)
    return accuracy(model, as_tensor(test_images), torch.from_numpy(test_labels.astype(np.int64)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--real", type=int, default=40)
    parser.add_argument("--per-class", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("RIEMAUG_DATA"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "mnist40.json")
    arguments = parser.parse_args()
    if arguments.data_dir is None:
        parser.error("name the folder that holds mnist.npz with --data-dir or RIEMAUG_DATA")
    data = load(Path(arguments.data_dir))
    test = (data["test_images"], data["test_labels"])
    rows = []
    for draw in range(arguments.draws):
        started = time.monotonic()
        chosen = draw_rows(data["train_labels"], arguments.real, draw)
        images, labels = data["train_images"][chosen], data["train_labels"][chosen]
        sets = synthetic_sets(images, labels, arguments.per_class, arguments.jobs, draw)
        fitted = time.monotonic() - started
        sets = {"real only": (images, labels), **sets}
        tasks = [(*pair, *test, Stream(draw, ("cnn", name))) for name, pair in sets.items()]
        scores = dict(zip(sets, run_tasks(score, tasks, arguments.jobs), strict=True))
        others = np.setdiff1d(np.arange(len(data["train_labels"])), chosen)
        others = np.random.default_rng(draw).permutation(others)[:NUM_REFERENCE]
        judge = train_cnn(
            data["train_images"][others], data["train_labels"][others], Stream(draw, ("judge",))
        )
        unsure = {
            name: float(
                (predict_log_probabilities(judge, as_tensor(pair[0])).exp().amax(-1) < 0.5).float().mean()
            )
            for name, pair in sets.items()
        }
        rows.append(
            {"draw": draw, "accuracy": scores, "share_unsure": unsure, "fit_seconds": round(fitted, 1)}
        )
        print(json.dumps(rows[-1]), flush=True)
    report(rows, arguments)


def report(rows: list[dict], arguments: argparse.Namespace) -> None:
    names = list(rows[0]["accuracy"])
    print(f"\n{'trained on':16s} {'accuracy, mean (sd)':>22s} {'less than 0.5 sure':>20s}")
    for name in names:
        values = 100 * np.array([row["accuracy"][name] for row in rows])
        spread = values.std(ddof=1) if len(values) > 1 else float("nan")
        unsure = 100 * np.mean([row["share_unsure"][name] for row in rows])
        print(f"{name:16s} {values.mean():14.1f} ({spread:.1f}) {unsure:18.1f} %")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    content = {"real": arguments.real, "per_class": arguments.per_class, "draws": rows}
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
