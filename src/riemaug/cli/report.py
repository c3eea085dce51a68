"""`riemaug report`: the report of an existing output, made anew."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riemaug.cli import options, parsing, reading_options
from riemaug.cli.text import printable

if TYPE_CHECKING:
    from riemaug.cli.console import Console
    from riemaug.run.remake import Remade


def report(
    out: Annotated[Path, typer.Argument(help="A folder made by augment or sample.", show_default=False)],
    real: Annotated[
        Path | None,
        typer.Option(
            help="The data that the model was fitted on, to show them beside the synthetic samples; read as "
            "they were for the fit. By default where OUT's run found them.",
            metavar="DATA",
        ),
    ] = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(
            help="A folder made by evaluate; by default OUT-evaluation beside OUT, if there is one.",
            metavar="FOLDER",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="The model's folder, where it is not OUT and not where OUT's run found it.", metavar="MODEL"
        ),
    ] = None,
    real_images: Annotated[
        bool | None,
        typer.Option(
            "--real-images/--no-real-images",
            help="Show real images, or keep them out. By default as the run did.",
            show_default=False,
        ),
    ] = None,
    limit: reading_options.Limit = None,
    follow_links: reading_options.FollowLinks = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    log_level: options.LogLevel = "info",
) -> None:
    """Make OUT/report.html anew: one file that opens in any browser and needs no network.

    After riemaug evaluate it also says whether the synthetic samples help, first of all.

    Example: riemaug report out/ --real scans/
    """
    from riemaug.cli.console import Console
    from riemaug.cli.endings import AGAIN, told_how_to_go_on
    from riemaug.limits import parse_limits
    from riemaug.run.remake import RemakeRequest, remake_report

    request = parsing.build(
        RemakeRequest,
        out=out,
        real=real,
        model=model,
        evaluation=evaluation,
        real_in_report=real_images,
        limits=parse_limits(limit or (), follow_links),
    )
    with told_how_to_go_on(f"{AGAIN}: an earlier report is as it was"):
        remade = remake_report(request)
    _tell(Console(quiet, json), remade)


def _tell(console: "Console", remade: "Remade") -> None:
    import json

    from rich.markup import escape

    size = remade.path.stat().st_size
    if console.as_json:
        fields = {
            "report": str(remade.path),
            "bytes": size,
            "classes": remade.num_classes,
            "samples": remade.num_samples,
            "evaluation": None if remade.evaluation is None else str(remade.evaluation),
            "notes": list(remade.notes),
        }
        typer.echo(json.dumps(fields))
        return
    for note in remade.notes:
        console.say(f"[yellow]note[/yellow] {escape(printable(note))}")
    console.say(f"[green]done[/green] {escape(printable(str(remade.path)))}, {size / 1e6:.1f} MB")
