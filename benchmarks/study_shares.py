"""How unbalanced the study's unbalanced sets must be for a raw DenseNet to score what the paper's scored.

    RIEMAUG_DATA=DIR python benchmarks/study_shares.py --ratios 0.7 0.8 --draws 100
    RIEMAUG_DATA=DIR python benchmarks/study_shares.py --choose --docs docs/study_data.md

The paper says only that some classes are far more represented. Here each class has a fixed part (the ratio)
of the size of the class before it, over a random order of the classes. For each ratio the DenseNet is trained
on draws that the study does not use (numbers from 100 on) and scored on training images outside the
draw, 200 a class; test images are never looked at. `--choose` fixes the ratio at which the straight line
through the scores meets the paper's raw accuracy, 0.9 at most, and writes the class sizes to
`src/riemaug/study/draws/shares.json`, before any synthetic run. Runs are added to
`results/study_shares.json`.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from riemaug.evaluation.classifiers import classifier_named
from riemaug.parallel import one_thread
from riemaug.random import Stream
from riemaug.study.datasets import scaled
from riemaug.study.drawing import draw_images, geometric_counts
from riemaug.study.sources import ImageSource, read_emnist, read_mnist

PAPER = {"mnist_unbalanced": 81.6, "emnist_unbalanced": 82.6}
READ = {"mnist_unbalanced": read_mnist, "emnist_unbalanced": read_emnist}
TOTAL = 500
MILDEST = 0.9
"""Beyond it the classes are hardly unbalanced any more."""
FIRST_DRAW = 100
SCORED_PER_CLASS = 200
MARKS = (
    "<!-- shares: written by benchmarks/study_shares.py --docs, do not edit -->",
    "<!-- end of shares -->",
)
RESULTS = Path(__file__).parent / "results" / "study_shares.json"
SHARES = Path(__file__).parents[1] / "src" / "riemaug" / "study" / "draws" / "shares.json"


def counts_of(name: str, ratio: float) -> tuple[int, ...]:
    return geometric_counts(ratio, 10, TOTAL, Stream(0, ("study", name, "order")))


def score(name: str, source: ImageSource, ratio: float, draw: int) -> dict:
    """Train the DenseNet on one draw; return its accuracy on other training images."""
    stream = Stream(draw, ("study shares", name))
    chosen = draw_images(source, counts_of(name, ratio), stream)
    parts = [
        scaled(source.train_images[rows], source.train_labels[rows])
        for rows in (chosen.train, chosen.validation, scored_rows(source, chosen, stream))
    ]
    started = time.process_time()
    model = classifier_named("densenet").fit(parts[0], parts[1], 10, stream.child("densenet"))
    found = model.predict_proba(parts[2].samples).argmax(-1) == parts[2].labels
    return {
        "name": name,
        "ratio": ratio,
        "draw": draw,
        "accuracy": 100 * float(found.mean()),
        "by_class": [round(100 * float(found[parts[2].labels == label].mean()), 1) for label in range(10)],
        "seconds": round(time.process_time() - started),
    }


def scored_rows(source: ImageSource, chosen, stream: Stream) -> np.ndarray:
    """Return positions of training images outside the draw, as many of each class."""
    outside = np.setdiff1d(
        np.arange(len(source.train_labels)), np.concatenate([chosen.train, chosen.validation])
    )
    order = np.random.default_rng(stream.child("scored").generator_seed()).permutation(outside)
    return np.concatenate(
        [order[source.train_labels[order] == label][:SCORED_PER_CLASS] for label in range(10)]
    )


def choose(rows: list[dict]) -> dict:
    """Return the class sizes at the ratio whose expected accuracy is the paper's."""
    chosen = {}
    for name, goal in PAPER.items():
        own = [row for row in rows if row["name"] == name]
        ratios, accuracies = (np.array([row[key] for row in own]) for key in ("ratio", "accuracy"))
        slope, level = np.polyfit(ratios, accuracies, 1)
        # not outside the ratios tried: the line is only known between them
        most = min(ratios.max(), MILDEST)
        ratio = round(float(np.clip((goal - level) / slope, ratios.min(), most)), 3)
        chosen[name] = {
            "counts": list(counts_of(name, ratio)),
            "ratio": ratio,
            "expected_accuracy": round(float(level + slope * ratio), 1),
            "paper": goal,
            "command": "python benchmarks/study_shares.py --choose",
            "runs": [{key: row[key] for key in ("ratio", "draw", "accuracy")} for row in own],
        }
    return chosen


def table(shares: dict) -> str:
    """Return the choice and the runs it rests on, in Markdown."""
    lines = [
        "| set | part | class sizes, in the order of the classes | expected | paper | part, draw, accuracy |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in shares.items():
        runs = "; ".join(f"{run['ratio']}, {run['draw']}, {run['accuracy']:.1f} %" for run in row["runs"])
        counts = " ".join(map(str, row["counts"]))
        accuracies = f"{row['expected_accuracy']} % | {row['paper']} %"
        lines.append(f"| `{name}` | {row['ratio']} | {counts} | {accuracies} | {runs} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--names", nargs="+", choices=list(PAPER), default=list(PAPER))
    parser.add_argument("--ratios", nargs="+", type=float, default=[])
    parser.add_argument("--draws", nargs="+", type=int, default=[FIRST_DRAW])
    parser.add_argument("--choose", action="store_true", help="write the committed class sizes")
    parser.add_argument("--docs", type=Path, help="page to write the table into")
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("RIEMAUG_DATA"))
    arguments = parser.parse_args()
    if arguments.data_dir is None:
        parser.error("name the folder of the public data sets with --data-dir or RIEMAUG_DATA")
    if min(arguments.draws) < FIRST_DRAW:
        parser.error(f"draws below {FIRST_DRAW} are the study's own")
    sources = {name: READ[name](Path(arguments.data_dir)) for name in arguments.names if arguments.ratios}
    for draw in arguments.draws:
        for ratio in arguments.ratios:
            for name, source in sources.items():
                with one_thread():
                    done = score(name, source, ratio, draw)
                print(json.dumps(done), flush=True)
                add(done)
    if arguments.choose:
        chosen = choose(json.loads(RESULTS.read_text()))
        SHARES.write_text(json.dumps(chosen, indent=1) + "\n")
        print(table(chosen))
    if arguments.docs:
        page = arguments.docs.read_text(encoding="utf-8")
        begin, rest = page.split(MARKS[0])
        text = f"{begin}{MARKS[0]}\n\n{table(json.loads(SHARES.read_text()))}\n\n{MARKS[1]}"
        arguments.docs.write_text(text + rest.split(MARKS[1])[1], encoding="utf-8")


def add(done: dict) -> None:
    rows = json.loads(RESULTS.read_text()) if RESULTS.is_file() else []
    identity = ("name", "ratio", "draw")
    rows = [row for row in rows if any(row[key] != done[key] for key in identity)] + [done]
    RESULTS.write_text(
        json.dumps(sorted(rows, key=lambda row: [row[key] for key in identity]), indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
