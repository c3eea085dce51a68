"""Held-out log-likelihood of our VAE and RHVAE beside pythae's, scored by one estimator.

    RIEMAUG_DATA=DIR python benchmarks/held_out_nll.py --peers-python VENV/bin/python
    python benchmarks/held_out_nll.py --docs                        # writes the table into docs/models.md

Data: the reduced MNIST, Fashion and shapes of the paper's authors, 20 % held out; of the others a fifth
chooses the epoch, and the rest is trained on; another split for each seed. Both sides: the same images in
each part, networks of 400 ReLU units and d = 2, Bernoulli likelihood, the paper's constants (Table 4), Adam
at 1e-3, the same number of epochs with all training images in one batch. Each trains by its own trainer; of
its weights after every tenth epoch those are taken that give the validation images the highest likelihood.
All weights are scored by the same code of ours: importance weighting with draws of the encoder, and beside
it the integral over a grid of the latent space, which needs no encoder. Each finished fit is written to
`results/held_out_nll.json` at once, and found there it is not done again. `--peers-python` names an
interpreter that has pythae; without one only our side is measured.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from held_out.scoring import by_importance, by_integration
from sampling.machine import describe
from sampling.peer_process import one_thread_environment

from riemaug.models import build_model, paper_model
from riemaug.models.config import ModelKind
from riemaug.random import Stream
from riemaug.training import EpochReport, Trainer, TrainingConfig

HERE = Path(__file__).parent
EVERY, CHOOSING_DRAWS = 10, 200
"""Epochs between weights looked at; draws of the estimate that chooses among them."""
Weights = dict[str, torch.Tensor]
SETS, KINDS, SIDES = ("mnist", "fashion", "shapes"), ("vae", "rhvae"), ("ours", "pythae")
BEGIN = "<!-- results: written by benchmarks/held_out_nll.py --docs, do not edit -->"
END = "<!-- end of results -->"


@dataclass(frozen=True)
class Fit:
    """One model trained by one side on one split.

    Attributes
    ----------
    data, kind, side : str
    seed : int
        Of the split, the weights and the noise.
    """

    data: str
    kind: ModelKind
    side: str
    seed: int

    @property
    def key(self) -> str:
        """Name in the results."""
        return f"{self.data} {self.kind} {self.side} {self.seed}"


@dataclass(frozen=True)
class Parts:
    """Flat rows in [0, 1]: to train on, to choose the epoch by, and to score."""

    train: torch.Tensor
    validation: torch.Tensor
    held_out: torch.Tensor


def split(images: np.ndarray, seed: int) -> Parts:
    rows = torch.from_numpy(images.reshape(len(images), -1).astype(np.float32) / 255.0)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(rows)))
    known = len(rows) * 4 // 5
    train = known * 4 // 5
    return Parts(rows[order[:train]], rows[order[train:known]], rows[order[known:]])


def train_ours(fit: Fit, train: torch.Tensor, epochs: int) -> tuple[list[Weights], dict]:
    """Return encoder and decoder after every tenth epoch."""
    stream = Stream(fit.seed, ("held-out", fit.data))
    model = build_model(paper_model(train.shape[1], fit.kind), stream)
    config = TrainingConfig(max_epochs=epochs, patience=epochs, batch_size=len(train))
    kept: list[Weights] = []

    def keep(report: EpochReport) -> None:
        if report.epoch % EVERY == 0:
            kept.append(
                {
                    name: weight.detach().clone()
                    for name, weight in model.named_parameters()
                    if name.startswith(("encoder.", "decoder."))
                }
            )

    started = time.perf_counter()
    history = Trainer(model, train, config, stream.child("epochs"), on_epoch=keep).fit()
    seconds = time.perf_counter() - started
    return kept, {"rollbacks": history.rollbacks, "epochs": history.num_epochs, "seconds": seconds}


def train_theirs(fit: Fit, train: torch.Tensor, epochs: int, python: Path) -> tuple[list[Weights], dict]:
    """Return pythae's weights after every tenth epoch, under our names."""
    with tempfile.TemporaryDirectory() as folder:
        images, weights = Path(folder) / "train.npy", Path(folder) / "weights.npz"
        np.save(images, train.numpy())
        command = [str(python), str(HERE / "held_out" / "peers.py"), str(images), str(weights)]
        command += ["--kind", fit.kind, "--epochs", str(epochs), "--seed", str(fit.seed)]
        command += ["--every", str(EVERY)]
        done = subprocess.run(
            command, capture_output=True, text=True, env=one_thread_environment(), check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"pythae failed on {fit.key}: {done.stderr.strip().splitlines()[-1:]}")
        with np.load(weights, allow_pickle=False) as file:
            stacked = {name: torch.from_numpy(file[name]) for name in file.files}
    count = len(next(iter(stacked.values())))
    kept = [{name: values[index] for name, values in stacked.items()} for index in range(count)]
    return kept, json.loads(done.stdout.splitlines()[-1])


def measure(fit: Fit, images: np.ndarray, options: argparse.Namespace) -> dict:
    torch.set_num_threads(1)
    parts = split(images, fit.seed)
    if fit.side == "ours":
        kept, about = train_ours(fit, parts.train, options.epochs)
    else:
        kept, about = train_theirs(fit, parts.train, options.epochs, options.peers_python)
    model = build_model(paper_model(parts.train.shape[1], "vae")).eval()
    curve = []
    for weights in kept:
        model.load_state_dict(weights)
        curve.append(by_importance(model, parts.validation, CHOOSING_DRAWS, fit.seed))
    best = min(range(len(curve)), key=curve.__getitem__)
    model.load_state_dict(kept[best])
    return asdict(fit) | {
        "num_images": {name: len(rows) for name, rows in vars(parts).items()},
        "nll": by_importance(model, parts.held_out, options.samples, fit.seed),
        "nll_by_integration": by_integration(model, parts.held_out),
        "chosen_epoch": (best + 1) * EVERY,
        "validation_nll": curve,
        **about,
    }


def run_all(options: argparse.Namespace) -> dict:
    """Measure what is not in the results yet, two fits at a time, and keep each at once."""
    results = json.loads(options.out.read_text()) if options.out.exists() else {}
    settings = {"epochs": options.epochs, "samples": options.samples}
    if results.get("settings") != settings:
        results = {"settings": settings, "machine": describe(), "fits": {}}
    with np.load(Path(os.environ["RIEMAUG_DATA"]) / "paper_reduced.npz", allow_pickle=False) as file:
        images = {name: file[f"{name}_images"] for name in SETS}
    sides = SIDES if options.peers_python else SIDES[:1]
    fits = [
        Fit(data, kind, side, seed)
        for seed in range(options.seeds)
        for data in SETS
        for kind in KINDS
        for side in sides
    ]
    left = [fit for fit in fits if fit.key not in results["fits"]]
    with ThreadPoolExecutor(options.jobs) as pool:
        for fit, row in zip(left, pool.map(lambda f: measure(f, images[f.data], options), left), strict=True):
            results["fits"][fit.key] = row
            options.out.write_text(json.dumps(results, indent=1) + "\n")
            print(f"{fit.key:24s} nll {row['nll']:9.2f} by grid {row['nll_by_integration']:9.2f}", flush=True)
    return results


def gains(results: dict, data: str, kind: str, score: str) -> tuple[np.ndarray, np.ndarray]:
    """Return our scores and pythae's, of the seeds that both have."""
    by_side = {
        side: {
            row["seed"]: row[score]
            for row in results["fits"].values()
            if (row["data"], row["kind"], row["side"]) == (data, kind, side)
        }
        for side in SIDES
    }
    seeds = sorted(set(by_side["ours"]) & set(by_side["pythae"]))
    ours, theirs = (np.array([by_side[side][seed] for seed in seeds]) for side in SIDES)
    return ours, theirs


def table(results: dict) -> list[tuple[str, ...]]:
    """Return data, model, and by both estimators our mean, pythae's, the mean gain and its standard error."""
    rows = []
    for data in SETS:
        for kind in KINDS:
            cells = [data, kind]
            for score in ("nll", "nll_by_integration"):
                ours, theirs = gains(results, data, kind, score)
                if not len(ours):
                    break
                gain = theirs - ours
                error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.nan
                cells += [f"{ours.mean():.1f}", f"{theirs.mean():.1f}", f"{gain.mean():+.1f} ± {error:.1f}"]
            else:
                rows.append(tuple(cells))
    return rows


def in_markdown(results: dict) -> str:
    settings, machine = results["settings"], results["machine"]
    seeds = len({row["seed"] for row in results["fits"].values()})
    columns = ("data", "model", "ours", "pythae", "gain", "ours, integrated", "pythae, integrated", "gain")
    lines = [columns, tuple("---" for _ in columns), *table(results)]
    return (
        f"{settings['epochs']} epochs, {seeds} splits; {machine['processor']}, one thread a fit. Mean over "
        f"held-out images of -log p(x) in nats, less is better: by {settings['samples']:,} weighted draws of "
        "the encoder, and by integration over the latent space, which needs no encoder. Gain: pythae's minus "
        "ours, mean over the splits and its standard error.\n\n"
        + "\n".join("| " + " | ".join(line) + " |" for line in lines)
    )


def write_docs(results: dict, page: Path) -> None:
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} must hold the lines {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{in_markdown(results)}\n\n{END}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers-python", type=Path)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=250)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "held_out_nll.json")
    parser.add_argument("--docs", action="store_true", help="write the table of the results, measure nothing")
    options = parser.parse_args()
    if options.docs:
        write_docs(json.loads(options.out.read_text()), HERE.parent / "docs" / "models.md")
        return
    if "RIEMAUG_DATA" not in os.environ:
        sys.exit("the variable RIEMAUG_DATA must name the folder of paper_reduced.npz, it is not set")
    for row in table(run_all(options)):
        print("  ".join(f"{cell:>16s}" for cell in row))


if __name__ == "__main__":
    main()
