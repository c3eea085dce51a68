"""The paper's OASIS preset at work: memory, time an epoch and until training stops, time to draw 100 images.

    RIEMAUG_DATA=DIR python benchmarks/oasis.py --classes AD CN --docs docs/models.md

The paper's networks and constants (Tables 4 and 5, learning rate 1e-4, stop after 50 epochs without a better
ELBO) on as many slices as the paper trains on: 70 of AD, 220 of CN, 208 x 176. One class after another in
this process, one thread; times are processor times. The floor of an epoch is the time of its products with
the largest weight matrices at the rate of `torch.mm`. A training that was interrupted goes on where it was
(`--state`, a folder). Results: `results/oasis.json`.
"""

import argparse
import json
import os
import resource
import time
from pathlib import Path

import numpy as np
import torch

from riemaug.class_model import ClassModel, fit_class
from riemaug.config import SamplingConfig
from riemaug.models import paper_model
from riemaug.parallel import one_thread
from riemaug.training import EpochReport
from riemaug.training.config import paper_training

COUNTS = {"AD": 70, "CN": 220}
SHAPE = (208, 176)
DRAWN = 100
MARKS = ("<!-- oasis: written by benchmarks/oasis.py --docs, do not edit -->", "<!-- end of oasis -->")


def slices(label: str, folder: Path) -> torch.Tensor:
    """Return as many slices of a class as the paper trains on, in [0, 1], (n, D)."""
    with np.load(folder / "oasis.npz", allow_pickle=False) as file:
        own = file["images"][(file["label"] == (label == "AD")) & file["qc_ok"]]
    rows = np.random.default_rng(0).permutation(len(own))[: COUNTS[label]]
    return torch.from_numpy(own[rows].reshape(len(rows), -1).astype(np.float32) / 255.0)


def floor_seconds(num: int) -> float:
    """Return the time of an epoch's products with the weights that see whole images, at `torch.mm`'s rate.

    Encoder and metric network: the pass and the weight gradient. Decoder: at each of the four positions the
    logits and the pull-back, and two products for the backward pass of each.
    """
    data_dim = SHAPE[0] * SHAPE[1]
    model = paper_model(data_dim)
    widths = [model.encoder_hidden[0], model.metric_hidden[0]]
    positions = model.num_leapfrog_steps + 1
    total = 0.0
    for width, products in (*((width, 2) for width in widths), (model.decoder_hidden[-1], 6 * positions)):
        left, right = torch.rand(num, width), torch.rand(width, data_dim)
        times = []
        for _ in range(3):
            started = time.process_time()
            torch.mm(left, right)
            times.append(time.process_time() - started)
        total += products * min(times)
    return total


def run(label: str, folder: Path, state: Path | None, max_epochs: int) -> dict:
    """Fit one class until training stops, after `max_epochs` at the latest; return what it took."""
    data = slices(label, folder)
    seen: list[float] = []
    begun = time.process_time()

    def note(report: EpochReport) -> None:
        seen.append(time.process_time())
        if report.epoch % 20 == 0:
            print(f"{label} epoch {report.epoch}, ELBO {report.elbo:.1f}", flush=True)

    names = tuple(f"{label} {i}" for i in range(len(data)))
    path = None if state is None else state / f"{label}.safetensors"
    config = paper_training(data.shape[1]).model_copy(update={"max_epochs": max_epochs})
    item = fit_class(label, data, names, paper_model(data.shape[1]), config, 0, path, note)
    epochs = np.diff([begun, *seen])
    history = item.history
    return {
        "class": label,
        "images": len(data),
        "epochs": history.num_epochs,
        "stopped": history.stop_reason,
        "rollbacks": history.rollbacks,
        "elbo": history.best_elbo,
        "seconds_an_epoch": float(np.median(epochs)),
        "seconds_in_all": float(np.median(epochs)) * history.num_epochs,
        "floor_an_epoch": floor_seconds(len(data)),
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "seconds_to_draw_100": drawing_seconds(item),
    }


def drawing_seconds(item: ClassModel) -> float:
    """Return the wall time of drawing and decoding 100 images from the fitted model."""
    sampler, times = item.sampler(SamplingConfig()), []
    for number in range(3):
        started = time.perf_counter()
        item.decode(sampler.sample(DRAWN, item.draw_stream(number)).points)
        times.append(time.perf_counter() - started)
    return min(times)


def table(results: list[dict]) -> str:
    lines = [
        "| class | images | s an epoch | floor | epochs | s in all | memory, peak | 100 images drawn in |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in results:
        lines.append(
            f"| {row['class']} | {row['images']} | {row['seconds_an_epoch']:.2f} | "
            f"{row['floor_an_epoch']:.2f} | {row['epochs']}, {row['stopped']} | "
            f"{row['seconds_in_all']:.0f} | "
            f"{row['peak_memory_gb']:.1f} GB | {row['seconds_to_draw_100']:.2f} s |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--classes", nargs="+", choices=list(COUNTS), default=list(COUNTS))
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("RIEMAUG_DATA"))
    parser.add_argument("--state", type=Path, help="folder for the resumable state")
    parser.add_argument("--max-epochs", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "oasis.json")
    parser.add_argument("--show", action="store_true", help="fit nothing")
    parser.add_argument("--docs", type=Path, help="page to write the table into")
    arguments = parser.parse_args()
    results = json.loads(arguments.out.read_text()) if arguments.out.is_file() else []
    if not arguments.show:
        if arguments.data_dir is None:
            parser.error("name the folder that holds oasis.npz with --data-dir or RIEMAUG_DATA")
        if arguments.state is not None:
            arguments.state.mkdir(parents=True, exist_ok=True)
        for label in arguments.classes:
            with one_thread():
                done = run(label, Path(arguments.data_dir), arguments.state, arguments.max_epochs)
            before = json.loads(arguments.out.read_text()) if arguments.out.is_file() else []
            results = sorted(
                [row for row in before if row["class"] != label] + [done], key=lambda row: row["class"]
            )
            arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))
    if arguments.docs:
        page = arguments.docs.read_text(encoding="utf-8")
        begin, rest = page.split(MARKS[0])
        text = f"{begin}{MARKS[0]}\n\n{table(results)}\n\n{MARKS[1]}{rest.split(MARKS[1])[1]}"
        arguments.docs.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
