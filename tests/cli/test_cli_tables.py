"""Tables on the command line: real ones in, such ones out, and every command takes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cli_runs import Command, same_bytes
from sklearn.datasets import load_breast_cancer, load_wine

from riemaug.data import read_manifest

QUICK = ("--max-epochs", 3, "--jobs", 1)
PATIENT = ("--label-from", "diagnosis", "--group-from", "patient", "--drop-columns", "id,note on it")


def breast_cancer() -> pd.DataFrame:
    """Return the real table with its diagnoses in words, and columns of other kinds made of real ones."""
    bunch: Any = load_breast_cancer(as_frame=True)
    table = bunch.data.iloc[::4, :6].reset_index(drop=True)
    table.insert(2, "diagnosis", bunch.target_names[bunch.target[::4]])
    table.insert(0, "id", [f"case {row:04d}" for row in range(len(table))])
    table["size"] = pd.cut(
        table["mean radius"], [0, 12, 16, 99], labels=["small", "=middle", "large"]
    ).astype(str)
    table["area"] = table["mean area"].round().astype(int)
    table["dense"] = table["mean smoothness"] > 0.1
    table["patient"] = [row // 2 for row in range(len(table))]
    table["scanner"] = "A, of 1995"
    table["note on it"] = [f"{value:.12f}" for value in table["mean texture"] * np.pi]
    return table


def wine() -> pd.DataFrame:
    """Return the real table with dtypes that only Parquet keeps."""
    table: pd.DataFrame = load_wine(as_frame=True).frame.copy()  # type: ignore[attr-defined]
    table["magnesium"] = table["magnesium"].astype("Int16")
    table["hue"] = table["hue"].astype("float32")
    table["strength"] = pd.cut(table["alcohol"], 3, labels=["weak", "usual", "strong"])
    table["target"] = pd.Categorical.from_codes(table["target"], ["barolo", "grignolino", "barbera"])
    return table


def decimals(column: pd.Series) -> int:
    return max(len(repr(float(value)).partition(".")[2]) for value in column)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "cases.csv"
    breast_cancer().to_csv(path, index=False)
    return path


@pytest.fixture
def augmented(cli: Command, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of one short run on the whole table; made once."""
    out = table.parent / "out"
    if not out.exists():
        done = cli("augment", table, out, "--per-class", 60, "--seed", 3, *PATIENT, *QUICK)
        assert done.code == 0, done.err
    return out


def check_like(made: pd.DataFrame, real: pd.DataFrame) -> None:
    """Compare as pandas reads the two: columns, order, dtypes, categories, ranges, decimals."""
    assert made.columns.tolist() == real.columns.tolist()
    assert made.dtypes.tolist() == real.dtypes.tolist()
    for name in real.columns:
        if pd.api.types.is_numeric_dtype(real[name]) and str(real[name].dtype) != "bool":
            assert real[name].min() <= made[name].min()
            assert made[name].max() <= real[name].max()
            if str(real[name].dtype) == "float64":
                assert decimals(made[name]) <= decimals(real[name])
        else:
            assert set(made[name]) <= set(real[name])


def test_a_csv_comes_out_with_its_columns(augmented: Path, table: Path) -> None:
    real = pd.read_csv(table)
    made = pd.read_csv(augmented / "synthetic.csv")
    check_like(made, real.drop(columns=["id", "patient", "note on it"]))
    assert made["diagnosis"].value_counts().to_dict() == {"benign": 60, "malignant": 60}
    assert set(made["scanner"]) == {"A, of 1995"}
    assert made.nunique()["mean radius"] > 50
    assert {path.name for path in augmented.iterdir() if path.is_dir()} == set()


def test_the_manifest_tells_of_each_row(augmented: Path, table: Path) -> None:
    made = pd.read_csv(augmented / "synthetic.csv")
    rows = read_manifest(augmented / "manifest.csv")
    assert [row.file for row in rows] == [f"row {number}" for number in range(len(made))]
    assert [row.class_name for row in rows] == made["diagnosis"].tolist()
    assert all(row.nearest_file.startswith("row ") for row in rows)
    run = json.loads((augmented / "run.json").read_text(encoding="utf-8"))
    assert "72 groups (subjects) were read from column 'patient'." in run["notes"]
    assert run["data"]["groups"] == 72


def test_a_model_samples_without_the_table(
    cli: Command, augmented: Path, table: Path, tmp_path: Path
) -> None:
    done = cli("sample", augmented, tmp_path / "more", "--per-class", 7, "--seed", 5)
    assert done.code == 0, done.err
    made = pd.read_csv(tmp_path / "more" / "synthetic.csv")
    check_like(made, pd.read_csv(table).drop(columns=["id", "patient", "note on it"]))
    assert len(made) == 14
    compared = cli(
        *(
            "sample",
            augmented,
            tmp_path / "compared",
            "--per-class",
            7,
            "--seed",
            5,
            "--real",
            table,
            *PATIENT,
        )
    )
    assert compared.code == 0, compared.err
    first, second = (tmp_path / name / "synthetic.csv" for name in ("more", "compared"))
    assert first.read_bytes() == second.read_bytes()
    assert all(row.nearest_file for row in read_manifest(tmp_path / "compared" / "manifest.csv"))


def test_a_tampered_plan_ends_the_command_in_one_line(cli: Command, augmented: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes((augmented / "model.safetensors").read_bytes())
    description = json.loads((augmented / "model.json").read_text(encoding="utf-8"))
    description["sample_format"]["table"]["columns"][0]["dtype"] = "object"
    (model / "model.json").write_text(json.dumps(description), encoding="utf-8")
    done = cli("sample", model, tmp_path / "out", "--per-class", 2)
    assert done.code == 2
    assert "impossible fields" in done.message


def test_parquet_comes_out_with_its_dtypes(cli: Command, tmp_path: Path) -> None:
    path = tmp_path / "wine.parquet"
    wine().to_parquet(path)
    done = cli("augment", path, tmp_path / "out", "--per-class", 20, *QUICK)
    assert done.code == 0, done.err
    made, real = pd.read_parquet(tmp_path / "out" / "synthetic.parquet"), wine()
    check_like(made, real)
    assert made["strength"].cat.categories.tolist() == ["weak", "usual", "strong"]
    assert made["strength"].cat.ordered
    assert made["target"].value_counts().to_dict() == {"barolo": 20, "grignolino": 20, "barbera": 20}


def test_a_split_table_has_the_rows_as_they_were(cli: Command, table: Path, tmp_path: Path) -> None:
    done = cli("split", table, tmp_path / "parts", *PATIENT)
    assert done.code == 0, done.err
    assert str(tmp_path / "parts" / "train.csv") in done.err.replace("\n", "")
    lines = table.read_text().splitlines()
    parts = [
        (tmp_path / "parts" / f"{name}.csv").read_text().splitlines() for name in ("train", "val", "test")
    ]
    assert all(part[0] == lines[0] for part in parts)
    assert sorted(line for part in parts for line in part[1:]) == sorted(lines[1:])
    patients = [set(pd.read_csv(tmp_path / "parts" / f"{name}.csv")["patient"]) for name in ("train", "test")]
    assert not patients[0] & patients[1]


def test_a_split_parquet_table_keeps_its_dtypes(cli: Command, tmp_path: Path) -> None:
    wine().to_parquet(tmp_path / "wine.parquet")
    done = cli("split", tmp_path / "wine.parquet", tmp_path / "parts")
    assert done.code == 0, done.err
    parts = [pd.read_parquet(tmp_path / "parts" / f"{name}.parquet") for name in ("train", "val", "test")]
    assert all(part.dtypes.tolist() == wine().dtypes.tolist() for part in parts)
    assert sum(map(len, parts)) == len(wine())


@pytest.mark.slow
def test_evaluate_reads_the_test_table_as_the_real_one(
    cli: Command, augmented: Path, table: Path, tmp_path: Path
) -> None:
    whole = pd.read_csv(table)
    is_test = whole["patient"] % 4 == 0
    # the test part lacks a category and a constant column that varies: its numbers must mean the same
    test = whole[is_test & (whole["size"] != "large")].assign(scanner="B")
    whole[~is_test].to_csv(tmp_path / "real.csv", index=False)
    test[test.columns[::-1]].to_csv(tmp_path / "test.csv", index=False)
    done = cli(
        *("evaluate", tmp_path / "real.csv", augmented, "--test", tmp_path / "test.csv"),
        *("--no-gain", "--json", "--out", tmp_path / "result", *PATIENT),
    )
    assert done.code == 0, done.err
    assert done.document["fidelity"] is not None


def test_rows_that_are_in_both_tables_are_refused(
    cli: Command, augmented: Path, table: Path, tmp_path: Path
) -> None:
    pd.read_csv(table).iloc[::3].drop(columns="patient").to_csv(tmp_path / "test.csv", index=False)
    done = cli(
        *("evaluate", table, augmented, "--test", tmp_path / "test.csv", "--label-from", "diagnosis"),
        *("--drop-columns", "id,note on it,patient", "--out", tmp_path / "result"),
    )
    assert done.code == 2
    assert "must share nothing" in done.message


def test_evaluate_takes_the_parts_of_columns_from_the_run(
    cli: Command, augmented: Path, table: Path, tmp_path: Path
) -> None:
    whole = pd.read_csv(table)
    for name, rows in (("real", whole["patient"] % 4 > 0), ("test", whole["patient"] % 4 == 0)):
        whole[rows].to_csv(tmp_path / f"{name}.csv", index=False)
    command = ("evaluate", tmp_path / "real.csv", augmented, "--test", tmp_path / "test.csv", "--dry-run")
    done = cli(*command)
    assert done.code == 0, done.err
    told = " ".join(done.err.split())
    assert "--label-from diagnosis --drop-columns 'id,note on it' --group-from patient" in told
    given = cli(*command, *PATIENT)
    assert given.code == 0, given.err
    assert "play the parts" not in given.err


def test_inspect_tells_of_the_columns(cli: Command, table: Path) -> None:
    done = cli("inspect", table, *PATIENT, "--json")
    assert done.document["label column"] == "diagnosis"
    columns = {item["column"]: item["numbers"] for item in done.document["columns"]}
    assert columns["size"] == 3
    assert columns["scanner"] == 0
    assert columns["area"] == 1


def test_interpolation_writes_a_table_for_each_way(cli: Command, augmented: Path, tmp_path: Path) -> None:
    done = cli("interpolate", augmented, "benign:0", "benign:5", tmp_path / "between", "--steps", 5)
    assert done.code == 0, done.err
    for way in ("geodesic", "straight"):
        made = pd.read_csv(tmp_path / "between" / f"interpolation-{way}.csv")
        assert made["diagnosis"].tolist() == ["benign"] * 5


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "none is called label, class, target or y"),
        (("--label-from", "diagnose"), "did you mean 'diagnosis'"),
        (("--label-from", "diagnosis"), "--drop-columns id"),
        ((*PATIENT, "--include-real", "copy"), "DATA is one file: join the two yourself"),
        ((*PATIENT, "--resize", "8x8"), "have one shape: leave them out"),
        (("--drop-columns", "a,,b"), "--drop-columns takes names"),
    ],
)
def test_what_breaks_a_rule_is_refused_in_one_line(
    options: tuple[str, ...], told: str, cli: Command, table: Path, tmp_path: Path
) -> None:
    done = cli("augment", table, tmp_path / "out", *options)
    assert done.code == 2
    assert told in done.message
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_table_has_the_same_bytes_for_any_jobs_and_batches(
    cli: Command, table: Path, augmented: Path, tmp_path: Path
) -> None:
    options = ("--per-class", 60, "--seed", 3, "--max-epochs", 3, *PATIENT)
    done = cli("augment", table, tmp_path / "other", *options, "--jobs", 2, "--batch-size", 17)
    assert done.code == 0, done.err
    assert same_bytes(tmp_path / "other") == same_bytes(augmented)
    first, second = (out / "synthetic.csv" for out in (augmented, tmp_path / "other"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.slow
def test_a_table_is_cross_validated(cli: Command, tmp_path: Path) -> None:
    wine().to_csv(tmp_path / "wine.csv", index=False)
    options = ("--cv", 2, "--seeds", 1, "--max-epochs", 5, "--jobs", 1, "--json")
    done = cli("evaluate", tmp_path / "wine.csv", *options, "--out", tmp_path / "result")
    assert done.code == 0, done.err
    assert done.document["verdicts"]


@pytest.fixture(scope="module")
def named_none(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table without missing cells, but with a class None and a country NA."""
    path = tmp_path_factory.mktemp("none") / "in.csv"
    table = breast_cancer()[["mean radius", "mean texture", "diagnosis"]]
    table["diagnosis"] = ["None" if name == "benign" else name for name in table["diagnosis"]]
    table["country"] = [("DE", "NA", "FR")[row % 3] for row in range(len(table))]
    table.to_csv(path, index=False)
    return path


def test_cells_called_none_can_be_data(cli: Command, named_none: Path, tmp_path: Path) -> None:
    parts, out = tmp_path / "parts", tmp_path / "out"
    label = ("--label-from", "diagnosis")
    refused = cli("split", named_none, parts, *label)
    assert refused.code == 2
    assert "'None', 'NA' count as missing: if that is data, give --missing ''" in refused.message
    done = cli("split", named_none, parts, *label, "--val", 0, "--missing", "")
    assert done.code == 0, done.err
    assert "NEW --label-from diagnosis --missing ''" in " ".join(done.err.split())
    (tmp_path / "options.toml").write_text('missing = ""\n')
    config = ("--config", tmp_path / "options.toml")
    made = cli("augment", parts / "train.csv", out, "--per-class", 20, *label, *config, *QUICK)
    assert made.code == 0, made.err
    table = pd.read_csv(out / "synthetic.csv", keep_default_na=False)
    assert table["diagnosis"].value_counts().to_dict() == {"None": 20, "malignant": 20}
    assert set(table["country"]) <= {"DE", "NA", "FR"}
    evaluated = cli("evaluate", parts / "train.csv", out, "--test", parts / "test.csv", "--dry-run")
    assert evaluated.code == 0, evaluated.err
    assert "--label-from diagnosis --missing ''" in " ".join(evaluated.err.split())
    assert cli("report", out, "--real", parts / "train.csv").code == 0
    compared = cli(
        *("sample", out, tmp_path / "more", "--per-class", 3, "--real", parts / "train.csv"),
        *(*label, "--missing", ""),
    )
    assert compared.code == 0, compared.err


def test_texts_of_missing_cells_are_given_one_by_one(cli: Command, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("x,y\n1.5,0\n-,0\n2.5,1\n?,1\n-,1\n")
    told = cli("inspect", tmp_path / "in.csv", "--missing", "-", "--missing", "?").message
    assert "3 are missing or NaN in 'x' (3)" in told


def test_a_column_of_subjects_keeps_them_on_one_side(cli: Command, tmp_path: Path) -> None:
    table = breast_cancer()[["mean radius", "mean texture", "diagnosis"]]
    table["patient_id"] = [f"P{row // 2}" for row in range(len(table))]
    table.to_csv(tmp_path / "in.csv", index=False)
    command = ("split", tmp_path / "in.csv", tmp_path / "parts", "--label-from", "diagnosis")
    told = cli(*command).message
    assert "give --group-from patient_id" in told
    assert "--drop-columns" not in told
    dropped = cli(*command, "--drop-columns", "patient_id", "--dry-run")
    assert "'patient_id' was left out, but may name subjects (72 in 143 rows)" in " ".join(
        dropped.err.split()
    )
    done = cli(*command, "--group-from", "patient_id")
    assert done.code == 0, done.err
    sides = [set(pd.read_csv(tmp_path / "parts" / f"{part}.csv")["patient_id"]) for part in ("train", "test")]
    assert not sides[0] & sides[1]
