"""The results that are committed: readable, of cells that exist, and the tables made of them up to date."""

from pathlib import Path

import pytest

from riemaug.study.cells import all_cells, parse_row
from riemaug.study.showing import table_named
from riemaug.study.store import ResultStore
from riemaug.study.table import as_markdown

FOLDER = Path(__file__).parents[3] / "docs" / "results"
PAGES = {
    "table2_small_cnn.md": ("table2", {"classifier": "small-cnn"}),
    "orderings_small_cnn.md": ("orderings", {"classifier": "small-cnn"}),
    "gains_small_cnn.md": ("gains", {"classifier": "small-cnn"}),
    "curve_mnist.md": ("curve", {}),
    "baselines_mnist.md": ("baselines", {"data": "mnist_balanced"}),
    "baselines_fashion.md": ("baselines", {"data": "fashion_balanced"}),
}
"""Made by `make study-tables`."""


def test_committed_results_are_of_known_cells() -> None:
    results, known = ResultStore(FOLDER).results(), set(all_cells())
    assert results
    for result in results:
        assert result.run.cell in known
        assert parse_row(result.run.cell.row)
        assert 0.05 < result.scores["accuracy"] < 1.0
        needed = {"num_real", "num_training", "num_test", "torch", "riemaug", "date", "device"}
        assert needed <= result.details.keys()


@pytest.mark.parametrize("page", PAGES)
def test_committed_tables_are_those_of_the_results(page: str) -> None:
    name, options = PAGES[page]
    shown = as_markdown(table_named(name, FOLDER, **options))
    assert (FOLDER / page).read_text(encoding="utf-8") == shown, "run make study-tables"
