"""DICOM series as volumes: order, values, grid, refusals; NIfTI out, and nothing of the patient."""

import os
import sys
from dataclasses import replace

import nibabel
import numpy as np
import pydicom
import pytest
from data_files import refused
from dicom_files import (
    COLUMN,
    ORIGIN,
    PATIENT,
    ROW,
    STEP,
    save_series,
    save_slice,
    series_folder,
    stored_values,
)
from pydicom.dataset import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from riemaug.data import read_dataset, write_class_files
from riemaug.data.dataset import SampleFormat


def test_slices_are_sorted_and_scaled_and_written_as_nifti(tmp_path):
    data = read_dataset(series_folder(tmp_path / "in"))
    assert data.class_names == ("ill", "well")
    assert data.format.dtype == "int16"
    assert data.format.shape == (5, 7, 6)
    assert any("24 DICOM files make 4 series" in note for note in data.notes)
    expected = stored_values(0).astype(np.int16) - 1024
    np.testing.assert_array_equal(data.samples[0], expected.transpose(2, 1, 0))
    assert SampleFormat.from_dict(data.format.to_dict()) == data.format
    (name,) = write_class_files(tmp_path / "out", "ill", data.samples[:1], data.format)
    assert name == "ill/ill-000001.nii.gz"
    image = nibabel.load(tmp_path / "out" / name)
    np.testing.assert_array_equal(np.asarray(image.dataobj), expected.transpose(2, 1, 0))
    assert image.get_data_dtype() == np.int16
    np.testing.assert_allclose(image.header.get_zooms(), (0.75, 0.5, 2.0))
    # the third voxel of the second row of the fourth slice, in DICOM's directions, then turned to NIfTI's
    left_back_up = ORIGIN + 2 * 0.75 * ROW + 1 * 0.5 * COLUMN + 3 * STEP * np.cross(ROW, COLUMN)
    np.testing.assert_allclose((image.affine @ [2, 1, 3, 1])[:3], left_back_up * [-1, -1, 1])
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
    np.testing.assert_allclose(image.get_qform(), image.affine, atol=1e-5)


def test_nothing_of_the_patient_gets_into_what_is_written_or_kept(tmp_path):
    data = read_dataset(series_folder(tmp_path / "in"))
    fmt = replace(data.format, suffix=".nii")
    (name,) = write_class_files(tmp_path / "out", "ill", data.samples[:1], fmt)
    content = (tmp_path / "out" / name).read_bytes()
    for secret in (PATIENT, "12345678", "19500101"):
        assert secret.encode() not in content
        assert secret not in str((fmt.to_dict(), data.notes, data.groups, data.names))


def test_oblique_slices_keep_their_direction(tmp_path):
    row, column = np.array([0.0, 0.8, 0.6]), np.array([0.0, 0.6, -0.8])
    for case in range(2):
        for place in range(4):
            position = ORIGIN + place * 1.5 * np.cross(row, column)
            save_slice(
                tmp_path / "a" / f"{case}" / f"{place}.dcm",
                stored_values(case)[place],
                position,
                f"1.2.{case}",
                ImageOrientationPatient=[*row, *column],
            )
    data = read_dataset(tmp_path)
    header = nibabel.Nifti1Header()
    data.format.grid.write_into(header)
    header.set_data_shape(data.format.shape)
    end = ORIGIN + 4 * 0.75 * row + 6 * 0.5 * column + 3 * 1.5 * np.cross(row, column)
    np.testing.assert_allclose((header.get_best_affine() @ [4, 6, 3, 1])[:3], end * [-1, -1, 1], atol=1e-4)


def test_files_without_a_suffix_and_subjects_in_folders(tmp_path):
    for index in range(4):
        save_series(tmp_path / "ab"[index % 2] / f"sub{index}" / "t1", stored_values(index), suffix="")
    data = read_dataset(tmp_path, group_from="folder")
    assert data.counts == (2, 2)
    assert data.groups == ("sub0", "sub2", "sub1", "sub3")


@pytest.mark.parametrize(
    ("fields", "dtype"),
    [
        ({"RescaleSlope": None, "RescaleIntercept": None}, "int16"),
        ({"RescaleSlope": None, "RescaleIntercept": None, "BitsStored": 16, "HighBit": 15}, "uint16"),
        ({"BitsStored": 16, "HighBit": 15}, "int32"),
        ({"RescaleSlope": "0.5", "RescaleIntercept": "3"}, "float32"),
    ],
)
def test_the_dtype_is_exact_or_float(tmp_path, fields, dtype):
    data = read_dataset(series_folder(tmp_path, **fields))
    slope, intercept = (
        float(fields.get("RescaleSlope") or 1),
        float(fields.get("RescaleIntercept", -1024) or 0),
    )
    assert data.samples.dtype == dtype
    np.testing.assert_allclose(data.samples[0], stored_values(0).T * slope + intercept)


@pytest.mark.parametrize("signed", [False, True])
def test_where_the_lowest_value_is_white_it_becomes_black(tmp_path, signed):
    fields = {"PixelRepresentation": int(signed), "RescaleSlope": 2, "RescaleIntercept": 5}
    for index in range(2):
        pixels = stored_values(index).astype(np.int16) - 2048 * signed
        save_series(tmp_path / "a" / f"{index}", pixels, PhotometricInterpretation="MONOCHROME1", **fields)
    data = read_dataset(tmp_path)
    stored = stored_values(0).astype(np.int64) - 2048 * signed
    lowest_and_highest = -2048 + 2047 if signed else 4095
    np.testing.assert_array_equal(data.samples[0], 2 * (lowest_and_highest - stored.T) + 5)
    assert any("12 DICOM files with the lowest value for white: inverted" in note for note in data.notes)


def test_run_length_packed_pixels_are_read(tmp_path):
    series_folder(tmp_path)
    before = read_dataset(tmp_path).samples
    for path in tmp_path.rglob("*.dcm"):
        packed = pydicom.dcmread(path)
        packed.compress(RLELossless)
        packed.save_as(path)
    np.testing.assert_array_equal(read_dataset(tmp_path).samples, before)


def test_pixels_that_cannot_be_unpacked_are_one_line(tmp_path):
    path = next((series_folder(tmp_path) / "ill" / "case0").iterdir())
    packed = pydicom.dcmread(path)
    packed.file_meta.TransferSyntaxUID = JPEG2000Lossless
    packed.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51 no picture"])
    packed["PixelData"].is_undefined_length = True
    packed.save_as(path)
    refused(tmp_path, "'ill/case0/IM0000.dcm'", "JPEG 2000", "dcm2niix", "--skip-bad")


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"NumberOfFrames": 2}, "several frames"),
        ({"SamplesPerPixel": 3}, "in colour"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "this file is 'PALETTE COLOR'"),
        ({"ModalityLUTSequence": [Dataset()]}, "Modality LUT Sequence"),
        ({"ImagePositionPatient": None}, "need positions"),
        ({"RescaleSlope": 0}, "no usable number"),
        ({"Rows": 40000, "Columns": 40000}, "up to"),
    ],
)
def test_files_that_make_no_volume_are_refused(tmp_path, fields, part):
    series_folder(tmp_path)
    save_series(tmp_path / "ill" / "odd", stored_values(9), **fields)
    refused(tmp_path, "'ill/odd/IM0000.dcm'", part, "1 of 5")
    assert read_dataset(tmp_path, skip_bad=True).counts == (2, 2)


def test_missing_double_and_crooked_slices_are_refused(tmp_path):
    odd = series_folder(tmp_path) / "well" / "case1"
    slices = {path: pydicom.dcmread(path) for path in odd.iterdir()}
    third = sorted(slices, key=lambda path: slices[path].ImagePositionPatient[2])[2]
    third.unlink()
    refused(tmp_path, "equal distances", "2 to 4 mm", "'well/case1/IM0000.dcm'")
    twice = slices[third]
    twice.ImagePositionPatient = [-20, 30, 5]
    twice.save_as(third)
    refused(tmp_path, "one slice at each place")
    twice.ImageOrientationPatient = [0, 1, 0, 0, 0, 1]
    twice.save_as(third)
    refused(tmp_path, "must be parallel")


def test_two_series_in_one_folder_are_two_volumes(tmp_path):
    for index in range(2):
        series = f"1.2.3.{index}"
        for place in range(3):
            name = f"{index}-{place}.dcm"
            position = ORIGIN + [0, 0, place * STEP]
            save_slice(tmp_path / "a" / name, stored_values(index)[place], position, series)
    data = read_dataset(tmp_path)
    assert data.names == ("a/0-0.dcm", "a/1-0.dcm")
    assert data.samples.shape == (2, 5, 7, 3)


def test_damaged_files_are_named(tmp_path):
    path = series_folder(tmp_path) / "ill" / "case0" / "IM0003.dcm"
    content = path.read_bytes()
    for keep in (0, 100, 200, len(content) - 20):
        path.write_bytes(content[:keep])
        message = refused(tmp_path, "'ill/case0/")
        assert len(message) < 600


def test_other_files_beside_the_slices_do_no_harm(tmp_path):
    series_folder(tmp_path)
    (tmp_path / "ill" / "case0" / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "ill" / "case0" / "NOTES").write_bytes(b"a text")
    (tmp_path / "ill" / "case0" / "12").write_bytes(b"x")
    os.mkfifo(tmp_path / "ill" / "case0" / "PIPE")
    report = pydicom.Dataset()
    report.file_meta = pydicom.dataset.FileMetaDataset()
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.file_meta.MediaStorageSOPClassUID = report.SOPClassUID = BasicTextSRStorage
    report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    report.SeriesInstanceUID = "1.2"
    report.save_as(tmp_path / "ill" / "case0" / "report.dcm", enforce_file_format=True)
    data = read_dataset(tmp_path)
    assert data.counts == (2, 2)
    assert any("1 DICOM files without a picture were left out" in note for note in data.notes)


def test_a_single_slice_is_a_thin_volume(tmp_path):
    for index in range(2):
        path = tmp_path / "a" / f"{index}.dcm"
        save_slice(path, stored_values(index)[0], ORIGIN, f"1.2.{index}", ImagePositionPatient=None)
    data = read_dataset(tmp_path)
    assert data.samples.shape == (2, 5, 7, 1)
    np.testing.assert_allclose(data.format.grid.pixdim[1:4], (0.75, 0.5, 1.0))


def with_localizers(root):
    """Write four series, a single slice beside each."""
    series_folder(root)
    for index in range(4):
        folder = root / ("ill", "well")[index % 2] / f"case{index}"
        save_slice(folder / "LOC.dcm", stored_values(9 + index, (1, 16, 16))[0], ORIGIN, f"1.3.{index}")
    return root


@pytest.mark.parametrize("options", [{}, {"resample": True}])
def test_localizers_are_no_samples(tmp_path, options):
    series_folder(tmp_path / "plain")
    root = with_localizers(tmp_path / "in")
    refused(root, "series of one slice", "4 of 8", "'ill/case0/LOC.dcm'", "--min-slices 2", **options)
    data = read_dataset(root, min_slices=2, **options)
    assert data.fingerprint() == read_dataset(tmp_path / "plain").fingerprint()
    assert any("4 series of fewer than 2 slices were left out as asked" in note for note in data.notes)
    assert not any("resampled" in note for note in data.notes)
    refused(root, "--min-slices must leave", "'ill', 'well' would have none", "up to 6", min_slices=7)


def test_series_that_are_left_out_are_not_read(tmp_path):
    root = series_folder(tmp_path)
    for index, direction in enumerate(([1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1])):
        path = root / "ill" / "case0" / f"LOC{index}.dcm"
        pixels = stored_values(9, (1, 16, 16))[0]
        save_slice(path, pixels, ORIGIN, "1.3", ImageOrientationPatient=direction)
    refused(root, "must be parallel", "--min-slices N")
    assert read_dataset(root, min_slices=3).counts == (2, 2)


def test_a_damaged_file_is_no_short_series(tmp_path):
    root = series_folder(tmp_path)
    (root / "ill" / "case0" / "bad.dcm").write_bytes(b"no DICOM")
    refused(root, "'ill/case0/bad.dcm' (no DICOM file", min_slices=2)


def test_a_folder_of_several_series_is_told(tmp_path):
    series_folder(tmp_path)
    assert not any("several series" in note for note in read_dataset(tmp_path).notes)
    save_series(tmp_path / "ill" / "case0", stored_values(9), suffix="")
    (note,) = (note for note in read_dataset(tmp_path).notes if "several series" in note)
    assert "1 folders hold several series each ('ill/case0')" in note


def test_slices_are_told_from_images(tmp_path):
    for index in range(4):
        pixels = stored_values(index, (1, 7 + index % 2, 5))[0]
        save_slice(tmp_path / "a" / f"{index}.dcm", pixels, ORIGIN, f"1.2.{index}")
    refused(
        tmp_path, "must have one size", "'a/0.dcm' has 7x5 pixels, 'a/1.dcm' 8x5", "png and give --resize"
    )
    for wish in ({"resize": (4, 4)}, {"pad": True}, {"crop": True}):
        refused(tmp_path, "DICOM of one slice is read as volumes", "16-bit grey png", **wish)
    data = read_dataset(tmp_path, resample=True)
    assert data.samples.shape == (4, 5, 7, 1)
    assert any("All series have one slice" in note for note in data.notes)
    series_folder(tmp_path / "volumes")
    refused(tmp_path / "volumes", "volumes keep their grid", resize=(4, 4))
    refused(tmp_path / "volumes", "--nan is for NIfTI", nan=0.0)


def test_least_slices_are_for_dicom(tmp_path):
    nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)).to_filename(tmp_path / "x.nii")
    (tmp_path / "metadata.csv").write_text("file_name,label\nx.nii,a\n")
    refused(tmp_path, "--min-slices is for DICOM series", min_slices=2)


def test_dicom_and_nifti_are_not_mixed(tmp_path):
    series_folder(tmp_path)
    nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)).to_filename(tmp_path / "ill" / "x.nii")
    refused(tmp_path, "DICOM files or volumes", "24 DICOM files")


def test_without_pydicom_one_line_says_what_to_install(tmp_path, monkeypatch):
    series_folder(tmp_path)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    assert refused(tmp_path, "pip install 'riemaug[dicom]'")


@pytest.mark.parametrize(
    ("fields", "part"),
    [({"RescaleSlope": "1e308"}, "beyond all numbers"), ({"BitsStored": 60_000}, "number of bits")],
)
def test_absurd_scales_and_bits_are_refused(tmp_path, fields, part):
    save_series(tmp_path / "a" / "one", stored_values(0), **fields)
    save_series(tmp_path / "a" / "two", stored_values(1))
    refused(tmp_path, part)


def test_files_that_are_deflated_as_a_whole_are_refused(tmp_path):
    save_slice(tmp_path / "a" / "y.dcm", stored_values(0)[1], ORIGIN, "1.3")
    path = save_slice(tmp_path / "a" / "x.dcm", stored_values(0)[0], ORIGIN, "1.2")
    found = pydicom.dcmread(path)
    found.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    found.save_as(path, enforce_file_format=True)
    assert np.array_equal(pydicom.dcmread(path).pixel_array, stored_values(0)[0])
    refused(tmp_path, "deflated as a whole", "dcm2niix")
