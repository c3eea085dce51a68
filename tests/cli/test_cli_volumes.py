"""Volumes through the commands: class folders of NIfTI files in, NIfTI files on the same grid out."""

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from cli_runs import Command, run_for_real, same_bytes

AFFINE = np.array([[-2.0, 0, 0, 9], [0, 2.5, 0, -12], [0, 0, 3, -7], [0, 0, 0, 1]])
SHAPE = (12, 14, 10)
QUICK = ("--max-epochs", 8, "--jobs", 1, "--per-class", 3)
FIT = ("--fit-shape", "6x7x5")


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 4 volumes each, uint8 with a scale factor of 2 / 255."""
    root = tmp_path_factory.mktemp("scans")
    rng = np.random.default_rng(0)
    places = np.stack(np.meshgrid(*(np.linspace(-1, 1, side) for side in SHAPE), indexing="ij"))
    for number in range(8):
        centre = rng.uniform(-0.3, 0.3, (3, 1, 1, 1))
        spot = np.exp(-2 * np.square(places - centre).sum(0))
        image = nibabel.Nifti1Image((200 * spot).astype(np.uint8), AFFINE)
        image.header.set_slope_inter(2 / 255, 0.0)
        image.header.set_xyzt_units("mm", "sec")
        folder = root / ("ill" if number % 2 else "well")
        folder.mkdir(exist_ok=True)
        image.to_filename(folder / f"scan{number}.nii.gz")
    return root


@pytest.fixture(scope="module")
def model(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the scans; only to be read."""
    folder = tmp_path_factory.mktemp("fitted") / "model"
    assert run_for_real("fit", scans, folder, *FIT, "--max-epochs", 8, "--jobs", 1).code == 0
    return folder


def check_volumes(folder: Path, count: int) -> None:
    paths = sorted(folder.glob("*-0*.nii.gz"))
    assert len([path for path in paths if "real" not in path.name]) == count
    for path in paths:
        image = nibabel.load(path)
        assert image.shape == SHAPE
        np.testing.assert_array_equal(image.affine, AFFINE)
        assert image.get_data_dtype() == np.uint8
        assert image.dataobj.slope == np.float32(2 / 255)
        assert image.header.get_xyzt_units() == ("mm", "sec")
        stored = np.asarray(image.dataobj.get_unscaled())
        assert stored.max() <= 200
        assert stored.std() > 0


def test_new_volumes_lie_on_the_input_grid(cli: Command, scans: Path, tmp_path: Path):
    out = tmp_path / "out"
    done = cli("augment", scans, out, *FIT, *QUICK, "--model", "vae", "--include-real", "link")
    assert done.code == 0, done.err
    assert "modelled at 6x7x5" in done.err
    for name in ("ill", "well"):
        check_volumes(out / name, 3)
        assert len(list((out / name).glob("*-real-*.nii.gz"))) == 4
    with (out / "metadata.csv").open() as file:
        assert sum(row["synthetic"] == "true" for row in csv.DictReader(file)) == 6
    with (out / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["copy"] for row in rows} <= {"exact", "near", "no"}
    assert all(row["nearest_file"].endswith(".nii.gz") for row in rows)
    data = json.loads((out / "run.json").read_text())["data"]
    assert (data["shape"], data["model shape"]) == ([12, 14, 10], [6, 7, 5])
    assert "data:image/png" in (out / "report.html").read_text()
    assert cli("inspect", out, "--json").document["samples"] == 6


@pytest.mark.slow
def test_a_model_folder_alone_writes_volumes(cli: Command, model: Path, tmp_path: Path):
    for name, batch in (("one", 256), ("two", 2)):
        out = tmp_path / name
        assert cli("sample", model, out, "--per-class", 3, "--batch-size", batch).code == 0
        check_volumes(out / "ill", 3)
    assert same_bytes(tmp_path / "one") == same_bytes(tmp_path / "two")


def test_a_way_between_two_volumes_is_written_as_volumes(cli: Command, model: Path, tmp_path: Path):
    ends = ("ill/scan1.nii.gz", "ill/scan3.nii.gz")
    done = cli("interpolate", model, *ends, tmp_path / "way", "--steps", 3)
    assert done.code == 0, done.err
    frames = list((tmp_path / "way").rglob("*.nii.gz"))
    assert len(frames) == 6
    assert {nibabel.load(frame).shape for frame in frames} == {SHAPE}


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--fit-shape", "6x7"], ["--fit-shape", "XxYxZ", "3 sides"]),
        (["--fit-shape", "6"], ["--fit-shape", "'6'"]),
        (["--fit-shape", "6x7x0"], ["--fit-shape", "'6x7x0'"]),
        (["--resize", "6x7"], ["are for images", "--fit-shape"]),
    ],
)
def test_sizes_that_make_no_sense_are_refused(cli: Command, scans: Path, tmp_path: Path, options, parts):
    refused = cli("augment", scans, tmp_path / "out", *options)
    assert refused.code == 2
    assert all(part in refused.message for part in parts)
    assert not (tmp_path / "out").exists()
