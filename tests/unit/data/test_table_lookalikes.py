"""Texts that look like numbers or dates, and columns that may name subjects: what is said of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from riemaug.data import TablePlan, read_dataset
from riemaug.data.table_lookalikes import lookalike_of
from riemaug.data.table_names import may_name_subjects
from riemaug.errors import InvalidInputError

ROWS = 120


def values(decimals: int = 2) -> list[str]:
    return [f"{value:.{decimals}f}" for value in np.random.default_rng(0).normal(5, 2, ROWS)]


def with_cells(texts: list[str], cell: str, rows: tuple[int, ...]) -> list[str]:
    return [cell if row in rows else text for row, text in enumerate(texts)]


def days(form: str, different: int = ROWS) -> list[str]:
    first = pd.Timestamp("2020-01-01")
    return [(first + pd.Timedelta(days=row % different)).strftime(form) for row in range(ROWS)]


def refusal(texts: list[str]) -> str:
    frame = pd.DataFrame({"crp": texts, "age": np.random.default_rng(1).integers(20, 90, ROWS)})
    with pytest.raises(InvalidInputError) as refused:
        TablePlan.fit(frame)
    assert "\n" not in str(refused.value)
    assert "--drop-columns crp" in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("cell", ["<0.5", "-", "?", "not done"])
def test_cells_that_are_no_numbers_are_counted_and_named(cell: str) -> None:
    told = refusal(with_cells(values(), cell, (7, 30, 31)))
    assert f"'crp' holds {ROWS - 3} numbers and 3 cells that are none: {cell!r} (first in row 7)" in told
    assert "write numbers in their place, or drop those rows" in told
    assert "join rare ones" not in told


def test_one_cell_in_a_column_of_different_numbers_is_no_identifier() -> None:
    told = refusal(with_cells([f"{row}.5" for row in range(ROWS)], "low", (0,)))
    assert f"holds {ROWS - 1} numbers and 1 cell that is none: 'low' (first in row 0)" in told
    assert "identifies" not in told


def test_decimals_of_two_kinds_are_told_of() -> None:
    told = refusal(with_cells(values(), "2,5", (4, 9)))
    assert (
        "2 cells that are none: '2,5' (first in row 4): write all decimals of the table with one sign" in told
    )


def test_numbers_as_text_are_told_of() -> None:
    assert "as text: convert it to numbers" in refusal(values())
    commas = [text.replace(".", ",") for text in values()]
    assert "as text: write all decimals of the table with one sign" in refusal(commas)


@pytest.mark.parametrize(
    "form",
    [
        "%d.%m.%Y",
        "%m/%d/%Y",
        "%d-%m-%Y",
        "%Y/%m/%d",
        "%d %b %Y",
        "%m/%d/%y",
        "%d.%m.%Y %H:%M",
        "%Y-%m-%dT%H:%MZ",
    ],
)
def test_dates_in_other_forms_are_told_as_dates(form: str) -> None:
    told = refusal(days(form))
    assert f"'crp' holds dates such as {days(form)[0]!r} as text: write all of them as 2024-02-29" in told


def test_cells_among_dates_that_are_none_are_named() -> None:
    told = refusal(with_cells(days("%Y-%m-%d"), "unknown", (3, 4)))
    assert f"holds {ROWS - 2} dates and 2 cells that are none: 'unknown' (first in row 3)" in told


@pytest.mark.parametrize(
    "texts",
    [
        [f"{row % 50:03d}" for row in range(ROWS)],
        [str(row % 50) for row in range(ROWS)],
        with_cells([f"{row % 50:03d}" for row in range(ROWS)], "A12", (3,)),
        [f"v{row % 50}" for row in range(ROWS)],
        [f"{row % 50}-{row % 50 + 1}" for row in range(ROWS)],
        with_cells([f"v{row % 50}" for row in range(ROWS)], "2.5", tuple(range(60))),
    ],
)
def test_codes_and_names_look_like_nothing_else(texts: list[str]) -> None:
    assert lookalike_of(pd.Series(texts)) is None
    assert "join rare ones, give --group-from crp if they are subjects, or leave it out" in refusal(texts)


def table(path: Path, **columns: list[str] | list[int]) -> Path:
    frame = pd.DataFrame({"x": np.random.default_rng(2).normal(size=ROWS).round(3), **columns})
    frame.assign(y=[row % 2 for row in range(ROWS)]).to_csv(path, index=False)
    return path


def test_few_numbers_and_texts_are_categories_and_noted(tmp_path: Path) -> None:
    stages = with_cells([str(row % 4) for row in range(ROWS)], "3+", (5, 6))
    notes = read_dataset(table(tmp_path / "t.csv", stage=stages)).notes
    told = f"Column 'stage' is modelled as categories, it holds {ROWS - 2} numbers and 2 cells that are none:"
    assert any(note.startswith(told) and "'3+' (first in row 5)" in note for note in notes)


def test_few_dates_in_another_form_are_categories_and_noted(tmp_path: Path) -> None:
    notes = read_dataset(table(tmp_path / "t.csv", when=days("%d.%m.%Y", 4))).notes
    assert any("'when' is modelled as categories, it holds dates such as '01.01.2020'" in n for n in notes)


def test_dates_that_are_read_are_not_noted(tmp_path: Path) -> None:
    notes = read_dataset(table(tmp_path / "t.csv", when=days("%Y-%m-%d", 4), arm=["a", "b"] * 60)).notes
    assert not any("categories" in note for note in notes)


PATIENTS = [f"P{row // 2}" for row in range(ROWS)]


def test_a_column_of_many_subjects_is_not_advised_away(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", patient_id=PATIENTS)
    with pytest.raises(InvalidInputError, match="seems to name subjects: give --group-from patient_id") as no:
        read_dataset(path)
    assert "--drop-columns" not in str(no.value)
    assert len(set(read_dataset(path, group_from="patient_id").groups or ())) == ROWS // 2


@pytest.mark.parametrize("name", ["patient_id", "Subject", "id", "PatientID", "MRN"])
def test_subjects_that_are_left_out_are_told_of(name: str, tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", **{name: PATIENTS})
    told = [note for note in read_dataset(path, drop_columns=[name]).notes if "was left out, but" in note]
    assert len(told) == 1
    assert f"may name subjects ({ROWS // 2} in {ROWS} rows): if so, give --group-from {name}," in told[0]


def test_columns_that_number_rows_or_are_called_otherwise_are_not_told_of(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", patient_id=[f"P{row}" for row in range(ROWS)], arm=["a", "b"] * 60)
    notes = read_dataset(path, drop_columns=["patient_id", "arm"]).notes
    assert not any("subjects" in note for note in notes)


@pytest.mark.parametrize(
    ("name", "does"),
    [
        *[(name, True) for name in ("patients", "subj.no", "case_id", "participant-number", "pid")],
        *[(name, False) for name in ("case", "persons", "patience", "subjective", "id", "speed", 7)],
    ],
)
def test_names_of_columns_of_subjects(name: str | int, does: bool) -> None:
    assert may_name_subjects(name) is does
