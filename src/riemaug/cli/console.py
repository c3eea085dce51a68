"""What the user sees while a job runs and when it ends."""

import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from riemaug.errors import InterruptedRunError
from riemaug.run.estimate import USUAL_EPOCHS
from riemaug.run.pipeline import Outcome
from riemaug.run.plan import Plan
from riemaug.run.progress import Listener, TaskProgress

FIT_SHARE = 0.9
"""Share of a class's bar that training fills; drawing and writing fill the rest."""
LINE_SECONDS = 15.0
"""Without a terminal: a line of progress this often."""


def command_line() -> str:
    """Return the command as it was typed, fit for pasting."""
    return shlex.join(["riemaug", *sys.argv[1:]])


class Console:
    """Prints plan, progress and outcome: to people on stderr, as JSON on stdout."""

    def __init__(self, quiet: bool, as_json: bool) -> None:
        self.quiet, self.as_json = quiet, as_json
        self.rich = RichConsole(stderr=True, quiet=quiet, highlight=False)
        self._plan: Plan | None = None

    def plan(self, plan: Plan, dry: bool = False) -> None:
        """Say what will be done, what it will cost, and what was noticed in the data."""
        self._plan = plan
        if dry and self.as_json:
            print(json.dumps(_plan_fields(plan), ensure_ascii=False))
            return
        for note in plan.notes:
            self.rich.print(f"[yellow]note[/yellow] {_plain(note)}")
        estimate, dataset = plan.estimate, plan.dataset
        shape = "x".join(map(str, dataset.format.shape))
        self.rich.print(
            f"{len(dataset.samples)} samples of {shape} {dataset.format.dtype} in "
            f"{len(dataset.class_names)} classes; {plan.model.kind}, d = {plan.model.latent_dim}, "
            f"{plan.model.num_parameters():,} weights a class on {plan.device}"
        )
        made = (
            f"{sum(plan.counts):,} new samples, up to {_size(plan.disk_bytes)} of disk; "
            if any(plan.counts)
            else ""
        )
        self.rich.print(
            f"{made}about {_duration(estimate.seconds)} (training stops by itself) and "
            f"{_size(estimate.memory)} of memory with {estimate.num_jobs} "
            f"{'job' if estimate.num_jobs == 1 else 'jobs'}"
        )
        if dry:
            self._table_of_classes(plan)
            self.rich.print("dry run: nothing was done")

    @contextmanager
    def progress(self) -> Iterator[Listener | None]:
        """Show the progress of the classes; yields the listener that the job is to tell."""
        try:
            yield from self._listeners()
        except KeyboardInterrupt:
            raise InterruptedRunError(
                "interrupted; run the same command with --resume to go on where it stopped"
            ) from None

    def _listeners(self) -> Iterator[Listener | None]:
        if self.quiet:
            yield None
            return
        if not self.rich.is_terminal:
            yield _Lines(self.rich)
            return
        bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[status]}"),
            TimeElapsedColumn(),
            console=self.rich,
            transient=True,
        )
        with bars:
            yield _Bars(bars, self)

    def class_name(self, index: int) -> str:
        """Return the name of a class of the announced plan, else its number."""
        return f"class {index + 1}" if self._plan is None else self._plan.dataset.class_names[index]

    def outcome(self, outcome: Outcome) -> None:
        """Say what was made, and what to look at."""
        made = sum(len(result.get("files", ())) for result in outcome.results)
        if self.as_json:
            print(json.dumps(_outcome_fields(outcome, made), ensure_ascii=False))
            return
        if outcome.already_done:
            self.rich.print(f"{_plain(str(outcome.out))} was finished already; nothing was left to do")
            return
        for result in outcome.results:
            diagnostics = result.get("diagnostics", {})
            if diagnostics.get("converged") is False:
                self.rich.print(
                    f"[yellow]warning[/yellow] class {_plain(result['class'])}: "
                    f"{_plain(diagnostics['message'])}"
                )
        what = f"{made:,} new samples" if made else f"{len(outcome.generators.classes)} models"
        self.rich.print(
            f"[green]done[/green] {what} in {_plain(str(outcome.out))}, {_duration(outcome.seconds)}"
        )
        report = outcome.out / "report.html"
        if report.is_file():
            self.rich.print(f"look at {_plain(str(report))}")

    def scores(self, scores: dict[str, float]) -> None:
        """Say how a classifier did on held-out data, by what it was trained on."""
        if self.as_json:
            print(json.dumps({"accuracy": scores}))
            return
        told = ", ".join(f"{name} {100 * value:.1f} %" for name, value in scores.items())
        self.rich.print(
            f"accuracy on held-out real digits, trained on: {told} (one draw: a hint, not a study)"
        )

    def _table_of_classes(self, plan: Plan) -> None:
        table = Table("class", "real", "new")
        for name, size, count in zip(plan.dataset.class_names, plan.dataset.counts, plan.counts, strict=True):
            table.add_row(_plain(name), str(size), str(count))
        self.rich.print(table)


class _Bars:
    """One bar a class that has begun and not ended, and one for all with the time left."""

    def __init__(self, bars: Progress, console: Console) -> None:
        self.bars, self.console = bars, console
        self.started = time.monotonic()
        self.total = bars.add_task("all classes", total=1.0, status="")
        self.tasks: dict[int, Any] = {}

    def __call__(self, told: list[TaskProgress | None]) -> None:
        epochs = expected_epochs(told)
        shares = [share_done(item, epochs) for item in told]
        for index, item in enumerate(told):
            if item is None:
                continue
            if index not in self.tasks:
                name = _plain(self.console.class_name(index))[:24]
                self.tasks[index] = self.bars.add_task(f"  {name}", total=1.0, status="")
            done = item.stage == "done"
            self.bars.update(
                self.tasks[index], completed=shares[index], status=status(item), visible=not done
            )
        share = sum(shares) / max(len(shares), 1)
        spent = time.monotonic() - self.started
        left = f"about {_duration(spent * (1 - share) / share)} left" if share > 0.02 else ""
        finished = sum(item is not None and item.stage == "done" for item in told)
        self.bars.update(self.total, completed=share, status=f"{finished}/{len(told)} done  {left}")


class _Lines:
    """Without a terminal: a plain line now and then."""

    def __init__(self, rich: RichConsole) -> None:
        self.rich, self.started, self.last = rich, time.monotonic(), time.monotonic()

    def __call__(self, told: list[TaskProgress | None]) -> None:
        now = time.monotonic()
        if now - self.last < LINE_SECONDS:
            return
        self.last = now
        share = sum(share_done(item, expected_epochs(told)) for item in told) / max(len(told), 1)
        finished = sum(item is not None and item.stage == "done" for item in told)
        left = f", about {_duration((now - self.started) * (1 - share) / share)} left" if share > 0.02 else ""
        self.rich.print(f"{finished}/{len(told)} classes done, {100 * share:.0f} %{left}")


def expected_epochs(told: list[TaskProgress | None]) -> float:
    """Return how many epochs a class may take: no class says so before it has stopped by itself."""
    longest = max((item.done for item in told if item is not None and item.stage == "fit"), default=0)
    return max(USUAL_EPOCHS, 1.2 * longest)


def share_done(item: TaskProgress | None, epochs: float) -> float:
    """Return which share of a class's work is done, in [0, 1]."""
    if item is None:
        return 0.0
    if item.stage == "fit":
        return FIT_SHARE * min(1.0, item.done / min(epochs, item.total))
    if item.stage == "done":
        return 1.0
    half = (1.0 - FIT_SHARE) / 2
    part = item.done / item.total if item.total else 0.0
    return FIT_SHARE + half * part + (half if item.stage == "write" else 0.0)


def status(item: TaskProgress) -> str:
    """Return a class's progress in words."""
    if item.stage == "fit":
        pace = f", {1e3 * item.seconds / item.done:.0f} ms each" if item.done else ""
        return f"epoch {item.done}{pace}, ELBO {item.value:.1f} (best {item.best:.1f}, {item.since_best} ago)"
    if item.stage == "sample":
        return f"drawing {item.done}/{item.total}, acceptance {item.value:.2f}"
    if item.stage == "write":
        return f"writing {item.done}/{item.total}"
    return item.stage


def _plan_fields(plan: Plan) -> dict[str, Any]:
    return {
        "classes": {
            name: {"real": size, "new": count}
            for name, size, count in zip(
                plan.dataset.class_names, plan.dataset.counts, plan.counts, strict=True
            )
        },
        "notes": list(plan.notes),
        "model": plan.model.model_dump(mode="json"),
        "training": plan.training.model_dump(mode="json"),
        "device": plan.device,
        "jobs": plan.estimate.num_jobs,
        "seconds": round(plan.estimate.seconds, 1),
        "memory_bytes": round(plan.estimate.memory),
        "disk_bytes": round(plan.disk_bytes),
    }


def _outcome_fields(outcome: Outcome, made: int) -> dict[str, Any]:
    return {
        "out": str(outcome.out),
        "samples": made,
        "seconds": round(outcome.seconds, 2),
        "already_done": outcome.already_done,
        "classes": [
            {
                "class": result["class"],
                "samples": len(result.get("files", ())),
                "diagnostics": result.get("diagnostics"),
            }
            for result in outcome.results
        ],
    }


def _plain(text: str) -> str:
    """Return text in which Rich sees no markup."""
    return text.replace("[", "\\[")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _size(num_bytes: float) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if num_bytes >= scale:
            return f"{num_bytes / scale:.1f} {unit}"
    return f"{num_bytes / 1e3:.0f} kB"
