"""Fills the templates: from `ReportData` to the text of one HTML page."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from riemaug.report import formats, summary
from riemaug.report.class_rows import class_rows
from riemaug.report.class_views import ClassView, class_view
from riemaug.report.data import ReportData
from riemaug.report.judgement import judgement_view
from riemaug.report.selection import MOST_IN_FULL

_SCRIPTS = ("page.js", "latent_map.js", "volumes.js")
_OF_NUMBERS = frozenset({"shape", "model shape", "dtype", "range"})
"""What says nothing of a table: it is about the numbers that stand for all of its columns."""


def render(data: ReportData) -> str:
    """Return the report as the text of one HTML page.

    Parameters
    ----------
    data : ReportData
        What to show.

    Raises
    ------
    InvalidInputError
        Pictures that are neither grey nor RGB bytes.
    """
    script = "\n".join(_asset(name) for name in _SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rows = class_rows(data)
    in_full = [row for row in rows if row.is_in_full]
    views = [class_view(data, row, len(in_full)) for row in in_full]
    text = (
        _environment()
        .get_template("report.html.j2")
        .render(
            data=data,
            rows=rows,
            views=views,
            is_abridged=len(views) < len(rows),
            shows_real=data.show_real and any(map(_shows_real, views)),
            headline=summary.headline(data),
            warnings=summary.warnings(data),
            names_shown=summary.NAMES_SHOWN,
            noun=summary.noun(data),
            one=summary.noun(data, many=False),
            shown_as=_shown_as(data),
            judgement=None
            if data.evaluation is None
            else judgement_view(data.evaluation, summary.noun(data)),
            config=tuple(flatten(data.config)),
            fingerprint=tuple(fingerprint_rows(data.fingerprint)),
            parts=tuple(dict.fromkeys(part for report in data.classes for part in report.seconds)),
            style=Markup(_asset("style.css")),
            script=Markup(script),
            script_hash=digest,
        )
    )
    return formats.clean(text)


def _shown_as(data: ReportData) -> str:
    """Return what there is to look at: pictures, the columns of a table, or distances alone."""
    if summary.has_pictures(data):
        return "pictures"
    has_columns = any(report.columns is not None for report in data.classes)
    return "columns" if has_columns else "distances"


def _shows_real(view: ClassView) -> bool:
    """Return whether there is a picture of training data among those of a class."""
    of_volumes = view.volumes is not None and any(len(pair) > 1 for pair in view.volumes.pairs)
    return of_volumes or not view.sprites.keys().isdisjoint({"real", "nearest"})


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("riemaug.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: formats.clean(value) if type(value) is str else value,
    )
    environment.filters.update(
        number=formats.number, percent=formats.percent, duration=formats.duration, memory=formats.memory
    )
    return environment


def flatten(config: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the options one by one, a mapping inside a mapping as `outer.inner`."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", formats.DASH if value is None else str(value)


def fingerprint_rows(fingerprint: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield what is known of the data as people read it: one row for all classes, nothing that is unknown."""
    is_table = "columns" in fingerprint
    for name, value in fingerprint.items():
        if value is None or (name == "model shape" and value == fingerprint.get("shape")):
            continue
        if is_table and name in _OF_NUMBERS:
            continue
        if name == "classes" and isinstance(value, Mapping):
            named = list(value.items())[:MOST_IN_FULL]
            sizes = ", ".join(f"{label} ({formats.number(size)})" for label, size in named)
            more = len(value) - len(named)
            yield name, f"{len(value)}: {sizes}" + (f" and {formats.number(more)} more" if more else "")
        elif name == "columns" and isinstance(value, list):
            yield name, f"{len(value)}: {', '.join(map(str, value))}"
        elif name.endswith("shape") and isinstance(value, list):
            yield name, " × ".join(map(formats.number, value))
        elif name == "range" and isinstance(value, list) and len(value) == 2:
            yield name, f"{formats.number(value[0])} to {formats.number(value[1])}"
        elif isinstance(value, Mapping):
            yield from flatten(value, f"{name}.")
        else:
            yield name, formats.number(value)


def _asset(name: str) -> str:
    return resources.files("riemaug.report").joinpath("templates", name).read_text(encoding="utf-8")
