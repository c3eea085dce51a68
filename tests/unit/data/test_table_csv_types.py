"""What a column of a CSV file holds is told by all of its cells, wherever they stand."""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riemaug.data import read_dataset, table_cells, write_table
from riemaug.data.table_files import read_table_file

LATE = 5000
"""Rows before the first cell that decides."""


def written(path: Path, header: str, rows: list[str], *late: str) -> Path:
    """Write a table of which the rows `late` come last, in both of the classes 0 and 1."""
    sign = ";" if ";" in header else ","
    lines = [f"{row}{sign}{place % 2}" for place, row in enumerate([*rows, *late])]
    path.write_text("\n".join([f"{header}{sign}y", *lines, ""]), encoding="utf-8")
    return path


def numbers(rows: int = LATE) -> np.ndarray:
    return np.random.default_rng(0).integers(10, 15, rows)


def copied(path: Path) -> str:
    """Return the text of the table that a data set's own samples make."""
    dataset = read_dataset(path)
    assert dataset.format.table is not None
    copy = path.with_name("copy.csv")
    write_table(copy, dataset.samples, dataset.labels, dataset.format.table)
    return copy.read_text(encoding="utf-8")


@pytest.mark.parametrize("code", ["05", "007", "+01", "-02", "00"])
def test_a_code_far_down_makes_a_column_of_codes(code: str, tmp_path: Path) -> None:
    path = written(
        tmp_path / "t.csv", "site,x", [f"{site},1.5" for site in numbers()], f"{code},2.5", f"{code},2"
    )
    frame = read_table_file(path).frame
    assert frame["site"].iloc[-1] == code
    assert frame["x"].dtype == "float64"
    assert f"\n{code},2.5" in copied(path)


@pytest.mark.parametrize("cell", ["10", "0", "0.05", "100", "2024-01-05", "1-0", "a05"])
def test_other_zeros_make_no_codes(cell: str, tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "n,x", [f"{n},{cell}" for n in numbers(50)])
    assert read_table_file(path).frame["n"].dtype == "int64"


def test_codes_are_told_for_each_column(tmp_path: Path) -> None:
    rows = [f"{n},{n % 7},2024-01-01 07:3{n % 5}" for n in numbers(70_000).tolist()]
    path = written(tmp_path / "t.csv", 'late,never,"when, about"', rows, "012,3,2024-01-01 07:30")
    frame = read_table_file(path).frame
    assert frame["late"].iloc[-1] == "012"
    assert frame["never"].dtype == "int64"


def test_codes_at_the_ends_of_blocks_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "t.csv", "a,b", [f"{n},3" for n in numbers(30)], "05,3", "11,3")
    for size in range(1, path.stat().st_size + 2):
        monkeypatch.setattr(table_cells, "_BYTES_AT_ONCE", size)
        assert table_cells.may_hold_codes(path, ",")


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_codes_are_found_with_other_ends_of_lines(end: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(end.join(["a,b,y", "1.5,10,0", '2.5,"05",1', "1.25,3,0", "1.5,4,1", ""]).encode())
    assert read_table_file(path).frame["b"].tolist() == ["10", "05", "3", "4"]


@pytest.mark.parametrize("cell", ["2,5", "-0,25", '"2,5"', " 2,5", ",5", "1,5e3"])
def test_a_decimal_comma_far_down_makes_numbers(cell: str, tmp_path: Path) -> None:
    rows = [f"{n};{n % 3}" for n in numbers().tolist()]
    path = written(tmp_path / "t.csv", "v;w", rows, f"{cell};1", f"{cell};2")
    table = read_table_file(path)
    assert table.decimal == ","
    assert table.frame["v"].dtype == "float64"
    assert table.frame["v"].iloc[-1] == float(cell.strip('" ').replace(",", "."))


def test_a_point_far_down_leaves_commas_alone(tmp_path: Path) -> None:
    rows = [f"{'ab'[n % 2]}1,{n % 3};{n}" for n in numbers().tolist()]
    path = written(tmp_path / "t.csv", "v;w", [*rows, "1,5;3"], "b1,5;2.5")
    table = read_table_file(path)
    assert table.decimal == "."
    assert table.frame["w"].iloc[-1] == 2.5


def test_decimals_of_the_header_play_no_part(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "400.5;401.5", [f"{n},5;2" for n in numbers(20)])
    assert read_table_file(path).decimal == ","
    path = written(tmp_path / "u.csv", "400,5;401,5", [f"{n};2" for n in numbers(20)])
    assert read_table_file(path).decimal == "."


def test_the_sign_before_decimals_is_found_at_the_ends_of_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "t.csv", "v;w", [f"{n};3" for n in numbers(9)], "2,5;3", "7;4")
    for size in range(1, path.stat().st_size + 2):
        monkeypatch.setattr(table_cells, "_BYTES_AT_ONCE", size)
        assert table_cells.decimal_sign(path, ";") == ","


def test_truth_values_far_down_stay_as_they_were_typed(tmp_path: Path) -> None:
    truths = ["True" if n % 2 else "False" for n in numbers(40_000).tolist()]
    path = written(
        tmp_path / "t.csv", "on,x", [f"{truth},{n % 5}" for n, truth in enumerate(truths)], "true,1"
    )
    assert read_table_file(path).frame["on"].iloc[-1] == "true"


CELLS = st.sampled_from(
    [
        "1",
        "10",
        "05",
        "-07",
        "+01",
        " 3",
        "0",
        "0.5",
        "00.5",
        "2,5",
        "-,5",
        "1,5e3",
        "1.5",
        "a",
        "a05",
        "2024-01-05",
    ]
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12),
    delimiter=st.sampled_from([",", ";", "\t"]),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    size=st.integers(1, 40),
)
def test_the_bytes_tell_what_the_cells_do(
    rows: list[tuple[str, str]],
    delimiter: str,
    end: str,
    quoting: Any,
    size: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)
        writer.writerows([("1,5", "2.5"), *rows])
    monkeypatch.setattr(table_cells, "_BYTES_AT_ONCE", size)
    cells = [cell for row in rows for cell in row]
    with_sign = {
        sign: any(re.fullmatch(rf" *[+-]?\d*\{sign}\d+(e\d)?", cell) for cell in cells) for sign in ",."
    }
    expected = "," if delimiter != "," and with_sign[","] and not with_sign["."] else "."
    assert table_cells.decimal_sign(path, delimiter) == expected
    if any(re.fullmatch(r" *[+-]?0\d+", cell) for cell in cells):
        assert table_cells.may_hold_codes(path, delimiter)
