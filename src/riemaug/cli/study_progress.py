"""What the user sees while the study runs."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from riemaug.cli.text import duration, printable
from riemaug.study.cells import Run
from riemaug.study.costs import Costs, fit_key
from riemaug.study.runner import Outcome
from riemaug.study.store import Result

LINE_SECONDS = 30.0
"""Without a terminal: a line of progress this often."""


class StudyProgress:
    """Announces runs, shows which are done and how long the rest will take.

    Parameters
    ----------
    waiting : sequence of Run
    done : sequence of Result
        Runs of earlier times, from which costs are known.
    num_jobs : int
    quiet : bool
    """

    def __init__(
        self, waiting: Sequence[Run], done: Sequence[Result], num_jobs: int, quiet: bool, device: str = "cpu"
    ) -> None:
        self.waiting, self.num_jobs = waiting, num_jobs
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self.costs = Costs(done, device)
        self.fitted: set[tuple] = set()
        self.total = self.costs.seconds(waiting)
        self.spent = 0.0
        self.reasons: set[str] = set()
        self.counts = {"done": 0, "left out": 0, "failed": 0}
        self.started = self.told = time.monotonic()
        self.is_live = sys.stderr.isatty() and not quiet
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[rest]}"),
            console=self.console,
            disable=not self.is_live,
        )
        self.task = self.bar.add_task("runs", total=max(self.total, 1e-9), rest="")

    def announce(self, seconds: float | None, reasons: Sequence[str] = ()) -> None:
        """Say what will be done, and why other runs cannot be."""
        for reason in reasons:
            self.console.print(f"[yellow]left out[/yellow] {escape(printable(reason))}", soft_wrap=True)
        if not self.waiting:
            self.console.print("nothing is left to do: see riemaug study show")
            return
        limit = "" if seconds is None else f"; no run begins that would end after {duration(seconds)}"
        self.console.print(
            f"{len(self.waiting)} runs of {len({run.cell for run in self.waiting})} cells, about "
            f"{duration(self.total / self.num_jobs)} in {self.num_jobs} processes{limit}",
            soft_wrap=True,
        )

    def __enter__(self) -> "StudyProgress":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def tell(self, outcome: Outcome) -> None:
        """Take note of what became of a run."""
        run = outcome.run
        self._spend(run, outcome)
        if outcome.error:
            self.counts["failed"] += 1
            if outcome.error not in self.reasons:  # of a hundred runs without data one line is enough
                self.reasons.add(outcome.error)
                self.console.print(
                    f"[red]failed[/red] {run.cell.key}: {escape(printable(outcome.error))}", soft_wrap=True
                )
        else:
            self.counts["done" if outcome.result else "left out"] += 1
        shown = _line(outcome)
        self.bar.update(
            self.task, completed=min(self.spent, self.total), description=shown, rest=self._rest()
        )
        if not self.is_live and time.monotonic() - self.told > LINE_SECONDS:
            self.told = time.monotonic()
            finished = sum(self.counts.values())
            self.console.print(
                f"{finished}/{len(self.waiting)} runs, {self._rest()}; {shown}", soft_wrap=True
            )

    def _spend(self, run: Run, outcome: Outcome) -> None:
        """Count a run's cost as done; of one that was left out, as nothing that is left to do."""
        cost = self.costs.classifier_seconds(run.cell)
        if fit_key(run) not in self.fitted:
            cost += self.costs.fit_seconds(run)
            self.fitted.add(fit_key(run))
        if outcome.result is None:
            self.total -= cost
        else:
            self.spent += cost

    def _rest(self) -> str:
        elapsed, share = time.monotonic() - self.started, self.spent / max(self.total, 1e-9)
        return f"about {duration(elapsed * (1 - share) / share)} left" if 0 < share < 1 else ""

    def finish(self) -> bool:
        """Say how it ended; return whether a run failed."""
        said = ", ".join(f"{count} {name}" for name, count in self.counts.items() if count)
        self.console.print(f"{said} in {duration(time.monotonic() - self.started)}")
        return self.counts["failed"] > 0


def _line(outcome: Outcome) -> str:
    if outcome.result is None:
        return outcome.run.cell.key
    metric = "balanced_accuracy" if outcome.run.cell.data.startswith("oasis") else "accuracy"
    return f"{outcome.run.cell.key} {100 * outcome.result.scores[metric]:.1f} %"


@contextmanager
def transfers(quiet: bool) -> Iterator[Callable[[str, int, int | None], None]]:
    """Show transfers; gives a function to tell (file, bytes done, bytes in all if known)."""
    console = Console(stderr=True, quiet=quiet, highlight=False)
    bar = Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=console)
    tasks: dict[str, int] = {}

    def tell(name: str, done: int, total: int | None) -> None:
        if name not in tasks:
            tasks[name] = int(bar.add_task(name, total=total))
        bar.update(tasks[name], completed=done, total=total)  # type: ignore[arg-type]

    with bar:
        yield tell
