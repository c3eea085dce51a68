"""Tables in files: what pandas reads of what was written is what it read of the input."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_wine
from table_frames import INTEGERS, LETTERS, tables

from riemaug.data import SampleFormat, read_dataset, table_dtypes, table_files, write_table
from riemaug.data.tables import read_table
from riemaug.errors import InvalidInputError, ResourceError

PARQUET_KINDS = (
    *(*INTEGERS, "float64", "Float64", "float32", "bool", "boolean", "category", "str", "string"),
    *("datetime64[ns]", "datetime64[ms]", "datetime64[us, Europe/Berlin]"),
)
CSV_KINDS = ("int64", "float64", "bool", "str", "datetime64[s]")
quick = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def written_again(path: Path, read: Any) -> pd.DataFrame:
    """Read a table as a data set, write the same samples beside it, and read them by pandas."""
    dataset = read_dataset(path)
    fields = json.loads(json.dumps(dataset.format.to_dict()))
    fmt = SampleFormat.from_dict(fields)
    assert fmt == dataset.format
    assert fmt.table is not None
    copy = path.with_name(f"copy{fmt.suffix}")
    write_table(copy, dataset.samples, dataset.labels, fmt.table)
    return read(copy)


def with_labels(table: pd.DataFrame, labels: Any, place: int) -> pd.DataFrame:
    """Return each row twice, so that every class has two, with a column of labels among the others."""
    twice = pd.concat([table, table], ignore_index=True)
    twice.insert(place % (table.shape[1] + 1), "Class", labels(len(twice)))
    return twice


LABELS = (
    lambda rows: pd.Series(["b", "a"] * (rows // 2), dtype="str"),
    lambda rows: pd.Series([3, -1] * (rows // 2), dtype="int64"),
    lambda rows: pd.Series([True, False] * (rows // 2)),
)


@quick
@given(
    table=tables(PARQUET_KINDS),
    labels=st.sampled_from(
        [
            *LABELS,
            lambda rows: pd.Series([2, 1] * (rows // 2), dtype="Int8"),
            lambda rows: pd.Series(pd.Categorical(["y", "x"] * (rows // 2), ["z", "y", "x"], ordered=True)),
        ]
    ),
    place=st.integers(0, 9),
)
def test_parquet_comes_back_as_it_was(
    table: pd.DataFrame, labels: Any, place: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = with_labels(table, labels, place)
    if is_refused(whole):
        return
    path = tmp_path_factory.mktemp("parquet") / "table.parquet"
    whole.to_parquet(path)
    back = written_again(path, pd.read_parquet)
    pd.testing.assert_frame_equal(back, pd.read_parquet(path), check_exact=True)


@quick
@given(
    table=tables(CSV_KINDS, LETTERS, LETTERS),
    labels=st.sampled_from(LABELS),
    place=st.integers(0, 9),
    sep=st.sampled_from([",", ";", "\t"]),
)
def test_csv_comes_back_as_it_was(
    table: pd.DataFrame, labels: Any, place: int, sep: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = with_labels(table, labels, place)
    if is_refused(whole) or any(sign in str(name) for name in whole.columns for sign in ",;"):
        return
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    whole.to_csv(path, index=False, sep=sep)

    def read(file: Path) -> pd.DataFrame:
        return pd.read_csv(file, sep=sep)

    pd.testing.assert_frame_equal(written_again(path, read), read(path), check_exact=True)


def is_refused(table: pd.DataFrame) -> bool:
    """Tell whether a rule of all data sets stands against the table: classes of rows that are all the"
    " same."""
    features = table.drop(columns="Class")
    first = features.groupby(table["Class"].to_numpy()).nunique(dropna=False)
    return bool((first.max(axis=1) == 1).any()) or "Class" in table.drop(columns="Class").columns


@pytest.mark.parametrize(("load", "named"), [(load_breast_cancer, True), (load_wine, False)])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_real_tables_come_back_to_the_last_byte(load: Any, named: bool, suffix: str, tmp_path: Path) -> None:
    bunch = load(as_frame=True)
    table = bunch.frame
    if named:
        table["target"] = bunch.target_names[table["target"]]
    path = tmp_path / f"table{suffix}"
    if suffix == ".parquet":
        table.to_parquet(path, index=False)
        pd.testing.assert_frame_equal(written_again(path, pd.read_parquet), table)
        return
    table.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    written_again(path, pd.read_csv)
    assert (tmp_path / f"copy{suffix}").read_bytes() == path.read_bytes()


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


PLAIN = "dose,arm,y\n1.5,a,0\n2.25,b,0\n3.0,a,1\n4.5,b,1\n"


def test_labels_and_groups_are_taken_from_columns(tmp_path: Path) -> None:
    text = "who,Target,class,dose\n" + "".join(f"s{i // 2},{'ab'[i % 2]},{i % 3},{i}.5\n" for i in range(8))
    path = write(tmp_path / "table.csv", text)
    dataset = read_dataset(path, label_from="Target", group_from="who", drop_columns=["class"])
    assert dataset.class_names == ("a", "b")
    assert dataset.groups == ("s0", "s0", "s1", "s1", "s2", "s2", "s3", "s3")
    assert dataset.samples[:, 0].tolist() == [i + 0.5 for i in range(8)]
    assert "4 groups (subjects) were read from column 'who'." in dataset.notes
    assert dataset.format.table is not None
    made = dataset.format.table.table_of(dataset.samples, dataset.labels)
    assert made.columns.tolist() == ["Target", "dose"]


def test_a_column_called_group_is_taken_without_being_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "table.csv", PLAIN.replace("arm", "Group"))
    assert read_dataset(path).groups == ("a", "b", "a", "b")
    assert read_dataset(path, group_from="column").groups == ("a", "b", "a", "b")


def test_a_column_that_may_name_subjects_is_told_of(tmp_path: Path) -> None:
    notes = read_dataset(write(tmp_path / "table.csv", PLAIN.replace("arm", "patient_id"))).notes
    assert any("--group-from patient_id" in note for note in notes)


@pytest.mark.parametrize(
    ("text", "decimal"),
    [("x;y\n1,5;0\n2,25;0\n0,5;1\n3,0;1\n", ","), ("x;y\n1.5;0\n2.25;0\n0.5;1\n3.0;1\n", ".")],
)
def test_decimal_commas_are_read_and_written(text: str, decimal: str, tmp_path: Path) -> None:
    path = write(tmp_path / "table.csv", text)
    dataset = read_dataset(path)
    assert dataset.samples[:, 0].tolist() == [1.5, 2.25, 0.5, 3.0]
    assert dataset.format.table is not None
    assert dataset.format.table.decimal == decimal
    write_table(tmp_path / "copy.csv", dataset.samples, dataset.labels, dataset.format.table)
    assert (tmp_path / "copy.csv").read_text() == text


@pytest.mark.parametrize("truths", [("true", "false"), ("TRUE", "FALSE"), ("True", "False")])
def test_truth_values_come_back_as_they_were_typed(truths: tuple[str, str], tmp_path: Path) -> None:
    text = "on,x,y\n" + "".join(f"{truths[i % 3 > 0]},{i % 4},{i % 2}\n" for i in range(8))
    path = write(tmp_path / "table.csv", text)
    written_again(path, pd.read_csv)
    assert (tmp_path / "copy.csv").read_text() == text


def test_cells_that_look_like_formulas_stay_the_categories_that_they_are(tmp_path: Path) -> None:
    text = "sign,y\n=A1,0\n+,0\n=A1,1\n-x,1\n@y,0\n'=A1,1\n=A1,0\n"
    path = write(tmp_path / "table.csv", text)
    written_again(path, pd.read_csv)
    assert (tmp_path / "copy.csv").read_text() == text


def test_codes_with_leading_zeros_stay_as_they_are(tmp_path: Path) -> None:
    text = "zip,y\n00123,0\n45678,0\n00123,1\n00999,1\n45678,0\n"
    written_again(write(tmp_path / "table.csv", text), pd.read_csv)
    assert (tmp_path / "copy.csv").read_text() == text


def test_texts_with_commas_that_are_no_numbers_are_categories(tmp_path: Path) -> None:
    text = "n,y\n" + '"1,23",0\n"1,234",0\n"1,23",1\n"1,234",1\n'
    assert read_dataset(write(tmp_path / "table.csv", text)).samples.shape == (4, 2)


def test_a_nameless_column_that_numbers_the_rows_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    pd.DataFrame({"x": [1.5, 2.5, 3.5, 1.0], "y": [0, 0, 1, 1]}).to_csv(path)
    dataset = read_dataset(path)
    assert dataset.samples.shape == (4, 1)
    assert "The column without a name only numbers the rows: it was left out." in dataset.notes


def test_the_index_of_a_parquet_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    table = pd.DataFrame(
        {"x": [1.5, 2.5, 3.5, 1.0], "y": [0, 0, 1, 1]}, index=pd.Index(list("abcd"), name="id")
    )
    table.to_parquet(path)
    dataset = read_dataset(path)
    assert dataset.samples.shape == (4, 1)
    assert any("index" in note for note in dataset.notes)


def test_rows_of_another_table_become_the_same_numbers(tmp_path: Path) -> None:
    real = read_dataset(write(tmp_path / "real.csv", PLAIN))
    text = "y,more,arm,dose\n1,u,c,9\n1,v,b,2\n0,w,b,3\n0,x,b,4\n"
    other = read_dataset(write(tmp_path / "other.csv", text), like=real.format)
    assert other.samples.tolist() == [[9, 0, 0], [2, 0, 1], [3, 0, 1], [4, 0, 1]]
    assert any("1 cells of column 'arm'" in note for note in other.notes)
    assert other.format == real.format


def test_a_column_that_another_table_lacks_may_be_one_of_subjects(tmp_path: Path) -> None:
    real = read_dataset(write(tmp_path / "real.csv", PLAIN.replace("arm", "subject")))
    made = write(tmp_path / "made.csv", "dose,y\n1.5,0\n2.25,0\n3.0,1\n4.5,1\n")
    with pytest.raises(InvalidInputError, match=r"lacks 'subject': .* give --group-from 'subject'"):
        read_dataset(made, like=real.format)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_names_of_the_columns_are_read_alone(suffix: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"a b": [1, 2], "y": [0, 1]})
    path = tmp_path / f"table{suffix}"
    (frame.to_csv if suffix == ".csv" else frame.to_parquet)(path, index=False)
    assert table_files.column_names(path) == ("a b", "y")


def test_texts_of_another_table_stay_texts_where_they_look_like_numbers(tmp_path: Path) -> None:
    text = "code,y\nx,a\n1,a\nx,10\n1,10\n"
    real = read_dataset(write(tmp_path / "real.csv", text))
    other = read_dataset(write(tmp_path / "other.csv", "code,y\n1,10\n2,10\n"), like=real.format)
    assert other.samples.tolist() == [[1, 0], [0, 0]]
    assert other.class_names == ("10",)


def test_many_rows_are_written_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bunch = load_wine(as_frame=True)
    whole, parts = [], []
    for suffix in (".csv", ".parquet"):
        path = tmp_path / f"table{suffix}"
        (bunch.frame.to_csv if suffix == ".csv" else bunch.frame.to_parquet)(path, index=False)
        dataset = read_dataset(path)
        assert dataset.format.table is not None
        read = pd.read_csv if suffix == ".csv" else pd.read_parquet
        for rows, found in ((2**15, whole), (50, parts)):
            monkeypatch.setattr(table_files, "ROWS_AT_ONCE", rows)
            write_table(path, dataset.samples, dataset.labels, dataset.format.table)
            found.append(read(path))
    for one, other in zip(whole, parts, strict=True):
        pd.testing.assert_frame_equal(one, other)
        assert len(one) == 178


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        (PLAIN.replace("y\n", "outcome\n"), {}, r"none is called label.*--label-from COLUMN"),
        (PLAIN.replace("arm", "label"), {}, r"several may \('label', 'y'\)"),
        (PLAIN, {"label_from": "arms"}, r"--label-from must name a column.*did you mean 'arm'"),
        (PLAIN, {"group_from": "subject"}, r"--group-from must name a column.*'subject' is none; it has"),
        (PLAIN, {"group_from": "column"}, r"needs a column group"),
        (PLAIN, {"group_from": "y"}, r"in two columns, 'y' is both"),
        (PLAIN, {"drop_columns": ["id"]}, r"--drop-columns must name a column"),
        (PLAIN, {"drop_columns": ["y"]}, r"must not name the label column 'y'"),
        (PLAIN, {"drop_columns": ["dose", "arm"]}, r"needs a column beside the labels"),
        (PLAIN, {"label_from": "dose"}, r"'dose' must hold classes, row 0 holds 1.5"),
        (PLAIN.replace(",0\n", ",\n", 1), {}, r"1 are missing or NaN in 'y' \(1\)"),
        (PLAIN.replace("1.5", "NA"), {}, r"1 are missing or NaN in 'dose' \(1\)"),
        (PLAIN.replace("2.25,b", "2.25"), {}, r"line 3 of .* has 2 and the header 3: fill it up"),
        ("y\n1,5\n2,6\n", {}, r"line 2 of .* has 2 and the header 1"),
        ("x,y\n\n1.5,'a\n'\n", {}, r"line 4 of .* has 1 and the header 2"),
        (PLAIN.replace("1.5,a", "1.5,a,a"), {}, r"line 2 of .* has 4 and the header 3"),
        (PLAIN.replace("3.0,a", "3.0,a,a"), {}, r"line 4 of .* has 4 and the header 3"),
        (PLAIN.replace("3.0,a", '3.0,"a'), {}, r"the row that begins in line 4 of .* do not"),
        ("n,y\n" + '"1,234",0\n17,0\n"2,000",1\n"-1,234,567.5",1\n', {}, r"separators, 'n' holds '1,234'"),
        ("n;y\n1.234,5;0\n17,2;0\n2 000,25;1\n3;1\n", {}, r"separators, 'n' holds '1.234,5'"),
        (PLAIN.replace("arm", "dose"), {}, r"'dose' is there twice"),
        (PLAIN.replace("arm", ""), {}, r"column 2 of .* has none: give it one"),
        ("dose,arm,y\n", {}, r"a table needs rows"),
        (PLAIN.replace("dose", "Unnamed: 0").replace(".", "0"), {}, r"'Unnamed: 0' only numbers"),
        ("x,,y\n1.5,3,0\n2.5,9,0\n3.5,1,1\n4.5,2,1\n", {}, r"column 2 of .* has none"),
        ("", {}, r"is empty"),
        ("  \n", {}, r"cannot be read"),
        (PLAIN, {"resize": (4, 4)}, r"--resize.*have one shape: leave them out"),
        (PLAIN + "9,a,2\n", {}, r"a class needs at least 2 rows, '2' has fewer"),
        ("x,y\n1,0\n1,0\n1,1\n2,1\n", {}, r"all 2 of class '0' are identical"),
    ],
)
def test_a_csv_that_breaks_a_rule_is_refused(
    text: str, options: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInputError, match=told) as refused:
        read_dataset(write(tmp_path / "table.csv", text), **options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["table.csv", "table.tsv", "table.parquet"])
@pytest.mark.parametrize("content", [b"\xff\xfe\x00x\x9c" * 9, b"PAR1 and more PAR1", b"\0"])
def test_damaged_files_are_refused_in_one_line(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInputError) as refused:
        read_dataset(tmp_path / name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_that_does_not_fit_the_memory_is_refused(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"table{suffix}"
    frame = load_wine(as_frame=True).frame
    (frame.to_csv if suffix == ".csv" else frame.to_parquet)(path, index=False)

    class Little:
        available = 1000

    monkeypatch.setattr("psutil.virtual_memory", Little)
    with pytest.raises(ResourceError, match="rows need .* GiB of memory"):
        read_dataset(path)


def test_the_packages_that_are_missing_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "table.csv", PLAIN)
    pd.DataFrame({"x": [1, 5], "y": [0, 1]}).to_parquet(tmp_path / "table.parquet")
    monkeypatch.setitem(table_dtypes.__dict__["__builtins__"], "__import__", _no_import("pyarrow"))
    with pytest.raises(InvalidInputError, match=r"need the package pyarrow.*pip install 'riemaug\[tables\]'"):
        read_table(tmp_path / "table.parquet")
    assert len(read_table(path).samples) == 4
    monkeypatch.setitem(table_dtypes.__dict__["__builtins__"], "__import__", _no_import("pandas"))
    with pytest.raises(InvalidInputError, match=r"need the package pandas.*pip install 'riemaug\[tables\]'"):
        read_table(path)


def _no_import(package: str) -> Any:
    real = __import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".")[0] == package and rest and rest[0]["__name__"] == table_dtypes.__name__:
            raise ImportError(name)
        return real(name, *rest, **more)

    return refuse


@pytest.mark.parametrize(
    "change",
    [
        {"position": 99},
        {"position": "0"},
        {"delimiter": "|"},
        {"decimal": ";"},
        {"label": None},
        {"label": {"kind": "CategoryColumn", "name": "dose", "dtype": "str", "levels": ["a"]}},
        {
            "label": {
                "kind": "NumberColumn",
                "name": "y",
                "dtype": "int64",
                "low": 0,
                "high": 1,
                "decimals": 0,
            }
        },
        {"columns": []},
    ],
)
def test_a_tampered_layout_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    fields = read_dataset(write(tmp_path / "table.csv", PLAIN)).format.to_dict()
    fields["table"] |= change
    with pytest.raises(InvalidInputError):
        SampleFormat.from_dict(fields)


@pytest.mark.parametrize(
    "change",
    [{"shape": [9]}, {"dtype": "float32"}, {"suffix": ".npz"}, {"kind": "arrays"}, {"table": None}],
)
def test_a_tampered_format_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    fields = read_dataset(write(tmp_path / "table.csv", PLAIN)).format.to_dict()
    with pytest.raises(InvalidInputError):
        SampleFormat.from_dict(fields | change)


def test_rows_of_a_class_that_is_none_are_refused(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path / "table.csv", PLAIN))
    assert dataset.format.table is not None
    with pytest.raises(InvalidInputError, match="some are of class 2"):
        dataset.format.table.table_of(dataset.samples, np.array([0, 1, 2, 0]))


def test_the_fingerprint_knows_the_columns(tmp_path: Path) -> None:
    first = read_dataset(write(tmp_path / "a.csv", PLAIN))
    second = read_dataset(write(tmp_path / "b.csv", PLAIN.replace("dose", "amount")))
    assert first.fingerprint() != second.fingerprint()
    assert first.fingerprint() == read_dataset(tmp_path / "a.csv").fingerprint()
