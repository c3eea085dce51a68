"""What is read and written again is the same to readers that are not ours.

Readers: Pillow, nibabel, a class-folder loader after the rules of torchvision's ImageFolder (sub-folders in
sorted order are the classes, every picture below one is its sample), and one of a metadata.csv after the
rules of Hugging Face's imagefolder (file_name relative to the table's folder, each file once).
"""

import csv
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
from data_files import noise, save_image
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from riemaug.data import Dataset, read_dataset, write_class_files, write_metadata

MODES = {
    "L": ((), "uint8", ".png"),
    "LA": ((2,), "uint8", ".png"),
    "RGB": ((3,), "uint8", ".png"),
    "RGBA": ((4,), "uint8", ".png"),
    "I;16": ((), "uint16", ".png"),
    "F": ((), "float32", ".tiff"),
}
NIFTI_DTYPES = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32)] + ["float32", "float64"]
CLASS_NAMES = ("cat", "Dög", "10", "2", "a b")


def load_class_folders(root: Path) -> tuple[list[str], list[tuple[np.ndarray, int]]]:
    classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    samples = []
    for index, name in enumerate(classes):
        for folder, _, files in sorted(os.walk(root / name)):
            for file in sorted(files):
                with (Path(folder) / file).open("rb") as stream:
                    samples.append((np.array(Image.open(stream).convert("RGB")), index))
    return classes, samples


def load_metadata(root: Path) -> list[dict[str, object]]:
    with (root / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    named = [os.path.normpath(row.pop("file_name")) for row in rows]
    found = [path.relative_to(root).as_posix() for path in root.rglob("*.*") if path.name != "metadata.csv"]
    assert sorted(named) == sorted(found)
    return [{"image": Image.open(root / name), **row} for name, row in zip(named, rows, strict=True)]


def write_back(out: Path, data: Dataset) -> dict[str, str]:
    """Write all samples as if they were new; return the written file of each source."""
    written = {}
    for label, class_name in enumerate(data.class_names):
        sources = [name for name, own in zip(data.names, data.labels, strict=True) if own == label]
        names = write_class_files(out, class_name, data.of_class(label), data.format)
        written |= dict(zip(sources, names, strict=True))
    label_of = dict(zip(data.names, data.labels, strict=True))
    entries = ((name, data.class_names[label_of[source]], True) for source, name in written.items())
    write_metadata(out / "metadata.csv", entries)
    return written


def special_cases(pixels: np.ndarray, case: str) -> np.ndarray:
    if case == "grey in content" and pixels.ndim == 3 and pixels.shape[2] >= 3:
        pixels[..., :3] = pixels[..., :1]
    if case == "opaque" and pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels[..., -1] = 255
    if case == "dark":
        pixels //= 100 if pixels.dtype.kind != "f" else 1
    return pixels


@settings(max_examples=20, deadline=None)
@given(
    mode=st.sampled_from(list(MODES)),
    size=st.tuples(st.integers(1, 7), st.integers(2, 7)),
    num_classes=st.integers(1, 4),
    case=st.sampled_from(["any", "grey in content", "opaque", "dark"]),
)
def test_pictures(tmp_path_factory, mode, size, num_classes, case):
    channels, dtype, suffix = MODES[mode]
    root = tmp_path_factory.mktemp("pictures")
    for label, name in enumerate(CLASS_NAMES[:num_classes]):
        for index in range(2 + label):
            pixels = special_cases(noise(10 * label + index, (*size, *channels), dtype), case)
            pixels.flat[0] = index  # no two are the same
            save_image(root / "in" / name / f"{index}{suffix}", pixels)
    written = write_back(root / "out", read_dataset(root / "in"))
    assert len(written) == sum(2 + label for label in range(num_classes))
    for source, name in written.items():
        with Image.open(root / "in" / source) as before, Image.open(root / "out" / name) as after:
            assert (after.mode, after.size, after.format) == (before.mode, before.size, before.format)
            pixels = np.array(after)
            assert pixels.dtype == dtype
            np.testing.assert_array_equal(pixels, np.array(before))
    classes, samples = load_class_folders(root / "out")
    assert classes == sorted(CLASS_NAMES[:num_classes])
    assert [index for _, index in samples] == sorted(index for _, index in samples)
    assert len(samples) == len(written)
    assert {picture.shape for picture, _ in samples} == {(*size, 3)}
    for row in load_metadata(root / "out"):
        assert row["label"] == Path(row["image"].filename).parent.name
        assert row["synthetic"] == "true"
        row["image"].close()


@settings(max_examples=15, deadline=None)
@given(
    dtype=st.sampled_from(NIFTI_DTYPES),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(2, 5)),
    numbers=st.lists(st.floats(-3, 3), min_size=12, max_size=12),
    scale=st.sampled_from([(1.0, 0.0), (2 / 255, 0.0), (0.5, -1024.0)]),
    suffix=st.sampled_from([".nii", ".nii.gz"]),
    image_class=st.sampled_from([nibabel.Nifti1Image, nibabel.Nifti2Image]),
)
def test_volumes(tmp_path_factory, dtype, shape, numbers, scale, suffix, image_class):
    root = tmp_path_factory.mktemp("volumes")
    affine = np.vstack([np.array(numbers).reshape(3, 4) + np.eye(3, 4) * 10, [0, 0, 0, 1]])
    for index in range(4):
        voxels = special_range(index, shape, np.dtype(dtype))
        image = image_class(voxels, affine)
        image.header.set_data_dtype(dtype)
        image.header.set_slope_inter(*scale)
        image.header.set_xyzt_units("mm", "sec")
        folder = root / "in" / "ab"[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        image.to_filename(folder / f"{index}{suffix}")
    written = write_back(root / "out", read_dataset(root / "in"))
    for source, name in written.items():
        before, after = (nibabel.load(path) for path in (root / "in" / source, root / "out" / name))
        assert type(after) is type(before)
        assert name.endswith(suffix)
        assert (after.shape, after.get_data_dtype()) == (before.shape, before.get_data_dtype())
        np.testing.assert_array_equal(after.affine, before.affine)
        for field in ("pixdim", "xyzt_units", "qform_code", "sform_code", "scl_slope", "scl_inter"):
            np.testing.assert_array_equal(after.header[field], before.header[field])
        stored, expected = (np.asarray(image.dataobj.get_unscaled()) for image in (after, before))
        np.testing.assert_array_equal(stored, expected)
        np.testing.assert_array_equal(after.get_fdata(), before.get_fdata())


def special_range(seed: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return values over all that the dtype holds, its ends among them."""
    rng = np.random.default_rng(seed)
    if dtype.kind == "f":
        voxels = (rng.normal(size=shape) * 10.0 ** rng.integers(-20, 20)).astype(dtype)
        voxels.flat[0] = seed
        return voxels
    limits = np.iinfo(dtype)
    voxels = rng.integers(limits.min, limits.max, size=shape, endpoint=True, dtype=dtype)
    voxels.flat[:2] = limits.min, limits.max - seed
    return voxels


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".gif"])
def test_pictures_of_other_formats_come_back_as_png_of_the_same_values(tmp_path, suffix):
    for index in range(2):
        pixels = noise(index, (6, 5) if suffix == ".gif" else (6, 5, 3))
        save_image(tmp_path / "in" / "a" / f"{index}{suffix}", pixels)
    written = write_back(tmp_path / "out", read_dataset(tmp_path / "in"))
    for source, name in written.items():
        with Image.open(tmp_path / "in" / source) as before, Image.open(tmp_path / "out" / name) as after:
            assert after.format == "PNG"
            expected = before.convert("RGB") if before.mode == "P" else before
            np.testing.assert_array_equal(np.array(after.convert(expected.mode)), np.array(expected))
