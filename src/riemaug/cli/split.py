"""`riemaug split`: training, validation and test parts that share nothing."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riemaug.cli import options, parsing, reading_options
from riemaug.cli.choices import completing
from riemaug.errors import InvalidInputError

if TYPE_CHECKING:
    from riemaug.cli.console import Console
    from riemaug.run.split import PlannedSplit, SplitRequest

_PARTS = "Parts"
_SIZE = "as a share (0.2) or a number of samples in all (40); 0 leaves the part out."
Train = Annotated[
    str | None,
    typer.Option(
        help="Size of the training part, as a share or a number; by default what the others leave.",
        metavar="SHARE|N",
        rich_help_panel=_PARTS,
        show_default=False,
    ),
]
Val = Annotated[
    str,
    typer.Option(help=f"Size of the validation part, {_SIZE}", metavar="SHARE|N", rich_help_panel=_PARTS),
]
Test = Annotated[
    str, typer.Option(help=f"Size of the test part, {_SIZE}", metavar="SHARE|N", rich_help_panel=_PARTS)
]
GroupFrom = Annotated[
    str | None,
    typer.Option(
        help="How to tell the subject of an image: folder, the name of a COLUMN of metadata.csv, or a REGEX "
        "with one group; all of a subject goes into one part. Of a table: the name of a column.",
        metavar="folder|COLUMN|REGEX",
        rich_help_panel=_PARTS,
    ),
]
NearDuplicates = Annotated[
    str,
    typer.Option(
        help="together (images that are nearly the same go into one part) or ignore (only exact copies do).",
        metavar="together|ignore",
        autocompletion=completing("near duplicates of a split"),
        rich_help_panel=_PARTS,
    ),
]
Link = Annotated[
    bool, typer.Option("--link", help="Link the files, do not copy them.", rich_help_panel="Run")
]
Seed = Annotated[
    int, typer.Option(help="The same seed gives the same parts, in any file system.", rich_help_panel="Run")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say who would go where, and do nothing.", rich_help_panel="Run")
]


def split(
    data: reading_options.Data,
    out: Annotated[Path, typer.Argument(help="A new or empty folder.", show_default=False)],
    train: Train = None,
    val: Val = "0.1",
    test: Test = "0.2",
    group_from: GroupFrom = None,
    label_from: reading_options.LabelFrom = None,
    drop_columns: reading_options.DropColumns = None,
    missing: reading_options.Missing = None,
    bids_suffix: reading_options.BidsSuffix = None,
    participants: reading_options.Participants = None,
    min_slices: reading_options.MinSlices = None,
    nan: reading_options.Nan = None,
    near_duplicates: NearDuplicates = "together",
    skip_bad: reading_options.SkipBad = False,
    include: reading_options.Include = None,
    exclude: reading_options.Exclude = None,
    limit: reading_options.Limit = None,
    follow_links: reading_options.FollowLinks = False,
    link: Link = False,
    seed: Seed = 0,
    dry_run: DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    log_level: options.LogLevel = "info",
    config: options.Config = None,
) -> None:
    """Divide DATA into OUT/train, OUT/val and OUT/test: stratified by class, no subject and no image in two.

    Example: riemaug split scans/ parts/ --val 0.1 --test 0.2 --group-from folder
    """
    from riemaug.cli.console import Console
    from riemaug.cli.endings import AGAIN, told_how_to_go_on
    from riemaug.limits import parse_limits
    from riemaug.run.split import SplitRequest, carry_out, plan_split

    request = parsing.build(
        SplitRequest,
        data=data,
        out=out,
        train=None if train is None else parse_share("--train", train),
        val=parse_share("--val", val),
        test=parse_share("--test", test),
        group_from=group_from,
        label_from=label_from,
        drop_columns=parsing.parse_columns(drop_columns),
        missing=missing or None,
        bids_suffix=bids_suffix,
        participants=participants,
        min_slices=min_slices,
        nan=nan,
        near_duplicates=near_duplicates,
        skip_bad=skip_bad,
        include=include or (),
        exclude=exclude or (),
        how="link" if link else "copy",
        seed=seed,
        limits=parse_limits(limit or (), follow_links),
    )
    console = Console(quiet, json)
    with told_how_to_go_on(f"{AGAIN}: no part was written"):
        with console.rich.status("reading and comparing the samples"):
            plan = plan_split(request)
        if not dry_run:
            with console.rich.status("writing the parts"):
                carry_out(plan)
    _tell(console, plan, dry_run)


def parse_share(option: str, text: str) -> float | int:
    """Return a number of samples from whole digits, else a share from a decimal number."""
    try:
        return int(text) if text.strip().isdigit() else float(text)
    except ValueError:
        raise InvalidInputError(
            f"{option} takes a share such as 0.2 or a number of samples such as 40, got {text!r}"
        ) from None


def _tell(console: "Console", plan: "PlannedSplit", dry_run: bool) -> None:
    from rich.markup import escape

    from riemaug.cli.text import printable

    if console.as_json:
        import json as json_module

        typer.echo(json_module.dumps(plan.document | {"dry_run": dry_run}))
        return
    for note in plan.document["notes"]:
        console.say(f"[yellow]note[/yellow] {escape(printable(note))}")
    _table(console, plan)
    if dry_run:
        console.say("dry run: nothing was done")
        return
    first = next(name for name, part in plan.document["parts"].items() if part["samples"])
    where = plan.request.out / (first + plan.source.file_suffix)
    again = " ".join([shlex.quote(str(where)), "NEW", *_reading(plan.request)])
    console.say(f"[green]done[/green] go on with riemaug augment {escape(printable(again))}")


def _reading(request: "SplitRequest") -> list[str]:
    """Return the options by which a part is read as the whole was."""
    options = {
        "--label-from": request.label_from,
        "--drop-columns": ",".join(map(_as_cell, request.drop_columns)),
        "--bids-suffix": request.bids_suffix,
        "--nan": "" if request.nan is None else str(request.nan),
        "--group-from": request.group_from,
    }
    given = [(name, value) for name, value in options.items() if value]
    given += [("--missing", text) for text in request.missing or ()]
    return [word for name, value in given for word in (name, shlex.quote(value))]


def _as_cell(column: str) -> str:
    # as parsing.parse_columns takes it
    return '"' + column.replace('"', '""') + '"' if set(column) & {",", '"'} else column


def _table(console: "Console", plan: "PlannedSplit") -> None:
    from rich.markup import escape
    from rich.table import Table

    from riemaug.cli.text import printable

    document = plan.document
    parts = {name: part for name, part in document["parts"].items() if part["samples"]}
    table = Table("class", *parts)
    for class_name in plan.source.class_names:
        counts = [str(part["classes"][class_name]) for part in parts.values()]
        table.add_row(escape(printable(class_name)), *counts)
    table.add_section()
    table.add_row("all", *[str(part["samples"]) for part in parts.values()])
    total = document["samples"]
    table.add_row("share", *[f"{100 * part['samples'] / total:.1f} %" for part in parts.values()])
    if any(part["samples"] != part["asked"] for part in parts.values()):
        table.add_row("asked for", *[f"{100 * part['asked'] / total:.1f} %" for part in parts.values()])
    if document["groups"] is not None:
        table.add_row("groups", *[str(part["groups"]) for part in parts.values()])
    console.rich.print(table)
