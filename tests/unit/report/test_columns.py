from dataclasses import replace

import numpy as np
import pytest
from tests.report_records import HOSTILE, columns_class

from riemaug.report import html
from riemaug.report.column_text import cell_text, deviation_text, mean_text
from riemaug.report.column_view import LEAST_TOLD, MOST_COLUMNS, MOST_LEVELS, columns_view
from riemaug.report.columns import Columns, TimeScale, category_column, number_column


@pytest.fixture(scope="module")
def table():
    return columns_class(np.random.default_rng(0))


def view_of(*compared, num_real=50, show_real=True):
    columns = Columns(compared=compared, num_real=num_real, num_synthetic=50)
    view = columns_view(columns, show_real)
    assert view is not None
    return view


def test_distances_are_those_of_the_definitions(rng):
    synthetic, real = rng.normal(size=30), rng.normal(0.5, 2, size=70)
    points = np.concatenate([synthetic, real])
    first, second = ([(values <= point).mean() for point in points] for values in (synthetic, real))
    column = number_column("x", synthetic, real)
    assert column.distance == pytest.approx(np.abs(np.subtract(first, second)).max())
    column = category_column("c", "abc", np.array([0, 0, 1, 1]), np.array([0, 2, 2, 2, 2]))
    assert column.synthetic == (0.5, 0.5, 0)
    assert column.real == pytest.approx((0.2, 0, 0.8))
    assert column.distance == pytest.approx(0.8)


def test_equal_columns_have_no_distance(rng):
    values = rng.normal(size=40)
    assert number_column("x", values, values).distance == 0
    assert category_column("c", "ab", np.array([0, 1]), np.array([1, 0])).distance == 0


@pytest.mark.parametrize(
    ("values", "decimals", "told"),
    [
        ([361.6, 2501.0, 1000.0], 1, ("1,288", "897", "362 to 2,501")),
        ([0.012, 0.053, 0.041], 3, ("0.0353", "0.0172", "0.012 to 0.053")),
        ([0, 1, 1, 3], 0, ("1.25", "1.09", "0 to 3")),
        ([-0.4, 0.1, 0.3], 1, ("0.000", "0.294", "−0.4 to 0.3")),
        ([7.0, 7.0], 0, ("7", "0", "7 to 7")),
        ([2.5e12, 7.5e12], None, ("5.000\u202f×\u202f10¹²", "2.500\u202f×\u202f10¹²", None)),
    ],
)
def test_numbers_have_the_decimals_that_the_column_and_its_spread_allow(values, decimals, told):
    column = number_column("x", np.array(values, dtype=float), None, decimals)
    spread = column.synthetic
    assert (mean_text(column, spread.mean), deviation_text(column, spread.deviation)) == told[:2]
    if told[2]:
        assert f"{cell_text(column, spread.low)} to {cell_text(column, spread.high)}" == told[2]


@pytest.mark.parametrize(
    ("origin", "step", "told"),
    [
        ("2024-02-28T00:00:00", 86400, ("2024-03-01", "1.63 d", "2024-02-28")),
        ("2024-02-28T12:00:00", 86400, ("2024-03-01 12:00", "1.63 d", "2024-02-28 12:00")),
        ("2024-02-28T23:59:58", 1, ("2024-02-29 00:00:00", "1.6\xa0s", "2024-02-28 23:59:58")),
    ],
)
def test_times_are_told_as_points_and_lengths_of_time(origin, step, told):
    times = TimeScale(np.datetime64(origin, "s"), np.timedelta64(step, "s"))
    column = number_column("t", np.array([0.0, 2.0, 4.0]), None, times=times)
    spread = column.synthetic
    assert told == (
        mean_text(column, spread.mean),
        deviation_text(column, spread.deviation),
        cell_text(column, spread.low),
    )


def test_those_that_differ_most_come_first_and_the_rest_is_counted(table):
    view = columns_view(table.columns, True)
    assert view is not None
    distances = [float(row.distance) for row in view.numbers]
    assert distances == sorted(distances, reverse=True)
    assert len(view.numbers) + len(view.categories) == MOST_COLUMNS
    assert view.findings[0][0] == HOSTILE
    assert [found[:2] for found in view.findings] == [(row.name, row.distance) for row in view.numbers[:3]]
    assert view.counted == (
        "Not shown: 4 columns that differ less and 2 columns with one value in the whole training set."
    )


@pytest.mark.parametrize(
    ("shift", "scale", "words"),
    [
        (0, 1, "much alike"),
        (1, 1, "standard deviations higher"),
        (-1, 1, "lower"),
        (0, 3, "wider"),
        (0, 0.3, "narrower"),
    ],
)
def test_differences_are_named_in_words(shift, scale, words):
    real = np.random.default_rng(1).normal(size=400)
    view = view_of(number_column("x", shift + scale * (real - real.mean()) + real.mean(), real))
    assert words in view.findings[0][2]


def test_bars_lie_where_the_numbers_are():
    column = number_column("x", np.array([2.0, 4.0, 6.0, 8.0, 10.0]), np.array([0.0, 0.0, 10.0]))
    real, synthetic = view_of(column).numbers[0].groups
    assert (real.kind, synthetic.kind) == ("real", "synthetic")
    assert real.bar.line == (0, 100)
    assert (synthetic.bar.line, synthetic.bar.box, synthetic.bar.median) == ((20, 100), (40, 80), 60)
    (alone,) = view_of(number_column("x", np.full(3, 5.0), None), num_real=0).numbers[0].groups
    assert alone.bar.line == (50, 50)


def test_the_categories_whose_shares_differ_most_are_shown():
    real = np.repeat(np.arange(20), 10)
    view = view_of(category_column("c", [f"level {i}" for i in range(20)], np.full(50, 13), real))
    (row,) = view.categories
    assert (row.levels[0].name, row.levels[0].real, row.levels[0].synthetic) == (
        "level 13",
        "5.0\u202f%",
        "100.0\u202f%",
    )
    assert (len(row.levels), row.num_more) == (MOST_LEVELS, 20 - MOST_LEVELS)
    assert view.findings[0][2] == "“level 13” 100.0\u202f% against 5.0\u202f%"


def test_without_real_samples_their_ends_are_not_told():
    # the ends and their places on the bar; the quartiles of 101 values are four places from them
    real = np.concatenate([[-777.5], np.linspace(0, 1, 99), [888.5]])
    column = number_column("x", np.linspace(0, 1, 50), real, 1)
    shares = category_column("c", "ab", np.repeat([0, 1], 25), np.repeat([0, 1], [33, 68]))
    shown = repr(view_of(column, shares, num_real=101))
    hidden = view_of(column, shares, num_real=101, show_real=False)
    for end in ("778", "888"):
        assert end in shown
        assert end not in repr(hidden)
    assert hidden.numbers[0].groups[0].bar.line is None
    assert hidden.numbers[0].groups[0].ends == "–"
    assert hidden.numbers[0].groups[1].bar.line == (0, 100)  # the scale, too, is that of what is shown
    assert {level.real for level in hidden.categories[0].levels} == {"33\u202f%", "67\u202f%"}


@pytest.mark.parametrize(
    ("rows", "absence"), [(LEAST_TOLD - 1, "withheld"), (LEAST_TOLD, ""), (0, "unknown")]
)
def test_few_real_rows_are_not_told_of_without_real_samples(rng, rows, absence):
    real = rng.normal(5000, 1, rows) if rows else None
    view = view_of(number_column("x", rng.normal(size=50), real), num_real=rows, show_real=False)
    assert view.absence == absence
    assert len(view.numbers[0].groups) == (1 if absence else 2)
    assert ("5,000" in repr(view) or "4,999" in repr(view)) == (not absence)
    assert bool(view.findings) == (not absence)


def test_the_page_compares_columns_in_tables_with_headers(report, table):
    text = html.render(replace(report, classes=(table,)))
    assert "Columns, real and synthetic" in text
    assert "The samples of this class are not images" not in text
    assert text.count("<caption>") == 2
    assert text.count('scope="rowgroup"') == MOST_COLUMNS
    assert "<script>document.title" not in text
    assert "Of two samples of one law and of these sizes" in text


def test_without_the_real_rows_the_page_says_how_to_get_them(report, rng):
    columns = Columns(compared=(number_column("x", rng.normal(size=9), None),), num_real=0, num_synthetic=9)
    text = html.render(replace(report, classes=(replace(report.classes[2], columns=columns),)))
    assert "riemaug report OUT --real DATA</code>" in text
    assert "Columns, synthetic" in text
    assert ">real</th>" not in text


def test_the_fingerprint_of_a_table_names_its_columns():
    given = {"samples": 9, "columns": ["a, b", "c"], "shape": [2], "dtype": "float64", "range": [0.0, 5.0]}
    assert dict(html.fingerprint_rows(given)) == {"samples": "9", "columns": "2: a, b, c"}
