"""Table 1, for reading: who is in each part of OASIS, ours above the paper's."""

from dataclasses import fields
from pathlib import Path

from riemaug.study.demographics import Demographics, Table1Row, table1
from riemaug.study.table import Entry, Table, entries

_HEADER = ("", "n", "age", "M/F", "MMSE", "CDR 0", "0.5", "1", "2")
_TENTH = 0.05 + 1e-9
"""The paper's means and deviations are rounded to a tenth."""


def demographic_table(folder: Path, name: str = "oasis_paper", draw: int = 0) -> Table:
    """Return Table 1 of one split; raises as `riemaug.study.demographics.table1`."""
    rows: list[list[Entry]] = []
    for row in table1(folder, name, draw):
        if row.label == "CN":
            rows.append([Entry(row.part)])
        rows.append([Entry(row.label), *_fields(row)])
        rows.append([Entry("  paper"), *entries(*_texts(row.paper))])
    notes = [
        "Age and MMSE: mean (standard deviation). † differs from the paper by more than its rounding.",
        "A clinical dementia rating (CDR) that is not given counts as 0, as in the paper.",
    ]
    return Table(f"Table 1, {name}: subjects of OASIS", _HEADER, rows, notes)


def _fields(row: Table1Row) -> list[Entry]:
    ours, paper = _texts(row.ours), _texts(row.paper)
    gaps = row.difference
    differs = [
        gaps.subjects != 0,
        max(abs(gaps.age_mean), abs(gaps.age_sd)) > _TENTH,
        gaps.men != 0 or gaps.women != 0,
        max(abs(gaps.mmse_mean), abs(gaps.mmse_sd)) > _TENTH,
    ]
    differs += [mine != theirs for mine, theirs in zip(ours[4:], paper[4:], strict=True)]
    return [Entry(text, marked) for text, marked in zip(ours, differs, strict=True)]


def _texts(found: Demographics) -> list[str]:
    ratings = [str(getattr(found, field.name)) for field in fields(found) if field.name.startswith("cdr")]
    return [
        str(found.subjects),
        f"{found.age_mean:.1f} ({found.age_sd:.1f})",
        f"{found.men}/{found.women}",
        f"{found.mmse_mean:.1f} ({found.mmse_sd:.1f})",
        *ratings,
    ]
