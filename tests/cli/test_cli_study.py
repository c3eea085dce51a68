"""`riemaug study`: what it lists, runs, resumes and shows."""

import json
from pathlib import Path

import pytest
from cli_runs import QUICK_CELL, Command, kill_group, needs_data, read_log, run_for_real, start, wait_until

from riemaug.cli.study import parse_time
from riemaug.errors import InvalidInputError
from riemaug.study.cells import Cell, Run
from riemaug.study.settings import settings_of
from riemaug.study.store import Result, ResultStore


def lines_of(store: Path) -> list[dict]:
    """Return the whole results in a folder, without what differs from run to run."""
    rows = []
    for path in sorted(store.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            rows.append({key: row[key] for key in ("data", "row", "draw", "seed", "scores", "epochs")})
    return sorted(rows, key=lambda row: (row["row"], row["seed"]))


def test_list_tells_what_is_done_and_left(cli: Command, tmp_path: Path) -> None:
    cell = Cell("mnist_balanced", "small-cnn", "raw", "real")
    ResultStore(tmp_path).add(Result(Run(cell, 0, 0, 0), {"accuracy": 0.9}, {"settings": settings_of(cell)}))
    listed = cli("study", "list", "--store", tmp_path, "--cells", cell.key, "--json").document
    assert [(line["name"], line["done"], line["wanted"]) for line in listed] == [(cell.key, 1, 5)]
    assert listed[0]["seconds_left"] > 0
    whole = cli("study", "list", "--store", tmp_path, "--json").document
    assert {line["name"] for line in whole} >= {"mnist_balanced/densenet", "oasis_paper/mlp"}
    assert "mnist_balanced/small-cnn" in cli("study", "list", "--store", tmp_path).out


def test_mistakes_are_one_line(cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RIEMAUG_DATA", raising=False)
    for arguments, said in (
        (("run", "--cells", "nothing"), "which names none"),
        (("run", "--cells", "curve", "--time-budget", "soon"), "takes a time such as 90m"),
        (("run", "--cells", "curve", "--reading", "both"), "--reading is draws or paper"),
        (("run", "--cells", QUICK_CELL), "give --data-dir FOLDER or set RIEMAUG_DATA"),
        (("show", "table9"), "show takes one of"),
        (("show", "table2"), "is made of results"),
        (("show", "table1"), "give --data-dir FOLDER"),
        (("show", "fig1"), "a figure needs a file"),
    ):
        done = cli("study", arguments[0], *arguments[1:], "--store", tmp_path)
        assert done.code == 2, arguments
        assert said in done.message


def test_times() -> None:
    assert [parse_time(text) for text in ("90m", "1.5h", "45 s", "30")] == [5400.0, 5400.0, 45.0, 30.0]
    for text in ("", "0", "-3", "2d", "h"):
        with pytest.raises(InvalidInputError, match="--time-budget"):
            parse_time(text)


def test_a_dry_run_does_nothing(cli: Command, tmp_path: Path) -> None:
    store = tmp_path / "results"
    done = cli("study", "run", "--cells", "curve", "--store", store, "--dry-run")
    assert done.code == 0
    assert "160 runs of 32 cells" in done.err
    plan = cli("study", "run", "--cells", "curve", "--store", store, "--dry-run", "--json", "--jobs", 2)
    assert (plan.document["runs"], len(plan.document["cells"]), plan.document["jobs"]) == (160, 32, 2)
    assert plan.document["seconds"] > 0
    assert not store.exists()


def test_shown_tables_come_from_the_store(cli: Command, tmp_path: Path) -> None:
    cell = Cell("mnist_balanced", "densenet", "raw", "real")
    result = Result(Run(cell, 0, 0, 0), {"accuracy": 0.905}, {"settings": settings_of(cell)})
    ResultStore(tmp_path).add(result)
    shown = cli("study", "show", "table2", "--store", tmp_path)
    assert "90.5 [1] | 89.9 (0.6) | +0.6" in shown.out
    page = tmp_path / "table.html"
    assert cli("study", "show", "table2", "--store", tmp_path, "--format", "html", "--out", page).code == 0
    assert "90.5 [1]" in page.read_text()
    table = cli("study", "show", "table2", "--store", tmp_path, "--json").document
    assert table["header"][0] in shown.out
    assert {"text": "90.5 [1]", "is_marked": False, "is_shaded": False} in sum(table["rows"], [])
    assert all(note in shown.out for note in table["notes"])
    both = cli("study", "show", "table2", "--store", tmp_path, "--json", "--format", "md")
    assert (both.code, "leave one out" in both.message) == (2, True)


@pytest.mark.slow
@needs_data
def test_runs_are_kept_and_not_repeated(cli: Command, tmp_path: Path) -> None:
    store = tmp_path / "results"
    options = ("--cells", QUICK_CELL, "--store", store, "--cache", tmp_path / "cache")
    first = cli("study", "run", *options, "--runs", 2, "--jobs", 1)
    assert first.code == 0, first.err
    assert "2 done" in first.err
    rows = lines_of(store)
    assert [row["seed"] for row in rows] == [0, 1]
    assert all(0.5 < row["scores"]["accuracy"] < 0.95 for row in rows)
    again = cli("study", "run", *options, "--runs", 2)
    assert "nothing is left to do" in again.err
    assert lines_of(store) == rows
    # the number of processes changes nothing
    other = tmp_path / "other"
    done = run_for_real(
        "study", "run", "--cells", QUICK_CELL, "--runs", 2, "--jobs", 2, "--store", other, "--quiet"
    )
    assert done.code == 0, done.err
    assert lines_of(other) == rows


@needs_data
def test_no_run_begins_that_would_end_too_late(cli: Command, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    places = ("--store", tmp_path, "--cache", cache)
    done = cli("study", "run", "--cells", QUICK_CELL, "--runs", 1, *places, "--time-budget", "0.001s")
    assert done.code == 0
    assert "1 left out" in done.err
    assert not list(tmp_path.glob("*.jsonl"))
    told = cli(
        *("study", "run", "--cells", QUICK_CELL, "--runs", 1, "--store", tmp_path),
        *("--time-budget", "0.001s", "--json", "--quiet"),
    )
    assert told.err == ""
    assert {name: told.document[name] for name in ("runs", "done", "left_out", "failed", "errors")} == {
        "runs": 1,
        "done": 0,
        "left_out": 1,
        "failed": 0,
        "errors": [],
    }
    begun, left_out = read_log(cache)
    assert begun["fields"]["job"] == "study"
    assert left_out["fields"]["key"] == [QUICK_CELL, 0]
    assert [path.name for path in cache.iterdir()] == ["run.log"]


@needs_data
@pytest.mark.slow
def test_a_killed_study_loses_only_what_it_was_doing(tmp_path: Path) -> None:
    store = tmp_path / "results"
    options = ("study", "run", "--cells", QUICK_CELL, "--runs", 3, "--store", store, "--jobs", 2)
    process = start(*options)
    wait_until(lambda: store.exists() and bool(lines_of(store)), process, timeout=400)
    kill_group(process)
    kept = lines_of(store)
    assert kept
    finished = run_for_real(*options)
    assert finished.code == 0, finished.err
    rows = lines_of(store)
    assert [row["seed"] for row in rows] == [0, 1, 2]
    assert all(row in rows for row in kept)
