"""Samples written in the user's format, real ones beside them."""

import json
import os
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from data_files import noise, save_image
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from riemaug.data import (
    Dataset,
    SampleFormat,
    include_real,
    read_dataset,
    write_arrays,
    write_class_files,
)
from riemaug.errors import InvalidInputError


def folder_format(shape, dtype="uint8", suffix=".png", grey_as_rgb=False):
    return SampleFormat("folder", shape, dtype, suffix, None, grey_as_rgb)


ARRAYS = SampleFormat("arrays", (3,), "float32", "", ("X", "y"), False)
FAST = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SIDES = st.integers(1, 9)


@st.composite
def image_sets(draw):
    dtype = draw(st.sampled_from(["uint8", "uint16", "float32"]))
    suffix = draw(st.sampled_from([".tiff"] if dtype == "float32" else [".png", ".tiff"]))
    shape = (draw(SIDES), draw(SIDES))
    if dtype == "uint8" and draw(st.booleans()):
        shape = (*shape, 3)
    elements = st.floats(-1e9, 1e9, width=32) if dtype == "float32" else None
    samples = draw(hnp.arrays(dtype, (draw(st.integers(1, 3)), *shape), elements=elements))
    return samples, suffix


@FAST
@given(image_sets())
def test_images_read_back_as_written(tmp_path, case):
    samples, suffix = case
    fmt = folder_format(samples.shape[1:], samples.dtype.name, suffix)
    names = write_class_files(tmp_path, "a b.c", samples, fmt)
    assert names == [f"a b.c/a b.c-{number:06d}{fmt.suffix}" for number in range(1, len(samples) + 1)]
    for name, sample in zip(names, samples, strict=True):
        with Image.open(tmp_path / name) as image:
            pixels = np.asarray(image)
        assert pixels.dtype == sample.dtype
        np.testing.assert_array_equal(pixels, sample)


def test_grey_is_written_as_rgb_where_the_input_was(tmp_path):
    fmt = folder_format((6, 5, 3), grey_as_rgb=True)
    (name,) = write_class_files(tmp_path, "cat", noise(1)[None], fmt)
    with Image.open(tmp_path / name) as image:
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(image), np.repeat(noise(1)[..., None], 3, 2))


def test_numbers_go_on_from_start(tmp_path):
    fmt = folder_format((6, 5))
    assert write_class_files(tmp_path, "cat", noise(1, (2, 6, 5)), fmt, start=1_000_000) == [
        "cat/cat-1000000.png",
        "cat/cat-1000001.png",
    ]
    assert sorted(path.name for path in (tmp_path / "cat").iterdir()) == [
        "cat-1000000.png",
        "cat-1000001.png",
    ]


def test_output_is_a_data_set(tmp_path):
    fmt = folder_format((6, 5), "uint16")
    samples = noise(1, (3, 6, 5), "uint16")
    write_class_files(tmp_path, "cat", samples, fmt)
    data = read_dataset(tmp_path)
    assert data.format == fmt
    np.testing.assert_array_equal(data.samples, samples)


def test_longest_class_name_is_writable(tmp_path):
    fmt = folder_format((6, 5))
    long_names = ["é" * 127, "é" * 126 + "ab"]
    for class_name in long_names:
        (name,) = write_class_files(tmp_path, class_name, noise(1)[None], fmt)
        assert (tmp_path / name).is_file()


@pytest.mark.parametrize(
    "class_name", ["../up", "a/b", "", ".", "..", ".hidden", "metadata.csv", "a\0b", "Run.Log"]
)
def test_class_names_cannot_leave_the_output(tmp_path, class_name):
    with pytest.raises(InvalidInputError, match="rename the class"):
        write_class_files(tmp_path / "out", class_name, noise(1)[None], folder_format((6, 5)))
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    ("samples", "fmt"),
    [
        (noise(1, (1, 6, 4)), folder_format((6, 5))),
        (noise(1, (1, 6, 5), "uint16"), folder_format((6, 5))),
        (noise(1, (1, 6, 5, 3)), folder_format((6, 5, 3), grey_as_rgb=True)),
        (noise(1, (1, 3), "float32"), ARRAYS),
    ],
)
def test_samples_that_do_not_fit_the_format_are_refused(tmp_path, samples, fmt):
    with pytest.raises(InvalidInputError):
        write_class_files(tmp_path, "cat", samples, fmt)
    assert list(tmp_path.iterdir()) == []


def test_arrays_are_written_with_the_input_keys_and_dtypes(tmp_path):
    source = tmp_path / "in.npz"
    np.savez(source, images=noise(1, (4, 2, 3), "float32"), label=np.array([5, 5, 9, 9], np.int8))
    data = read_dataset(source)
    assert data.label_values is not None
    write_arrays(tmp_path / "out.npz", data.samples[::-1], data.label_values[data.labels[::-1]], data.format)
    with np.load(tmp_path / "out.npz", allow_pickle=False) as out:
        assert set(out) == {"images", "label"}
        assert out["images"].dtype == np.float32
        assert out["label"].dtype == np.int8
        np.testing.assert_array_equal(out["label"], [9, 9, 5, 5])
        np.testing.assert_array_equal(out["images"], data.samples[::-1])
    first = (tmp_path / "out.npz").read_bytes()
    write_arrays(tmp_path / "out.npz", data.samples[::-1], data.label_values[data.labels[::-1]], data.format)
    assert (tmp_path / "out.npz").read_bytes() == first


def test_arrays_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "out.npz"
    with pytest.raises(InvalidInputError, match="float32 of shape"):
        write_arrays(path, np.zeros((2, 4), np.float32), np.zeros(2), ARRAYS)
    with pytest.raises(InvalidInputError, match="Python objects"):
        write_arrays(path, np.zeros((2, 3), np.float32), np.array([None, 1]), ARRAYS)
    with pytest.raises(InvalidInputError, match="not as arrays"):
        write_arrays(path, noise(1)[None], np.zeros(1), folder_format((6, 5)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["copy", "link"])
def test_real_images_lie_beside_synthetic_ones(two_classes, tmp_path, how):
    data = read_dataset(two_classes)
    out = tmp_path / "out"
    synthetic = write_class_files(out, "cat", data.of_class(0), data.format)
    real = include_real(two_classes, data, out, how)
    assert real == [
        "cat/cat-real-000001.png",
        "cat/cat-real-000002.png",
        "cat/cat-real-000003.png",
        "dog/dog-real-000001.png",
        "dog/dog-real-000002.png",
    ]
    assert not set(real) & set(synthetic)
    for name, source in zip(real, data.names, strict=True):
        assert (out / name).is_symlink() is (how == "link")
        assert (out / name).read_bytes() == (two_classes / source).read_bytes()
    assert read_dataset(out).counts == (6, 2)
    assert include_real(two_classes, data, out, how) == real


def test_links_are_absolute(two_classes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = read_dataset("data")
    names = include_real(Path("data"), data, Path("out"), "link")
    assert os.readlink(tmp_path / "out" / names[0]) == str(two_classes / "cat" / "a.png")


@pytest.mark.parametrize("how", ["copy", "link"])
def test_real_images_that_were_changed_at_reading_are_written(two_classes, tmp_path, how):
    data = read_dataset(two_classes, resize=(3, 3))
    names = include_real(two_classes, data, tmp_path / "out", how)
    assert not any((tmp_path / "out" / name).is_symlink() for name in names)
    np.testing.assert_array_equal(read_dataset(tmp_path / "out").samples, data.samples)


def test_only_converted_real_images_are_rewritten(two_classes, tmp_path):
    save_image(two_classes / "cat" / "d.png", Image.fromarray(noise(4)).convert("RGB"))
    save_image(two_classes / "cat" / "e.jpg", noise(5))
    data = read_dataset(two_classes)
    names = include_real(two_classes, data, tmp_path / "out", "copy")
    by_source = dict(zip(data.names, names, strict=True))
    with Image.open(tmp_path / "out" / by_source["cat/d.png"]) as image:
        assert image.mode == "L"
    assert by_source["cat/e.jpg"].endswith(".jpg")
    assert read_dataset(tmp_path / "out").format.shape == (6, 5)


def test_turned_real_images_are_rewritten(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3
    for index in range(2):
        save_image(tmp_path / "data" / "a" / f"{index}.png", noise(index), exif=exif)
    data = read_dataset(tmp_path / "data")
    names = include_real(tmp_path / "data", data, tmp_path / "out", "copy")
    with Image.open(tmp_path / "out" / names[0]) as image:
        assert not image.getexif()
        np.testing.assert_array_equal(np.asarray(image), noise(0)[::-1, ::-1])


def test_links_that_cannot_be_made_are_one_line(two_classes, tmp_path):
    data = read_dataset(two_classes)
    out = tmp_path / "out"
    (out / "cat" / "cat-real-000001.png").mkdir(parents=True)
    with pytest.raises(InvalidInputError, match="use --include-real copy"):
        include_real(two_classes, data, out, "link")


def test_real_images_that_vanish_are_one_line(two_classes, tmp_path):
    data = read_dataset(two_classes)
    (two_classes / "cat" / "a.png").unlink()
    with pytest.raises(InvalidInputError, match="must not change during a run"):
        include_real(two_classes, data, tmp_path / "out", "copy")


def test_real_rows_of_arrays_are_not_images(tmp_path):
    np.savez(tmp_path / "in.npz", X=noise(1, (4, 3)), y=[0, 0, 1, 1])
    with pytest.raises(InvalidInputError, match="one file"):
        include_real(tmp_path, read_dataset(tmp_path / "in.npz"), tmp_path / "out", "copy")


@pytest.mark.parametrize(
    "fmt", [ARRAYS, folder_format((6, 5, 3), grey_as_rgb=True), folder_format((6, 5), "uint16")]
)
def test_format_survives_json(fmt):
    assert SampleFormat.from_dict(json.loads(json.dumps(fmt.to_dict()))) == fmt


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [0, 5]},
        {"shape": []},
        {"shape": [6.5, 5]},
        {"shape": 3},
        {"dtype": "object"},
        {"dtype": "nonsense"},
        {"dtype": "<u1"},
        {"suffix": "/../x"},
        {"array_keys": ["X", "y"]},
        {"grey_as_rgb": True},
    ],
)
def test_tampered_format_is_refused(change):
    fields = folder_format((6, 5)).to_dict()
    with pytest.raises(InvalidInputError):
        SampleFormat.from_dict(fields | change)
    with pytest.raises(InvalidInputError):
        SampleFormat.from_dict({name: value for name, value in fields.items() if name not in change})


def dataset(samples, labels, class_names=("a", "b")):
    fmt = SampleFormat("arrays", samples.shape[1:], samples.dtype.name, "", ("X", "y"), False)
    names = tuple(f"row {row}" for row in range(len(samples)))
    return Dataset(samples, labels, class_names, names, None, fmt, None, ())


def test_fingerprint_depends_on_content_only():
    samples, labels = noise(1, (4, 3), "uint16"), np.array([0, 0, 1, 1])
    known = dataset(samples, labels).fingerprint()
    assert dataset(np.asfortranarray(samples), labels).fingerprint() == known
    assert dataset(samples.astype(">u2"), labels).fingerprint() == known
    assert len(known) == 64
    changed = samples.copy()
    changed[3, 2] ^= 1
    others = [
        dataset(changed, labels),
        dataset(samples, labels[::-1].copy()),
        dataset(samples, labels, ("a", "c")),
        dataset(samples.astype(np.int32), labels),
        dataset(samples.view(np.int16), labels),
        dataset(samples.reshape(4, 3, 1), labels),
    ]
    assert len({known, *(other.fingerprint() for other in others)}) == 7


def test_fingerprint_is_stable_across_versions():
    samples = np.arange(12, dtype=np.uint8).reshape(4, 3)
    known = "afecbd3d93944b83a881b823711ac9e257a59b73e8a3d54e72b1955e1ece0f35"
    assert dataset(samples, np.array([0, 0, 1, 1])).fingerprint() == known


@pytest.mark.parametrize("bands", [2, 4])
@pytest.mark.parametrize("opaque", [False, True])
@pytest.mark.parametrize("fit_shape", [None, (3, 3)])
def test_real_pictures_with_alpha_are_included_as_they_are(tmp_path, bands, opaque, fit_shape):
    for index in range(2):
        pixels = noise(index, (6, 5, bands))
        if opaque:
            pixels[..., -1] = 255
        save_image(tmp_path / "in" / "a" / f"{index}.png", pixels)
    data = read_dataset(tmp_path / "in", fit_shape=fit_shape)
    names = include_real(tmp_path / "in", data, tmp_path / "out", "link")
    for name, source in zip(names, data.names, strict=True):
        assert (tmp_path / "out" / name).is_symlink()
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "in" / source).read_bytes()


def test_real_pictures_with_a_transparent_colour_get_an_alpha_channel(tmp_path):
    for index in range(2):
        image = Image.fromarray(noise(index, (6, 5, 3))).convert("P")
        save_image(tmp_path / "in" / "a" / f"{index}.png", image, transparency=image.getpixel((0, 0)))
    data = read_dataset(tmp_path / "in")
    names = include_real(tmp_path / "in", data, tmp_path / "out", "copy")
    for name, source in zip(names, data.names, strict=True):
        with Image.open(tmp_path / "out" / name) as image, Image.open(tmp_path / "in" / source) as before:
            assert image.mode == "RGBA"
            np.testing.assert_array_equal(np.array(image), np.array(before.convert("RGBA")))
