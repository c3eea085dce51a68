"""The run of `benchmarks/samplers.py`: its parts in order, each on every metric."""

import argparse
import json
import shlex
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
from rich.console import Console

from riemaug.geometry import KernelMetric

from . import cases, floor, large_n, laws, machine, ours, peer_process, published, report
from .cases import Case
from .machine import Rates
from .ours import Effort
from .timing import load_average

PARTS = ("machine", "published", "pythae", "walk", "mixture", "chains", "laws", "large-n")
LARGE_NUMBERS = (1_000, 10_000, 100_000, 1_000_000)
LARGE_DIMS = (2, 3)


class Benchmark:
    """One run: what was asked for, where draws are kept, and what was measured so far."""

    def __init__(self, arguments: argparse.Namespace, folder: Path, console: Console) -> None:
        self.quick: bool = arguments.quick
        self.peers_python: Path | None = arguments.peers_python
        self.effort = Effort(1.0, 40, 20_000) if self.quick else Effort(4.0, 200, 100_000)
        self.folder = folder
        self.console = console
        self.results: dict = {}
        self.rates: dict[str, Rates] | None = None

    def run(self, parts: list[str]) -> None:
        """Run the parts in order; each stores its results under its own name."""
        for case in cases.CASES:
            cases.save_metric(cases.random_metric(case), self.metric_file(case))
        for part in parts:
            getattr(self, "measure_" + part.replace("-", "_"))()
        if "machine" in parts:
            self.measure_machine()

    def metric_file(self, case: Case) -> Path:
        """Return the file that both environments read the metric from."""
        return self.folder / f"metric-{case.dim}.npz"

    def draws_file(self, case: Case, sampler: str) -> Path:
        """Return the file of one sampler's draws, (n, d) as .npy."""
        return self.folder / f"draws-{case.dim}-{sampler}.npy"

    def for_each_case(self, part: str, measure: Callable[[KernelMetric, Case], dict]) -> None:
        """Measure one part on every metric, and note the load of the machine and the time it took."""
        for case in cases.CASES:
            self.console.print(f"[dim]{part}, {case.name} ...[/dim]")
            started = time.perf_counter()
            result = measure(cases.load_metric(self.metric_file(case)), case)
            result |= {"part_seconds": round(time.perf_counter() - started, 1), "load": load_average()}
            self.results.setdefault(part, {})[case.name] = result

    def measure_machine(self) -> None:
        """Measure rates, keep the better of these and those before, and count the floor."""
        self.console.print("[dim]machine ...[/dim]")
        rates = machine.measure_rates(self.effort.seconds)
        self.rates = machine.better_rates(self.rates, rates) if self.rates else rates
        self.results["rates"] = machine.rates_as_json(self.rates)
        self.results["floor"] = {case.name: floor.floor_as_json(case, self.rates) for case in cases.CASES}

    def measure_published(self) -> None:
        """Time the published form of the walk."""
        self.for_each_case(
            "published",
            lambda metric, case: published.measure_published(
                metric, case, self.draws_file(case, "published"), self.quick
            ),
        )

    def measure_pythae(self) -> None:
        """Time pythae's sampler."""
        self.for_each_case(
            "pythae",
            lambda _, case: peer_process.measure_pythae(
                self.peers_python, case, self.metric_file(case), self.draws_file(case, "pythae"), self.quick
            ),
        )

    def measure_walk(self) -> None:
        """Time a step of the package's printed walk."""
        self.for_each_case("walk", lambda metric, case: ours.measure_walk_step(metric, case, self.effort))

    def measure_mixture(self) -> None:
        """Time draws of the mixture sampler."""
        self.for_each_case(
            "mixture",
            lambda metric, case: ours.measure_mixture(metric, self.draws_file(case, "mixture"), self.effort),
        )

    def measure_chains(self) -> None:
        """Run the exact chain kernels."""
        self.for_each_case(
            "chains",
            lambda metric, case: ours.measure_exact_chains(
                metric, case, lambda name: self.draws_file(case, name), self.effort
            ),
        )

    def measure_laws(self) -> None:
        """Compare all draws that were kept with the truth."""

        def compare(metric: KernelMetric, case: Case) -> dict:
            truth = laws.reference_law(metric, 200_000 if self.quick else 1_000_000)
            files = sorted(self.folder.glob(f"draws-{case.dim}-*.npy"))
            samplers = {file.stem.split("-", 2)[2]: laws.compare_file(metric, file, truth) for file in files}
            return {"truth": truth.how, "samplers": samplers}

        self.for_each_case("laws", compare)

    def measure_large_n(self) -> None:
        """Measure the cost of a draw of the mixture sampler as the number of centroids grows."""
        environment = peer_process.one_thread_environment()
        limit, seconds = (120.0, 0.3) if self.quick else (900.0, 1.0)
        rows = []
        for dim in LARGE_DIMS:
            for num in LARGE_NUMBERS[: 3 if self.quick else None]:
                self.console.print(f"[dim]large-n, d={dim}, N={num:,} ...[/dim]")
                row = large_n.measure_apart(num, dim, seconds, limit, environment)
                rows.append(row | {"load": load_average()})
        self.results["large-n"] = rows


def parse_arguments(words: list[str], description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="samplers.py", description=description.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter runs of every part")
    parser.add_argument("--peers-python", type=Path, help="interpreter of an environment with pythae")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    parser.add_argument("--docs", type=Path, help="Markdown page whose marked part the tables are written to")
    parser.add_argument("--show", type=Path, help="measure nothing; show these stored results")
    parser.add_argument("--only", help=f"comma-separated parts to run, of {', '.join(PARTS)}")
    parser.add_argument("--keep", type=Path, help="folder to keep metrics and draws in, else a temporary one")
    arguments = parser.parse_args(words)
    arguments.parts = list(PARTS) if arguments.only is None else arguments.only.split(",")
    unknown = sorted(set(arguments.parts) - set(PARTS))
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; choose of {', '.join(PARTS)}")
    return arguments


def command_line(arguments: argparse.Namespace, words: list[str]) -> str:
    """Return the command of this run, with no folder that only this machine has."""
    private = {str(arguments.peers_python): "PEERS/bin/python", str(arguments.keep): "FOLDER"}
    return shlex.join(["python", "benchmarks/samplers.py", *(private.get(word, word) for word in words)])


def main(words: list[str], description: str) -> None:
    """Run the benchmark for these command-line words."""
    arguments, console = parse_arguments(words, description), Console(width=140)
    torch.set_num_threads(1)
    results = measure(arguments, words, console) if arguments.show is None else read(arguments.show)
    results["targets"] = report.show(results, console)
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    if arguments.docs is not None:
        report.write_page(results, arguments.docs)


def read(file: Path) -> dict:
    """Return stored results."""
    return json.loads(file.read_text())


def measure(arguments: argparse.Namespace, words: list[str], console: Console) -> dict:
    """Return the results of the parts asked for, with how they were got."""
    header = {
        "command": command_line(arguments, words),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": arguments.quick,
        "machine": machine.describe(),
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        benchmark = Benchmark(arguments, folder, console)
        benchmark.run(arguments.parts)
    return {**header, **benchmark.results, "load_average_at_end": load_average()}
