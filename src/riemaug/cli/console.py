"""What the user sees while a job runs and when it ends."""

import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from riemaug.cli.endings import RESUME, told_how_to_go_on
from riemaug.cli.text import duration, printable, size
from riemaug.data import SampleFormat
from riemaug.run.drawing import DRAWS_PER_SAMPLE, LEAST_LIMIT
from riemaug.run.estimate import USUAL_EPOCHS
from riemaug.run.outcome import Outcome
from riemaug.run.plan import Plan
from riemaug.run.progress import Listener, TaskProgress
from riemaug.run.reporting import dropped_copies
from riemaug.serialization import classes_by_model

LONG_SECONDS = 1200.0
"""A job that will take longer is announced with what would make it shorter."""
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

    def say(self, text: str) -> None:
        """Print one line to people."""
        # unwrapped: a path that is cut in two can be neither clicked nor copied nor searched for
        self.rich.print(text, soft_wrap=True)

    def note(self, text: str) -> None:
        """Print what is to be known of the data or the run."""
        self.say(f"[yellow]note[/yellow] {_plain(text)}")

    def plan(self, plan: Plan, dry: bool = False) -> None:
        """Say what will be done, what it will cost, and what was noticed in the data."""
        if dry and self.as_json:
            print(json.dumps(_plan_fields(plan)))
            return
        for note in plan.notes:
            self.note(note)
        self._say_what_is_modelled(plan)
        self._say_cost(plan)
        if dry:
            self._table_of_classes(plan)
            self.say("dry run: nothing was done")

    def _say_what_is_modelled(self, plan: Plan) -> None:
        dataset = plan.dataset
        self.say(
            f"{len(dataset.samples)} {_what_samples_are(dataset.format)} in "
            f"{len(dataset.class_names)} classes; {plan.model.kind}, d = {plan.model.latent_dim}, "
            f"{_weights(plan)} on {plan.device}"
        )
        if plan.shares and plan.generator.sharing == "measured":
            self.say("first it is measured on a part of the data whether one model of all classes is better")
        if plan.generator.tune is not None:
            self.say(f"constants are searched on a part of the data, in {plan.generator.tune} trials")

    def _say_cost(self, plan: Plan) -> None:
        estimate = plan.estimate
        most = "up to " if plan.drop_copies else ""
        made = f"{most}{sum(plan.counts):,} new samples, " if any(plan.counts) else ""
        self.say(
            f"{made}up to {size(plan.disk_bytes)} of disk; about {duration(estimate.seconds)} "
            f"({_how_training_ends(plan)}) and {size(estimate.memory)} of memory with {estimate.num_jobs} "
            f"{'job' if estimate.num_jobs == 1 else 'jobs'}"
        )
        if plan.drop_copies:
            self.say(
                "copies of training samples are dropped and others drawn instead, with at most "
                f"{DRAWS_PER_SAMPLE} draws a sample ({LEAST_LIMIT} a class where that is more); the time "
                "above is for no copies"
            )
        if estimate.seconds > LONG_SECONDS and plan.dataset.format.kind != "arrays":
            sides = plan.dataset.format.model_shape[: plan.dataset.format.num_sides]
            half = "x".join(str(max(1, side // 2)) for side in sides)
            part = "an eighth" if len(sides) == 3 else "a quarter"
            self.say(f"to be faster: --fit-shape {half} takes about {part} of it; or --max-epochs 300")

    @contextmanager
    def progress(self) -> Iterator[Listener | None]:
        """Show the progress of the classes; yields the listener that the job is to tell."""
        with told_how_to_go_on(RESUME):
            yield from self._listeners()

    def _listeners(self) -> Iterator[Listener | None]:
        if self.quiet:
            yield None
            return
        if not self.rich.is_terminal:
            yield _Lines(self)
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
            yield _Bars(bars)

    def outcome(self, outcome: Outcome, scores: dict[str, float] | None = None) -> None:
        """Say what was made, what to look at, and how a classifier did that was trained on it."""
        made = sum(result.get("synthetic", 0) for result in outcome.results)
        if self.as_json:
            fields = _outcome_fields(outcome, made)
            print(json.dumps(fields if scores is None else fields | {"accuracy": scores}))
            return
        self._say_what_was_made(outcome, made)
        if scores is not None:
            told = ", ".join(f"{name} {100 * value:.1f} %" for name, value in scores.items())
            self.say(f"accuracy on held-out real digits, trained on: {told} (one draw: a hint, not a study)")

    def _say_what_was_made(self, outcome: Outcome, made: int) -> None:
        if outcome.already_done:
            self.say(f"{_plain(str(outcome.out))} was finished already; nothing was left to do")
            return
        for result in outcome.results:
            diagnostics = result.get("diagnostics", {})
            if diagnostics.get("converged") is False:
                self.say(
                    f"[yellow]warning[/yellow] class {_plain(result['class'])}: "
                    f"{_plain(diagnostics['message'])}"
                )
        self._say_what_was_dropped(outcome)
        models = len(classes_by_model(outcome.generators.classes))
        what = f"{made:,} new samples" if made else f"{models} model{'s' if models > 1 else ''}"
        self.say(f"[green]done[/green] {what} in {_plain(str(outcome.out))}, {duration(outcome.seconds)}")
        report = outcome.out / "report.html"
        if report.is_file():
            self.say(f"look at {_plain(str(report))}")
        elif made:
            self.say(f"riemaug report {_plain(shlex.quote(str(outcome.out)))} makes a report of them")

    def _say_what_was_dropped(self, outcome: Outcome) -> None:
        found = [(result["class"], dropped_copies(result)) for result in outcome.results]
        told = [(_plain(name), dropped) for name, dropped in found if dropped is not None]
        for name, dropped in told:
            if dropped.missing:
                self.say(f"[yellow]warning[/yellow] class {name}: {dropped.describe_missing()}")
        if not any(dropped.count for _, dropped in told):
            return
        table = Table("class", "draws", "dropped", "exact", "near", "samples")
        for name, dropped in told:
            share = f"{dropped.count:,} ({100 * dropped.share:.0f} %)"
            numbers = (dropped.exact, dropped.near, dropped.kept)
            table.add_row(name, f"{dropped.drawn:,}", share, *(f"{number:,}" for number in numbers))
        self.say("copies were dropped, so samples no longer follow the sampler's law exactly:")
        self.rich.print(table)

    def _table_of_classes(self, plan: Plan) -> None:
        table = Table("class", "real", "new, at most" if plan.drop_copies else "new")
        for name, real, count in zip(plan.dataset.class_names, plan.dataset.counts, plan.counts, strict=True):
            table.add_row(_plain(name), str(real), str(count))
        self.rich.print(table)


class _TimeLeft:
    """Tells from the share done since it began how long the rest will take; a resumed run begins above 0."""

    def __init__(self) -> None:
        self.started: float | None = None
        self.first = 0.0

    def __call__(self, share: float) -> str:
        """Return the time left in words, empty as long as it cannot be told."""
        now = time.monotonic()
        if self.started is None:
            self.started, self.first = now, share
        gained = share - self.first
        if gained < 0.02:
            return ""
        return f"about {duration((now - self.started) * (1 - share) / gained)} left"


class _Bars:
    """One bar a class that has begun and not ended, and one for all with the time left."""

    def __init__(self, bars: Progress) -> None:
        self.bars, self.time_left = bars, _TimeLeft()
        self.total = bars.add_task("all classes", total=1.0, status="")
        self.tasks: dict[int, Any] = {}

    def __call__(self, told: list[TaskProgress]) -> None:
        epochs = expected_epochs(told)
        shares = [share_done(item, epochs) for item in told]
        for index, item in enumerate(told):
            if item.stage == "waiting" or (item.stage == "done" and index not in self.tasks):
                continue
            if index not in self.tasks:
                name = _plain(item.name[:24])
                self.tasks[index] = self.bars.add_task(f"  {name}", total=1.0, status="")
            done = item.stage == "done"
            self.bars.update(
                self.tasks[index], completed=shares[index], status=status(item), visible=not done
            )
        share = share_of_job(told)
        told_left = f"{classes_done(told)} done  {self.time_left(share)}"
        self.bars.update(self.total, completed=share, status=told_left)


class _Lines:
    """Without a terminal: a plain line now and then."""

    def __init__(self, console: Console) -> None:
        self.console, self.last, self.time_left = console, time.monotonic(), _TimeLeft()

    def __call__(self, told: list[TaskProgress]) -> None:
        share = share_of_job(told)
        left = self.time_left(share)
        if time.monotonic() - self.last < LINE_SECONDS:
            return
        self.last = time.monotonic()
        self.console.say(
            f"{classes_done(told)} classes done, {100 * share:.0f} %{', ' + left if left else ''}"
        )


def expected_epochs(told: list[TaskProgress]) -> float:
    """Return how many epochs a training may take that says so only when it has stopped by itself."""
    longest = max((item.done for item in told if item.stage == "fit" and not item.is_fixed), default=0)
    return max(float(USUAL_EPOCHS), 1.2 * longest)


def share_of_job(told: list[TaskProgress]) -> float:
    """Return which share of all work is done, in [0, 1]."""
    epochs = expected_epochs(told)
    done = sum(item.weight * share_done(item, epochs) for item in told)
    return done / max(sum(item.weight for item in told), 1e-9)


def classes_done(told: list[TaskProgress]) -> str:
    """Return how many classes are done of how many."""
    finished = sum(item.classes for item in told if item.stage == "done")
    return f"{finished}/{sum(item.classes for item in told)}"


def share_done(item: TaskProgress, epochs: float) -> float:
    """Return which share of a task's work is done, in [0, 1]."""
    if item.stage == "waiting":
        return 0.0
    if item.stage == "fit":
        last = item.total if item.is_fixed else min(epochs, item.total)
        return item.fit_share * min(1.0, item.done / last)
    if item.stage == "done":
        return 1.0
    if item.stage == "tune":
        return item.fit_share * item.done / max(item.total, 1)
    # drawn and written side by side
    return item.fit_share + (1.0 - item.fit_share) * (item.done / item.total if item.total else 0.0)


def status(item: TaskProgress) -> str:
    """Return a class's progress in words."""
    if item.stage == "fit":
        pace = f", {1e3 * item.seconds / item.done:.0f} ms each" if item.done else ""
        return f"epoch {item.done}{pace}, ELBO {item.value:.1f} (best {item.best:.1f}, {item.since_best} ago)"
    if item.stage == "tune":
        gain = f", held-out nats {item.value:.1f} at first, best {item.best:.1f}" if item.value else ""
        return f"trial {item.step}/{item.num_steps}{gain}"
    if item.stage == "sample":
        steps = f", chain step {item.step}/{item.num_steps}" if item.num_steps else ""
        return f"drawing {item.done}/{item.total}{steps}, acceptance {item.value:.2f}"
    if item.stage == "write":
        return f"writing {item.done}/{item.total}"
    return item.stage


def _what_samples_are(fmt: SampleFormat) -> str:
    shape = "x".join(map(str, fmt.shape))
    if fmt.table is not None:
        return f"rows of {len(fmt.table.plan.columns)} columns ({shape} numbers)"
    fitted = "x".join(map(str, fmt.fit_shape or ()))
    return f"samples of {shape} {fmt.dtype}" + (f", modelled at {fitted}," if fitted else "")


def _weights(plan: Plan) -> str:
    whose = "that all classes share" if plan.shares else "a class"
    return f"{plan.model.network} networks of {plan.model.num_parameters():,} weights {whose}"


def _how_training_ends(plan: Plan) -> str:
    """Return in words what the estimate of the time rests on."""
    if not plan.has_fixed_length:
        return "training stops by itself"
    more = plan.estimate.more_seconds_apart
    if more <= 0:
        return "training takes a fixed number of steps"
    apart = duration(plan.estimate.seconds + more)
    return (
        f"training takes a fixed number of steps; {apart} if it is found that each class needs a model of "
        "its own"
    )


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
        "shared": plan.shares,
        "training": plan.training.model_dump(mode="json"),
        "drop_copies": plan.drop_copies,
        "device": plan.device,
        "jobs": plan.estimate.num_jobs,
        "seconds": round(plan.estimate.seconds, 1),
        "seconds_with_separate_models": round(plan.estimate.seconds + plan.estimate.more_seconds_apart, 1),
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
                "samples": result.get("synthetic", 0),
                "dropped": result.get("dropped"),
                "diagnostics": result.get("diagnostics"),
            }
            for result in outcome.results
        ],
    }


def _plain(text: str) -> str:
    """Return text in which neither Rich nor the terminal sees an instruction."""
    return escape(printable(text))
