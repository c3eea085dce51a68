"""Table 1 of the paper: who is in each part of OASIS, beside the paper's numbers."""

import json
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from riemaug.study.oasis import LABELS, Subjects, oasis_rows, read_oasis

_PAPER_PARTS = {"all": "all", "train": "train", "validation": "val", "test": "test"}
_RATINGS = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Demographics:
    """Subjects of one label in one part.

    Attributes
    ----------
    subjects, men, women : int
    age_mean, age_sd : float
        Years; the deviation with n, not n - 1, as the paper's of all 416 subjects are.
    mmse_mean, mmse_sd : float
        Mini-mental state examination of those who have one.
    cdr_0, cdr_05, cdr_1, cdr_2 : int
        Subjects by clinical dementia rating; one that is not given counts as 0, as in the paper.
    """

    subjects: int
    age_mean: float
    age_sd: float
    men: int
    women: int
    mmse_mean: float
    mmse_sd: float
    cdr_0: int
    cdr_05: int
    cdr_1: int
    cdr_2: int

    def minus(self, other: "Demographics") -> "Demographics":
        """Return the differences, number by number."""
        return Demographics(
            *(getattr(self, field.name) - getattr(other, field.name) for field in fields(self))
        )


@dataclass(frozen=True)
class Table1Row:
    """One row of Table 1.

    Attributes
    ----------
    part : str
        "all", "train", "validation" or "test".
    label : str
        "CN" or "AD".
    ours, paper, difference : Demographics
        The difference is ours minus the paper's, which are rounded to a tenth.
    """

    part: str
    label: str
    ours: Demographics
    paper: Demographics
    difference: Demographics


@cache
def paper_tables() -> dict[str, Any]:
    """Return the numbers of the paper's tables 1 to 4, keyed as `paper_tables.json` has them."""
    return json.loads((files("riemaug.study") / "paper_tables.json").read_text(encoding="utf-8"))


def table1(folder: Path, name: str = "oasis_paper", draw: int = 0) -> list[Table1Row]:
    """Return Table 1 for one split, by part and label.

    Parameters
    ----------
    folder : Path
        Where the public data sets are.
    name : str
        "oasis_paper" or "oasis_stratified".
    draw : int

    Raises
    ------
    InvalidInputError
        OASIS is absent from the folder, or there is no such split.
    """
    subjects = read_oasis(Path(folder))
    parts = {"all": np.arange(len(subjects)), **oasis_rows(name, draw, subjects)}
    rows = []
    for part, members in parts.items():
        for label, class_name in enumerate(LABELS):
            ours = demographics(subjects, members[subjects.labels[members] == label])
            paper = paper_demographics(part, class_name)
            rows.append(Table1Row(part, class_name, ours, paper, ours.minus(paper)))
    return rows


def demographics(subjects: Subjects, rows: Int64[np.ndarray, " k"]) -> Demographics:
    """Return the demographics of some subjects."""
    ages, mmse, cdr = subjects.ages[rows], subjects.mmse[rows].astype(np.float64), subjects.cdr[rows]
    mmse = mmse[~np.isnan(mmse)]
    men = int((subjects.sexes[rows] == "M").sum())
    rated = [int((cdr == rating).sum()) for rating in _RATINGS]
    return Demographics(
        len(rows),
        float(ages.mean()),
        float(ages.std()),
        men,
        len(rows) - men,
        float(mmse.mean()),
        float(mmse.std()),
        len(rows) - sum(rated),
        *rated,
    )


def paper_demographics(part: str, label: str) -> Demographics:
    """Return the paper's own row of Table 1."""
    subjects, age, sexes, mmse, *cdr = paper_tables()["table1"][_PAPER_PARTS[part]][label]
    return Demographics(subjects, *age, *sexes, *mmse, *cdr)
