"""What the user sees of `riemaug sample --dry-run`."""

import json
from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from riemaug.cli.console import Console
from riemaug.cli.text import duration, printable, size
from riemaug.run.sampling_plan import SamplingPlan


def tell_dry_run(console: Console, plan: SamplingPlan, out: Path) -> None:
    """Say what would be drawn and what it would take; as JSON, the same."""
    names = plan.generators.class_names
    if console.as_json:
        fields = {
            "out": str(out),
            "classes": {name: {"new": count} for name, count in zip(names, plan.counts, strict=True)},
            "sampler": plan.sampler,
            "jobs": plan.num_jobs,
            "seconds": round(plan.seconds, 1),
            "memory_bytes": round(plan.memory),
            "disk_bytes": round(plan.disk_bytes),
        }
        typer.echo(json.dumps(fields))
        return
    jobs = f"{plan.num_jobs} job{'' if plan.num_jobs == 1 else 's'}"
    console.say(
        f"{sum(plan.counts):,} new samples of {len(names)} classes by the sampler {plan.sampler}, up to "
        f"{size(plan.disk_bytes)} of disk in {escape(printable(str(out)))}; about "
        f"{duration(plan.seconds)} and {size(plan.memory)} of memory with {jobs}"
    )
    table = Table("class", "new")
    for name, count in zip(names, plan.counts, strict=True):
        table.add_row(escape(printable(name)), f"{count:,}")
    console.rich.print(table)
    console.say("dry run: nothing was done")
