"""What dense and convolutional networks cost for images and volumes, and how well each explains OASIS slices.

    python benchmarks/networks.py                                   # weights, time and memory of an epoch
    RIEMAUG_DATA=DIR python benchmarks/networks.py --oasis          # held-out likelihood of OASIS slices
    python benchmarks/networks.py --docs                            # writes the tables into docs/models.md

An epoch is the objective on equal batches of at most 200 images, its gradient, clipping and the step of
Adam, on one thread; the best of three, on random data, each case in a process of its own, whose peak memory
is given.
For `--oasis`: the 100 slices labelled AD, by subject; 20 held out, 10 choose the epoch, 70 are trained on
(the paper's number); the paper's dense preset and the convolutional one, both by Adam at `--learning-rate`
for `--epochs` epochs (other numbers of epochs are other rows); of the weights after every tenth epoch those
with the highest likelihood of the validation slices are scored on the held-out ones, by importance weighting
with draws of the encoder. Results: `results/networks.json`.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from held_out.scoring import by_importance
from sampling.machine import describe
from sampling.peer_process import one_thread_environment

from riemaug.models import LatentModel, ModelConfig, build_model, conv_model, paper_model
from riemaug.models.config import ModelKind
from riemaug.random import Stream
from riemaug.training import EpochReport, Trainer, TrainingConfig

HERE = Path(__file__).parent
CASES = {"28 x 28": ((28, 28), 40), "208 x 176": ((208, 176), 220), "46 x 55 x 46": ((46, 55, 46), 10)}
NETWORKS, KINDS = ("dense", "convolutional"), ("vae", "rhvae")
BEGIN = "<!-- results: written by benchmarks/networks.py --docs, do not edit -->"
END = "<!-- end of the networks' results -->"
EVERY, CHOOSING_DRAWS, SCORING_DRAWS = 10, 50, 1000
LARGEST_BATCH = TrainingConfig().batch_size


def config_of(network: str, shape: tuple[int, ...], kind: ModelKind) -> ModelConfig:
    return paper_model(math.prod(shape), kind) if network == "dense" else conv_model(shape, None, kind)


def epoch_cost(network: str, case: str, kind: ModelKind) -> dict:
    """Measure in this process; the memory is its peak."""
    torch.set_num_threads(1)
    shape, count = CASES[case]
    model = build_model(config_of(network, shape, kind))
    data = torch.rand(count, math.prod(shape), generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    generator, seconds = torch.Generator().manual_seed(1), []
    for _ in range(4):
        started = time.perf_counter()
        for batch in data.tensor_split(-(-count // LARGEST_BATCH)):
            optimizer.zero_grad()
            model.objective(batch, generator).loss().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
        seconds.append(time.perf_counter() - started)
    return {
        "network": network,
        "case": case,
        "kind": kind,
        "images": count,
        "weights": model.config.num_parameters(),
        "seconds": min(seconds[1:]),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def all_costs() -> list[dict]:
    rows = []
    for case in CASES:
        for network in NETWORKS:
            for kind in KINDS:
                command = [sys.executable, __file__, "--one", network, case, kind]
                done = subprocess.run(
                    command, capture_output=True, text=True, env=one_thread_environment(), check=True
                )
                rows.append(json.loads(done.stdout.splitlines()[-1]))
                print(rows[-1], flush=True)
    return rows


def slices(data_dir: Path) -> dict[str, torch.Tensor]:
    """Return flat slices of the AD subjects, one each, in three parts."""
    with np.load(data_dir / "oasis.npz", allow_pickle=False) as file:
        images = file["images"][file["label"] == 1]
    rows = torch.from_numpy(images.reshape(len(images), -1).astype(np.float32) / 255.0)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(rows)))
    return {"train": rows[order[30:]], "validation": rows[order[20:30]], "held_out": rows[order[:20]]}


def explain_slices(network: str, parts: dict[str, torch.Tensor], options: argparse.Namespace) -> dict:
    stream = Stream(0, ("slices", network))
    model = build_model(config_of(network, (208, 176), options.kind), stream)
    curve: list[float] = []
    best: dict[str, torch.Tensor] = {}

    def look(report: EpochReport) -> None:
        if report.epoch % EVERY == 0:
            curve.append(by_importance(model, parts["validation"], CHOOSING_DRAWS, 0))
            if curve[-1] == min(curve):
                best.update({name: weight.detach().clone() for name, weight in model.named_parameters()})

    config = TrainingConfig(
        learning_rate=options.learning_rate, max_epochs=options.epochs, patience=options.epochs
    )
    started = time.perf_counter()
    history = Trainer(model, parts["train"], config, stream.child("epochs"), on_epoch=look).fit()
    seconds = time.perf_counter() - started
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(best[name])
    return {
        "network": network,
        "kind": options.kind,
        "epochs": options.epochs,
        "learning_rate": options.learning_rate,
        "rollbacks": history.rollbacks,
        "seconds": seconds,
        "chosen_epoch": (curve.index(min(curve)) + 1) * EVERY,
        "validation_nll": curve,
        "nll_of_each": [by_importance(model, row[None], SCORING_DRAWS, 0) for row in parts["held_out"]],
        "seconds_for_100_drawn": drawing_time(model),
    }


@torch.no_grad()
def drawing_time(model: LatentModel) -> float:
    """Return the seconds that decoding 100 latent points takes, the best of five."""
    latent, seconds = torch.randn(100, 2, generator=torch.Generator().manual_seed(0)), []
    for _ in range(5):
        started = time.perf_counter()
        model.decode(latent)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def cost_lines(rows: list[dict]) -> list[tuple[str, ...]]:
    """Return a line for each case and network."""
    lines = [("data", "networks", "weights", "VAE: s an epoch, GB", "RHVAE: s an epoch, GB")]
    for case, (_, count) in CASES.items():
        for network in NETWORKS:
            both = [row for row in rows if (row["case"], row["network"]) == (case, network)]
            costs = [f"{row['seconds']:.3f}, {row['peak_gb']:.1f}" for row in both]
            weights = f"{both[-1]['weights'] / 1e6:.1f} million"
            lines.append((f"{count} of {case}", network, weights, *costs))
    return lines


def slice_lines(rows: list[dict]) -> list[tuple[str, ...]]:
    """Return a line for each training, its score beside that of dense networks on the same slices."""
    lines = [
        (
            "networks",
            "model",
            "held-out nats an image",
            "less than dense",
            "chosen epoch of",
            "s an epoch",
            "s for 100 images",
        )
    ]
    lines += [
        (
            row["network"],
            row["kind"],
            f"{np.mean(row['nll_of_each']):.0f}",
            _gain(row, rows),
            f"{row['chosen_epoch']} of {row['epochs']}",
            f"{row['seconds'] / row['epochs']:.2f}",
            f"{row['seconds_for_100_drawn']:.3f}",
        )
        for row in rows
    ]
    return lines


def _gain(row: dict, rows: list[dict]) -> str:
    """Return how many nats an image fewer than dense networks a training needs, mean and standard error."""
    dense = [other for other in rows if (other["kind"], other["network"]) == (row["kind"], NETWORKS[0])]
    if not dense or row in dense:
        return ""
    gaps = np.subtract(dense[-1]["nll_of_each"], row["nll_of_each"])
    return f"{gaps.mean():+.0f} ± {gaps.std(ddof=1) / len(gaps) ** 0.5:.0f}"


def _training_of(row: dict) -> tuple[str, str, int]:
    return row["kind"], row["network"], row["epochs"]


def in_markdown(results: dict) -> str:
    paragraphs = [f"{results['machine']['processor']}, one thread."]
    for name, lines in (("costs", cost_lines), ("slices", slice_lines)):
        if results.get(name):
            header, *body = lines(results[name])
            whole = [header, tuple("---" for _ in header), *body]
            paragraphs.append("\n".join("| " + " | ".join(line) + " |" for line in whole))
    return "\n\n".join(paragraphs)


def write_docs(results: dict, page: Path) -> None:
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} must hold the lines {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{in_markdown(results)}\n\n{END}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--oasis", action="store_true")
    parser.add_argument("--kind", choices=KINDS, default="rhvae")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS, help="of --oasis")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "networks.json")
    parser.add_argument(
        "--docs", action="store_true", help="write the tables of the results, measure nothing"
    )
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(epoch_cost(*options.one)))
        return
    results = json.loads(options.out.read_text()) if options.out.exists() else {}
    if options.docs:
        write_docs(results, HERE.parent / "docs" / "models.md")
        return
    results["machine"] = describe()
    if options.oasis:
        if "RIEMAUG_DATA" not in os.environ:
            sys.exit("the variable RIEMAUG_DATA must name the folder of oasis.npz, it is not set")
        torch.set_num_threads(1)
        parts = slices(Path(os.environ["RIEMAUG_DATA"]))
        done = [explain_slices(network, parts, options) for network in options.networks]
        again = [_training_of(row) for row in done]
        kept = [row for row in results.get("slices", []) if _training_of(row) not in again]
        results["slices"] = sorted(kept + done, key=_training_of)
        lines = slice_lines(results["slices"])
    else:
        results["costs"] = all_costs()
        lines = cost_lines(results["costs"])
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    for line in lines:
        print("  ".join(f"{cell:>24s}" for cell in line))


if __name__ == "__main__":
    main()
