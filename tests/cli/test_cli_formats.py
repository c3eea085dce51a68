"""Formats through the commands: what comes in comes out, and what independent readers find there."""

import csv
import json
import os
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from cli_runs import Command, digit_images, read_image_folder
from PIL import Image, ImageSequence
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

QUICK = ("--max-epochs", 3, "--jobs", 1, "--model", "vae", "--per-class", 2)
NAMES = ("ill", "well")
AFFINE = np.array([[-2.0, 0, 0, 9], [0, 2.5, 0, -12], [0, 0, 3, -7], [0, 0, 0, 1]])
SHAPE = (6, 7, 5)


def blob(number: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Return a bright spot (uint8) at a place that depends on the number."""
    centre = np.random.default_rng(number).uniform(-0.3, 0.3, (3, 1, 1, 1))
    places = np.stack(np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij"))
    return (200 * np.exp(-2 * np.square(places - centre).sum(0))).astype(np.uint8)


def class_folder(root: Path, number: int) -> Path:
    folder = root / NAMES[number % 2]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def new_files(out: Path, suffix: str) -> list[Path]:
    """Return the new files, all of the suffix, after the rules of an ImageFolder-style reader."""
    classes, samples = read_image_folder(out)
    assert classes == list(NAMES)
    assert [index for _, index in samples] == [0, 0, 1, 1]
    assert all(path.name.endswith(suffix) for path, _ in samples)
    with (out / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {os.path.normpath(out / row["file_name"]) for row in rows} == {str(path) for path, _ in samples}
    return [path for path, _ in samples]


def save_dicom(folder: Path, voxels: np.ndarray) -> None:
    """Write voxels (columns, rows, slices) as a CT series."""
    series = generate_uid()
    for place in range(voxels.shape[2]):
        found = Dataset()
        found.file_meta = FileMetaDataset()
        found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID = CTImageStorage
        found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        found.SeriesInstanceUID, found.PatientName = series, "DOE^JANE"
        found.Rows, found.Columns = voxels.shape[1], voxels.shape[0]
        found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
        found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, 12, 11, 0
        found.RescaleSlope, found.RescaleIntercept = 1, -1024
        found.PixelSpacing = [2.5, 2.0]
        found.ImagePositionPatient, found.ImageOrientationPatient = [0, 0, 3 * place], [1, 0, 0, 0, 1, 0]
        found.PixelData = voxels[:, :, place].T.astype(np.uint16).tobytes()
        folder.mkdir(parents=True, exist_ok=True)
        found.save_as(folder / f"{place}.dcm", enforce_file_format=True)


@pytest.fixture(scope="module")
def bids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BIDS data set of 8 subjects, of which one has volumes of another grid."""
    root = tmp_path_factory.mktemp("bids")
    (root / "dataset_description.json").write_text('{"Name": "scans", "BIDSVersion": "1.9.0"}')
    rows = []
    for number in range(8):
        subject = f"sub-{number:02d}"
        rows.append(f"{subject}\t{NAMES[number % 2]}")
        folder = root / subject / "anat"
        folder.mkdir(parents=True)
        affine = AFFINE if number else AFFINE + np.diag([0.2, 0, 0, 0])
        nibabel.Nifti1Image(blob(number), affine).to_filename(folder / f"{subject}_T1w.nii.gz")
    (root / "participants.tsv").write_text("participant_id\tstatus\n" + "\n".join(rows) + "\n")
    return root


def test_transparent_pictures(cli: Command, tmp_path: Path):
    for digit in range(2):
        for number, grey in enumerate(digit_images(digit, 4)):
            pixels = np.stack([grey, grey // 2, 255 - grey, np.where(grey > 0, 255, 0).astype(np.uint8)], 2)
            Image.fromarray(pixels).save(class_folder(tmp_path / "in", digit) / f"{number}.png")
    done = cli("augment", tmp_path / "in", tmp_path / "out", *QUICK)
    assert done.code == 0, done.err
    for path in new_files(tmp_path / "out", ".png"):
        with Image.open(path) as image:
            assert (image.mode, image.size) == ("RGBA", (8, 8))
    assert "data:image/png" in (tmp_path / "out" / "report.html").read_text()


def test_a_bids_data_set_becomes_a_bids_derivative(cli: Command, bids: Path, tmp_path: Path):
    out = tmp_path / "out"
    assert "--label-from" in cli("augment", bids, out, *QUICK).message
    reading = ("--label-from", "status", "--resample", "--bids-suffix", "T1w")
    done = cli("augment", bids, out, *reading, *QUICK, "--fit-shape", "3x4x3")
    assert done.code == 0, done.err
    assert "1 volumes on other grids were resampled" in done.err
    assert (out / "participants.tsv").read_text().splitlines() == [
        "participant_id\tstatus\tsynthetic",
        *(f"sub-syn000{number}\t{NAMES[number > 2]}\ttrue" for number in range(1, 5)),
    ]
    subjects = sorted(path.name for path in out.iterdir() if path.is_dir())
    assert subjects == [f"sub-syn000{number}" for number in range(1, 5)]
    for subject in subjects:
        image = nibabel.load(out / subject / "anat" / f"{subject}_desc-synthetic_T1w.nii.gz")
        assert (image.shape, image.get_data_dtype()) == (SHAPE, np.uint8)
        np.testing.assert_array_equal(image.affine, AFFINE)
    assert json.loads((out / "dataset_description.json").read_text())["DatasetType"] == "derivative"
    assert not (out / "metadata.csv").exists()
    with (out / "manifest.csv").open(newline="") as file:
        assert all((out / row["file"]).is_file() for row in csv.DictReader(file))
    sampled = cli("sample", out, tmp_path / "more", "--per-class", 1)
    assert sampled.code == 0, sampled.err
    assert (tmp_path / "more" / "sub-syn0002" / "anat" / "sub-syn0002_desc-synthetic_T1w.nii.gz").is_file()


def test_real_subjects_beside_new_ones(cli: Command, bids: Path, tmp_path: Path):
    parts, out = tmp_path / "parts", tmp_path / "out"
    reading = ("--label-from", "status", "--bids-suffix", "T1w")
    done = cli("split", bids, parts, "--val", 0, "--test", 0.5, *reading)
    assert done.code == 0, done.err
    assert f"{parts / 'train'} NEW {' '.join(reading)}" in done.err
    done = cli("augment", parts / "train", out, *reading, "--resample", "--include-real", "link", *QUICK)
    assert done.code == 0, done.err
    with (out / "participants.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["synthetic"] for row in rows] == ["true"] * 4 + ["false"] * 4
    for row in rows[4:]:
        subject = row["participant_id"]
        (real,) = (out / subject / "anat").iterdir()
        assert real.name == f"{subject}_desc-real_T1w.nii.gz"
    judged = cli("evaluate", parts / "train", out, *reading, "--resample", "--no-gain", "--jobs", 1)
    assert judged.code == 0, judged.err
    assert "4 real samples" in judged.err


def derivative(root: Path, participants: Path) -> Path:
    """Write eight subjects with a scan in two spaces, NaN around it; their classes are told elsewhere."""
    rows = ["participant_id\tage\tdx"]
    for number in range(8):
        subject = f"sub-{number:02d}"
        folder = root / subject / "anat"
        folder.mkdir(parents=True)
        for space in ("", "_space-MNI"):
            voxels = blob(number).astype(np.float32)
            voxels[0] = np.nan
            name = f"{subject}{space}_desc-preproc_T1w.nii.gz"
            nibabel.Nifti1Image(voxels, AFFINE).to_filename(folder / name)
        (folder / f"{subject}_desc-preproc_T1w.json").write_text('{"SkullStripped": true}')
        rows.append(f"{subject}\t{60 + number}\t{NAMES[number % 2]}")
    participants.write_text("\n".join(rows) + "\n")
    return root


def test_a_derivative_whose_classes_are_told_elsewhere(cli: Command, tmp_path: Path):
    data, parts, out = derivative(tmp_path / "in", tmp_path / "raw.tsv"), tmp_path / "parts", tmp_path / "out"
    assert "--participants PATH" in cli("augment", data, out, "--dry-run").message
    told = ("--participants", tmp_path / "raw.tsv")
    assert "one version is read" in cli("inspect", data, *told).message
    reading = ("--bids-suffix", "desc-preproc_T1w", "--nan", 0)
    assert "--nan VALUE" in cli("inspect", data, *told, *reading[:2]).message
    done = cli("split", data, parts, "--val", 0, "--test", 0.5, *told, *reading)
    assert done.code == 0, done.err
    assert f"{parts / 'train'} NEW --bids-suffix desc-preproc_T1w --nan 0.0" in done.err
    found = cli("inspect", parts / "train", *reading, "--json").document
    assert found["samples"] == 4
    (tmp_path / "options.toml").write_text(
        f"participants = {json.dumps(str(told[1]))}\nbids-suffix = 'desc-preproc_T1w'\nnan = 0\n"
    )
    options = ("--config", tmp_path / "options.toml")
    done = cli("augment", data, out, *options, "--include-real", "copy", *QUICK)
    assert done.code == 0, done.err
    with (out / "participants.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["age"] for row in rows] == ["n/a"] * 4 + [str(60 + number) for number in range(8)]
    files = sorted(out.glob("sub-*/anat/*.nii.gz"))
    assert len(files) == 12
    assert all(np.isfinite(nibabel.load(file).get_fdata()).all() for file in files)
    assert len(list(out.glob("sub-0*/anat/*_desc-preproc_T1w.json"))) == 8
    again = cli("report", out)
    assert again.code == 0, again.err
    assert "no longer" not in again.err + (out / "report.html").read_text()


def test_localizers_are_left_out_if_asked(cli: Command, tmp_path: Path):
    for number in range(4):
        folder = class_folder(tmp_path / "in", number) / f"{number}"
        save_dicom(folder, blob(number))
        save_dicom(folder / "scout", blob(number, (8, 8, 1)))
    assert "--min-slices 2" in cli("augment", tmp_path / "in", tmp_path / "out", "--resample").message
    assert "greater than or equal to 1" in cli("fit", tmp_path / "in", tmp_path, "--min-slices", 0).message
    found = cli("inspect", tmp_path / "in", "--min-slices", 2, "--json").document
    assert (found["samples"], found["shape"]) == (4, "6x7x5")


def test_what_cannot_be_included_is_said_before_anything_is_done(cli: Command, tmp_path: Path):
    for number in range(4):
        save_dicom(class_folder(tmp_path / "in", number) / f"{number}", blob(number))
    asked = ("--include-real", "copy", "--fit-shape", "3x3x3")
    assert "dcm2niix" in cli("augment", tmp_path / "in", tmp_path / "out", *asked).message
    assert "'folders' or 'bids'" in cli("augment", tmp_path / "in", tmp_path / "out", "--layout", "x").message
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_npy_volumes(cli: Command, tmp_path: Path):
    for number in range(8):
        np.save(class_folder(tmp_path / "in", number) / f"{number}.npy", blob(number).astype(np.int32) * 1000)
    done = cli("augment", tmp_path / "in", tmp_path / "out", *QUICK, "--include-real", "link")
    assert done.code == 0, done.err
    for folder in (tmp_path / "out" / name for name in NAMES):
        assert len(list(folder.glob("*-real-*.npy"))) == 4
        for path in folder.glob("*.npy"):
            voxels = np.load(path)
            assert (voxels.shape, voxels.dtype) == (SHAPE, np.int32)
            assert 0 <= voxels.min() < voxels.max() <= 200_000


@pytest.mark.slow
def test_multi_page_tiff(cli: Command, tmp_path: Path):
    for number in range(8):
        first, *others = [Image.fromarray(page.astype(np.uint16) * 200) for page in blob(number)]
        path = class_folder(tmp_path / "in", number) / f"{number}.tif"
        first.save(path, save_all=True, append_images=others)
    done = cli("augment", tmp_path / "in", tmp_path / "out", *QUICK)
    assert done.code == 0, done.err
    for path in new_files(tmp_path / "out", ".tiff"):
        with Image.open(path) as image:
            pages = np.stack([np.array(page) for page in ImageSequence.Iterator(image)])
        assert (pages.shape, pages.dtype) == (SHAPE, np.uint16)
        assert 0 < pages.max() <= 40_000
    parts = cli("split", tmp_path / "in", tmp_path / "parts", "--val", 0, "--test", 0.25)
    assert parts.code == 0, parts.err


@pytest.mark.slow
def test_dicom_in_nifti_out(cli: Command, tmp_path: Path):
    for number in range(8):
        save_dicom(class_folder(tmp_path / "in", number) / f"case{number}", blob(number))
    done = cli("augment", tmp_path / "in", tmp_path / "out", *QUICK, "--group-from", "folder")
    assert done.code == 0, done.err
    assert "40 DICOM files make 8 series" in done.err
    for path in new_files(tmp_path / "out", ".nii.gz"):
        image = nibabel.load(path)
        assert (image.shape, image.get_data_dtype()) == (SHAPE, np.int16)
        np.testing.assert_allclose(image.affine, np.diag([-2, -2.5, 3, 1]))
        assert np.asarray(image.dataobj).min() >= -1024
    for path in (tmp_path / "out").rglob("*"):
        assert path.suffix != ".dcm"
        assert path.is_dir() or b"DOE^JANE" not in path.read_bytes()
    assert "8 series" in cli("inspect", tmp_path / "in").out
    assert pydicom.misc.is_dicom(tmp_path / "in" / "ill" / "case0" / "0.dcm")
