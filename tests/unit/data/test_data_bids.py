"""BIDS data sets in, and BIDS derivatives out."""

import json

import nibabel
import numpy as np
import pytest
from data_files import noise, refused, save_image
from volume_files import AFFINE, blob, save_volume, stored, volume_folder

from riemaug.data import ManifestRow, read_dataset, write_class_files, write_manifest
from riemaug.data.bids_names import BidsNames, first_numbers
from riemaug.data.bids_output import write_bids_tables
from riemaug.data.dataset import SampleFormat
from riemaug.errors import InvalidInputError
from riemaug.run.evaluation_data import read_synthetic
from riemaug.run.request import ReadOptions

LABELS = {"sub-01": "ill", "sub-02": "well", "sub-03": "ill", "sub-04": "well"}


def save_bids(root, labels=LABELS, column="diagnosis", sessions=("",), suffixes=("T1w",)):
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    rows = [f"{subject}\t40\t{label}" for subject, label in labels.items()]
    (root / "participants.tsv").write_text(f"participant_id\tage\t{column}\n" + "\n".join(rows) + "\n")
    for number, subject in enumerate(labels):
        for part, session in enumerate(sessions):
            for suffix in suffixes:
                name = "_".join(filter(None, [subject, session, f"{suffix}.nii.gz"]))
                seed = 10 * number + part + 100 * (suffix != "T1w")
                save_volume(root / subject / session / "anat" / name, blob(seed))
    return root


def test_classes_and_subjects_are_those_of_the_participants(tmp_path):
    data = read_dataset(save_bids(tmp_path, sessions=("ses-1", "ses-2")))
    assert data.class_names == ("ill", "well")
    assert data.counts == (4, 4)
    assert data.groups == ("sub-01",) * 2 + ("sub-02",) * 2 + ("sub-03",) * 2 + ("sub-04",) * 2
    assert data.names[0] == "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz"
    np.testing.assert_array_equal(data.samples[3], blob(11))
    assert data.format.bids == BidsNames("diagnosis", "T1w", "anat")
    assert any("column diagnosis of participants.tsv" in note for note in data.notes)
    assert any("4 groups (subjects) were read from participants.tsv" in note for note in data.notes)
    assert SampleFormat.from_dict(json.loads(json.dumps(data.format.to_dict()))) == data.format
    assert read_dataset(tmp_path, layout="folders").format.bids is None


def test_a_derivative_is_read_back_as_bids(tmp_path):
    data = read_dataset(save_bids(tmp_path / "in"))
    out = tmp_path / "out"
    entries = []
    for label, number in enumerate(first_numbers(data.format, data.counts)):
        names = write_class_files(out, data.class_names[label], data.of_class(label), data.format, number)
        entries += [(name, data.class_names[label], True) for name in names]
    write_bids_tables(out, data.format.bids, entries)
    assert entries[2] == ("sub-syn0003/anat/sub-syn0003_desc-synthetic_T1w.nii.gz", "well", True)
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "riemaug"
    assert description.keys() >= {"Name", "BIDSVersion"}
    assert (out / "participants.tsv").read_text().splitlines()[:2] == [
        "participant_id\tdiagnosis\tsynthetic",
        "sub-syn0001\till\ttrue",
    ]
    for name, index in zip([name for name, _, _ in entries], (0, 20, 10, 30), strict=True):
        np.testing.assert_array_equal(stored(out / name), blob(index))
        np.testing.assert_array_equal(nibabel.load(out / name).affine, AFFINE)
    again = read_dataset(out)
    assert again.class_names == data.class_names
    assert again.groups == ("sub-syn0001", "sub-syn0002", "sub-syn0003", "sub-syn0004")
    np.testing.assert_array_equal(again.samples, data.samples[np.argsort(data.labels, kind="stable")])
    assert again.format == data.format
    assert any("4 of the 4 volumes are marked as synthetic" in note for note in again.notes)


def test_a_class_may_have_any_name_where_it_is_no_folder(tmp_path):
    labels = dict(zip(LABELS, ("MCI/AD", "=1+1", "MCI/AD", "=1+1"), strict=True))
    data = read_dataset(save_bids(tmp_path / "in", labels))
    assert data.class_names == ("=1+1", "MCI/AD")
    names = write_class_files(tmp_path / "out", "=1+1", data.of_class(0), data.format)
    write_bids_tables(tmp_path / "out", data.format.bids, [(name, "=1+1", True) for name in names])
    assert "\t=1+1\t" in (tmp_path / "out" / "participants.tsv").read_text()
    assert read_dataset(tmp_path / "out").class_names == ("=1+1",)
    refused(tmp_path / "in", "'MCI/AD' is no single folder", layout="folders")


def test_the_column_is_asked_for_where_it_is_not_clear(tmp_path):
    save_bids(tmp_path, column="status")
    refused(tmp_path, "--label-from", "'age', 'status'", "(group, diagnosis, label, class, dx)")
    assert read_dataset(tmp_path, label_from="status").counts == (2, 2)
    refused(tmp_path, "'sick' is none", "'age', 'status'", label_from="sick")
    text = (tmp_path / "participants.tsv").read_text()
    (tmp_path / "participants.tsv").write_text(text.replace("age\tstatus", "group\tdiagnosis"))
    refused(tmp_path, "could be 'group', 'diagnosis'", "--label-from")


def test_the_suffix_is_asked_for_where_there_are_several(tmp_path):
    save_bids(tmp_path, suffixes=("T1w", "space-MNI_T2w"))
    refused(tmp_path, "--bids-suffix", "4 of T1w", "4 of space-MNI_T2w")
    for suffix, seed in (("T1w", 0), ("T2w", 100), ("space-MNI_T2w", 100)):
        data = read_dataset(tmp_path, bids_suffix=suffix)
        np.testing.assert_array_equal(data.samples[0], blob(seed))
        assert data.format.bids.suffix == suffix[-3:]
        assert any("4 other volumes were not read" in note for note in data.notes)
    refused(tmp_path, "none ends in 'bold'", "4 of T1w", bids_suffix="bold")


def prepared(root, subject, *names):
    """Write volumes of a subject; the ends of their names decide their contents."""
    for number, name in enumerate(names):
        save_volume(
            root / subject / "anat" / f"{subject}_{name}.nii.gz", blob(100 * number + int(subject[-1]))
        )


def test_one_version_of_an_image_is_read(tmp_path):
    save_bids(tmp_path, suffixes=())
    for subject in LABELS:
        prepared(tmp_path, subject, "desc-preproc_T1w", "space-MNI_desc-preproc_T1w", "space-MNI_res-2_T1w")
    kinds = ("4 of desc-preproc_T1w", "4 of space-MNI_desc-preproc_T1w", "4 of space-MNI_res-2_T1w")
    refused(tmp_path, "one version", "sub-01_desc-preproc_T1w", "sub-01_space-MNI_desc-preproc_T1w", *kinds)
    refused(tmp_path, "give --bids-suffix with one of those", *kinds, bids_suffix="T1w")
    refused(tmp_path, "are of the same", bids_suffix="space-MNI_T1w")
    for suffix, number in (
        ("desc-preproc_T1w", 0),
        ("space-MNI_desc-preproc_T1w", 1),
        ("res-2_T1w", 2),
        ("res-2_space-MNI_T1w", 2),
    ):
        data = read_dataset(tmp_path, bids_suffix=suffix)
        assert data.counts == (2, 2)
        assert data.format.bids.suffix == "T1w"
        np.testing.assert_array_equal(data.samples[0], blob(100 * number + 1))
        assert any("8 other volumes were not read" in note for note in data.notes)


def test_maps_of_one_image_are_no_samples_of_one_kind(tmp_path):
    save_bids(tmp_path, suffixes=("label-GM_probseg", "label-WM_probseg"))
    refused(tmp_path, "4 of label-GM_probseg, 4 of label-WM_probseg")
    assert read_dataset(tmp_path, bids_suffix="label-WM_probseg").counts == (2, 2)


def test_runs_are_images_of_their_own_in_any_version(tmp_path):
    save_bids(tmp_path, suffixes=("run-1_desc-preproc_T1w", "run-2_desc-preproc_T1w"))
    assert read_dataset(tmp_path).counts == (4, 4)
    data = read_dataset(tmp_path, bids_suffix="run-2_T1w")
    assert data.counts == (2, 2)
    assert all("run-2" in name for name in data.names)


def test_subjects_in_different_spaces_are_told(tmp_path):
    save_bids(tmp_path)
    assert not any("several spaces" in note for note in read_dataset(tmp_path).notes)
    (tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii.gz").unlink()
    prepared(tmp_path, "sub-01", "space-MNI_desc-x_T1w")
    data = read_dataset(tmp_path)
    told = "several spaces or resolutions were read: 3 of T1w, 1 of space-MNI_T1w"
    assert any(told in note for note in data.notes)


@pytest.mark.parametrize("described", [True, False])
def test_a_derivative_without_participants_is_no_set_of_class_folders(tmp_path, described):
    root = save_bids(tmp_path / "in", sessions=("ses-1", "ses-2"))
    told = tmp_path / "raw.tsv"
    (root / "participants.tsv").rename(told)
    if not described:
        (root / "dataset_description.json").unlink()
    refused(root, "participants.tsv says the class", "--participants PATH", "metadata.csv")
    refused(root, "--participants", label_from="diagnosis")
    refused(root, "'none.tsv' is no file", participants="none.tsv")
    data = read_dataset(root, participants=told)
    assert (data.class_names, data.counts) == (("ill", "well"), (4, 4))
    assert data.groups == tuple(subject for subject in LABELS for _ in range(2))
    assert data.format.bids == BidsNames("diagnosis", "T1w", "anat")
    with pytest.raises(InvalidInputError, match="leave it out"):
        read_dataset(volume_folder(tmp_path / "classes"), participants=told)


def test_participants_of_its_own_go_before_those_that_lie_elsewhere(tmp_path):
    root = save_bids(tmp_path / "in")
    told = tmp_path / "raw.tsv"
    told.write_text((root / "participants.tsv").read_text().replace("ill", "sick"))
    data = read_dataset(root, participants=told)
    assert data.class_names == ("ill", "well")
    assert any("that of --participants was not read" in note for note in data.notes)
    refused(root, "'none.tsv' is no file", participants="none.tsv")
    (root / "participants.tsv").unlink()
    data = read_dataset(root, participants=told)
    assert data.class_names == ("sick", "well")
    assert not any("--participants" in note for note in data.notes)


def test_subjects_whose_volumes_lie_beside_no_folder_are_recognised(tmp_path):
    for number, subject in enumerate(LABELS):
        save_volume(tmp_path / subject / f"{subject}_T1w.nii.gz", blob(number))
    refused(tmp_path, "--participants PATH")


def test_class_folders_may_be_called_like_subjects(tmp_path):
    for number in range(4):
        save_volume(tmp_path / ("sub-a", "sub-b")[number % 2] / f"{number}.nii.gz", blob(number))
    data = read_dataset(tmp_path)
    assert (data.class_names, data.format.bids) == (("sub-a", "sub-b"), None)


def test_subjects_without_a_class_or_a_volume_are_left_out_and_told(tmp_path):
    save_bids(tmp_path, {**LABELS, "sub-05": "n/a", "sub-06": "ill"})
    for path in (tmp_path / "sub-06").rglob("*.nii.gz"):
        path.unlink()
    save_volume(tmp_path / "sub-07" / "anat" / "sub-07_T1w.nii.gz", blob(7))
    data = read_dataset(tmp_path)
    assert data.counts == (2, 2)
    notes = " ".join(data.notes)
    assert "1 subjects without a class" in notes
    assert "1 subjects of participants.tsv have no such volume: 'sub-06'" in notes
    assert "2 other volumes were not read" in notes


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "participant_id"),
        ("participant_id,group\nsub-01,ill\n", "by tabs"),
        ("participant_id\tgroup\nsub-01\till\nsub-01\twell\n", "'sub-01' is there twice"),
        ("participant_id\tgroup\n../sub-01\till\n", "holds no NIfTI volumes"),
        ("participant_id\tgroup\nsub-01\t" + '"ill\n', "no valid table"),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path, text, part):
    (save_bids(tmp_path) / "participants.tsv").write_text(text)
    refused(tmp_path, part)


def test_a_metadata_csv_says_otherwise(tmp_path):
    save_bids(tmp_path)
    rows = [f"{subject}/anat/{subject}_T1w.nii.gz,all" for subject in LABELS]
    (tmp_path / "metadata.csv").write_text("file_name,label\n" + "\n".join(rows) + "\n")
    data = read_dataset(tmp_path)
    assert (data.class_names, data.format.bids) == (("all",), None)


def test_class_folders_become_a_derivative_if_asked(tmp_path):
    volume_folder(tmp_path / "in")
    fmt = read_dataset(tmp_path / "in", layout="bids", bids_suffix="FLAIR").format
    assert fmt.bids == BidsNames("group", "FLAIR", "anat")
    assert first_numbers(fmt, (3, 2)) == [1, 4]
    assert first_numbers(read_dataset(tmp_path / "in").format, (3, 2)) == [1, 1]
    refused(tmp_path / "in", "--bids-suffix, such as T1w", layout="bids")
    refused(tmp_path / "in", "--bids-suffix is for BIDS folders", bids_suffix="T1w")
    refused(tmp_path / "in", "--label-from is for tables", "BIDS folders", label_from="x")
    for index in range(2):
        save_image(tmp_path / "pictures" / "a" / f"{index}.png", noise(index))
    refused(tmp_path / "pictures", "--layout bids is for NIfTI", layout="bids", bids_suffix="T1w")


@pytest.mark.parametrize(
    "fields",
    [
        {"column": "group", "suffix": "../T1w", "datatype": "anat"},
        {"column": "group", "suffix": "T1w", "datatype": ".."},
        {"column": "a\tb", "suffix": "T1w", "datatype": "anat"},
        {"column": "", "suffix": "T1w", "datatype": "anat"},
        {"column": "group", "suffix": "T1w"},
    ],
)
def test_names_from_a_foreign_model_folder_stay_inside_the_output(fields):
    with pytest.raises(InvalidInputError, match="BIDS names"):
        BidsNames.from_dict(fields)


@pytest.mark.parametrize("layout", ["bids", "folders"])
def test_the_options_of_the_real_samples_do_not_keep_synthetic_ones_from_being_read(tmp_path, layout):
    reading = ReadOptions(label_from="status", bids_suffix="T1w", group_from="column")
    data = read_dataset(save_bids(tmp_path / "in", column="status"), label_from="status", layout=layout)
    names = write_class_files(tmp_path / "out", "ill", data.of_class(0), data.format)
    write_manifest(tmp_path / "out" / "manifest.csv", [ManifestRow(name, "ill") for name in names])
    if data.format.bids is not None:
        write_bids_tables(tmp_path / "out", data.format.bids, [(name, "ill", True) for name in names])
    source = read_synthetic(tmp_path / "out", reading, data.format)
    assert source.data.class_names == ("ill",)
    np.testing.assert_array_equal(source.data.samples, data.of_class(0))
