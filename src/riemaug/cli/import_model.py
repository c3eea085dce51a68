"""`riemaug import`: model folders of pythae and pyraug become a model folder of ours."""

from pathlib import Path
from typing import Annotated, Any

import typer

from riemaug.cli import options
from riemaug.cli.choices import check_value, completing
from riemaug.errors import InvalidInputError

FINAL_NAME = "final_model"
"""What the peers call every model folder: no name for a class."""


def import_model(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="[CLASS=]FOLDER...",
            help="Model folders of pythae (VAE, RHVAE) or pyraug, each of one class, which is called as its "
            "folder unless it is given a name.",
            show_default=False,
        ),
    ],
    model_folder: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A new or empty folder.", show_default=False)
    ],
    output: Annotated[
        str,
        typer.Option(
            "--as",
            help="What riemaug sample is to write: arrays (one npz of float32 in [0, 1]) or png (8 bits).",
            metavar="arrays|png",
            autocompletion=completing("imported"),
        ),
    ] = "arrays",
    shape: Annotated[
        str | None,
        typer.Option(
            help="Shape of one sample, HxW or CxHxW, where the folder does not tell it (pyraug's do not).",
            metavar="HxW|CxHxW",
            show_default=False,
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    log_level: options.LogLevel = "info",
    config: options.Config = None,
) -> None:
    """Read the tensors of models that pythae or pyraug saved, and write them as MODEL for riemaug sample.

    Pickled networks in such folders are code: they are never opened, so only the default networks can be
    imported here; for others see riemaug.importing in Python.

    Example: riemaug import cat=runs/cat/final_model dog=runs/dog/final_model model/
    """
    from riemaug.cli.console import Console, command_line
    from riemaug.importing import write_imported

    check_value("--as", output, "imported")
    record = write_imported(
        named_folders(sources), model_folder, output, parse_shape(shape), command=command_line()
    )
    console = Console(quiet, json)
    if json:
        import json as json_module

        typer.echo(json_module.dumps({"out": str(model_folder), **record}))
        return
    _tell(console, record, model_folder)


def named_folders(sources: list[str]) -> dict[str, Path]:
    """Return class name to folder from "CLASS=FOLDER" and "FOLDER"; InvalidInputError if two are alike."""
    found: dict[str, Path] = {}
    for source in sources:
        name, separator, folder = source.partition("=")
        if not separator or Path(source).is_dir():
            name, folder = _own_name(Path(source)), source
        if name in found:
            raise InvalidInputError(
                f"each class has one model, {name!r} stands for {str(found[name])!r} and {folder!r}: write "
                "CLASS=FOLDER"
            )
        found[name] = Path(folder)
    return found


def _own_name(folder: Path) -> str:
    named = folder.resolve()
    return named.parent.name if named.name == FINAL_NAME else named.name


def parse_shape(text: str | None) -> tuple[int, ...] | None:
    """Return the sides from "HxW" or "CxHxW"; one side is a row of numbers."""
    if text is None:
        return None
    sides = text.lower().replace("×", "x").split("x")
    if not all(side.strip().isdigit() and int(side) > 0 for side in sides):
        raise InvalidInputError(f"--shape takes HxW or CxHxW, such as 28x28 or 3x32x32, got {text!r}")
    return tuple(map(int, sides))


def _tell(console: Any, record: dict[str, Any], model_folder: Path) -> None:
    from rich.markup import escape

    from riemaug.cli.text import printable

    for origin in record["imported"]:
        held = f", {origin['centroids']:,} centroids" if origin["centroids"] else ""
        console.say(
            f"class {escape(printable(origin['class']))}: {origin['model']} of {origin['library']}{held}"
        )
    where = escape(printable(str(model_folder)))
    console.say(f"[green]done[/green] go on with riemaug sample {where} NEW --per-class 100")
