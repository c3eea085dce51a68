"""`riemaug study`: the paper's tables and figures, filled run by run."""

import re
from pathlib import Path
from typing import Annotated

import typer

from riemaug.cli import options, study_figures
from riemaug.cli.choices import check_value, completing
from riemaug.cli.study_run import StudyRequest, data_folder, echo_json, run_study
from riemaug.errors import InvalidInputError

app = typer.Typer(
    help="The paper's tables and figures: runs of any machine add up in a folder of plain text.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Cells = Annotated[
    list[str] | None,
    typer.Option(
        "--cells",
        help="A part (table2, table2-small, table3, baselines, curve) or names with * and ?, such as "
        "'mnist_balanced/small-cnn/*'; may be given several times.",
        metavar="PATTERN",
        show_default=False,
    ),
]
Runs = Annotated[int, typer.Option(min=1, help="Runs of each cell in all, those that are done counted.")]
Reading = Annotated[
    str,
    typer.Option(
        help="draws (another draw of the real samples in each run) or paper (one draw, another seed).",
        metavar="draws|paper",
        autocompletion=completing("reading"),
    ),
]
Store = Annotated[Path, typer.Option(help="The folder of results.", metavar="FOLDER")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="RIEMAUG_DATA",
        help="The folder with the data sets' files.",
        metavar="FOLDER",
        show_default=False,
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Keep fitted generators here, so that later runs need not fit them again.",
        metavar="FOLDER",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        "--time-budget",
        help="Begin no run that would end later than this: 90m, 2h, or seconds.",
        metavar="TIME",
        show_default=False,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say which runs would be done and what they cost.")]
_WHAT, _DOWNLOADED = "table or figure of the study", "data set of the study"
DEFAULT_STORE, DEFAULT_CACHE = Path("docs/results"), Path(".riemaug-study")


@app.command("list")
def list_cells(
    cells: Cells = None,
    runs: Runs = 5,
    reading: Reading = "draws",
    store: Store = DEFAULT_STORE,
    json: options.Json = False,
) -> None:
    """Say what the study holds, how much of it is done, and what the rest will cost.

    Example: riemaug study list --cells 'mnist_balanced/*'
    """
    from riemaug.study.overview import overview

    lines = overview(store, cells, runs, reading)
    if json:
        echo_json([vars(line) for line in lines])
        return
    from rich.console import Console
    from rich.table import Table

    from riemaug.cli.text import duration

    table = Table("cells" if cells is None else "cell", "runs done", "wanted", "left on one core")
    for line in lines:
        table.add_row(line.name, str(line.done), str(line.wanted), duration(line.seconds_left))
    Console(highlight=False).print(table)


@app.command()
def run(
    cells: Cells = None,
    runs: Runs = 5,
    reading: Reading = "draws",
    jobs: options.Jobs = None,
    engine: options.Engine = "loky",
    device: options.Device = "auto",
    time_budget: Budget = None,
    store: Store = DEFAULT_STORE,
    cache: Cache = DEFAULT_CACHE,
    data_dir: DataDir = None,
    dry_run: DryRun = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    log_level: options.LogLevel = "info",
) -> None:
    """Do what is left of the runs, the cheap ones first; each result is kept as soon as it is there.

    A run that is stopped loses only what it was doing: the same command goes on.

    Example: riemaug study run --cells table2-small --time-budget 2h
    """
    from riemaug.parallel import Engine

    seconds = None if time_budget is None else parse_time(time_budget)
    request = StudyRequest(
        cells, runs, reading, jobs, device, seconds, store, cache, data_dir, dry_run, json, quiet, log_level
    )
    with Engine.parse("loky" if dry_run else engine).entered():
        run_study(request)


@app.command()
def show(
    what: Annotated[
        str,
        typer.Argument(
            help="table1, table2, table3, fig1, fig2, fig3, fig4; and ours: orderings, gains, baselines, "
            "curve.",
            autocompletion=completing(_WHAT),
            show_default=False,
        ),
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="md (default), html, latex or png; figures: png.",
            metavar="FORMAT",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write to this file.", show_default=False)] = None,
    classifier: Annotated[
        str, typer.Option(help="Of table2, orderings and gains.", autocompletion=completing("classifier"))
    ] = "densenet",
    data: Annotated[
        str | None,
        typer.Option(help="Of table1, table3, baselines and curve: the data set.", show_default=False),
    ] = None,
    reading: Reading = "draws",
    store: Store = DEFAULT_STORE,
    data_dir: DataDir = None,
    seed: Annotated[int, typer.Option(help="Of a figure.")] = 0,
    max_epochs: options.MaxEpochs = None,
    no_real_images: Annotated[
        bool, typer.Option("--no-real-images", help="Leave real images out of figures 3 and 4.")
    ] = False,
    jobs: options.Jobs = 1,
    json: options.Json = False,
    quiet: options.Quiet = False,
    log_level: options.LogLevel = "info",
) -> None:
    """Show a table of the results beside the paper's, or draw a figure.

    Example: riemaug study show table2 --classifier small-cnn --format html --out table2.html
    """
    check_value("riemaug study show", what, _WHAT)
    check_value("--reading", reading, "reading")
    check_value("--classifier", classifier, "classifier")
    if what in study_figures.FIGURES:
        request = study_figures.FigureRequest(
            what, form, out, data_dir, seed, max_epochs, jobs or 1, not no_real_images
        )
        drawn = study_figures.draw(request, quiet)
        if json:
            echo_json({"out": str(drawn)})
        return
    if json and form is not None:
        raise InvalidInputError(f"--json is a form of its own, got --format {form}, too: leave one out")
    from dataclasses import asdict

    from riemaug.study.showing import table_named
    from riemaug.study.table import write_table

    folder = data_folder(data_dir) if what == "table1" else data_dir
    table = table_named(what, store, classifier=classifier, data=data, reading=reading, folder=folder)
    if json:
        echo_json(asdict(table))
        return
    text = write_table(table, form or "md", out)
    if text:
        typer.echo(text, nl=False)


@app.command()
def download(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Data sets: mnist, emnist, fashion, oasis.",
            autocompletion=completing(_DOWNLOADED),
            show_default=False,
        ),
    ],
    folder: Annotated[
        Path, typer.Option(envvar="RIEMAUG_DATA", help="Where to put the files.", metavar="FOLDER")
    ],
    quiet: options.Quiet = False,
    log_level: options.LogLevel = "info",
) -> None:
    """Fetch data sets from their providers, check them, and go on where a broken transfer stopped.

    Example: riemaug study download mnist fashion --folder data/
    """
    from riemaug.cli.endings import GOES_ON, told_how_to_go_on
    from riemaug.cli.study_progress import transfers
    from riemaug.study.download import download as fetch

    for name in names:
        check_value("riemaug study download", name, _DOWNLOADED)
    with told_how_to_go_on(GOES_ON), transfers(quiet) as tell:
        fetch(names, folder, tell)


def parse_time(text: str) -> float:
    """Return seconds from "90m", "2h", "45s" or a plain number of seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip().lower())
    if not found or float(found[1]) <= 0:
        raise InvalidInputError(f"--time-budget takes a time such as 90m, 2h or 3600, got {text!r}")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]
