"""The tables of benchmarks/defaults.py, from made-up records, and where they are written."""

from pathlib import Path

import pytest
from benchmarks import defaults


def metric_record(label: int, dim: int, base: float) -> dict:
    task = {"set": "mnist", "class": label, "seed": 0, "size": 40, "likelihood": "bernoulli"}
    scores = {str(factor): {"nats": base - abs(factor - 1), "flat": 0.01} for factor in defaults.FACTORS}
    return {
        "task": task | {"part": "metric", "dim": dim, "kind": "rhvae"},
        "prior": base - 1.0,
        "gap": 2.0,
        "paper": {"nats": base - 8.0, "flat": 0.01},
        "factors": scores,
        "regularization": {
            str(value): {"nats": base - value, "flat": value} for value in defaults.REGULARIZATIONS
        },
    }


RECORDS = [
    metric_record(3, 2, -100.0),
    metric_record(3, 8, -80.0),
    metric_record(8, 2, -50.0),
    metric_record(8, 8, -44.0),
]


def row(text: str, first: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_bandwidths_are_compared_with_the_best_of_each_model() -> None:
    cells = row(defaults.bandwidth_table(RECORDS), "8")
    assert cells == ["8", "2.00", "-0.7", "-0.5", "-0.3", "0.0", "-0.4", "-1.0", "-1.8", "-8.0"]


def test_regularizations_are_compared_with_the_papers() -> None:
    cells = row(defaults.regularization_table(RECORDS), "2")
    assert cells[3] == "0.0 (1.0e-03)"
    assert cells[5] == "-0.1 (1.0e-01)"


def test_dimensions_are_compared_model_by_model() -> None:
    # from 2 to 8: 20 nats and 6 nats
    text = defaults.dimension_table(RECORDS)
    assert row(text, "prior, 40 images") == ["prior, 40 images", "0.0", "-", "13.0", "-"]
    assert row(text, "law, 40 images")[3] == "13.0"
    assert row(text, "prior, 20 images")[1:] == ["-"] * 4


def test_the_tables_go_between_their_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "tuning.md"
    marks = [f"<!-- {name} -->\nold\n<!-- end of {name} -->\n" for name in defaults.TABLES]
    page.write_text("before\n" + "".join(marks) + "after\n")
    monkeypatch.setattr(defaults, "DOCS", page)
    defaults.write_docs(RECORDS)
    text = page.read_text()
    assert text.startswith("before\n<!-- bandwidth -->\n| d | gap |")
    assert text.endswith("<!-- end of augmentation -->\nafter\n")
    assert "old" not in text
    defaults.write_docs(RECORDS)
    assert page.read_text() == text


def test_the_page_has_all_marks() -> None:
    text = defaults.DOCS.read_text()
    for name in defaults.TABLES:
        assert text.count(f"<!-- {name} -->\n") == text.count(f"<!-- end of {name} -->\n") == 1


def test_every_fit_is_told_apart() -> None:
    listed = defaults.tasks(2)
    assert len({str(sorted(task.items())) for task in listed}) == len(listed)
