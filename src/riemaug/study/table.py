"""A table for reading, and its forms: Markdown, HTML, LaTeX, a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from textwrap import wrap

from riemaug.atomic import atomic_path, atomic_write_text
from riemaug.errors import InvalidInputError

FORMATS = ("md", "html", "latex", "png")
OUTSIDE = "†"
NOTE_LETTERS = 1.2
"""Letters of a note that fit the width of one letter of the table."""
_LATEX = {
    "†": r"$^\dagger$",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": "--",
    "≥": r"$\ge$",
    "%": r"\%",
    "_": r"\_",
    "&": r"\&",
}


@dataclass(frozen=True)
class Entry:
    """One field.

    Attributes
    ----------
    text : str
    is_marked : bool
        Followed by a dagger.
    is_shaded : bool
        Shaded; bold where there are no colours.
    """

    text: str
    is_marked: bool = False
    is_shaded: bool = False

    @property
    def full_text(self) -> str:
        """The text with its mark."""
        return self.text + (OUTSIDE if self.is_marked else "")


@dataclass(frozen=True)
class Table:
    """Rows under a header.

    Attributes
    ----------
    title : str
    header : sequence of str
    rows : sequence of sequences of Entry
        A row of a single entry is a heading within the table.
    notes : sequence of str
        Sentences below.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Entry]]
    notes: Sequence[str] = ()


def entries(*texts: str) -> list[Entry]:
    """Return plain fields."""
    return [Entry(text) for text in texts]


def as_markdown(table: Table) -> str:
    """Return the table in Markdown."""
    width = len(table.header)
    lines = [f"**{table.title}**", "", _md_line(table.header), "|---" * width + "|"]
    for row in table.rows:
        shown = [f"**{entry.full_text}**" if entry.is_shaded else entry.full_text for entry in row]
        if len(row) == 1 and width > 1:
            shown = [f"*{shown[0]}*", *[""] * (width - 1)]
        lines.append(_md_line(shown))
    return "\n".join([*lines, "", *(f"{note}  " for note in table.notes)]).rstrip() + "\n"


def _md_line(fields: Sequence[str]) -> str:
    return "| " + " | ".join(field.replace("|", "\\|") for field in fields) + " |"


_STYLE = """table{border-collapse:collapse;font:14px sans-serif}
caption{text-align:left;font-weight:bold;padding:6px 0}
th,td{padding:3px 9px;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child{text-align:left}
td.shaded{background:#cfe3f5}
tr.part td{font-style:italic;background:#f4f4f4}
p{font:13px sans-serif;max-width:70em}"""


_SHADED = ' class="shaded"'


def as_html(table: Table) -> str:
    """Return the table as a page of HTML that needs nothing else."""
    head = "".join(f"<th>{escape(name)}</th>" for name in table.header)
    body = []
    for row in table.rows:
        if len(row) == 1:
            body.append(
                f'<tr class="part"><td colspan="{len(table.header)}">{escape(row[0].full_text)}</td></tr>'
            )
            continue
        fields = [f"<td{_SHADED if entry.is_shaded else ''}>{escape(entry.full_text)}</td>" for entry in row]
        body.append(f"<tr>{''.join(fields)}</tr>")
    notes = "".join(f"<p>{escape(note)}</p>" for note in table.notes)
    title = escape(table.title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><table><caption>{title}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(body)}"
        f"</tbody></table>{notes}</body></html>\n"
    )


def as_latex(table: Table) -> str:
    """Return the table in LaTeX; needs the packages booktabs and colortbl."""
    columns = "l" + "r" * (len(table.header) - 1)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_tex(table.title)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
    ]
    lines += [r"\toprule", " & ".join(map(_tex, table.header)) + r" \\", r"\midrule"]
    for row in table.rows:
        if len(row) == 1:
            lines.append(rf"\multicolumn{{{len(table.header)}}}{{l}}{{\emph{{{_tex(row[0].full_text)}}}}} \\")
            continue
        shade = r"\cellcolor[gray]{0.88}"
        lines.append(" & ".join((shade if e.is_shaded else "") + _tex(e.full_text) for e in row) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\footnotesize {_tex(note)}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _tex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def save_picture(table: Table, path: Path) -> None:
    """Write the table as a picture, its notes wrapped to its width."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    widths = [
        max(
            len(row[column].full_text) if len(row) > 1 else 0 for row in [*table.rows, entries(*table.header)]
        )
        for column in range(len(table.header))
    ]
    total = max(sum(widths) + 2 * len(widths), len(table.title) + 4)
    notes = [line for note in table.notes for line in wrap(note, int(NOTE_LETTERS * total))]
    lines = len(table.rows) + 3 + len(notes)
    figure = Figure(figsize=(0.085 * total, 0.23 * lines))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.01, 0.0, 0.98, 1.0))
    axes.axis("off")
    height = 1.0 / lines
    edges = [sum(width + 2 for width in widths[: column + 1]) / total for column in range(len(widths))]
    axes.text(0.0, 1 - 0.6 * height, table.title, va="center", weight="bold", size=9)
    _picture_row(axes, 1 - 1.7 * height, entries(*table.header), edges, height, weight="bold")
    axes.axhline(1 - 2.2 * height, color="black", linewidth=0.8)
    for number, row in enumerate(table.rows):
        _picture_row(axes, 1 - (2.7 + number) * height, row, edges, height)
    for number, note in enumerate(notes):
        axes.text(0.0, (len(notes) - number - 0.6) * height, note, va="center", size=6.5)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")


def _picture_row(axes, y: float, row: Sequence[Entry], edges: list[float], height: float, **style) -> None:
    if len(row) == 1:
        axes.text(0.0, y, row[0].full_text, va="center", style="italic", size=8)
        return
    for column, (entry, right) in enumerate(zip(row, edges, strict=True)):
        if column == 0:
            axes.text(0.0, y, entry.full_text, va="center", size=8, **style)
            continue
        if entry.is_shaded:
            left = edges[column - 1] + 0.004
            axes.axhspan(y - height / 2, y + height / 2, left, right + 0.002, color="#cfe3f5")
        axes.text(right, y, entry.full_text, va="center", ha="right", size=8, **style)


def write_table(table: Table, form: str, out: Path | None) -> str:
    """Write a table to a file, or return its text.

    Parameters
    ----------
    table : Table
    form : "md", "html", "latex" or "png"
    out : Path or None
        A picture needs a file.

    Raises
    ------
    InvalidInputError
        Another form, or a picture without a file.
    """
    if form not in FORMATS:
        raise InvalidInputError(f"--format is one of {', '.join(FORMATS)}, got {form!r}")
    if form == "png":
        if out is None:
            raise InvalidInputError("a picture needs a file: give --out FILE.png")
        save_picture(table, out)
        return ""
    text = {"md": as_markdown, "html": as_html, "latex": as_latex}[form](table)
    if out is not None:
        atomic_write_text(out, text)
        return ""
    return text
