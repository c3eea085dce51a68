"""One self-contained, offline HTML file that shows what a run made and how far it can be trusted."""

from pathlib import Path

from riemaug.atomic import atomic_path
from riemaug.report.data import ClassReport, LatentMap, ReportData, Volumes
from riemaug.report.selection import classes_in_full

__all__ = ["ClassReport", "LatentMap", "ReportData", "Volumes", "classes_in_full", "write_report"]


def write_report(data: ReportData, path: Path) -> None:
    """Write the report as one HTML file that needs no network and no other file.

    The file appears whole or not at all.

    Parameters
    ----------
    data : ReportData
        What to show. With `data.show_real` False no real picture is in the file.
    path : Path
        The file to write; its folder must exist. An old file there is replaced.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    from riemaug.report.html import render  # Jinja2 and matplotlib load only when a report is made

    text = render(data)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
