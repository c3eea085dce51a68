"""Tables: which numbers, which marks, in which form."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from riemaug.errors import InvalidInputError
from riemaug.study.cells import Cell, Run
from riemaug.study.comparisons import baselines, gains, learning_curve, orderings
from riemaug.study.settings import settings_of
from riemaug.study.showing import table_named
from riemaug.study.store import Result, ResultStore
from riemaug.study.summaries import Scores, adjusted, paired_difference
from riemaug.study.table import Entry, Table, as_html, as_latex, as_markdown, write_table
from riemaug.study.tables import table2, table3


def result(
    data: str,
    classifier: str,
    row: str,
    kind: str,
    seed: int,
    score: float,
    draw: int | None = None,
    model_seed: int = 0,
) -> Result:
    cell = Cell(data, classifier, row, kind)
    run = Run(cell, seed if draw is None else draw, seed, seed if draw is None else model_seed)
    scores = {"accuracy": score, "balanced_accuracy": score / 2}
    return Result(run, scores, {} if data.startswith("oasis") else {"settings": settings_of(cell)})


@pytest.fixture
def results() -> list[Result]:
    rows = []
    for seed, shift in enumerate((-0.01, 0.0, 0.01)):
        rows += [
            result("mnist_balanced", "densenet", "raw", "real", seed, 0.90 + shift),
            result("mnist_balanced", "densenet", "manifold_200", "synthetic", seed, 0.92 + shift),
            result("mnist_balanced", "densenet", "vae_200", "synthetic", seed, 0.70 + 2 * shift),
            result("oasis_paper", "mlp", "raw", "real", seed, 0.8, draw=0, model_seed=seed),
        ]
    # another reading: one draw, one generator, other seeds of the classifier
    rows.append(result("mnist_balanced", "densenet", "raw", "real", 7, 0.5, draw=0, model_seed=0))
    return rows


def entries_of(table: Table, name: str, part: int) -> list[Entry]:
    """Return the row `name` below the heading number `part` (0: none)."""
    heading = 0
    for row in table.rows:
        heading += len(row) == 1
        if heading == part and row[0].text == name:
            return list(row)
    raise AssertionError(name)


def test_table_2_puts_ours_beside_the_papers(results: list[Result]) -> None:
    table = table2(results)
    raw = entries_of(table, "raw", 0)
    assert [entry.text for entry in raw[1:4]] == ["90.0 (1.0) [3]", "89.9 (0.6)", "+0.1"]
    assert not raw[1].is_marked
    manifold = entries_of(table, "manifold_200", 2)
    assert [entry.text for entry in manifold[1:4]] == ["92.0 (1.0) [3]", "87.2 (1.1)", "+4.8"]
    assert manifold[1].is_marked  # 4.8 is more than twice 1.1
    assert manifold[1].is_shaded  # above raw
    vae = entries_of(table, "vae_200", 2)[1]
    assert not vae.is_marked
    assert not vae.is_shaded
    assert entries_of(table, "manifold_2000", 1)[1].text == "–"


def test_the_papers_reading_takes_one_draw(results: list[Result]) -> None:
    raw = entries_of(table2(results, reading="paper"), "raw", 0)
    assert raw[1].text == "69.5 (27.6) [2]"  # draw 0 with seeds 0 and 7


def test_other_classifiers_stand_beside_the_papers_numbers_without_marks() -> None:
    rows = [result("mnist_balanced", "small-cnn", "raw", "real", 0, 0.99)]
    raw = entries_of(table2(rows, "small-cnn"), "raw", 0)
    assert [entry.text for entry in raw[1:4]] == ["99.0 [1]", "89.9 (0.6)", "+9.1"]
    assert not raw[1].is_marked


def test_table_3_is_of_balanced_accuracy(results: list[Result]) -> None:
    raw = entries_of(table3(results), "raw", 0)
    assert raw[1].full_text == "40.0 (0.0) [3]†"
    assert raw[4].text == "–"


def test_paired_differences_are_students() -> None:
    gaps = [1.0, 2.0, 4.0]
    found = paired_difference(gaps)
    assert found is not None
    reference = stats.ttest_1samp(gaps, 0.0)
    interval = reference.confidence_interval(0.95)
    assert (found.mean, found.count) == (pytest.approx(7 / 3), 3)
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found.p_value == pytest.approx(reference.pvalue)
    assert paired_difference([]) is None
    single = paired_difference([1.0])
    assert single is not None
    assert not single.is_clear
    same = paired_difference([1.2, 1.2])
    assert same is not None
    assert not same.is_clear  # two equal gaps say nothing of their spread


def test_splits_of_one_set_give_wider_intervals() -> None:
    gaps = [1.0, 2.0, 4.0]
    apart, within = paired_difference(gaps), paired_difference(gaps, 0.5)
    assert apart is not None
    assert within is not None
    ratio = (within.high - within.low) / (apart.high - apart.low)
    assert ratio == pytest.approx(((1 / 3 + 0.5) / (1 / 3)) ** 0.5)
    assert within.p_value > apart.p_value


def test_holms_rule() -> None:
    found = adjusted([0.01, float("nan"), 0.04, 0.03])
    np.testing.assert_allclose(found, [0.03, np.nan, 0.06, 0.06])


def test_pairs_share_draw_and_seed(results: list[Result]) -> None:
    scores = Scores(results)
    gap = scores.difference(
        Cell("mnist_balanced", "densenet", "manifold_200", "synthetic"),
        Cell("mnist_balanced", "densenet", "raw", "real"),
    )
    assert gap is not None
    assert gap.count == 3
    np.testing.assert_allclose(gap.mean, 2.0)
    assert scores.difference(Cell("x", "y", "raw", "real"), Cell("x", "z", "raw", "real")) is None


def test_orderings_name_the_differences(results: list[Result]) -> None:
    row = entries_of(orderings(results, "densenet"), "manifold_200 over vae_200", 1)
    assert row[1].text.startswith("+22.0 (")
    assert row[1].is_shaded
    assert row[2].text == ""


def test_gains_are_over_raw_beside_the_real_samples() -> None:
    rows = [
        result("emnist_unbalanced", "small-cnn", "raw", "real", 0, 0.7),
        result("emnist_unbalanced", "small-cnn", "manifold_200", "both", 0, 0.72),
        result("emnist_unbalanced", "small-cnn", "manifold_200", "synthetic", 0, 0.5),
    ]
    table = gains(rows, "small-cnn")
    assert [entry.text for entry in entries_of(table, "manifold_200", 0)[1:]] == ["", "", "+2.0 (one pair)"]


def test_baselines_and_the_curve_are_over_raw() -> None:
    rows = [
        result("fashion_balanced", "small-cnn", "raw", "real", 0, 0.7),
        result("fashion_balanced", "small-cnn", "smote_200", "both", 0, 0.75),
        result("mnist_balanced@10", "small-cnn", "raw", "real", 0, 0.6),
        result("mnist_balanced@10", "small-cnn", "manifold_200", "both", 0, 0.8),
    ]
    smote = entries_of(baselines(rows, "fashion_balanced"), "smote_200", 0)
    assert [entry.text for entry in smote[2:4]] == ["75.0 [1]", "+5.0 (one pair)"]
    curve = learning_curve(rows)
    place = [row[0].text for row in curve.rows].index("manifold_200")
    assert [entry.text for entry in curve.rows[place + 1]] == ["  over raw", "", "+20.0 (one pair)", "", ""]


TABLE = Table(
    "A <title> & 5 %",
    ["name", "x|y"],
    [[Entry("part")], [Entry("a_b"), Entry("1.0 ± 2", True, True)]],
    ["A note, and it goes on for so long that it must be wrapped to stay within the picture."],
)


def test_markdown() -> None:
    lines = as_markdown(TABLE).splitlines()
    assert lines[2:] == [
        "| name | x\\|y |",
        "|---|---|",
        "| *part* |  |",
        "| a_b | **1.0 ± 2†** |",
        "",
        TABLE.notes[0],
    ]


def test_html_is_well_formed_and_escaped() -> None:
    page = as_html(TABLE).removeprefix("<!doctype html>").replace('<meta charset="utf-8">', "")
    root = ElementTree.fromstring(page)
    assert root.findtext(".//caption") == "A <title> & 5 %"
    shaded = root.findall(".//td[@class='shaded']")
    assert [field.text for field in shaded] == ["1.0 ± 2†"]


def test_latex_escapes_what_it_must() -> None:
    text = as_latex(TABLE)
    assert r"A <title> \& 5 \%" in text
    assert r"a\_b & \cellcolor[gray]{0.88}1.0 $\pm$ 2$^\dagger$ \\" in text
    assert r"\multicolumn{2}{l}{\emph{part}} \\" in text


def test_pictures_and_files(tmp_path: Path) -> None:
    assert write_table(TABLE, "png", tmp_path / "t.png") == ""
    with Image.open(tmp_path / "t.png") as image:
        grey = np.asarray(image.convert("L"))
    assert (grey < 100).any()
    # nothing is cut off: the outermost pixels are blank
    assert all((edge > 200).all() for edge in (grey[0], grey[-1], grey[:, 0], grey[:, -1]))
    write_table(TABLE, "md", tmp_path / "t.md")
    assert (tmp_path / "t.md").read_text(encoding="utf-8") == as_markdown(TABLE)
    with pytest.raises(InvalidInputError, match="give --out"):
        write_table(TABLE, "png", None)
    with pytest.raises(InvalidInputError, match="--format is one of"):
        write_table(TABLE, "pdf", None)


def test_tables_by_name(tmp_path: Path, results: list[Result]) -> None:
    store = ResultStore(tmp_path)
    for item in results:
        store.add(item)
    assert table_named("table2", tmp_path).rows == table2(results).rows
    assert table_named("table3", tmp_path).rows == table3([]).rows  # those of OASIS have no settings
    assert table_named("orderings", tmp_path).rows == orderings(results, "densenet").rows
    store.add(Result(Run(Cell("mnist_balanced", "densenet", "raw", "real"), 1, 1, 1), {"accuracy": 0.0}))
    assert table_named("table2", tmp_path).rows == table2(results).rows  # not of today's settings
    for options in ({"reading": "papr"}, {"classifier": "nonsense"}, {"data": "mnist_balanced"}):
        with pytest.raises(InvalidInputError, match="is one of|is draws or paper|may be"):
            table_named("table2", tmp_path, **options)
    with pytest.raises(InvalidInputError, match="has none"):
        table_named("table2", tmp_path / "elsewhere")
    with pytest.raises(InvalidInputError, match="show takes one of"):
        table_named("table9", tmp_path)
    with pytest.raises(InvalidInputError, match="table1 counts subjects"):
        table_named("table1", tmp_path)
