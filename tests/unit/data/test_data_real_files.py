"""Real volumes beside new ones: their names in a BIDS derivative, and DICOM series as NIfTI."""

import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from dicom_files import PATIENT, series_folder
from test_data_bids import LABELS, save_bids
from volume_files import AFFINE, blob, save_volume, stored, volume_folder

from riemaug.data import include_real, read_dataset
from riemaug.data.bids import BidsOptions, particulars_of
from riemaug.data.bids_names import name_of_real
from riemaug.data.bids_output import write_bids_tables
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS


def participants_of(out):
    header, *rows = [line.split("\t") for line in (out / "participants.tsv").read_text().splitlines()]
    return [dict(zip(header, row, strict=True)) for row in rows]


@pytest.mark.parametrize("how", ["copy", "link"])
def test_subjects_of_a_bids_data_set_keep_their_names(tmp_path, how):
    root = save_bids(tmp_path / "in", sessions=("ses-1", "ses-2"))
    data = read_dataset(root)
    out = tmp_path / "out"
    names = include_real(root, data, out, how)
    assert names[:2] == [
        "sub-01/ses-1/anat/sub-01_ses-1_desc-real_T1w.nii.gz",
        "sub-01/ses-2/anat/sub-01_ses-2_desc-real_T1w.nii.gz",
    ]
    for name, source in zip(names, data.names, strict=True):
        assert (out / name).read_bytes() == (root / source).read_bytes()
        assert (out / name).is_symlink() == (how == "link")
    labels = [data.class_names[label] for label in data.labels]
    made = [("sub-syn0001/anat/sub-syn0001_desc-synthetic_T1w.nii.gz", "ill", True)]
    real = [(name, label, False) for name, label in zip(names, labels, strict=True)]
    write_bids_tables(out, data.format.bids, made + real)
    rows = participants_of(out)
    assert [row["participant_id"] for row in rows] == ["sub-syn0001", *LABELS]
    assert [row["diagnosis"] for row in rows] == ["ill", *LABELS.values()]
    assert [row["synthetic"] for row in rows] == ["true", *["false"] * 4]


def test_volumes_on_another_grid_are_written_on_the_common_one(tmp_path):
    root = save_bids(tmp_path / "in")
    moved = nibabel.Nifti1Image(blob(1), AFFINE + np.diag([0.2, 0, 0, 0]))
    moved.to_filename(root / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    data = read_dataset(root, resample=True)
    name = include_real(root, data, tmp_path / "out", "link")[0]
    assert not (tmp_path / "out" / name).is_symlink()
    np.testing.assert_allclose(nibabel.load(tmp_path / "out" / name).affine, AFFINE)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("sub-1/anat/sub-1_T1w", "sub-1/anat/sub-1_desc-real_T1w"),
        ("sub-1/anat/sub-1_space-MNI_desc-preproc_T1w", "sub-1/anat/sub-1_space-MNI_desc-preproc_T1w"),
        ("desc-x_a/sub-1_T1w", "desc-x_a/sub-1_desc-real_T1w"),
    ],
)
def test_a_name_has_one_description(path, wanted):
    assert name_of_real(path) == wanted


@pytest.mark.parametrize("how", ["copy", "link"])
@pytest.mark.parametrize("elsewhere", [True, False])
def test_real_subjects_keep_what_is_known_of_them(tmp_path, how, elsewhere):
    root, out = save_bids(tmp_path / "in"), tmp_path / "out"
    told = root / "participants.tsv"
    (root / "participants.json").write_text('{"age": {"Units": "years"}, "diagnosis": {"x": 1}}')
    if elsewhere:
        told = told.rename(tmp_path / "raw.tsv")
        (root / "participants.json").rename(tmp_path / "raw.json")
    options = BidsOptions(participants=told if elsewhere else None)
    sidecar = root / "sub-02" / "anat" / "sub-02_T1w.json"
    sidecar.write_text('{"EchoTime": 0.003}')
    data = read_dataset(root, participants=options.participants)
    names = include_real(root, data, out, how)
    real = [(name, data.class_names[label], False) for name, label in zip(names, data.labels, strict=True)]
    particulars = particulars_of(root, data.format.bids.column, options, DEFAULT_LIMITS)
    made = [("sub-syn0001/anat/sub-syn0001_desc-synthetic_T1w.nii.gz", "ill", True)]
    write_bids_tables(out, data.format.bids, made + real, particulars)
    assert (out / "participants.tsv").read_text().splitlines()[:3] == [
        "participant_id\tdiagnosis\tsynthetic\tage",
        "sub-syn0001\till\ttrue\tn/a",
        "sub-01\till\tfalse\t40",
    ]
    columns = json.loads((out / "participants.json").read_text())
    assert columns["age"] == {"Units": "years"}
    assert columns.keys() == {"age", "diagnosis", "synthetic"}
    assert "x" not in columns["diagnosis"]
    kept = out / "sub-02" / "anat" / "sub-02_desc-real_T1w.json"
    assert kept.read_bytes() == sidecar.read_bytes()
    assert kept.is_symlink() == (how == "link")
    assert len(list(out.rglob("*_T1w.json"))) == 1
    assert "MODEL_CARD.md" in (out / ".bidsignore").read_text().split()


def test_names_that_would_meet_are_refused(tmp_path):
    root = save_bids(tmp_path / "in", dict.fromkeys(("sub-syn0001", "sub-2", "sub-3"), "ill"))
    with pytest.raises(InvalidInputError, match=r"'sub-syn0001.* may be that of a new one: give --layout"):
        include_real(root, read_dataset(root), tmp_path / "out", "copy")
    root = save_bids(tmp_path / "twice")
    anat = root / "sub-01" / "anat"
    nibabel.Nifti1Image(blob(7), AFFINE).to_filename(anat / "sub-01_T1w.nii")
    with pytest.raises(InvalidInputError, match=r"two volumes would be 'sub-01/anat/sub-01_desc-real_T1w'"):
        include_real(root, read_dataset(root), tmp_path / "out", "copy")
    assert not (tmp_path / "out").exists()


def test_volumes_of_class_folders_become_subjects(tmp_path):
    root = volume_folder(tmp_path / "in", 2)
    data = read_dataset(root, layout="bids", bids_suffix="T1w")
    subjects = replace(data, groups=("x", "y", "x", "x"))
    names = include_real(root, subjects, tmp_path / "out", "copy")
    assert data.labels.tolist() == [0, 0, 1, 1]
    assert names == [
        "sub-real0001/anat/sub-real0001_desc-real_T1w.nii.gz",
        "sub-real0002/anat/sub-real0002_desc-real_T1w.nii.gz",
        "sub-real0003/anat/sub-real0003_run-1_desc-real_T1w.nii.gz",
        "sub-real0003/anat/sub-real0003_run-2_desc-real_T1w.nii.gz",
    ]
    assert [stored(tmp_path / "out" / name).tobytes() for name in names] == [
        sample.tobytes() for sample in data.samples
    ]


@pytest.mark.parametrize("suffix", [".dcm", ""])
def test_dicom_series_are_written_as_nifti_without_the_patient(tmp_path, suffix):
    root = series_folder(tmp_path / "in")
    if not suffix:
        for path in list(root.rglob("*.dcm")):
            path.rename(path.with_suffix(""))
    data = read_dataset(root)
    names = include_real(root, data, tmp_path / "out", "link")
    assert names == [f"{label}/{label}-real-00000{n}.nii.gz" for label in ("ill", "well") for n in (1, 2)]
    again = read_dataset(tmp_path / "out")
    np.testing.assert_array_equal(again.samples, data.samples)
    for name in names:
        assert PATIENT.encode() not in nibabel.load(tmp_path / "out" / name).to_bytes()


def test_series_that_are_modelled_smaller_are_not_written(tmp_path):
    root = series_folder(tmp_path / "in")
    with pytest.raises(InvalidInputError, match=r"--fit-shape makes smaller: .*dcm2niix"):
        include_real(root, read_dataset(root, fit_shape=(3, 3, 3)), tmp_path / "out", "copy")


def test_volumes_with_nan_are_written_as_they_were_read(tmp_path):
    for number in range(4):
        voxels = blob(number, dtype="float32")
        voxels[0] = np.nan if number else 0.5
        save_volume(tmp_path / "in" / "ab"[number % 2] / f"{number}.nii.gz", voxels)
    data = read_dataset(tmp_path / "in", nan=-1.0)
    out = tmp_path / "out"
    names = include_real(tmp_path / "in", data, out, "link", nan=-1.0)
    assert [(out / name).is_symlink() for name in names] == [True, False, False, False]
    for name, sample in zip(names, data.samples, strict=True):
        np.testing.assert_array_equal(stored(out / name), sample)
        np.testing.assert_array_equal(nibabel.load(out / name).affine, AFFINE)
