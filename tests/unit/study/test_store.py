"""Results as lines: read back as they were, and safe against half lines and several writers."""

import json
from pathlib import Path

import joblib
import pytest

from riemaug.errors import InvalidInputError
from riemaug.study.cells import Cell, Run
from riemaug.study.store import Result, ResultStore

CELL = Cell("mnist_balanced", "small-cnn", "manifold_200", "both")


def result(seed: int, accuracy: float = 0.5) -> Result:
    return Result(
        Run(CELL, seed, seed, seed), {"accuracy": accuracy, "auc": 0.75}, {"epochs": 7, "torch": "x"}
    )


def test_results_are_read_back_as_they_were(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "new" / "folder")
    assert store.results() == []
    for seed in (0, 1):
        store.add(result(seed))
    store.add(Result(Run(Cell("a@5", "mlp", "raw", "real", "mixup"), 3, 4, 5), {"accuracy": 1.0}))
    assert {item.run for item in store.results()} >= {result(0).run, result(1).run}
    assert result(0) in store.results()
    assert sorted(path.name for path in store.folder.iterdir()) == [
        "a@5.mlp.jsonl",
        "mnist_balanced.small-cnn.jsonl",
    ]


def test_the_earlier_of_two_results_of_a_run_counts_in_any_order_of_lines(tmp_path: Path) -> None:
    early, late = (
        Result(result(0).run, {"accuracy": score}, {"date": date})
        for score, date in ((0.9, "2026-01-01"), (0.5, "2026-02-01"))
    )
    for number, lines in enumerate([(early, late), (late, early)]):
        store = ResultStore(tmp_path / str(number))
        for item in lines:
            store.add(item)
        assert store.results() == [early]


def test_a_last_line_without_its_end_is_kept(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.add(result(0))
    path = tmp_path / "mnist_balanced.small-cnn.jsonl"
    path.write_text(path.read_text().rstrip("\n"))
    store.add(result(1))
    assert store.results() == [result(0), result(1)]


def test_a_half_line_is_passed_over_and_replaced(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.add(result(0))
    path = tmp_path / "mnist_balanced.small-cnn.jsonl"
    path.write_text(path.read_text() + result(1).to_json()[:40])
    assert store.results() == [result(0)]
    store.add(result(2))
    assert store.results() == [result(0), result(2)]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_whole_line_that_is_no_result_is_refused(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.add(result(0))
    path = tmp_path / "mnist_balanced.small-cnn.jsonl"
    for line in ("[]", "{}", '{"format": 1, "data": "x"}', result(1).to_json().replace("0.5", "NaN")):
        path.write_text(f"{line}\n{result(0).to_json()}\n")
        with pytest.raises(InvalidInputError, match="line 1 is not"):
            store.results()


def test_several_processes_add_to_one_file(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    joblib.Parallel(n_jobs=2)(joblib.delayed(store.add)(result(seed)) for seed in range(20))
    assert {item.run.seed for item in store.results()} == set(range(20))
