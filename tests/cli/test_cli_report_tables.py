"""The report of a table compares its columns, at the end of a run and when it is made again."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli_runs import QUICK, Command

CELLS = re.compile(r'<th scope="row"><span class="key (real|synthetic)">.*?</tr>')
NUMBERS = re.compile(r'<td class="right num">([^<]*)</td>')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "dose": rng.normal(20, 3, 60).round(2),
            "arm": rng.choice(["left", "right"], 60),
            "seen": (np.datetime64("2024-01-01") + rng.integers(0, 90, 60)).astype(str),
            "site": "Lyon",
            "label": np.repeat(["a", "b"], 30),
        }
    )
    folder = tmp_path_factory.mktemp("table")
    table.to_csv(folder / "table.csv", index=False)
    return folder


@pytest.fixture
def out(cli: Command, folder: Path) -> Path:
    """The output of one run; made once."""
    if not (folder / "out").exists():
        done = cli("augment", folder / "table.csv", folder / "out", "--per-class", 40, *QUICK)
        assert done.code == 0, done.err
        assert "60 rows of 4 columns (4 numbers) in 2 classes" in done.err
        (folder / "first.html").write_bytes((folder / "out" / "report.html").read_bytes())
    return folder / "out"


def section(page: str, number: int) -> str:
    """Return what a page tells of the columns of one class."""
    return (
        page.split('<div class="columns">')[number + 1].split("<h4>Sampler diagnostics")[0].split("<h4>")[1]
    )


def test_the_columns_are_those_of_the_two_tables(out: Path, folder: Path) -> None:
    page = (folder / "first.html").read_text()
    files = {"real": folder / "table.csv", "synthetic": out / "synthetic.csv"}
    for number, label in enumerate("ab"):
        told = section(page, number)
        row = told[told.index("<bdi>dose</bdi> <span") :]
        for kind, cells in [(match[1], NUMBERS.findall(match[0])) for match in CELLS.finditer(row)][:2]:
            table = pd.read_csv(files[kind])
            dose = table.loc[table["label"] == label, "dose"]
            assert float(cells[0]) == pytest.approx(dose.mean(), abs=6e-3)
            assert float(cells[1]) == pytest.approx(dose.std(ddof=0), abs=6e-3)
            assert [float(end) for end in cells[2].split(" to ")] == pytest.approx(
                [dose.min(), dose.max()], abs=6e-3
            )
        share = (pd.read_csv(files["real"]).query("label == @label")["arm"] == "left").mean()
        assert f"real {100 * share:.1f}\u202f%" in told
        assert "1 column with one value in the whole training set" in told
        assert "2024-0" in told


def test_the_same_columns_come_back_with_the_data(cli: Command, out: Path, folder: Path) -> None:
    assert cli("report", out, "--real", folder / "table.csv", "--quiet").code == 0
    again, first = (out / "report.html").read_text(), (folder / "first.html").read_text()
    for number in range(2):
        assert section(again, number) == section(first, number)


def test_without_the_data_only_synthetic_columns_are_told(cli: Command, out: Path, folder: Path) -> None:
    moved = (folder / "table.csv").rename(folder / "moved.csv")
    done = cli("report", out)
    moved.rename(folder / "table.csv")
    assert done.code == 0
    assert "the report has no real columns: the data are no longer at" in " ".join(done.err.split())
    told = section((out / "report.html").read_text(), 0)
    assert "riemaug report OUT --real DATA" in told
    assert {match[1] for match in CELLS.finditer(told)} == {"synthetic"}


def test_no_real_images_leaves_the_ends_out(cli: Command, out: Path, folder: Path) -> None:
    assert cli("report", out, "--real", folder / "table.csv", "--no-real-images", "--quiet").code == 0
    told = section((out / "report.html").read_text(), 0)
    ends = {match[1]: NUMBERS.findall(match[0])[2] for match in CELLS.finditer(told)}
    assert ends["real"] == "–"
    assert " to " in ends["synthetic"]


@pytest.mark.parametrize("damage", ["gone", "shorter", "renamed"])
def test_a_changed_table_is_refused_in_one_line(cli: Command, out: Path, damage: str) -> None:
    path = out / "synthetic.csv"
    before = path.read_bytes()
    table = pd.read_csv(path)
    path.unlink()
    if damage == "shorter":
        table.iloc[1:].to_csv(path, index=False)
    elif damage == "renamed":
        table.rename(columns={"dose": "amount"}).to_csv(path, index=False)
    done = cli("report", out)
    path.write_bytes(before)
    assert done.code == 2
    assert "make them anew" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_short_rows_of_an_npz_file_are_columns_by_number(cli: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", X=rng.normal(size=(30, 3)), y=np.repeat([0, 1], 15))
    done = cli("augment", tmp_path / "d.npz", tmp_path / "out", "--per-class", 12, *QUICK)
    assert done.code == 0, done.err
    first = section((tmp_path / "out" / "report.html").read_text(), 1)
    assert all(f"<bdi>column {number}</bdi>" in first for number in (1, 2, 3))
    assert cli("report", tmp_path / "out", "--real", tmp_path / "d.npz", "--quiet").code == 0
    assert section((tmp_path / "out" / "report.html").read_text(), 1) == first
