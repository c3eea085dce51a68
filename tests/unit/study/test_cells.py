"""Names of cells and rows, and which runs they stand for."""

import pytest

from riemaug.errors import InvalidInputError
from riemaug.study.cells import (
    GROUPS,
    Cell,
    Run,
    all_cells,
    cells_of,
    parse_row,
    runs_of,
    select,
)
from riemaug.study.costs import Costs, num_training
from riemaug.study.demographics import paper_tables
from riemaug.study.paper_values import paper_value
from riemaug.study.runner import pending
from riemaug.study.store import Result


def test_rows_say_what_they_are() -> None:
    row = parse_row("walk_paper_code_500")
    assert (row.model, row.law, row.amount) == ("rhvae", "walk-paper-code", 500)
    assert (parse_row("raw").law, parse_row("aug_x10").law, parse_row("smote_200").model) == (
        "",
        "classic",
        "",
    )


@pytest.mark.parametrize(
    "name", ["", "aug_x7", "manifold", "manifold_0", "manifold_-3", "magic_200", "raw_200"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match=r"a row is raw, aug_x5"):
        parse_row(name)


def test_every_row_of_the_grid_has_a_meaning_and_every_paper_row_is_in_it() -> None:
    cells = all_cells()
    assert len(cells) == len(set(cells))
    for cell in cells:
        row = parse_row(cell.row)
        assert (cell.trained_on == "real") == (row.name == "raw")
        assert num_training(cell) > 0
    keys = {(cell.data, cell.classifier, cell.row, cell.trained_on) for cell in cells}
    table = paper_tables()["table2"]
    for data in table["columns"]:
        for part, kind in (("raw_plus", "both"), ("synthetic_only", "synthetic")):
            for row in table[part]:
                assert (data, "densenet", row, kind) in keys
                assert (data, "small-cnn", row, kind) in keys


def test_the_papers_numbers_are_found() -> None:
    assert paper_value("mnist_balanced", "densenet", "manifold_200", "synthetic") == (87.2, 1.1)
    assert paper_value("emnist_unbalanced", "densenet", "raw", "real") == (82.6, 1.4)
    assert paper_value("oasis_paper", "cnn", "manifold_2000", "both") == (84.5, 1.9)
    assert paper_value("oasis_paper", "mlp", "manifold_200", "synthetic") is None  # lost in print
    assert paper_value("mnist_balanced", "small-cnn", "raw", "real") is None
    assert paper_value("mnist_balanced", "densenet", "walk_200", "both") is None


def test_patterns_choose_cells() -> None:
    assert select(["curve"]) == cells_of("curve")
    found = select(
        ["mnist_balanced/small-cnn/manifold_*/synthetic", "mnist_balanced/small-cnn/manifold_200/*"]
    )
    assert len(found) == len(set(found)) == 4 + 2  # both, and both under affine + elastic
    assert all(cell.row.startswith("manifold_") for cell in found)
    with pytest.raises(InvalidInputError, match="names none"):
        select(["mnist_balanced/small-cnn/nothing*"])
    assert {cell for group in GROUPS for cell in cells_of(group)} == set(all_cells())


def test_readings_of_a_run() -> None:
    cell = Cell("mnist_balanced", "mlp", "raw", "real")
    assert runs_of(cell, 2) == [Run(cell, 0, 0, 0), Run(cell, 1, 1, 1)]
    assert runs_of(cell, 2, "paper") == [Run(cell, 0, 0, 0), Run(cell, 0, 1, 0)]
    fixed = Cell("oasis_paper", "mlp", "raw", "real")
    assert runs_of(fixed, 2) == [Run(fixed, 0, 0, 0), Run(fixed, 0, 1, 1)]
    assert len(runs_of(Cell("oasis_stratified", "mlp", "raw", "real"), 20)) == 10  # there are no more splits
    with pytest.raises(InvalidInputError, match="--reading is draws or paper"):
        runs_of(cell, 2, "both")


def test_what_is_done_is_not_pending_and_cheap_runs_come_first() -> None:
    cells = [
        Cell("mnist_balanced", "densenet", "raw", "real"),
        Cell("mnist_balanced", "small-cnn", "manifold_2000", "both"),
        Cell("mnist_balanced", "small-cnn", "raw", "real"),
        Cell("mnist_balanced", "small-cnn", "manifold_200", "both"),
    ]
    done = [Result(Run(cells[2], 0, 0, 0), {"accuracy": 0.9})]
    runs = pending(cells, 2, "draws", done)
    assert len(runs) == 7
    assert runs[0] == Run(cells[2], 1, 1, 1)
    assert [run.cell.row for run in runs[1:3]] == ["manifold_200", "manifold_200"]
    assert runs[-1].cell.row == "manifold_2000"


def test_costs_learn_from_what_is_done() -> None:
    cell = Cell("mnist_balanced", "small-cnn", "raw", "real")
    slow = Result(Run(cell, 0, 0, 0), {"accuracy": 0.9}, {"classifier_seconds": 800.0, "num_training": 400})
    assert Costs([slow]).classifier_seconds(cell) == pytest.approx(800.0)
    assert Costs().classifier_seconds(cell) < 100.0
    # one generator serves all rows of its model
    pair = [
        Run(Cell("mnist_balanced", "small-cnn", name, "both"), 0, 0, 0)
        for name in ("manifold_200", "walk_200")
    ]
    costs = Costs()
    alone = sum(costs.classifier_seconds(run.cell) for run in pair)
    assert costs.seconds(pair) == pytest.approx(alone + costs.fit_seconds(pair[0]))
