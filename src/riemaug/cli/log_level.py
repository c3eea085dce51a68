"""`--log-level`: what a run's log keeps; at debug its lines are shown, too."""

import logging
from typing import Any

import typer

from riemaug.cli.choices import check_value
from riemaug.cli.text import printable
from riemaug.logs.attached import attached
from riemaug.logs.lines import text_line


class _OnStderr(logging.Handler):
    """Prints each record as a line, as long as the command runs."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record, with nothing in it that the terminal would obey."""
        typer.echo(printable(text_line(record)), err=True)


def take_level(context: Any, value: str) -> str:
    """Check the level; at debug, show what is logged until the command ends.

    `context` is the running command's, of a class that depends on the version of Typer.
    """
    if context.resilient_parsing:
        return value
    check_value("--log-level", value, "log_level")
    if value == "debug":
        shown = attached(_OnStderr(logging.DEBUG))
        shown.__enter__()
        context.call_on_close(lambda: shown.__exit__(None, None, None))
    return value
