r"""Times training steps against the counted floor and against pythae, and checks the gradient.

    python benchmarks/training_speed.py --peers-python PEERS/bin/python \
        --json benchmarks/results/training_speed.json --docs docs/training.md

One thread, the paper's networks (one hidden layer of 400 units, D = 784), full batches of 40 and 120. PEERS
is an environment of its own with torch and pythae (`pip install torch pythae`); without it that part is left
out. Ours, theirs and the plain products take turns, so that all meet the same machine; the least time of
each counts. `--docs docs/training.md` writes the tables to that page, `--show FILE` those of stored results.
"""

import argparse
import contextlib
import json
import os
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

NUMBERS = (40, 120)
LEAST_RATIO = {40: 5.0, 120: 3.5}
LARGEST_FLOOR_RATIO = 2.0
LARGEST_GRADIENT_ERROR = 1e-6
LIBRARIES = {"torch.mm": "`torch.mm`", "package": "the package's products"}
BEGIN = "<!-- speed: written by benchmarks/training_speed.py --docs, do not edit -->"
END = "<!-- end of speed -->"


def measure_number(num: int, python: Path | None, rounds: int, seconds: float) -> dict:
    from sampling.timing import best_of
    from training import floor, ours, peer_process

    runs = {kind: ours.Steps(kind, num) for kind in ours.KINDS}
    calls = floor.product_calls(num)
    least: dict[str, dict[str, float]] = {"ours": {}, "peer": {}, **{library: {} for library in calls}}
    ratios = []

    def keep(group: str, name: str, value: float) -> float:
        least[group][name] = min(value, least[group].get(name, value))
        return value

    with contextlib.ExitStack() as stack:
        peer = None if python is None else stack.enter_context(peer_process.Peer(python, num))
        for _ in range(rounds):
            own = {kind: keep("ours", kind, min(run.run(seconds))) for kind, run in runs.items()}
            for library, forms in calls.items():
                for form, call in forms.items():
                    keep(library, form, best_of(call, 0.05 * seconds))
            if peer is not None:
                theirs = {
                    kind: keep("peer", kind, min(peer.steps(kind, seconds))) for kind in ("vae", "rhvae")
                }
                ratios.append(theirs["rhvae"] / own["rhvae"])
        versions = None if peer is None else peer.versions
    flops = 2 * num * floor.WIDTH * floor.DATA_DIM
    rows = {}
    for kind in ours.KINDS:
        products = floor.products_of(kind, 3).total
        bounds = {library: floor.floor_seconds(kind, 3, least[library]) for library in calls}
        rows[kind] = {
            "step_seconds": least["ours"][kind],
            "epoch_seconds": ours.epoch_seconds(kind, num, max(20, int(20 * seconds))),
            "products": products,
            "floor_seconds": bounds,
            "over_floor": {library: least["ours"][kind] / bound for library, bound in bounds.items()},
            "peer_step_seconds": least["peer"].get(kind),
            "peer_over_ours": least["peer"][kind] / least["ours"][kind] if kind in least["peer"] else None,
        }
    rates = {library: {form: flops / value for form, value in least[library].items()} for library in calls}
    return {"models": rows, "flops_a_product": flops, "rates": rates, "rhvae_ratio_by_round": ratios,
            "peer_versions": versions}  # fmt: skip


def measure(arguments: argparse.Namespace, words: list[str]) -> dict:
    from sampling import machine
    from training import ours

    private = {str(arguments.peers_python): "PEERS/bin/python"}
    command = shlex.join(["python", "benchmarks/training_speed.py", *(private.get(w, w) for w in words)])
    results = {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "gradient_error": ours.gradient_error(40, 5),
    }
    rounds, seconds = (2, 0.5) if arguments.quick else (6, 2.0)
    for num in NUMBERS:
        results[f"n={num}"] = measure_number(num, arguments.peers_python, rounds, seconds)
    return results | {"load_average_at_end": machine.load_average()}


def targets(results: dict) -> list[dict]:
    """Return what is asked for, what was measured, and whether that is met."""
    listed = [("gradient: largest relative error", results["gradient_error"], LARGEST_GRADIENT_ERROR, False)]
    for num in NUMBERS:
        row = results[f"n={num}"]["models"]["rhvae"]
        if row["peer_over_ours"] is not None:
            text = f"n = {num}: pythae's step over ours, RHVAE"
            listed.append((text, row["peer_over_ours"], LEAST_RATIO[num], True))
        for library, ratio in row["over_floor"].items():
            text = f"n = {num}: our step over the floor at the rate of {LIBRARIES[library]}, RHVAE"
            listed.append((text, ratio, LARGEST_FLOOR_RATIO, False))
    return [
        {
            "target": text,
            "value": value,
            "bound": bound,
            "met": value >= bound if at_least else value <= bound,
        }
        for text, value, bound, at_least in listed
    ]


def in_markdown(results: dict) -> str:
    """Return how the results were got, and the table."""
    about = results["machine"]
    titles = ("n", "model", "step", "epoch of `Trainer.fit`", "products", "floor, `torch.mm`", "floor, ours",
              "pythae's step", "pythae / ours")  # fmt: skip
    rows = [titles, tuple("---" for _ in titles)]
    for num in NUMBERS:
        for kind, row in results[f"n={num}"]["models"].items():
            theirs, ratio = row["peer_step_seconds"], row["peer_over_ours"]
            floors = [f"{1e3 * row['floor_seconds'][name]:.1f}" for name in LIBRARIES]
            times = [f"{1e3 * row[name]:.1f}" for name in ("step_seconds", "epoch_seconds")]
            compared = ["-", "-"] if theirs is None else [f"{1e3 * theirs:.1f}", f"{ratio:.1f}"]
            rows.append((str(num), kind, *times, str(row["products"]), *floors, *compared))
    listed = [
        f"- {row['target']}: {row['value']:.3g}, asked {row['bound']:g}; {'met' if row['met'] else 'missed'}"
        for row in results["targets"]
    ]
    rates = {
        name: max(max(results[f"n={num}"]["rates"][name].values()) for num in NUMBERS) for name in LIBRARIES
    }
    paragraphs = [
        f"`{results['command']}`, {results['date'][:10]}: {about['processor']}, one thread; load average "
        f"{about['load_average']} at the start, {results['load_average_at_end']} at the end. Times in "
        "milliseconds. Best rate of a product of these shapes: "
        + ", ".join(f"{LIBRARIES[name]} {rate / 1e9:.0f} GFLOP/s" for name, rate in rates.items())
        + ".",
        "\n".join("| " + " | ".join(row) + " |" for row in rows),
        "\n".join(listed),
    ]
    return "\n\n".join(paragraphs)


def write_page(results: dict, page: Path) -> None:
    """Replace what is between the marks of a page."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{page} must hold the lines {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{in_markdown(results)}\n\n{END}{after}")


def main() -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # read when the libraries are loaded
    import torch

    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--peers-python", type=Path, help="interpreter of an environment with pythae")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    parser.add_argument("--docs", type=Path, help="Markdown page whose marked part the table is written to")
    parser.add_argument("--show", type=Path, help="measure nothing; show these stored results")
    arguments = parser.parse_args()
    if arguments.show is None:
        results = measure(arguments, sys.argv[1:])
    else:
        results = json.loads(arguments.show.read_text())
    results["targets"] = targets(results)
    print(in_markdown(results))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    if arguments.docs is not None:
        write_page(results, arguments.docs)


if __name__ == "__main__":
    main()
