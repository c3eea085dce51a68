"""NIfTI volumes in and out, read back by nibabel itself."""

import gzip
import json
import os
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from data_files import noise, refused, save_image
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from volume_files import AFFINE, SHAPE, blob, save_volume, stored, volume_folder

from riemaug.data import (
    RangeScaler,
    SampleFormat,
    include_real,
    read_dataset,
    restore_samples,
    upright_samples,
    write_class_files,
)
from riemaug.data.nifti import _stored_voxels, read_volume_header, read_voxels, upright_lengths
from riemaug.errors import InvalidInputError, ResourceError

TWO_255 = (2 / 255, 0.0)
NAMES = ("shape", "affine", "zooms", "units", "dtype", "slope", "intercept", "codes", "qform", "sform")


def described(path: Path) -> dict[str, object]:
    """Return what nibabel says of a file's grid and numbers."""
    image = nibabel.load(path)
    header = image.header
    values = (
        image.shape,
        image.affine.tolist(),
        [float(zoom) for zoom in header.get_zooms()],
        header.get_xyzt_units(),
        header.get_data_dtype().newbyteorder("=").name,
        image.dataobj.slope,
        image.dataobj.inter,
        (int(header["qform_code"]), int(header["sform_code"])),
        header.get_qform().tolist(),
        header.get_sform().tolist(),
    )
    return dict(zip(NAMES, values, strict=True))


def written(data, out: Path, samples: np.ndarray | None = None) -> Path:
    (name,) = write_class_files(out, "a", data.samples[:1] if samples is None else samples, data.format)
    return out / name


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_volumes_read_back_as_written(tmp_path, dtype, suffix):
    for index in range(4):
        save_volume(tmp_path / "in" / "ab"[index % 2] / f"{index}{suffix}", blob(index, dtype=dtype))
    data = read_dataset(tmp_path / "in")
    assert data.format.suffix == suffix
    assert data.samples.dtype.name == dtype
    source = tmp_path / "in" / data.names[0]
    path = written(data, tmp_path / "out")
    assert path.name == f"a-000001{suffix}"
    assert described(path) == described(source)
    np.testing.assert_array_equal(stored(path), stored(source))
    np.testing.assert_array_equal(data.samples[0], stored(source))


@pytest.mark.parametrize("image_class", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_header_fields_that_matter_are_kept_and_texts_are_not(tmp_path, image_class):
    rotated = AFFINE @ np.array([[0.8, -0.6, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    fields = {"xyzt_units": 10, "cal_max": 3.5, "descrip": b"Jane Doe", "qform_code": 1, "sform_code": 4}
    root = volume_folder(tmp_path / "in", affine=rotated, scale=TWO_255, image_class=image_class, **fields)
    data = read_dataset(root)
    path = written(data, tmp_path / "out")
    assert described(path) == described(root / data.names[0])
    assert described(path)["slope"] == pytest.approx(2 / 255)
    image = nibabel.load(path)
    assert type(image) is image_class
    assert image.header["cal_max"] == np.float32(3.5)
    assert b"Jane" not in gzip.decompress(path.read_bytes())


def test_equal_voxels_give_equal_bytes(tmp_path):
    data = read_dataset(volume_folder(tmp_path / "in"))
    first = written(data, tmp_path / "one").read_bytes()
    assert written(data, tmp_path / "two").read_bytes() == first


def test_big_endian_files_are_read(tmp_path):
    for index in range(4):
        image = nibabel.Nifti1Image(blob(index, dtype="int16"), AFFINE)
        swapped = nibabel.Nifti1Image(image.dataobj, AFFINE, image.header.as_byteswapped(">"))
        path = tmp_path / "ab"[index % 2] / f"{index}.nii"
        path.parent.mkdir(exist_ok=True)
        swapped.to_filename(path)
    data = read_dataset(tmp_path)
    np.testing.assert_array_equal(data.samples[0], blob(0, dtype="int16"))
    assert data.format.dtype == "int16"


def test_a_fourth_axis_of_length_1_is_kept(tmp_path):
    for index in range(4):
        save_volume(tmp_path / "in" / "ab"[index % 2] / f"{index}.nii.gz", blob(index, (*SHAPE, 1)))
    data = read_dataset(tmp_path / "in")
    assert data.samples.shape[1:] == SHAPE
    assert described(written(data, tmp_path / "out")) == described(tmp_path / "in" / data.names[0])


def test_fit_shape_models_small_and_writes_large(tmp_path):
    root = volume_folder(tmp_path / "in", scale=TWO_255)
    data = read_dataset(root, fit_shape=(5, 6, 4))
    assert data.samples.shape == (6, 5, 6, 4)
    assert data.format.shape == SHAPE
    assert data.format.model_shape == (5, 6, 4)
    assert any("modelled at 5x6x4 and written at their own 9x11x8" in note for note in data.notes)
    scaler = RangeScaler.fit(data.samples)
    restored = restore_samples(scaler.transform(data.samples[:1]), scaler, data.format)
    path = written(data, tmp_path / "out", restored)
    source = root / data.names[0]
    assert described(path) == described(source)
    # the spot is smooth: half the resolution loses less of its 200 steps than one voxel aside would
    original = stored(source).astype(int)
    lost = np.abs(stored(path) - original).mean()
    assert lost < min(np.abs(np.roll(original, 1, axis) - original).mean() for axis in range(3)) / 2
    assert data.samples.min() <= stored(path).min()
    assert stored(path).max() <= data.samples.max()


def test_a_fit_shape_of_the_own_size_is_none(tmp_path):
    data = read_dataset(volume_folder(tmp_path), fit_shape=SHAPE)
    assert data.format.fit_shape is None
    assert data.fingerprint() == read_dataset(tmp_path).fingerprint()


def test_files_scaled_differently_are_compared_by_what_they_mean(tmp_path):
    for index in range(4):
        scale = (0.5, 0.0) if index else (0.25, 3.0)
        save_volume(tmp_path / "in" / "ab"[index % 2] / f"{index}.nii.gz", blob(index), scale=scale)
    data = read_dataset(tmp_path / "in")
    assert any("scale factors in the headers differ" in note for note in data.notes)
    assert data.format.dtype == "float32"
    np.testing.assert_allclose(data.samples[0], blob(0) * 0.25 + 3)
    np.testing.assert_allclose(data.samples[1], blob(2) * 0.5)
    path = written(data, tmp_path / "out")
    np.testing.assert_allclose(nibabel.load(path).get_fdata(), data.samples[0])


@pytest.mark.parametrize("how", ["copy", "link"])
def test_real_volumes_lie_beside_synthetic_ones_and_are_read_again(tmp_path, how):
    root = volume_folder(tmp_path / "in")
    data = read_dataset(root, fit_shape=(5, 6, 4))
    out = tmp_path / "out"
    scaler = RangeScaler.fit(data.samples)
    restored = restore_samples(scaler.transform(data.samples), scaler, data.format)
    for label, name in enumerate(data.class_names):
        write_class_files(out, name, restored[data.labels == label], data.format)
    real = include_real(root, data, out, how)
    assert real[0] == "a/a-real-000001.nii.gz"
    for name, source in zip(real, data.names, strict=True):
        assert (out / name).is_symlink() is (how == "link")
        assert (out / name).read_bytes() == (root / source).read_bytes()
    assert read_dataset(out).counts == (6, 6)


def test_metadata_names_volumes(tmp_path):
    for index in range(4):
        save_volume(tmp_path / f"{index}.nii.gz", blob(index))
        save_image(tmp_path / f"{index}.png", noise(index))
    rows = "".join(f"{index}.nii.gz,{'xy'[index % 2]}\n" for index in range(4))
    (tmp_path / "metadata.csv").write_text("file_name,label\n" + rows)
    data = read_dataset(tmp_path)
    assert data.format.kind == "volumes"
    assert data.class_names == ("x", "y")
    (tmp_path / "metadata.csv").write_text("file_name,label\n" + rows + "0.png,x\n")
    refused(tmp_path, "images or volumes", "1 images such as '0.png'", "4 volumes")


def test_images_beside_volumes_are_refused(tmp_path):
    save_image(volume_folder(tmp_path) / "a" / "view.png", noise(1))
    refused(tmp_path, "images or volumes", "'a/view.png'", "'a/scan0.nii.gz'", "metadata.csv")


def test_one_grid_is_required_and_two_files_are_named(tmp_path):
    volume_folder(tmp_path)
    moved = AFFINE + np.array([[0, 0, 0, 0.5], [0] * 4, [0] * 4, [0] * 4])
    odd = save_volume(tmp_path / "b" / "odd.nii.gz", blob(9), affine=moved)
    refused(tmp_path, "one grid", "'a/scan0.nii.gz'", "'b/odd.nii.gz'", "0.5 apart", "resample")
    save_volume(odd, blob(9, (9, 11, 7)))
    refused(tmp_path, "one grid", "'a/scan0.nii.gz' has 9x11x8 voxels, 'b/odd.nii.gz' 9x11x7")
    save_volume(odd, blob(9, dtype="int16"))
    refused(tmp_path, "one kind of number", "uint8", "'b/odd.nii.gz' int16")
    save_volume(odd, blob(9), affine=AFFINE + 1e-5)
    assert read_dataset(tmp_path).counts == (3, 4)


def header_block(path: Path, **fields: object) -> None:
    """Rewrite the header fields of an unpacked file and leave its voxels."""
    content = path.read_bytes()
    header = nibabel.Nifti1Header(content[:348], check=False)
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.binaryblock + content[348:])


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"dim": [3, 30000, 30000, 30000, 1, 1, 1, 1]}, ["up to 134217728 voxels", "30000x30000x30000"]),
        ({"dim": [4, 9, 11, 4, 2, 1, 1, 1]}, ["one volume", "9x11x4x2"]),
        ({"dim": [2, 9, 88, 1, 1, 1, 1, 1]}, ["three sides"]),
        ({"vox_offset": 452}, ["692 of 792 bytes"]),
        ({"dim": [3, 9, -1, 9, 1, 1, 1, 1]}, ["three sides"]),
        ({"vox_offset": 1e30}, ["begin at byte 1e+30"]),
        ({"vox_offset": np.nan}, ["begin at byte nan"]),
        ({"vox_offset": 0}, ["begin at byte 0"]),
        ({"datatype": 128, "bitpix": 24}, ["in colour (RGB) cannot be read"]),
        ({"datatype": 2304, "bitpix": 32}, ["in colour (RGB) cannot be read"]),
        ({"datatype": 1792}, ["cannot be read", "64 bits"]),
        ({"datatype": 9999}, ["damaged"]),
        ({"scl_slope": 2.0, "scl_inter": np.inf}, ["scale intercept inf"]),
        ({"qform_code": 77}, ["qform_code 77"]),
        ({"srow_x": [np.nan] * 4, "sform_code": 1}, ["rows"]),
        ({"magic": b"ni1"}, ["header without its voxels"]),
        ({"magic": b"xyz"}, ["no NIfTI volume"]),
    ],
)
def test_files_that_promise_the_impossible_are_refused(tmp_path, fields, parts):
    volume_folder(tmp_path, 2)
    header_block(save_volume(tmp_path / "a" / "odd.nii", blob(9)), **fields)
    refused(tmp_path, "'a/odd.nii'", *parts)
    note = read_dataset(tmp_path, skip_bad=True).notes[0]
    assert "1 files were skipped as asked: 'a/odd.nii'" in note


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.integers(0, 399), min_size=1, max_size=6), value=st.integers(0, 255))
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_flipped_bytes_never_escape_as_other_errors(tmp_path, suffix, places, value):
    path = save_volume(tmp_path / f"v{suffix}", blob(1))
    content = bytearray(path.read_bytes())
    for place in places:
        content[place] = value
    path.write_bytes(content)
    try:
        header = read_volume_header(path)
        voxels = read_voxels(path, header, meant=True)
    except InvalidInputError:
        return
    assert voxels.shape == header.shape[:3]


def test_only_what_is_packed_is_read_whole(tmp_path):
    for suffix, mapped in ((".nii", True), (".nii.gz", False)):
        path = save_volume(tmp_path / f"a{suffix}", blob(1, dtype="float32"))
        voxels = _stored_voxels(path, read_volume_header(path))
        assert isinstance(voxels, np.memmap) == mapped
        np.testing.assert_array_equal(voxels, blob(1, dtype="float32"))


@pytest.mark.parametrize(
    "content",
    [b"", b"x" * 600, gzip.compress(b"x" * 600, mtime=0), b"\x1f\x8b broken"],
    ids=["empty", "no gzip", "gzip of another content", "broken gzip"],
)
def test_files_of_another_content_are_refused(tmp_path, content):
    volume_folder(tmp_path, 2)
    (tmp_path / "a" / "odd.nii.gz").write_bytes(content)
    refused(tmp_path, "'a/odd.nii.gz'", "every volume must be readable, 1 of 5")


def test_files_that_are_cut_off_are_refused_or_skipped(tmp_path):
    volume_folder(tmp_path, 2)
    path = save_volume(tmp_path / "a" / "odd.nii.gz", noise(1, (20, 20, 20)))
    path.write_bytes(path.read_bytes()[:-900])
    save_volume(tmp_path / "a" / "whole.nii.gz", noise(2, (20, 20, 20)))
    refused(tmp_path, "one grid")
    for index in range(4):
        save_volume(tmp_path / "ab"[index % 2] / f"scan{index}.nii.gz", noise(index, (20, 20, 20)))
    refused(tmp_path, "'a/odd.nii.gz'", "damaged")
    data = read_dataset(tmp_path, skip_bad=True)
    assert data.counts == (3, 2)
    np.testing.assert_array_equal(data.samples[2], noise(2, (20, 20, 20)))


def test_a_class_that_loses_its_volumes_is_refused(tmp_path):
    volume_folder(tmp_path, 2)
    (tmp_path / "b" / "scan1.nii.gz").write_bytes(b"")
    refused(tmp_path, "at least 2 volumes", "'b'", skip_bad=True)


def hollow(number, dtype="float32"):
    """Return a blob in an outside of NaN."""
    voxels = blob(number, dtype=dtype)
    voxels[:2] = np.nan
    return voxels


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_is_taken_for_the_number_that_is_given(tmp_path, dtype):
    for number in range(4):
        save_volume(tmp_path / "ab"[number % 2] / f"{number}.nii.gz", hollow(number, dtype))
    count = hollow(0)[:2].size
    refused(tmp_path, f"{count} are NaN: give --nan VALUE")
    data = read_dataset(tmp_path, nan=-0.25)
    assert data.samples.dtype == dtype
    np.testing.assert_array_equal(data.samples[0], np.nan_to_num(hollow(0, dtype), nan=-0.25))
    assert any(f"NaN in 4 volumes ({4 * count} voxels) was taken for -0.25" in note for note in data.notes)
    voxels = hollow(4, dtype)
    voxels[5, 5, 5] = np.inf
    save_volume(tmp_path / "a" / "4.nii.gz", voxels)
    refused(tmp_path, "'a/4.nii.gz'", "1 are infinite", nan=0.0)
    refused(tmp_path, "--nan takes a finite number", nan=float("nan"))


def test_the_number_for_nan_is_what_the_scale_leads_to(tmp_path):
    for number in range(4):
        save_volume(tmp_path / "ab"[number % 2] / f"{number}.nii", hollow(number), scale=(2.0, 10.0))
    data = read_dataset(tmp_path, nan=4.0)
    assert (data.samples[:, :2] == -3).all()
    save_volume(tmp_path / "a" / "4.nii", hollow(4), scale=(1.0, 0.0))
    data = read_dataset(tmp_path, nan=4.0)
    assert (data.samples[:, :2] == 4).all()


def test_no_other_data_have_nan_to_be_taken_for_a_number(tmp_path):
    volume_folder(tmp_path / "whole")
    whole = read_dataset(tmp_path / "whole")
    assert read_dataset(tmp_path / "whole", nan=7.0).fingerprint() == whole.fingerprint()
    for number in range(2):
        save_image(tmp_path / "pictures" / "a" / f"{number}.png", noise(number))
    refused(tmp_path / "pictures", "--nan is for NIfTI volumes, images are none", nan=0.0)
    np.savez(tmp_path / "x.npz", X=np.zeros((2, 3, 3)), y=[0, 0])
    refused(tmp_path / "x.npz", "--nan is for folders of volumes", nan=0.0)
    for number in range(2):
        save_volume(tmp_path / "large" / "a" / f"{number}.nii", hollow(number))
    refused(tmp_path / "large", "a number that float32 can hold, 1e+300 is none", nan=1e300)


def test_voxels_that_are_no_numbers_are_refused(tmp_path):
    volume_folder(tmp_path / "in", 2)
    for index in range(4):
        save_volume(tmp_path / "in" / "ab"[index % 2] / f"scan{index}.nii.gz", blob(index, dtype="float32"))
    bad = blob(9, dtype="float32")
    bad[2, 3, 4] = np.nan
    save_volume(tmp_path / "in" / "a" / "bad.nii.gz", bad)
    refused(tmp_path / "in", "'a/bad.nii.gz'", "1 are NaN: give --nan VALUE")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"resize": (4, 4)}, ["are for images", "--fit-shape XxYxZ"]),
        ({"pad": True}, ["are for images"]),
        ({"fit_shape": (4, 4)}, ["XxYxZ", "got 4x4", "3 sides"]),
        ({"fit_shape": (4, 4, 0)}, ["at least 1"]),
        ({"fit_shape": (4, 4, 4), "crop": True}, ["exclude each other"]),
        ({"fit_shape": (2**10, 2**10, 2**10)}, ["at most 134217728"]),
    ],
)
def test_sizes_that_volumes_cannot_have(tmp_path, options, parts):
    refused(volume_folder(tmp_path), *parts, **options)


def test_a_volume_that_does_not_fit_the_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    volume_folder(tmp_path)
    monkeypatch.setattr("riemaug.data.volume_files.read_filled_voxels", lambda *_: pytest.fail("was read"))
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 100}))
    with pytest.raises(ResourceError, match="voxels of one volume need .* make the volumes smaller"):
        read_dataset(tmp_path)


def test_without_nibabel_one_line_says_what_to_install(tmp_path, monkeypatch):
    volume_folder(tmp_path)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    monkeypatch.setitem(sys.modules, "nibabel.nifti1", None)
    refused(tmp_path, "nibabel", "pip install 'riemaug[nifti]'")


def volume_format() -> SampleFormat:
    grid = {
        "version": 1,
        "pixdim": [-1.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0],
        "units": 10,
        "qform_code": 4,
        "quaternion": [0.0, 1.0, 0.0],
        "offset": [90.0, -126.0, -72.0],
        "sform_code": 4,
        "rows": [-2.0, 0, 0, 90, 0, 2, 0, -126, 0, 0, 2, -72],
        "scale": [0.5, 0.0],
        "shown_range": [0.0, 0.0],
    }
    fields = {"kind": "volumes", "shape": [9, 11, 8], "dtype": "uint8", "suffix": ".nii.gz"}
    rest = {"array_keys": None, "grey_as_rgb": False, "fit_shape": [5, 6, 4], "grid": grid}
    return SampleFormat.from_dict(fields | rest)


def test_a_format_of_volumes_survives_json():
    fmt = volume_format()
    assert SampleFormat.from_dict(json.loads(json.dumps(fmt.to_dict()))) == fmt


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [9, 11]},
        {"shape": ["9", "11", "8"]},
        {"shape": [9, 11, 8, 2]},
        {"shape": [9, 11, 8, 1, 1, 1, 1, 1]},
        {"shape": [40000, 1, 1]},
        {"shape": [30000, 30000, 30000]},
        {"dtype": "float16"},
        {"dtype": "bool"},
        {"suffix": ".png"},
        {"kind": "folder"},
        {"kind": ["volumes"]},
        {"fit_shape": [5, 6]},
        {"fit_shape": [5, 6, 0]},
        {"fit_shape": [5, 6, 4.5]},
        {"fit_shape": 7},
        {"grey_as_rgb": True},
        {"grid": None},
        {"grid": {}},
        {"grid": [1]},
    ],
)
def test_a_tampered_format_of_volumes_is_refused(change):
    with pytest.raises(InvalidInputError):
        SampleFormat.from_dict(volume_format().to_dict() | change)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 3},
        {"version": True},
        {"units": -1},
        {"units": 3.5},
        {"qform_code": 6},
        {"rows": [0.0] * 11},
        {"rows": ["x"] * 12},
        {"rows": 12},
        {"offset": [1e39, 0.0, 0.0]},
        {"offset": [float("nan"), 0.0, 0.0]},
        {"scale": [True, 0.0]},
        {"pixdim": [10**400] * 8},
        {"more": 1},
    ],
)
def test_a_tampered_grid_is_refused(change):
    fields = volume_format().to_dict()
    with pytest.raises(InvalidInputError):
        SampleFormat.from_dict(fields | {"grid": fields["grid"] | change})


def test_models_of_earlier_versions_have_neither_fit_shape_nor_grid():
    fields = SampleFormat("folder", (6, 5), "uint8", ".png", None, False).to_dict()
    del fields["fit_shape"], fields["grid"]
    assert SampleFormat.from_dict(fields).model_shape == (6, 5)


def test_a_scaler_of_the_modelled_size_cannot_restore_another():
    low, high = np.zeros((5, 6, 4)), np.ones((5, 6, 4))
    scaler = RangeScaler(low, high, "uint8")
    with pytest.raises(InvalidInputError, match="one range for all values"):
        restore_samples(np.zeros((1, 5, 6, 4), np.float32), scaler, volume_format())


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "PIR", "ASL"])
def test_volumes_are_turned_upright_however_they_are_stored(tmp_path, orientation):
    canonical = nibabel.Nifti1Image(noise(0, (5, 6, 7)), np.eye(4))
    change = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(np.eye(4)), nibabel.orientations.axcodes2ornt(orientation)
    )
    turned = canonical.as_reoriented(change)
    for index in range(4):
        save_volume(tmp_path / "ab"[index % 2] / f"{index}.nii.gz", noise(index, turned.shape), turned.affine)
    save_volume(tmp_path / "a" / "0.nii.gz", np.asarray(turned.dataobj), turned.affine)
    data = read_dataset(tmp_path)
    shown = upright_samples(data.samples, data.format)[0]
    # from head to feet, from front to back, from left to right
    np.testing.assert_array_equal(shown, np.asarray(canonical.dataobj).transpose(2, 1, 0)[::-1, ::-1])


def test_sides_are_as_long_as_the_affine_says_however_volumes_are_stored(tmp_path):
    affine = np.array([[0, 0, -3.0, 0], [0, 1.5, 0, 0], [0.5, 0, 0, 0], [0, 0, 0, 1]])  # SAL: head first
    for index in range(4):
        save_volume(tmp_path / "ab"[index % 2] / f"{index}.nii.gz", noise(index, (5, 6, 7)), affine)
    data = read_dataset(tmp_path, fit_shape=(3, 3, 3))
    assert upright_lengths(data.format) == pytest.approx((5 * 0.5, 6 * 1.5, 7 * 3.0))


def test_images_are_shown_as_they_are():
    fmt = SampleFormat("folder", (6, 5), "uint8", ".png", None, False)
    assert upright_samples(noise(0)[None], fmt) is not None
    np.testing.assert_array_equal(upright_samples(noise(0)[None], fmt)[0], noise(0))


def test_the_grid_is_part_of_the_fingerprint(tmp_path):
    here, there = volume_folder(tmp_path / "one"), volume_folder(tmp_path / "two", affine=AFFINE + np.eye(4))
    assert read_dataset(here).fingerprint() != read_dataset(there).fingerprint()


@pytest.mark.skipif("RIEMAUG_DATA" not in os.environ, reason="RIEMAUG_DATA does not name the shared data")
def test_the_volumes_of_oasis_keep_grid_dtype_and_scale(tmp_path):
    source = Path(os.environ["RIEMAUG_DATA"]) / "oasis_nifti"
    for index, path in enumerate(sorted(source.glob("*.nii.gz"))[:4]):
        link = tmp_path / "in" / "ab"[index % 2] / path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    data = read_dataset(tmp_path / "in", fit_shape=(46, 55, 46))
    assert (data.samples.shape, data.format.shape) == ((4, 46, 55, 46), (91, 109, 91))
    scaler = RangeScaler.fit(data.samples)
    restored = restore_samples(scaler.transform(data.samples[:1]), scaler, data.format)
    path = written(data, tmp_path / "out", restored)
    original = tmp_path / "in" / data.names[0]
    assert described(path) == described(original)
    assert described(path)["slope"] == float(np.float32(2 / 255))
    gaps = stored(path).astype(float) - stored(original)
    assert np.sqrt(np.mean(np.square(gaps))) < 8


def test_sessions_of_a_subject_are_noticed_behind_a_double_suffix(tmp_path):
    for index in range(8):
        save_volume(tmp_path / "ab"[index // 4] / f"sub0{index // 2}_ses{index % 2}.nii.gz", blob(index))
    notes = " ".join(read_dataset(tmp_path).notes)
    assert "look like several images a subject" in notes
    assert read_dataset(tmp_path, group_from=r"(sub\d+)_").groups[::2] == ("sub00", "sub01", "sub02", "sub03")
