"""`riemaug interpolate`: the geodesic and the straight line between two samples, decoded side by side."""

from pathlib import Path
from typing import Annotated

import typer

from riemaug.cli import options

_END = (
    "A training sample of the model as CLASS:SOURCE (its file) or CLASS:INDEX (from 0), or a latent point as "
    "CLASS:@x,y; CLASS: may be left out where it is clear."
)
Steps = Annotated[
    int, typer.Option(min=3, max=10_000, help="Frames on each of the two ways, both ends included.")
]


def interpolate(
    model_folder: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="A folder made by fit or augment.", show_default=False),
    ],
    start: Annotated[str, typer.Argument(metavar="A", help=_END, show_default=False)],
    end: Annotated[str, typer.Argument(metavar="B", help="Likewise, of the same class.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="A new or empty folder.", show_default=False)],
    steps: Steps = 10,
    json: options.Json = False,
    quiet: options.Quiet = False,
    log_level: options.LogLevel = "info",
    config: options.Config = None,
) -> None:
    """Decode the geodesic from A to B in the learned metric, and the straight line beside it.

    Example: riemaug interpolate model/ cat:0 cat:7 path/ --steps 12
    """
    from riemaug.cli.console import Console
    from riemaug.cli.endings import AGAIN, told_how_to_go_on
    from riemaug.cli.text import printable
    from riemaug.run.interpolate import DOCUMENT_NAME, PICTURE_NAME
    from riemaug.run.interpolate import interpolate as run

    with told_how_to_go_on(f"{AGAIN}: nothing was written"):
        done = run(model_folder, start, end, out, steps)
    document = done.document
    if json:
        import json as json_module

        typer.echo(json_module.dumps(document))
        return
    console = Console(quiet, json)
    if not document["converged"]:
        console.say(
            "[yellow]warning[/yellow] the geodesic did not converge: what is shown is the shortest path found"
        )
    for letter, place in (("A", "start"), ("B", "end")):
        if not document[place]["in_support"]:
            console.say(
                f"[yellow]warning[/yellow] {letter} lies outside the support of the training data: frames "
                "near it mean nothing"
            )
    shortest, straight = document["geodesic"]["length"], document["straight_line"]["length"]
    console.say(
        f"length from A to B in the metric: geodesic {shortest:.3g}, straight line {straight:.3g} "
        f"({straight / shortest:.2f} times as long)"
    )
    look = PICTURE_NAME if PICTURE_NAME in document["files"] else DOCUMENT_NAME
    console.say(f"look at {_plain(printable(str(out / look)))}")


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
