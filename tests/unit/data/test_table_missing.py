"""Which cells of a table are missing, and that the user can say so."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from riemaug.data import SampleFormat, read_dataset, write_table
from riemaug.data.split_source import read_split_source
from riemaug.errors import InvalidInputError

TEXT = "country,x,y\nNA,1.5,None\nDE,2.5,None\nFR,3.0,mild\nNA,4.5,mild\nDE,5.0,None\nNA,-,mild\n"


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def complete(tmp_path: Path) -> Path:
    return written(tmp_path / "t.csv", TEXT.replace("-", "6.0"))


def test_texts_that_count_as_missing_are_named_with_the_way_out(complete: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"6 are missing or NaN in 'y' \(3\), 'country' \(3\)") as no:
        read_dataset(complete)
    assert str(no.value).endswith(
        "; 'None', 'NA' count as missing: if that is data, give --missing '' (only empty cells do then)"
    )


def test_empty_cells_need_no_other_way_out(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "x,y\n1.5,0\n,0\n2.5,1\n3.5,1\n")
    for missing in (None, [""], ["NA"]):
        with pytest.raises(InvalidInputError, match=r"1 are missing or NaN in 'x' \(1\)") as no:
            read_dataset(path, missing=missing)
        assert "--missing" not in str(no.value)


@pytest.mark.parametrize("read", [read_dataset, read_split_source])
def test_names_of_missing_cells_can_be_data(read: Callable, complete: Path) -> None:
    assert read(complete, missing=[""]).class_names == ("None", "mild")


def test_what_is_missing_can_be_said(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", TEXT)
    with pytest.raises(InvalidInputError, match=r"1 are missing or NaN in 'x' \(1\): fill"):
        read_dataset(path, missing=["-"])
    with pytest.raises(InvalidInputError, match=r"3 are missing or NaN in 'country' \(3\)"):
        read_dataset(path, missing=["NA", "-"], drop_columns=["x"])
    assert read_dataset(path, missing=["-"], drop_columns=["x"]).class_names == ("None", "mild")


def test_a_number_can_stand_for_missing_cells(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "x,y\n1.5,0\n-999,0\n2.5,1\n3.5,1\n")
    assert read_dataset(path).samples.min() == -999
    with pytest.raises(InvalidInputError, match=r"1 are missing or NaN in 'x'"):
        read_dataset(path, missing=["-999"])


def test_a_table_with_such_names_comes_back_and_is_compared(complete: Path) -> None:
    dataset = read_dataset(complete, missing=[""])
    fmt = SampleFormat.from_dict(dataset.format.to_dict())
    assert fmt.table is not None
    copy = complete.with_name("copy.csv")
    write_table(copy, dataset.samples, dataset.labels, fmt.table)
    assert copy.read_text() == complete.read_text()
    again = read_dataset(copy, missing=[""], like=fmt)
    assert again.samples.tolist() == dataset.samples.tolist()
    assert again.class_names == dataset.class_names


def test_only_tables_of_text_take_it(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"country": ["NA", "DE"] * 4, "x": range(8, 0, -1), "y": [0, 0, 1, 1] * 2}).to_parquet(path)
    assert read_dataset(path).samples.shape == (8, 3)
    for place in (path, tmp_path):
        with pytest.raises(InvalidInputError, match="--missing is for tables as .csv or .tsv"):
            read_dataset(place, missing=[""])
