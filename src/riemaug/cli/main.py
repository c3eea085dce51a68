"""The command `riemaug`: its sub-commands, and how errors end it."""

import io
import sys
from typing import Any

import typer

from riemaug._version import __version__
from riemaug.cli.augment import augment
from riemaug.cli.demo import demo
from riemaug.cli.doctor import doctor
from riemaug.cli.evaluate import evaluate
from riemaug.cli.fit import fit
from riemaug.cli.import_model import import_model
from riemaug.cli.inspect import inspect
from riemaug.cli.interpolate import interpolate
from riemaug.cli.report import report
from riemaug.cli.sample import sample
from riemaug.cli.split import split
from riemaug.cli.study import app as study
from riemaug.cli.text import printable
from riemaug.disk import disk_fault
from riemaug.errors import RiemaugError
from riemaug.logs import IN_LOG
from riemaug.stopping import ended_by_signals, exit_code, what_stopped

# Typer brings its own Click or uses the installed one, by its version: its exports are of the right one
_UsageError: Any = typer.BadParameter.__bases__[0]
app = typer.Typer(
    name="riemaug",
    help="Turn a small labelled data set into a larger one: geometry-aware VAEs, new samples drawn "
    "from the learned Riemannian manifold, written back in your own format with an honest report.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo)
app.command()(augment)
app.command()(fit)
app.command()(sample)
app.command()(split)
app.command()(evaluate)
app.command()(report)
app.command()(interpolate)
app.command()(inspect)
app.command("import")(import_model)
app.command()(doctor)
app.add_typer(study, name="study")


def _version(value: bool) -> bool:
    if value:
        typer.echo(f"riemaug {__version__}")
        raise typer.Exit
    return value


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", help="Print the version and exit.", callback=_version, is_eager=True
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line; errors raised on purpose become one line and an exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that the terminal's encoding lacks
    with ended_by_signals():
        _run()


def _run() -> None:
    try:
        # not standalone: usage errors come here instead of being drawn as a box
        code = app(standalone_mode=False)
    except RiemaugError as error:
        _fail(" ".join(str(error).split()), error.exit_code)
    except _UsageError as error:
        _fail_usage(error)
    except typer.Abort as stop:  # how Typer passes on what stopped it
        _fail(f"{what_stopped(stop.__cause__)}; run the same command again", exit_code(stop.__cause__))
    except OSError as error:
        _fail(f"{disk_fault(error)}, then run the same command again", 1)
    except Exception as error:
        where = next((note for note in getattr(error, "__notes__", ()) if note.startswith(IN_LOG)), None)
        if where is None:
            raise
        found = " ".join(f"{type(error).__name__}: {error}".split())
        _fail(f"something unforeseen happened, a fault of riemaug ({found}): please report it; {where}", 1)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _fail_usage(error: Any) -> None:
    """End with the one line of a misspelt command or option, or of a value that is missing or wrong."""
    if type(error).__name__ == "NoArgsIsHelpError":  # the help was asked for by giving nothing
        if error.format_message().strip():  # else it was printed already
            error.show()
        sys.exit(error.exit_code)
    found = " ".join(error.format_message().split()).rstrip(".").replace(". Did you", "; did you")
    see = " See" if found.endswith("?") else "; see"
    asked = "riemaug" if error.ctx is None else error.ctx.command_path
    _fail(f"{found[:1].lower()}{found[1:]}{see} {asked} --help", error.exit_code)


def _fail(message: str, code: int) -> None:
    typer.echo(f"riemaug: {printable(message)}", err=True)
    sys.exit(code)
