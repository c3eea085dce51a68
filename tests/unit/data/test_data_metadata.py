"""Folders with a metadata.csv, and the groups of their images."""

import csv
import os

import numpy as np
import pytest
from data_files import noise, nth_image, refused, save_image

from riemaug.data import read_dataset, write_metadata
from riemaug.limits import Limits
from riemaug.run.evaluation_data import read_real, read_synthetic
from riemaug.run.request import ReadOptions
from riemaug.run.split import SplitRequest, carry_out, plan_split


@pytest.fixture
def table(two_classes):
    """Write a metadata.csv into the folder of two classes and give the folder."""

    def write(*rows, header="file_name,label"):
        (two_classes / "metadata.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return two_classes

    return write


def note_of(data, text):
    return any(text in note for note in data.notes)


def test_table_wins_over_folders(table):
    root = table("cat/a.png,x", "dog/a.png,x", "cat/b.png,y", "dog/b.png,y")
    data = read_dataset(root)
    assert data.class_names == ("x", "y")
    assert data.names == ("cat/a.png", "cat/b.png", "dog/a.png", "dog/b.png")
    np.testing.assert_array_equal(data.labels, [0, 1, 0, 1])
    np.testing.assert_array_equal(data.samples[2], nth_image("dog", 0))
    assert note_of(data, "1 files that metadata.csv does not name were not read: 'cat/c.png'")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_spreadsheet_dialects(table, delimiter):
    rows = [f'{name}{delimiter}"x"' for name in ("cat/a.png", "cat/b.png")]
    root = table(*rows, header=f"\ufeffFile_Name {delimiter}LABEL")
    assert read_dataset(root).class_names == ("x",)


def test_only_training_rows_are_used(table):
    root = table(
        "cat/a.png,x,train",
        "cat/b.png,x,Train",
        "dog/a.png,x,test",
        "no/such.png,y,val",
        header="file_name,label,split",
    )
    data = read_dataset(root)
    assert data.names == ("cat/a.png", "cat/b.png")
    assert note_of(data, "2 of 4 rows")
    refused(table("cat/a.png,x,test", header="file_name,label,split"), "rows of train", "'test'")


def test_missing_files_are_named(table):
    root = table("cat/a.png,x", "cat/b.png,x", "cat/gone.png,x")
    refused(root, "'cat/gone.png' (the file does not exist)")
    assert note_of(read_dataset(root, skip_bad=True), "'cat/gone.png'")


@pytest.mark.parametrize("name", ["../o.png", "cat/../../o.png", "/etc/x.png", r"C:\x.png", r"..\o.png"])
def test_files_outside_are_refused(table, name):
    refused(table("cat/a.png,x", f"{name},x"), "inside the data folder", "correct it")


def test_a_link_to_a_file_is_followed_and_one_to_a_folder_outside_is_not(table, tmp_path):
    outside = save_image(tmp_path / "far" / "out.png", noise(1))
    root = table("cat/a.png,x", "cat/link.png,x")
    (root / "cat" / "link.png").symlink_to(outside)
    assert read_dataset(root).names == ("cat/a.png", "cat/link.png")
    (root / "cat" / "more").symlink_to(tmp_path / "far")
    root = table("cat/a.png,x", "cat/more/out.png,x")
    refused(root, "must not lead out", str(tmp_path / "far"), "--follow-links")
    data = read_dataset(root, limits=Limits(follow_links=True))
    assert data.names == ("cat/a.png", "cat/more/out.png")


def test_a_link_to_itself_is_named(table):
    root = table("cat/a.png,x", "cat/b.png,x", "cat/self/x.png,x", "cat/loop.png,x")
    for name in ("self", "loop.png"):
        (root / "cat" / name).symlink_to(root / "cat" / name)
    refused(root, "'cat/self/x.png' (the file does not exist)", "'cat/loop.png'")


def test_special_files_do_not_hang(table):
    root = table("cat/a.png,x", "cat/b.png,x", "cat/pipe.png,x", "cat,x")
    os.mkfifo(root / "cat" / "pipe.png")
    refused(root, "'cat/pipe.png' (is no regular file)", "'cat' (is no regular file)")


def test_windows_paths_are_understood(table):
    assert read_dataset(table(r"cat\a.png,x", r"cat\b.png,x")).names == ("cat/a.png", "cat/b.png")


@pytest.mark.parametrize("row", ["cat/b.png,", ",x", "cat/b.png"])
def test_empty_cells_are_refused(table, row):
    refused(table("cat/a.png,x", row), "row 3 has none")


def test_one_file_with_two_labels_is_refused(table):
    refused(table("cat/a.png,x", "cat/a.png,y"), "'cat/a.png'", "'x'", "'y'")


def test_repeated_rows_are_dropped_with_a_note(table):
    data = read_dataset(table("cat/a.png,x", "./cat/a.png,x", "cat/b.png,x"))
    assert len(data.samples) == 2
    assert note_of(data, "1 rows of metadata.csv repeat others")


def test_missing_columns_and_rows(table):
    refused(table("1,2", header="id,age"), "'id', 'age'", "rename the file")
    refused(table(), "no rows")


def test_broken_tables_are_refused(two_classes):
    (two_classes / "metadata.csv").write_bytes(b"file_name,label\n\xff\xfe,x\n")
    refused(two_classes, "UTF-8")
    (two_classes / "metadata.csv").write_text('file_name,label\n"cat/a.png"x,y\n')
    refused(two_classes, "no valid CSV")


@pytest.mark.parametrize("label", ["../up", "a/b", ".hidden", "run.json", "..", "x" * 256])
def test_labels_that_cannot_be_folders_are_refused(table, label):
    refused(table(f"cat/a.png,{label}", f"cat/b.png,{label}"), "rename the class")


def test_our_own_metadata_is_read_again(two_classes, fill):
    fill(two_classes / "=danger")
    names = [path.relative_to(two_classes).as_posix() for path in sorted(two_classes.rglob("*.png"))]
    write_metadata(
        two_classes / "metadata.csv", [(name, name.split("/")[0], "a.png" in name) for name in names]
    )
    data = read_dataset(two_classes)
    assert data.class_names == ("=danger", "cat", "dog")
    assert set(data.names) == set(names)
    assert note_of(data, "3 of the 7 images are marked as synthetic")
    with (two_classes / "metadata.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell[0] in "=+-@"]


def test_groups_from_the_column(table):
    rows = ["cat/a.png,x,p1", "cat/b.png,x,p2", "dog/a.png,x,p1"]
    root = table(*rows, header="file_name,label,group")
    data = read_dataset(root)
    assert data.groups == ("p1", "p2", "p1")
    assert note_of(data, "2 groups")
    assert read_dataset(root, group_from="column").groups == data.groups
    refused(table("cat/a.png,x,", header="file_name,label,group"), "needs a group", "row 2")


def test_column_without_a_column_is_refused(two_classes, table):
    refused(two_classes, "needs a metadata.csv", group_from="column")
    refused(table("cat/a.png,x", "cat/b.png,x"), "column group", group_from="column")


def test_groups_from_folders(two_classes):
    for index in range(4):
        save_image(two_classes / "mouse" / f"s{index // 2}" / "deep" / f"{index}.png", noise(index))
    refused(two_classes, "'cat/a.png' lies in none", group_from="folder")
    for name in ("cat", "dog"):
        for path in (two_classes / name).glob("*.png"):
            save_image(two_classes / name / "s9" / path.name, np.array(nth_image(name, ord(path.stem) - 97)))
            path.unlink()
    data = read_dataset(two_classes, group_from="folder")
    assert data.groups == ("s9",) * 5 + ("s0", "s0", "s1", "s1")


def test_groups_from_folders_of_a_table(table):
    root = table("cat/a.png,cat", "sub/1.png,cat", "sub/2.png,cat", "cat/s/3.png,cat")
    for name in ("sub/1.png", "sub/2.png", "cat/s/3.png"):
        save_image(root / name, noise(len(name), (6, 5)) + np.uint8(int(name[-5])))
    refused(root, "'cat/a.png' lies in none", group_from="folder")
    (root / "metadata.csv").write_text("file_name,label\nsub/1.png,cat\ncat/s/3.png,cat\n")
    assert read_dataset(root, group_from="folder").groups == ("s", "sub")


def test_groups_from_an_expression(two_classes):
    assert read_dataset(two_classes, group_from=r"/([a-z])\.png$").groups == ("a", "b", "c", "a", "b")
    refused(two_classes, "is none", group_from="(")
    refused(two_classes, "one group in brackets", "has 0", group_from="cat")
    refused(two_classes, "one group in brackets", "has 2", group_from="(c)(a)")
    refused(two_classes, "finds nothing in 5 of them", "'cat/a.png'", group_from="(cat)")


def test_an_expression_finds_no_subject_in_the_name_of_the_class(tmp_path):
    for class_name in ("class1", "other"):
        for index in range(4):
            save_image(tmp_path / class_name / f"s{index // 2}_{index}.png", noise(index + len(class_name)))
    expected = ("s0", "s0", "s1", "s1") * 2
    # searched in "class1/s0_0.png" the first and the third would find s1 and class1/s0
    for expression in (r"(s\d+)", r"^(s\d)", r"(.*)_\d", r"^[^/]+/(s\d+)", r"/(s\d+)_"):
        assert read_dataset(tmp_path, group_from=expression).groups == expected


def test_an_expression_of_a_table_finds_no_subject_in_the_name_of_the_class(table):
    root = table("pics/s1/s7_0.png,s1", "pics/s1/s8_0.png,s1", "pics/s2/s7_1.png,s2", "pics/s2/s9.png,s2")
    for index, name in enumerate(("s1/s7_0", "s1/s8_0", "s2/s7_1", "s2/s9")):
        save_image(root / "pics" / f"{name}.png", noise(index))
    assert read_dataset(root, group_from=r"(s\d)").groups == ("s7", "s8", "s7", "s9")


@pytest.mark.parametrize(("expression", "subject"), [(r"(\d+)", "01"), (r"(p\d+)", "p01")])
def test_the_subject_that_an_expression_finds_does_not_depend_on_other_files(tmp_path, expression, subject):
    names = [f"p0{patient}/visit2/ill/img{picture}.png" for patient in (1, 2) for picture in (3, 4)]
    groups = []
    for folder, listed in (("real", names), ("test", names[:2])):
        for index, name in enumerate(listed):
            save_image(tmp_path / folder / name, noise(index))
        rows = "".join(f"{name},ill\n" for name in listed)
        (tmp_path / folder / "metadata.csv").write_text(f"file_name,label\n{rows}")
        groups.append(read_dataset(tmp_path / folder, group_from=expression).groups)
    assert groups[0][:2] == groups[1] == (subject, subject)
    assert len(set(groups[0])) == 2


def named_subjects(table, header="file_name,label,Subject,state,folder"):
    rows = (
        "cat/a.png,x,p1,ill,f1",
        "cat/b.png,x,p2,ill,f1",
        "dog/a.png,x,p1,well,f2",
        "dog/b.png,x,p2,well,f2",
    )
    return table(*rows, header=header)


def test_groups_and_labels_from_columns_by_their_names(table):
    root = named_subjects(table)
    data = read_dataset(root, group_from="subject", label_from="State")
    assert data.groups == ("p1", "p2", "p1", "p2")
    assert data.class_names == ("ill", "well")
    np.testing.assert_array_equal(data.labels, [0, 0, 1, 1])
    assert note_of(data, "2 groups (subjects) were read from the column subject of metadata.csv")
    assert read_dataset(root, group_from=" SUBJECT ").groups == data.groups


def test_a_column_wins_over_an_expression_and_the_words_folder_and_column_over_a_column(table):
    root = named_subjects(table, "file_name,label,([a-z])\\.png,group,folder")
    assert read_dataset(root, group_from=r"([a-z])\.png").groups == ("p1", "p2", "p1", "p2")
    assert read_dataset(root, group_from="column").groups == ("ill", "ill", "well", "well")
    assert read_dataset(root, group_from="folder").groups == ("cat", "cat", "dog", "dog")


def test_columns_that_are_not_there_are_answered_with_the_nearest(table):
    root = named_subjects(table)
    refused(root, "one group in brackets", "did you mean subject?", group_from="subjekt")
    refused(root, "got 'statr'; did you mean state?", label_from="statr")
    refused(root, "in two columns", "'label' is both", group_from="label")
    root = named_subjects(table, "file_name,kind,subject,state,folder")
    refused(root, "add label, name another one with --label-from COLUMN")
    assert read_dataset(root, label_from="kind").class_names == ("x",)


def test_empty_cells_of_named_columns_are_refused(table):
    root = table("cat/a.png,x,p1,", "cat/b.png,x,,y", header="file_name,label,subject,state")
    refused(root, "needs a subject, row 3 has none", group_from="subject")
    refused(root, "needs a state, row 2 has none", label_from="state")
    assert len(read_dataset(root).samples) == 2


def test_columns_by_their_names_in_parts_and_beside_synthetic_samples(tmp_path):
    rows = [f"{number}.png,p{number % 6},{('ill', 'well')[number % 2]}" for number in range(24)]
    for number in range(24):
        save_image(tmp_path / "in" / f"{number}.png", noise(number))
    (tmp_path / "in" / "metadata.csv").write_text("\n".join(["file_name,who,state", *rows]))
    columns = {"group_from": "who", "label_from": "state"}
    plan = plan_split(SplitRequest(data=tmp_path / "in", out=tmp_path / "out", val=0, test=0.34, **columns))
    carry_out(plan)
    reading = ReadOptions(**columns)
    train, test = (read_real(tmp_path / "out" / part, reading).data for part in ("train", "test"))
    assert train.class_names == test.class_names == ("ill", "well")
    assert set(train.groups) | set(test.groups) == {f"p{number}" for number in range(6)}
    assert not set(train.groups) & set(test.groups)
    made = tmp_path / "made"
    for number in range(4):
        save_image(made / ("ill", "well")[number % 2] / f"{number}.png", noise(100 + number))
    files = [path.relative_to(made).as_posix() for path in sorted(made.rglob("*.png"))]
    write_metadata(made / "metadata.csv", [(name, name.split("/")[0], True) for name in files])
    assert read_synthetic(made, reading, train.format).data.class_names == ("ill", "well")


def test_a_column_that_may_name_subjects_is_told_of(table):
    data = read_dataset(named_subjects(table))
    assert note_of(
        data, "Column 'subject' of metadata.csv may name subjects: if so, give --group-from subject,"
    )


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        # the folders that all files lie in are no subjects
        (["images/s01/0", "images/s01/1", "images/s02/2", "images/s02/3"], ("s01", "s01", "s02", "s02")),
        (
            ["images/x/s01/0", "images/x/s01/1", "images/x/s02/2", "images/x/s02/3"],
            ("s01", "s01", "s02", "s02"),
        ),
        (["s01/0", "s01/1", "s02/2", "s02/3"], ("s01", "s01", "s02", "s02")),
        (["x/s01/0", "x/s01/1", "x/s02/2", "x/s02/3"], ("s01", "s01", "s02", "s02")),
    ],
)
def test_the_note_on_folders_of_a_table_works_when_followed(tmp_path, names, groups):
    for index, name in enumerate(names):
        save_image(tmp_path / f"{name}.png", noise(index))
    rows = "".join(f"{name}.png,x\n" for name in names)
    (tmp_path / "metadata.csv").write_text(f"file_name,label\n{rows}")
    assert note_of(read_dataset(tmp_path), "give --group-from folder,")
    assert read_dataset(tmp_path, group_from="folder").groups == groups


def test_the_note_on_folders_names_files_that_lie_in_none(tmp_path):
    for index, name in enumerate(["s1/0", "s1/1", "s2/2", "s2/3", "loose"]):
        save_image(tmp_path / "class" / f"{name}.png", noise(index))
    assert note_of(read_dataset(tmp_path), "move 'class/loose.png' and such files into one, too, and give")


def test_parts_are_no_subjects(tmp_path):
    for index, name in enumerate(["train/0", "train/1", "test/2", "test/3"]):
        save_image(tmp_path / "class" / f"{name}.png", noise(index))
    assert not note_of(read_dataset(tmp_path), "--group-from")


def test_groups_follow_skipped_images(two_classes):
    (two_classes / "cat" / "b.png").write_bytes(b"no image")
    data = read_dataset(two_classes, skip_bad=True, group_from=r"/([a-z])\.png$")
    assert data.groups == ("a", "c", "a", "b")


@pytest.mark.parametrize(
    ("names", "suspected"),
    [
        (["sub01_001", "sub01_002", "sub02_001", "sub02_002"], True),
        (["OAS1_0001_MR1", "OAS1_0001_MR2", "OAS1_0002_MR1", "OAS1_0002_MR2"], True),
        (["sub-01_slice3", "sub-01_slice4", "sub-02_slice3", "sub-02_slice4"], True),
        (["sub01/1", "sub01/2", "sub02/1", "sub02/2"], True),
        (["cat_001", "cat_002", "cat_003", "cat_004"], False),
        (["OAS1_0001_MR1", "OAS1_0002_MR1", "OAS1_0003_MR1", "OAS1_0004_MR1"], False),
        (["class7-000001", "class7-000002", "class7-000003", "class7-000004"], False),
        (["0001", "0002", "0003", "0004"], False),
        (["a/1", "b/2", "c/3", "d/4"], False),
    ],
)
def test_several_images_a_subject_are_suspected(tmp_path, names, suspected):
    for index, name in enumerate(names):
        save_image(tmp_path / "class" / f"{name}.png", noise(index))
    assert note_of(read_dataset(tmp_path), "--group-from") is suspected
    assert not note_of(read_dataset(tmp_path, group_from=r"(.)\.png$"), "if so")
