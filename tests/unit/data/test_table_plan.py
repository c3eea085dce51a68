"""Tables as numbers and back: nothing is lost on the way, and nothing new leaves the range of the data."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from table_frames import INTEGERS, tables

from riemaug.data import TablePlan
from riemaug.errors import InvalidInputError

KINDS = (
    *INTEGERS,
    *("float64", "Float64", "float32", "bool", "boolean", "category", "str", "object", "string"),
    *(
        "datetime64[ns]",
        "datetime64[s]",
        "datetime64[us, Europe/Berlin]",
        "int64[pyarrow]",
        "string[pyarrow]",
    ),
)
quick = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def dtypes_of(table: pd.DataFrame) -> list[str]:
    return [str(dtype) for dtype in table.dtypes]


@quick
@given(tables(KINDS))
def test_a_table_comes_back_as_it_was_also_by_a_plan_that_was_saved(table: pd.DataFrame) -> None:
    plan = TablePlan.fit(table)
    numbers = plan.to_numbers(table)
    assert numbers.shape == (len(table), plan.num_numbers)
    assert np.isfinite(numbers).all()
    loaded = TablePlan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert loaded == plan
    back = loaded.to_table(numbers)
    pd.testing.assert_frame_equal(back, table, check_exact=True)
    assert dtypes_of(back) == dtypes_of(table)


@quick
@given(tables(KINDS), st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_any_numbers_become_rows_like_those_of_the_table(table: pd.DataFrame, seed: int, rows: int) -> None:
    plan = TablePlan.fit(table)
    made = plan.to_table(np.random.default_rng(seed).normal(scale=1e5, size=(rows, plan.num_numbers)))
    assert made.columns.tolist() == table.columns.tolist()
    assert len(made) == rows
    assert dtypes_of(made) == dtypes_of(table)
    for name in table.columns:
        ordered = pd.api.types.is_numeric_dtype(table[name]) or "datetime" in str(table[name].dtype)
        if rows and ordered:
            assert table[name].min() <= made[name].min()
            assert made[name].max() <= table[name].max()
        elif not ordered:
            assert set(made[name]) <= set(table[name])
    settled = plan.to_numbers(made)
    np.testing.assert_array_equal(plan.settled(settled), settled)


def small_table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "dose": [0.25, 1.5, 3.75, 0.5],
            "count": [3, 9, 4, 4],
            "arm": ["a", "b", "a", "c"],
            "site": [7, 7, 7, 7],
            "on": pd.to_datetime(["2024-02-28", "2024-03-01", "2024-03-02", "2024-02-28"]),
            "asked": ["2020-01-01", "2020-01-05", "2020-01-03", "2020-01-01"],
        }
    )


def test_numbers_are_rounded_to_the_decimals_of_their_column() -> None:
    plan = TablePlan.fit(
        pd.DataFrame({"a": [0.1, 0.25], "b": [10.0, 20.0], "c": [1e-12, 1.0], "d": [1 / 3, 1.0]})
    )
    made = plan.to_table(np.array([[0.123456, 12.3456, 0.123456789012345, 0.4567891234567891]]))
    assert made.iloc[0].tolist() == [0.12, 12.0, 0.123456789012, 0.4567891234567891]


def test_categories_are_one_number_each_and_the_largest_wins() -> None:
    plan = TablePlan.fit(small_table())
    assert plan.number_names == ("dose", "count", "arm=a", "arm=b", "arm=c", "on", "asked")
    made = plan.to_table(
        np.array([[1.0, 5.4, 0.2, 0.4, 0.3, 2.4, 1.6], [9.0, -5.0, 0.5, 0.5, 0.1, 99.0, -9.0]])
    )
    assert made["arm"].tolist() == ["b", "a"]
    assert made["count"].tolist() == [5, 3]
    assert made["dose"].tolist() == [1.0, 3.75]
    assert made["site"].tolist() == [7, 7]
    assert made["on"].tolist() == [pd.Timestamp("2024-03-01"), pd.Timestamp("2024-03-02")]
    assert made["asked"].tolist() == ["2020-01-03", "2020-01-01"]


def test_times_keep_the_step_of_the_column() -> None:
    hours = pd.Series(pd.to_datetime(["2024-01-01 06:30", "2024-01-01 09:30", "2024-01-02 06:30"]))
    plan = TablePlan.fit(pd.DataFrame({"t": hours}))
    assert plan.to_numbers(pd.DataFrame({"t": hours}))[:, 0].tolist() == [0, 3, 24]
    assert plan.to_table(np.array([[1.2]]))["t"].tolist() == [pd.Timestamp("2024-01-01 07:30")]


def test_other_rows_of_the_same_columns_become_numbers_too() -> None:
    table = small_table()
    plan = TablePlan.fit(table)
    other = table.iloc[:1].assign(arm="unseen", dose=100.0, site=8, more="x")[
        ["more", *reversed(table.columns)]
    ]
    numbers = plan.to_numbers(other)
    assert numbers[0, 0] == 100.0, "values beyond the range stay beyond it"
    assert numbers[0, 2:5].tolist() == [0, 0, 0], "a category that did not occur is none of them"


def _with(name: str, values: Any) -> pd.DataFrame:
    return small_table().assign(**{name: values})


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (_with("dose", [1.0, None, None, 2.0]), r"2 are missing or NaN in 'dose' \(2\).*--drop-columns"),
        (_with("arm", ["a", None, "b", "b"]), r"1 are missing or NaN in 'arm' \(1\)"),
        (_with("dose", [1.0, np.inf, 0.0, 2.0]), r"'dose' holds inf in row 1 \(1 in all\)"),
        (_with("name", ["ann", "bob", "cai", "dee"]), r"'name' holds another text .*--drop-columns name"),
        (
            _with("patient id", [31, 18, 22, 40]),
            r"'patient id' only numbers them.*--drop-columns 'patient id'",
        ),
        (_with("x", [5, 6, 7, 8]), r"'x' only numbers them"),
        (_with("x", [2**60, 1, 2, 3]), r"beyond 2\^53 cannot be modelled, 'x' holds 1152921504606846976"),
        (_with("x", [[1], [2], [1], [2]]), r"'x' holds \[1\] of type list"),
        (_with("x", [1 + 2j] * 4), r"'x' holds complex128"),
        (_with("x", pd.to_timedelta([1, 2, 1, 2], "h")), r"'x' holds timedelta64"),
        (small_table().set_axis(["a", "b", "c", "a", "e", "f"], axis=1), r"'a' is there twice"),
        (small_table()[["site"]], r"rows must differ, all 4"),
        (small_table().iloc[:0], r"a table needs rows"),
        (pd.DataFrame({"x": [f"c{i % 50}" for i in range(100)], "y": range(100, 0, -1)}), r"'x' has 50"),
        (small_table().rename(columns={"dose": (1, 2)}), r"must be text or whole numbers, found \(1, 2\)"),
    ],
)
def test_what_cannot_be_modelled_is_refused_by_name(table: pd.DataFrame, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        TablePlan.fit(table)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table.drop(columns="arm"), "lacks 'arm'"),
        (lambda table: table.assign(dose="much"), "'dose' must hold float64"),
        (lambda table: table.assign(asked="yesterday"), "'asked' must hold str|'asked' must hold object"),
        (lambda table: table.assign(dose=np.nan), "missing or NaN in 'dose'"),
        (lambda table: table.assign(dose=-np.inf), "'dose' must hold finite numbers"),
    ],
)
def test_other_rows_that_do_not_fit_are_refused(change: Any, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        TablePlan.fit(small_table()).to_numbers(change(small_table()))


@pytest.mark.parametrize("numbers", [np.zeros((2, 3)), np.full((2, 7), np.nan)])
def test_impossible_numbers_are_refused(numbers: np.ndarray) -> None:
    with pytest.raises(InvalidInputError, match="7 numbers, got 3|must not be NaN"):
        TablePlan.fit(small_table()).to_table(numbers)


@pytest.mark.parametrize(
    ("column", "field", "value"),
    [
        (0, "kind", "Path"),
        (0, "dtype", "O"),
        (0, "dtype", 3),
        (0, "low", float("nan")),
        (0, "low", "0"),
        (0, "high", -9.0),
        (0, "decimals", 400),
        (0, "decimals", 1.5),
        (0, "name", None),
        (0, "name", ["x"]),
        (0, "extra", 1),
        (1, "dtype", "int8 "),
        (1, "high", 2**70),
        (1, "decimals", None),
        (2, "levels", []),
        (2, "levels", ["a", "a"]),
        (2, "levels", ["a", 1]),
        (2, "levels", "abc"),
        (2, "dtype", "category"),
        (2, "ordered", "yes"),
        (2, "categories", ["a", "b"]),
        (4, "unit", "W"),
        (4, "unit", []),
        (4, "step", 0),
        (4, "step", 2**62),
        (4, "num_steps", 2**62),
        (4, "origin", 2**70),
        (4, "text_format", "%s"),
        (4, "dtype", "datetime64[D]"),
        (5, "text_format", "%Y" * 99),
    ],
)
def test_a_tampered_column_is_refused(column: int, field: str, value: Any) -> None:
    fields = TablePlan.fit(small_table()).to_dict()
    fields["columns"][column][field] = value
    with pytest.raises(InvalidInputError):
        TablePlan.from_dict(fields)


@pytest.mark.parametrize("fields", [{}, {"columns": 3}, {"columns": []}, {"columns": [3]}, {"columns": [{}]}])
def test_a_tampered_plan_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        TablePlan.from_dict(fields)


def test_a_plan_with_a_column_twice_is_refused() -> None:
    fields = TablePlan.fit(small_table()).to_dict()
    fields["columns"].append(fields["columns"][0])
    with pytest.raises(InvalidInputError, match="different names"):
        TablePlan.from_dict(fields)


def test_notes_tell_of_constant_and_wide_columns() -> None:
    plan = TablePlan.fit(pd.DataFrame({"a": [1, 1, 1], "b": [0, 2**30, 5]}))
    assert len(plan.notes) == 2
    assert "'a'" in plan.notes[0]
    assert "those beyond mean nothing: 'b'" in plan.notes[1]
