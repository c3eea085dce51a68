"""Table 1: the committed split has exactly the paper's counts, and the summaries are right by hand."""

import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from riemaug.study.demographics import (
    Demographics,
    demographics,
    paper_demographics,
    paper_tables,
    table1,
)
from riemaug.study.oasis import Subjects

DATA = os.environ.get("RIEMAUG_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="needs RIEMAUG_DATA, the folder of the public data sets")
COUNTS = ("subjects", "men", "women", "cdr_0", "cdr_05", "cdr_1", "cdr_2")


def test_demographics_by_hand() -> None:
    nan = np.nan
    subjects = Subjects(
        np.zeros((5, 2, 2), np.uint8),
        np.arange(1, 6),
        np.array([20, 30, 70, 80, 99]),
        np.array(["F", "M", "F", "M", "M"]),
        np.array([nan, 30, 28, 20, 1], np.float32),
        np.array([nan, 0, 0.5, 2, 1], np.float32),
    )
    found = demographics(subjects, np.arange(4))
    expected = Demographics(4, 50.0, np.sqrt(650.0), 2, 2, 26.0, np.sqrt(56 / 3), 2, 1, 0, 1)
    for field in fields(Demographics):
        assert getattr(found, field.name) == pytest.approx(getattr(expected, field.name)), field.name
    assert found.minus(expected).age_mean == 0


def test_the_papers_parts_add_up() -> None:
    for label in ("CN", "AD"):
        whole, *parts = (paper_demographics(part, label) for part in ("all", "train", "validation", "test"))
        for count in COUNTS:
            assert getattr(whole, count) == sum(getattr(part, count) for part in parts)


def test_the_papers_tables_are_numbers_only() -> None:
    tables = paper_tables()
    assert set(tables) == {"table1", "table2", "table3", "table4"}
    assert tables["table2"]["raw"] == [[89.9, 0.6], [81.6, 0.7], [82.6, 1.4]]
    assert tables["table3"]["raw_plus"]["manifold_500"] == [[87.2, 1.2], [81.8, 4.6], [80.2, 2.8]]


@needs_data
def test_the_split_has_exactly_the_papers_counts_and_rounds_to_its_means() -> None:
    rows = table1(Path(str(DATA)))
    assert [(row.part, row.label) for row in rows[:3]] == [("all", "CN"), ("all", "AD"), ("train", "CN")]
    assert len(rows) == 8
    for row in rows:
        for count in COUNTS:
            assert getattr(row.difference, count) == 0, (row.part, row.label, count)
        for summary in ("age_mean", "age_sd", "mmse_mean", "mmse_sd"):
            # a tenth is the last digit printed
            assert abs(getattr(row.difference, summary)) < 0.0501, (row.part, row.label, summary)


@needs_data
def test_other_splits_are_set_beside_the_paper_too() -> None:
    rows = {(row.part, row.label): row for row in table1(Path(str(DATA)), "oasis_stratified", 2)}
    assert rows["test", "AD"].ours.subjects == 20
    assert rows["test", "AD"].difference.subjects == 2
