"""Does training ever break? At least 300 fits over data, seeds, batch sizes and learning rates.

    RIEMAUG_DATA=DIR python benchmarks/fit_sweep.py --jobs 2 --docs docs/training.md

Each fit is an RHVAE with the paper's networks on 40 samples of one class (the class changes with the seed),
in full batch or batches of 4, at learning rates from 1e-4 to 1e-2, never stopped early. Counted are numbers
that are not finite (weights, metric, history, reconstructions), fits that ended in an error, rollbacks,
leapfrog steps that failed, and how far the last ELBO lies above the first. Every fit is appended to a file of
lines beside the result as soon as it is done, so a run that was stopped goes on; prints a table and writes
`results/fit_sweep.json`. `--show` prints stored results, `--docs` puts the table into a page,
`--limit` takes only the first fits.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch

from riemaug.models import RHVAE, build_model, paper_model
from riemaug.parallel import run_tasks
from riemaug.random import Stream
from riemaug.training import History, Trainer, TrainingConfig

SETS = ("shapes", "digits", "mnist", "fashion", "emnist")
BATCH_SIZES = (200, 4)
LEARNING_RATES = (1e-4, 1e-3, 1e-2)
NUM_SAMPLES = 40
EPOCHS = {200: 150, 4: 50}
"""Of a full batch and of batches of 4, whose epochs have ten steps."""

_BEGIN = "<!-- sweep: written by benchmarks/fit_sweep.py --docs, do not edit -->"
_END = "<!-- end of sweep -->"


@dataclass(frozen=True)
class Fit:
    """One fit of the sweep."""

    data: str
    seed: int
    batch_size: int
    learning_rate: float
    data_dir: str

    @property
    def key(self) -> str:
        """What tells the fit from all others."""
        return f"{self.data} {self.seed} {self.batch_size} {self.learning_rate:g}"


def load(name: str, data_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels of a set; all but the digits come from `data_dir`."""
    if name == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        return digits.images / 16.0, digits.target
    file, images, labels = {
        "shapes": ("paper_reduced.npz", "shapes_images", "shapes_labels"),
        "mnist": ("mnist.npz", "train_images", "train_labels"),
        "fashion": ("fashion_mnist.npz", "train_images", "train_labels"),
        "emnist": ("emnist_letters.npz", "train_images", "train_labels"),
    }[name]
    with np.load(data_dir / file, allow_pickle=False) as arrays:
        return arrays[images] / 255.0, arrays[labels]


def class_rows(fit: Fit) -> torch.Tensor:
    """Return the samples of a fit, 40 of one class, (40, D); class and samples depend on the seed."""
    images, labels = load(fit.data, Path(fit.data_dir))
    classes = np.unique(labels)
    own = np.flatnonzero(labels == classes[fit.seed % len(classes)])
    chosen = np.random.default_rng(fit.seed).permutation(own)[:NUM_SAMPLES]
    return torch.from_numpy(images[chosen].reshape(len(chosen), -1).astype(np.float32))


def run_fit(fit: Fit) -> dict:
    """Train one model and return what happened, JSON-safe."""
    data = class_rows(fit)
    stream = Stream(fit.seed, ("sweep", fit.data))
    model = build_model(paper_model(data.shape[1]), stream)
    epochs = EPOCHS[fit.batch_size]
    config = TrainingConfig(
        learning_rate=fit.learning_rate, batch_size=fit.batch_size, max_epochs=epochs, patience=epochs
    )
    trainer = Trainer(model, data, config, stream.child("epochs"))
    started, error = time.monotonic(), ""
    try:
        trainer.fit()
    except Exception as problem:
        error = " ".join(f"{type(problem).__name__}: {problem}".split())
    return outcome(fit, model, data, trainer.history, error) | {
        "seconds": round(time.monotonic() - started, 2)
    }


def outcome(fit: Fit, model: torch.nn.Module, data: torch.Tensor, history: History, error: str) -> dict:
    """Return the row of a fit, with the count of numbers that are not finite in all that it leaves."""
    assert isinstance(model, RHVAE)
    left = [weight.detach() for weight in model.parameters()]
    left += [torch.tensor(history.elbo), torch.tensor(history.reconstruction)]
    if not error:
        metric = model.build_metric(data)
        with torch.no_grad():
            left += [metric.centroids, metric.kernels, model.decode(model.embed(data))]
    steps = len(data) * model.config.num_leapfrog_steps * max(1, history.num_epochs)
    names = {k: v for k, v in asdict(fit).items() if k != "data_dir"}
    return names | {
        "key": fit.key,
        "data_dim": data.shape[1],
        "not_finite": sum(int((~numbers.isfinite()).sum()) for numbers in left),
        "error": error,
        "epochs": history.num_epochs,
        "rollbacks": history.rollbacks,
        "failed_share": sum(history.failed_steps) / steps,
        "first_elbo": history.elbo[0] if history.elbo else None,
        "final_elbo": history.elbo[-1] if history.elbo else None,
        "best_elbo": history.best_elbo if history.elbo else None,
    }


def has_grown(row: dict) -> bool:
    """Return whether a fit's last ELBO lies above its first."""
    return row["final_elbo"] is not None and row["final_elbo"] > row["first_elbo"]


def all_fits(num_seeds: int, data_dir: Path) -> list[Fit]:
    """Return the sweep, seed by seed."""
    grid = product(range(num_seeds), SETS, BATCH_SIZES, LEARNING_RATES)
    return [Fit(data, seed, size, rate, str(data_dir)) for seed, data, size, rate in grid]


def run_sweep(fits: list[Fit], lines: Path, jobs: int, tell: Callable[[dict, int], None]) -> list[dict]:
    """Do the fits that `lines` does not hold yet, append each, and return the rows of all."""
    done = {row["key"]: row for row in _stored(lines)}
    left = [fit for fit in fits if fit.key not in done]
    with lines.open("a") as file:
        if file.tell() > 0:
            file.write("\n")  # ends what a stopped run may have left of its last line
        for number, row in enumerate(run_tasks(run_fit, left, jobs)):
            file.write(json.dumps(row) + "\n")
            file.flush()
            done[row["key"]] = row
            tell(row, len(left) - number - 1)
    return [done[fit.key] for fit in fits]


def _stored(lines: Path) -> Iterator[dict]:
    if not lines.exists():
        return
    for line in lines.read_text().splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue  # the line that was being written when the run was stopped


def table(rows: list[dict]) -> list[tuple[str, ...]]:
    """Return the lines of the table, its head first: one for each set and batch size, then all together."""
    head = ("data", "D", "batch", "fits", "not finite", "aborted", "rollbacks at 1e-4, 1e-3, 1e-2")
    lines = [(*head, "last ELBO above the first", "least gain (nats)", "leapfrog steps failed")]
    for name, size in product(SETS, BATCH_SIZES):
        part = [row for row in rows if (row["data"], row["batch_size"]) == (name, size)]
        if part:
            label = "full" if size >= NUM_SAMPLES else str(size)
            lines.append((name, str(part[0]["data_dim"]), label, *_counts(part)))
    return [*lines, ("all", "", "", *_counts(rows))]


def _counts(rows: list[dict]) -> tuple[str, ...]:
    rollbacks = [sum(r["rollbacks"] for r in rows if r["learning_rate"] == rate) for rate in LEARNING_RATES]
    gains = [r["final_elbo"] - r["first_elbo"] for r in rows if r["final_elbo"] is not None]
    return (
        str(len(rows)),
        str(sum(row["not_finite"] > 0 for row in rows)),
        str(sum(bool(row["error"]) for row in rows)),
        ", ".join(map(str, rollbacks)),
        str(sum(map(has_grown, rows))),
        f"{min(gains):.1f}" if gains else "-",
        f"{100 * float(np.mean([row['failed_share'] for row in rows])):.2g} %",
    )


def in_markdown(rows: list[dict], command: str) -> str:
    """Return the table as Markdown, under the command that made it."""
    head, *body = table(rows)
    lines = [head, tuple("---" for _ in head), *body]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    epochs = f"{EPOCHS[200]} epochs in full batch, {EPOCHS[4]} in batches of 4"
    return f"`{command}`: {len(rows)} fits, {epochs}, {NUM_SAMPLES} samples of one class each.\n\n{text}"


def write_page(text: str, page: Path) -> None:
    """Replace what is between the marks of a Markdown page."""
    before, begin, rest = page.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"{page} must hold the lines {_BEGIN} and {_END}")
    page.write_text(f"{before}{_BEGIN}\n\n{text}\n\n{_END}{after}")


def main() -> None:
    results = Path(__file__).parent / "results" / "fit_sweep.json"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="30 fits each")
    parser.add_argument("--limit", type=int, help="only so many fits")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("RIEMAUG_DATA"))
    parser.add_argument("--out", type=Path, default=results)
    parser.add_argument("--show", action="store_true", help="print what --out holds, fit nothing")
    parser.add_argument("--docs", type=Path, help="Markdown page that gets the table")
    arguments = parser.parse_args()
    if arguments.show:
        stored = json.loads(arguments.out.read_text())
        rows, command = stored["fits"], stored["command"]
    else:
        if arguments.data_dir is None:
            parser.error("name the folder that holds the data with --data-dir or RIEMAUG_DATA")
        rows = measure(arguments)
        command = f"python benchmarks/fit_sweep.py --seeds {arguments.seeds} --jobs {arguments.jobs}"
        seconds = sum(row["seconds"] for row in rows)
        content = {"command": command, "processor_seconds": round(seconds), "fits": rows}
        arguments.out.write_text(json.dumps(content, indent=1) + "\n")
        _lines(arguments.out).unlink()
    for line in table(rows):
        print("  ".join(f"{word:>12s}" for word in line))
    for row in rows:
        if row["error"] or row["not_finite"] or row["rollbacks"] or not has_grown(row):
            print(json.dumps(row))
    if arguments.docs is not None:
        write_page(in_markdown(rows, command), arguments.docs)


def measure(arguments: argparse.Namespace) -> list[dict]:
    """Run the sweep with a line of progress for each fit."""
    fits = all_fits(arguments.seeds, Path(arguments.data_dir).resolve())[: arguments.limit]
    started = time.monotonic()

    def tell(row: dict, left: int) -> None:
        gain = "-" if row["final_elbo"] is None else f"{row['final_elbo'] - row['first_elbo']:.1f}"
        print(
            f"{time.monotonic() - started:6.0f} s  {left:4d} left  {row['key']}  {row['seconds']} s  "
            f"+{gain} nats  {row['rollbacks']} rollbacks  {row['error']}",
            flush=True,
        )

    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    return run_sweep(fits, _lines(arguments.out), arguments.jobs, tell)


def _lines(out: Path) -> Path:
    return out.with_suffix(".lines")


if __name__ == "__main__":
    main()
