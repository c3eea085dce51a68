"""BIDS data sets and DICOM series divided: each part is a data set of its kind."""

import csv
import os

import numpy as np
import pytest
from dicom_files import save_series, series_folder, stored_values
from test_data_bids import save_bids
from volume_files import blob, save_volume

from riemaug.data import read_dataset
from riemaug.errors import InvalidInputError
from riemaug.run.split import SplitRequest, carry_out, plan_split

SUBJECTS = {f"sub-{number:02d}": ("ill", "well")[number % 2] for number in range(8)}


def split(data, out, **choices):
    plan = plan_split(SplitRequest(data=data, out=out, val=0, test=0.5, **choices))
    carry_out(plan)
    return plan


def rows_of(path, delimiter=","):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


@pytest.mark.parametrize("how", ["copy", "link"])
def test_each_part_is_a_bids_data_set_of_its_subjects(tmp_path, how):
    root = save_bids(tmp_path / "in", SUBJECTS, sessions=("ses-1", "ses-2"), suffixes=("T1w", "T2w"))
    (root / "README.md").write_text("scans")
    (root / "T1w.json").write_text('{"Manufacturer": "x"}')
    (root / "sub-03" / "ses-1" / "anat" / "sub-03_ses-1_T1w.json").write_text('{"EchoTime": 1}')
    (root / "notes.txt").write_text("not of the data set")
    out = tmp_path / "out"
    split(root, out, bids_suffix="T1w", how=how)
    parts = {name: read_dataset(out / name) for name in ("train", "test")}
    assert {data.counts for data in parts.values()} == {(4, 4)}
    subjects = {name: set(data.groups) for name, data in parts.items()}
    assert subjects["train"] | subjects["test"] == set(SUBJECTS)
    assert not subjects["train"] & subjects["test"]
    for name, data in parts.items():
        table = rows_of(out / name / "participants.tsv", "\t")
        assert {row["participant_id"]: row["diagnosis"] for row in table} == {
            subject: SUBJECTS[subject] for subject in subjects[name]
        }
        assert all(row["age"] == "40" for row in table)
        for file in (*data.names, "README.md", "T1w.json", "dataset_description.json"):
            assert (out / name / file).read_bytes() == (root / file).read_bytes()
            assert (out / name / file).is_symlink() == (how == "link")
    found = sorted(os.path.relpath(path, out) for path in out.rglob("*.*") if path.is_file())
    assert sum("T1w.nii" in name for name in found) == 16
    assert not any("T2w" in name or "notes" in name for name in found)
    assert sum(name.endswith("sub-03_ses-1_T1w.json") for name in found) == 1
    listed = rows_of(out / "split.csv")
    assert {(row["group"], row["label"]) for row in listed} == set(SUBJECTS.items())


def test_which_volumes_and_classes_are_meant_is_asked_for(tmp_path):
    root = save_bids(tmp_path / "in", SUBJECTS, "status", suffixes=("T1w", "T2w"))
    with pytest.raises(InvalidInputError, match="give --label-from"):
        split(root, tmp_path / "out")
    with pytest.raises(InvalidInputError, match="give --bids-suffix"):
        split(root, tmp_path / "out", label_from="status")
    split(root, tmp_path / "out", label_from="status", bids_suffix="T2w")
    assert read_dataset(tmp_path / "out" / "test", label_from="status").counts == (2, 2)


def test_rows_are_kept_as_they_are_wherever_the_subject_stands(tmp_path):
    root = save_bids(tmp_path / "in", SUBJECTS)
    rows = [f'{label}\t{subject} \tsays "so"' for subject, label in SUBJECTS.items()]
    (root / "participants.tsv").write_text("\n".join(["group\t participant_id\tremark", *rows, "ill", ""]))
    split(root, tmp_path / "out")
    kept = [(tmp_path / "out" / part / "participants.tsv").read_text() for part in ("train", "test")]
    assert [text.splitlines()[0] for text in kept] == ["group\t participant_id\tremark"] * 2
    table = [
        row
        for part in ("train", "test")
        for row in rows_of(tmp_path / "out" / part / "participants.tsv", "\t")
    ]
    assert sorted((row["group"], row[" participant_id"], row["remark"]) for row in table) == sorted(
        (label, f"{subject} ", 'says "so"') for subject, label in SUBJECTS.items()
    )


def test_a_class_may_have_any_name(tmp_path):
    labels = {subject: {"ill": "MCI/AD", "well": "=1"}[label] for subject, label in SUBJECTS.items()}
    split(save_bids(tmp_path / "in", labels), tmp_path / "out")
    assert read_dataset(tmp_path / "out" / "train").class_names == ("=1", "MCI/AD")


def test_the_slices_of_a_series_stay_together(tmp_path):
    root = series_folder(tmp_path / "in", 4)
    (root / "ill" / "case0" / "DICOMDIR").write_bytes(b"no picture")
    plan = split(root, tmp_path / "out")
    assert plan.source.what == "series"
    whole = read_dataset(root)
    for name in ("train", "test"):
        part = read_dataset(tmp_path / "out" / name)
        assert part.counts == (2, 2)
        for row, series in enumerate(part.names):
            np.testing.assert_array_equal(part.samples[row], whole.samples[whole.names.index(series)])
    copied = {
        os.path.relpath(path, tmp_path / "out").partition(os.sep)[2]: path.read_bytes()
        for path in (tmp_path / "out").rglob("*.dcm")
    }
    assert copied == {os.path.relpath(path, root): path.read_bytes() for path in root.rglob("*.dcm")}
    assert len(rows_of(tmp_path / "out" / "split.csv")) == 8


def test_series_of_a_table_keep_their_rows_and_subjects(tmp_path):
    root = tmp_path / "in"
    lines = ["file_name,label,scanner"]
    for number in range(8):
        folder = save_series(root / "scans" / f"p{number // 2}" / f"{number}", stored_values(number))
        label = ("ill", "well")[number % 2]
        lines += [f"{path.relative_to(root)},{label},x" for path in sorted(folder.iterdir())]
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    split(root, tmp_path / "out", group_from=r"/(p\d)/")
    rows = {name: rows_of(tmp_path / "out" / name / "metadata.csv") for name in ("train", "test")}
    assert {row["file_name"] for part in rows.values() for row in part} == {
        line.partition(",")[0] for line in lines[1:]
    }
    assert all(row["group"] in row["file_name"] for part in rows.values() for row in part)
    assert not {row["group"] for row in rows["train"]} & {row["group"] for row in rows["test"]}
    assert read_dataset(tmp_path / "out" / "test").counts == (2, 2)


def test_a_damaged_series_is_named_or_left_out(tmp_path):
    root = series_folder(tmp_path / "in", 5)
    (root / "ill" / "case0" / "IM0004.dcm").unlink()  # the third of six slices
    with pytest.raises(InvalidInputError, match=r"'ill/case0/IM0000.dcm' .*--skip-bad"):
        split(root, tmp_path / "out")
    plan = split(root, tmp_path / "out", skip_bad=True)
    assert len(plan.parts) == 9
    assert not list((tmp_path / "out").rglob("case0"))


def test_parts_get_the_participants_that_lie_elsewhere(tmp_path):
    root = save_bids(tmp_path / "in", SUBJECTS)
    told = (root / "participants.tsv").rename(tmp_path / "raw.tsv")
    with pytest.raises(InvalidInputError, match="--participants PATH"):
        split(root, tmp_path / "out")
    split(root, tmp_path / "out", participants=told)
    for name in ("train", "test"):
        part = read_dataset(tmp_path / "out" / name)
        rows = rows_of(tmp_path / "out" / name / "participants.tsv", "\t")
        assert part.counts == (2, 2)
        assert {row["participant_id"] for row in rows} == set(part.groups)


def test_localizers_are_in_no_part(tmp_path):
    root = series_folder(tmp_path / "in", 4)
    for case in sorted(root.glob("*/*")):
        save_series(case / "scout", stored_values(9, (1, 16, 16)))
    with pytest.raises(InvalidInputError, match="--min-slices 2"):
        split(root, tmp_path / "out")
    split(root, tmp_path / "out", min_slices=2)
    assert not list((tmp_path / "out").rglob("scout"))
    assert read_dataset(tmp_path / "out" / "test").counts == (2, 2)


def test_volumes_with_nan_are_divided_as_they_are(tmp_path):
    for number in range(8):
        voxels = blob(number, dtype="float32")
        voxels[0] = np.nan
        save_volume(tmp_path / "in" / "ab"[number % 2] / f"{number}.nii", voxels)
    with pytest.raises(InvalidInputError, match="--nan VALUE"):
        split(tmp_path / "in", tmp_path / "out")
    split(tmp_path / "in", tmp_path / "out", nan=0.0)
    copied = sorted((tmp_path / "out").rglob("*.nii"))
    assert len(copied) == 8
    for path in copied:
        assert path.read_bytes() == (tmp_path / "in" / path.parent.name / path.name).read_bytes()


def test_options_for_other_data_are_refused(tmp_path):
    root = series_folder(tmp_path / "in", 4)
    for choices in ({"label_from": "x"}, {"bids_suffix": "T1w"}, {"participants": root}, {"nan": 0.0}):
        with pytest.raises(InvalidInputError, match="leave it out"):
            split(root, tmp_path / "out", **choices)


def test_options_of_volumes_are_refused_for_rows(tmp_path):
    np.savez(tmp_path / "x.npz", X=np.arange(36.0).reshape(4, 3, 3), y=[0, 0, 1, 1])
    for choices in ({"bids_suffix": "T1w"}, {"participants": tmp_path}, {"min_slices": 2}, {"nan": 0.0}):
        with pytest.raises(InvalidInputError, match="npz files and tables hold none: leave it out"):
            split(tmp_path / "x.npz", tmp_path / "out", **choices)
