"""Options that real samples need do not keep the data that they are compared with from being read."""

import numpy as np
import pandas as pd
import pytest
from data_files import noise, refused, save_image
from dicom_files import series_folder, stored_values
from test_data_bids import save_bids
from volume_files import save_volume, volume_folder

from riemaug.data import ManifestRow, read_dataset, write_manifest
from riemaug.errors import InvalidInputError
from riemaug.run.evaluation_data import read_real, read_synthetic
from riemaug.run.request import ReadOptions


def pictures(root, count=2, seed=0):
    for index in range(2 * count):
        save_image(root / "ab"[index % 2] / f"{index}.png", noise(seed + index))
    return root


def nifti_of_series(root):
    for index in range(4):
        name = f"{index}.nii.gz"
        save_volume(root / ("ill", "well")[index % 2] / name, stored_values(index).astype(np.int16))
    return root


def test_the_fewest_slices_of_dicom_are_no_matter_of_nifti(tmp_path):
    options = ReadOptions(min_slices=2)
    like = read_real(series_folder(tmp_path / "real"), options).data.format
    test = nifti_of_series(tmp_path / "test")
    assert read_real(test, options, like).data.counts == (2, 2)
    refused(test, "--min-slices is for DICOM", min_slices=2)


def test_what_nan_of_nifti_is_taken_for_is_no_matter_of_dicom(tmp_path):
    options = ReadOptions(nan=0.0)
    like = read_real(nifti_of_series(tmp_path / "real"), options).data.format
    test = series_folder(tmp_path / "test")
    assert read_real(test, options, like).data.counts == (2, 2)
    refused(test, "--nan is for NIfTI", nan=0.0)


def test_options_of_bids_are_no_matter_of_class_folders(tmp_path):
    root = save_bids(tmp_path / "real")
    told = (root / "participants.tsv").rename(tmp_path / "raw.tsv")
    options = ReadOptions(participants=told, bids_suffix="T1w", label_from="diagnosis")
    like = read_real(root, options).data.format
    test = volume_folder(tmp_path / "test")
    assert read_real(test, options, like).data.counts == (3, 3)


def test_a_test_set_of_bids_keeps_its_own_participants(tmp_path):
    root, test = (
        save_bids(tmp_path / "real"),
        save_bids(tmp_path / "test", {"sub-08": "well", "sub-09": "well"}),
    )
    told = (root / "participants.tsv").rename(tmp_path / "raw.tsv")
    options = ReadOptions(participants=told)
    like = read_real(root, options).data.format
    assert set(read_real(test, options, like).data.groups) == {"sub-08", "sub-09"}


def test_sizes_of_images_and_patterns_are_no_matter_of_arrays(tmp_path):
    options = ReadOptions(resize=(6, 5), exclude=("*_mask.png",))
    like = read_real(pictures(tmp_path / "real"), options).data.format
    np.savez(tmp_path / "test.npz", X=np.stack([noise(9 + index) for index in range(4)]), y=list("abab"))
    for index in range(4):
        path = tmp_path / "arrays" / "ab"[index % 2] / f"{index}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, noise(index))
    for test in (tmp_path / "test.npz", tmp_path / "arrays"):
        assert read_real(test, options, like).data.samples.shape == (4, 6, 5)
        with pytest.raises(InvalidInputError, match="--"):
            read_real(test, options)


def test_missing_texts_of_csv_are_no_matter_of_parquet(tmp_path):
    frame = pd.DataFrame({"x": [1.5, 2.5, 3.5, 5.0], "y": list("abab")})
    frame.to_csv(tmp_path / "real.csv", index=False)
    frame.to_parquet(tmp_path / "test.parquet")
    options = ReadOptions(missing=("?",))
    like = read_real(tmp_path / "real.csv", options).data.format
    assert read_real(tmp_path / "test.parquet", options, like).data.counts == (2, 2)


@pytest.mark.parametrize("ours", [None, "manifest.csv", "run.json"])
def test_patterns_choose_among_the_files_of_another_generator_alone(tmp_path, ours):
    like = read_dataset(pictures(tmp_path / "real")).format
    made = pictures(tmp_path / "made", 3, 20)
    if ours == "manifest.csv":
        rows = [ManifestRow(f"{'ab'[index % 2]}/{index}.png", "ab"[index % 2]) for index in range(6)]
        write_manifest(made / ours, rows)
    elif ours is not None:
        (made / ours).write_text("{}")
    source = read_synthetic(made, ReadOptions(exclude=("[45].png",)), like)
    assert source.data.counts == ((3, 3) if ours else (2, 2))
