"""What the constants that riemaug chooses are measured on (docs/tuning.md).

    RIEMAUG_DATA=DIR python benchmarks/defaults.py --jobs 2
    python benchmarks/defaults.py --docs

One model a class on 40 images (MNIST, Fashion-MNIST), scored on 100 other training images of the class by
their likelihood under the law that samples are drawn from; the test sets are not touched.
Finished fits are kept in the results file, so a stopped run goes on where it was. `--docs` writes the tables
into docs/tuning.md.
"""

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from riemaug.class_model import ClassModel, TrainingRows, fit_model
from riemaug.geometry import KernelMetric
from riemaug.models import paper_model
from riemaug.models.defaults import median_gap
from riemaug.parallel import run_tasks
from riemaug.random import Stream
from riemaug.samplers import MixtureSampler, PriorSampler
from riemaug.training import paper_training
from riemaug.training.augmentation import AugmentationConfig, patient, told_of
from riemaug.tuning.evidence import LatentLaw, law_evidence

RESULTS = Path(__file__).parent / "results" / "defaults.json"
DOCS = Path(__file__).parents[1] / "docs" / "tuning.md"
CLASSES = (("mnist", 3), ("mnist", 8), ("fashion", 0), ("fashion", 6))
PLAIN_CLASSES = CLASSES[::2]
TABLE_CLASSES = (0, 1)
DIMS, SIZES = (2, 4, 8, 16), (20, 160)
FACTORS = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
REGULARIZATIONS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
LIKELIHOODS = ("bernoulli", "continuous-bernoulli", "gaussian", "gaussian-learned")
AUGMENTATIONS = {
    "none": None,
    "half": AugmentationConfig(share=0.5),
    "four in five": AugmentationConfig(share=0.8),
    "stronger": AugmentationConfig(share=0.8, rotation=30, shift=0.12, scale=0.2, shear=15),
}
HELD_OUT, DRAWS = 100, 300


def load(name: str, data_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return rows in [0, 1] and labels; only training parts."""
    if name == "breast cancer":
        from sklearn.datasets import load_breast_cancer

        bunch = load_breast_cancer()
        low, high = bunch.data.min(0), bunch.data.max(0)
        return ((bunch.data - low) / (high - low)).astype(np.float32), bunch.target
    file_name = {"mnist": "mnist.npz", "fashion": "fashion_mnist.npz"}[name]
    with np.load(data_dir / file_name, allow_pickle=False) as file:
        images, labels = file["train_images"], file["train_labels"]
    return (images.reshape(len(images), -1) / 255.0).astype(np.float32), labels


def split(task: dict, data_dir: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the rows to train on and the rows held out."""
    rows, labels = load(task["set"], data_dir)
    order = np.random.default_rng(task["seed"]).permutation(np.flatnonzero(labels == task["class"]))
    # the held-out rows are the same for every training size
    held_out, trained = order[:HELD_OUT], order[HELD_OUT : HELD_OUT + task["size"]]
    return torch.from_numpy(rows[trained]), torch.from_numpy(rows[held_out])


def fit(task: dict, data: torch.Tensor) -> tuple[ClassModel, dict]:
    update = {"latent_dim": task["dim"], "likelihood": task["likelihood"]}
    config = paper_model(data.shape[1], task["kind"]).model_copy(update=update)
    training = paper_training(data.shape[1])
    augmentation = AUGMENTATIONS[task.get("augment", "none")]
    if augmentation is not None:
        training = patient(training)
        side = math.isqrt(data.shape[1])
        config = told_of(config, augmentation, (side, side), None)
    rows = TrainingRows(f"{task['set']} {task['class']}", data, ("",) * len(data))
    started = time.monotonic()
    (item,) = fit_model((rows,), config, training, task["seed"], augmentation=augmentation)
    record = {"epochs": item.history.num_epochs, "seconds": round(time.monotonic() - started, 1)}
    return item, record


def score(item: ClassModel, bandwidth: float, regularization: float, held_out: torch.Tensor) -> dict:
    """Return the held-out likelihood of the law with these constants, and its flat share."""
    assert item.metric is not None
    changed = KernelMetric(item.metric.centroids, item.metric.factors, bandwidth, regularization)
    sampler = MixtureSampler(changed)
    law = LatentLaw.of(sampler, Stream(0, ("law",)))
    flat = sampler.sample(4096, Stream(0, ("flat",))).diagnostics.flat_mass
    return {"nats": evidence(item, law, held_out), "flat": flat}


def evidence(item: ClassModel, law: LatentLaw, held_out: torch.Tensor) -> float:
    generator, condition = Stream(0, ("score",)).generator(), item.condition(len(held_out))
    return round(float(law_evidence(item.model, held_out, law, DRAWS, generator, condition).mean()), 2)


def measure(work: tuple[dict, Path]) -> dict:
    task, data_dir = work
    data, held_out = split(task, data_dir)
    item, record = fit(task, data)
    rmse = (item.reconstruct(held_out) - held_out).square().mean().sqrt()
    prior = LatentLaw.of(PriorSampler(task["dim"]), Stream(0, ("law",)))
    record |= {"task": task, "rmse": round(float(rmse), 4), "prior": evidence(item, prior, held_out)}
    if item.metric is None:
        return record
    gap = median_gap(item.metric.centroids)
    return record | {
        "gap": round(gap, 3),
        "paper": score(item, 0.8, 1e-3, held_out),
        "factors": {str(f): score(item, f * gap, 1e-3, held_out) for f in FACTORS},
        "regularization": {str(value): score(item, gap, value, held_out) for value in REGULARIZATIONS},
    }


def tasks(seeds: int) -> list[dict]:
    """Return all fits; what does not depend on the metric is measured with plain VAEs, which are quicker."""
    listed = []
    for seed in range(seeds):
        for set_name, label in CLASSES:
            base = {"set": set_name, "class": label, "seed": seed, "size": 40, "likelihood": "bernoulli"}
            listed += [base | {"part": "metric", "dim": dim, "kind": "rhvae"} for dim in DIMS]
        for set_name, label in PLAIN_CLASSES:
            plain = {"set": set_name, "class": label, "seed": seed, "size": 40, "likelihood": "bernoulli"}
            plain |= {"dim": 8, "kind": "vae"}
            listed += [plain | {"part": "augmentation", "augment": name} for name in AUGMENTATIONS]
            listed += [plain | {"part": "likelihood", "likelihood": name} for name in LIKELIHOODS]
            listed += [
                plain | {"part": "size", "size": size, "dim": dim} for size in SIZES for dim in DIMS[::2]
            ]
        for label in TABLE_CLASSES:
            base = {"set": "breast cancer", "class": label, "seed": seed, "size": 40, "dim": 4}
            plain = base | {"part": "table", "kind": "vae"}
            listed += [plain | {"likelihood": likelihood} for likelihood in LIKELIHOODS[2:]]
    return listed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--part", choices=("metric", "size", "likelihood", "table", "augmentation"), help="only this part"
    )
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("RIEMAUG_DATA"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--docs", action="store_true", help="only write the tables into docs/tuning.md")
    arguments = parser.parse_args()
    if not arguments.docs:
        if arguments.data_dir is None:
            parser.error("name the folder that holds mnist.npz with --data-dir or RIEMAUG_DATA")
        run(arguments)
    records = json.loads(arguments.out.read_text())
    print(report(records))
    if arguments.docs:
        write_docs(records)


def run(arguments: argparse.Namespace) -> None:
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    records = json.loads(arguments.out.read_text()) if arguments.out.is_file() else []
    done = [record["task"] for record in records]
    wanted = [
        task for task in tasks(arguments.seeds) if task not in done and arguments.part in (None, task["part"])
    ]
    work = [(task, Path(arguments.data_dir)) for task in wanted]
    for record in run_tasks(measure, work, arguments.jobs):
        records.append(record)
        arguments.out.write_text(json.dumps(records, indent=1) + "\n")
        print(json.dumps(record), flush=True)


def of_part(records: list[dict], part: str, **wanted: object) -> list[dict]:
    found = [r for r in records if r["task"]["part"] == part]
    return [r for r in found if all(r["task"][key] == value for key, value in wanted.items())]


def mean(values: list[float], digits: int = 1) -> str:
    return f"{np.mean(values):.{digits}f}" if values else "-"


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def bandwidth_table(records: list[dict]) -> str:
    """How far each bandwidth is below the best multiple, model by model."""
    rows = []
    for dim in DIMS:
        chosen = of_part(records, "metric", dim=dim)
        best = [max(f["nats"] for f in r["factors"].values()) for r in chosen]
        cells = [
            [r["factors"][str(factor)]["nats"] - top for r, top in zip(chosen, best, strict=True)]
            for factor in FACTORS
        ]
        paper = [r["paper"]["nats"] - top for r, top in zip(chosen, best, strict=True)]
        gaps = [r["gap"] for r in chosen]
        rows.append([str(dim), mean(gaps, 2), *map(mean, cells), mean(paper)])
    factors = [f"{factor:g} gaps" for factor in FACTORS]
    return table(["d", "gap", *factors, "T = 0.8"], rows)


def regularization_table(records: list[dict]) -> str:
    rows = []
    for dim in DIMS:
        chosen = of_part(records, "metric", dim=dim)
        cells = []
        for value in REGULARIZATIONS:
            here = [r["regularization"][str(value)] for r in chosen]
            gains = [
                h["nats"] - r["regularization"]["0.001"]["nats"] for h, r in zip(here, chosen, strict=True)
            ]
            flat = np.mean([h["flat"] for h in here]) if here else float("nan")
            cells.append(f"{mean(gains)} ({flat:.1e})")
        rows.append([str(dim), *cells])
    return table(["d", *(f"{value:g}" for value in REGULARIZATIONS)], rows)


def dimension_table(records: list[dict]) -> str:
    """Gain of the prior over d = 2, by the number of training images; and of the law with T at one gap."""
    rows = []
    for size in sorted((*SIZES, 40)):
        part = "metric" if size == 40 else "size"
        rows.append([f"prior, {size} images", *gains(of_part(records, part, size=size), prior_of)])
    rows.append(["law, 40 images", *gains(of_part(records, "metric"), law_of)])
    return table(["", *(f"d = {dim}" for dim in DIMS)], rows)


def prior_of(record: dict) -> float:
    return record["prior"]


def law_of(record: dict) -> float:
    return record["factors"]["1.0"]["nats"]


def gains(records: list[dict], value: Callable[[dict], float]) -> list[str]:
    cells = []
    for dim in DIMS:
        pairs = [
            (value(record), value(base))
            for record in records
            for base in records
            if record["task"] == base["task"] | {"dim": dim} and base["task"]["dim"] == 2
        ]
        cells.append(mean([reached - start for reached, start in pairs]))
    return cells


def likelihood_table(records: list[dict]) -> str:
    rows = []
    for name, label in PLAIN_CLASSES:
        cells = []
        for likelihood in LIKELIHOODS:
            found = of_part(records, "likelihood", set=name, likelihood=likelihood, **{"class": label})
            cells.append(f"{mean([r['rmse'] for r in found], 3)} ({mean([r['epochs'] for r in found], 0)})")
        rows.append([f"{name} {label}", *cells])
    return table(["class", *LIKELIHOODS], rows)


def table_table(records: list[dict]) -> str:
    rows = []
    for label in TABLE_CLASSES:
        cells = []
        for likelihood in LIKELIHOODS[2:]:
            found = of_part(records, "table", likelihood=likelihood, **{"class": label})
            cells.append(f"{mean([r['prior'] for r in found])} ({mean([r['rmse'] for r in found], 3)})")
        rows.append([f"breast cancer {label}", *cells])
    return table(["class", *LIKELIHOODS[2:]], rows)


def augmentation_table(records: list[dict]) -> str:
    rows = []
    for name, label in PLAIN_CLASSES:
        cells = []
        for amount in AUGMENTATIONS:
            found = of_part(records, "augmentation", set=name, augment=amount, **{"class": label})
            cells.append(f"{mean([r['prior'] for r in found])} ({mean([r['epochs'] for r in found], 0)})")
        rows.append([f"{name} {label}", *cells])
    return table(["class", *AUGMENTATIONS], rows)


TABLES = {
    "bandwidth": bandwidth_table,
    "regularization": regularization_table,
    "dimension": dimension_table,
    "likelihood": likelihood_table,
    "table": table_table,
    "augmentation": augmentation_table,
}


def report(records: list[dict]) -> str:
    return "\n\n".join(f"{name}\n{make(records)}" for name, make in TABLES.items())


def write_docs(records: list[dict]) -> None:
    text = DOCS.read_text()
    for name, make in TABLES.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        head, _, rest = text.partition(begin)
        text = f"{head}{begin}\n{make(records)}\n{end}{rest.partition(end)[2]}"
    DOCS.write_text(text)


if __name__ == "__main__":
    main()
