"""Cells of the CSV tables that people open in spreadsheets: text must never run as a formula."""

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z")
_ESCAPED = re.compile(r"'+[=+\-@\t\r]")
_SIGNIFICANT = 6


def escape_cell(text: str) -> str:
    """Return a text cell that no spreadsheet runs as a formula.

    A text that starts with = + - @, tab or carriage return gets a leading apostrophe. Plain numbers
    such as -1 are left alone. `unescape_cell` gives back the text.
    """
    return "'" + text if _FORMULA.match(text) and not _NUMBER.match(text) else text


def unescape_cell(cell: str) -> str:
    """Return the text that `escape_cell` was given."""
    return cell[1:] if _ESCAPED.match(cell) else cell


def escape_file_cell(name: str) -> str:
    """Return a cell with a relative file path that no spreadsheet runs as a formula.

    An apostrophe would name another file; a leading "./" does not, so that is what file columns get.
    `unescape_file_cell` gives back the path.
    """
    return "./" + name if _FORMULA.match(name) and not name.startswith("'") else name


def unescape_file_cell(cell: str) -> str:
    """Return the path that `escape_file_cell` was given."""
    return cell.removeprefix("./")


def number_cell(value: float | None) -> str:
    """Return a number with 6 significant digits, so that no last bits differ; "" for None."""
    return "" if value is None else f"{value:.{_SIGNIFICANT}g}"
