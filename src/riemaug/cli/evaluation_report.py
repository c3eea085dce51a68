"""What the user sees of an evaluation: the plan, how far it is, and what came out."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from riemaug.cli.console import LINE_SECONDS, Console
from riemaug.cli.text import duration, printable
from riemaug.evaluation.outcome import TABLES_NAME, Evaluation
from riemaug.evaluation.tables import short_table, told
from riemaug.evaluation.tasks import Listener, Progress
from riemaug.run.evaluate import PreparedEvaluation


def tell_plan(console: Console, prepared: PreparedEvaluation) -> None:
    """Say what was read, what will be done, and what was noticed."""
    for note in prepared.notes:
        console.say(f"[yellow]note[/yellow] {escape(printable(note))}")
    counts = [f"{len(item.data.labels):,} in {escape(printable(item.name))}" for item in prepared.sources]
    first = prepared.sources[0].data
    shape = "x".join(map(str, first.samples.shape[1:]))
    console.say(
        f"samples of {shape} {first.samples.dtype} in {len(first.class_names)} classes: {', '.join(counts)}"
    )
    work = f"{prepared.num_runs} trainings of classifiers" if prepared.num_runs else "no classifiers"
    if prepared.num_done:
        work += f" ({prepared.num_done} done already)"
    if prepared.seconds is not None and prepared.request.folds:
        work += f", beside about {duration(prepared.seconds)} for {prepared.request.evaluation.cv} generators"
    elif prepared.seconds is not None:
        work += f", about {duration(prepared.seconds)}"
    jobs = f"{prepared.num_jobs} job{'' if prepared.num_jobs == 1 else 's'}"
    console.say(f"{work} with {jobs}; results go to {escape(printable(str(prepared.request.folder)))}")


def tell_dry_run(console: Console, prepared: PreparedEvaluation) -> None:
    """Say that nothing was done; as JSON, what would be."""
    if console.as_json:
        fields = {
            "out": str(prepared.request.folder),
            "trainings": prepared.num_runs,
            "done": prepared.num_done,
            "jobs": prepared.num_jobs,
            "seconds": None if prepared.seconds is None else round(prepared.seconds, 1),
            "samples": {item.name: len(item.data.labels) for item in prepared.sources},
            "notes": list(prepared.notes),
        }
        typer.echo(json.dumps(fields))
        return
    console.say("dry run: nothing was done")


@contextmanager
def progress(console: Console) -> Iterator[Listener | None]:
    """Show how far the evaluation is: a bar, or without a terminal a line now and then."""
    if console.quiet:
        yield None
        return
    if not console.rich.is_terminal:
        yield _Lines(console)
        return
    columns = TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn()
    with Bars(*columns, console=console.rich, transient=True) as bars:
        bar = bars.add_task("starting", total=1.0)
        yield lambda told: bars.update(bar, completed=told.share, description=_words(told))


class _Lines:
    """Without a terminal: a plain line now and then."""

    def __init__(self, console: Console) -> None:
        self.console, self.last = console, time.monotonic()

    def __call__(self, told: Progress) -> None:
        if time.monotonic() - self.last >= LINE_SECONDS:
            self.last = time.monotonic()
            self.console.say(_words(told))


def _words(told: Progress) -> str:
    what = escape(printable(told.what))
    if not told.total:
        return what
    left = f", about {duration(told.seconds_left)} left" if told.seconds_left else ""
    return f"{told.done}/{told.total} done ({what}){left}"


def tell_outcome(
    console: Console, prepared: PreparedEvaluation, evaluation: Evaluation, seconds: float
) -> None:
    """Say what came out, the verdict last; as JSON, all of it."""
    folder = prepared.request.folder
    if console.as_json:
        fields = {"out": str(folder), "seconds": round(seconds, 1), **evaluation.to_dict()}
        typer.echo(json.dumps(fields, allow_nan=False))
        return
    for note in evaluation.notes[len(prepared.notes) :]:
        console.say(f"[yellow]note[/yellow] {escape(printable(note))}")
    _tell_scores(console, evaluation)
    _tell_checks(console, evaluation)
    for line in _verdict_lines(evaluation):
        console.say(f"[bold]verdict[/bold] {escape(printable(line))}")
    console.say(
        f"[green]done[/green] all numbers are in {escape(printable(str(folder / TABLES_NAME)))}, "
        f"{duration(seconds)}"
    )


def _verdict_lines(evaluation: Evaluation) -> list[str]:
    """Return one line for each classifier."""
    return [told(verdict, evaluation.settings["classic"]) for verdict in evaluation.verdicts]


def _tell_scores(console: Console, evaluation: Evaluation) -> None:
    for name in evaluation.settings["classifiers"]:
        scores = short_table(evaluation, name)
        title = f"{escape(printable(name))}: mean (standard deviation) over the runs"
        table = Table(*scores.header, title=title, title_justify="left")
        for row in scores.rows:
            table.add_row(*row)
        console.rich.print(table)


def _tell_checks(console: Console, evaluation: Evaluation) -> None:
    for report in evaluation.fidelity[:1]:
        if report["overall"] is None:
            console.say("fidelity: too few samples to measure it")
            continue
        scores = report["overall"]["neighbourhoods"]
        console.say(
            f"fidelity ({escape(report['feature_space'])}): {100 * scores['precision']:.0f} % of the "
            f"synthetic samples lie among real ones, {100 * scores['coverage']:.0f} % of the real ones have "
            f"a synthetic one near ({100 * scores['expected_coverage']:.0f} % if both were of one law)"
        )
    for finding in evaluation.findings:
        console.say(f"[yellow]copies[/yellow] {escape(printable(finding))}")
    if evaluation.copying and not evaluation.findings:
        console.say("copies: nothing points to copying")
