from dataclasses import replace

import numpy as np
import pytest

from riemaug.data import RangeScaler, SampleFormat, write_arrays, write_class_files
from riemaug.data.grids import VolumeGrid
from riemaug.errors import InvalidInputError
from riemaug.run.written_samples import written_samples

RNG = np.random.default_rng(0)
FORMATS = {
    "grey": SampleFormat("folder", (9, 7), "uint8", ".png", None, False),
    "deep grey": SampleFormat("folder", (9, 7), "uint16", ".png", None, False),
    "colour": SampleFormat("folder", (9, 7, 3), "uint8", ".png", None, False),
    "transparent": SampleFormat("folder", (9, 7, 4), "uint8", ".png", None, False),
    "grey as RGB": SampleFormat("folder", (9, 7, 3), "uint8", ".png", None, True),
    "stack": SampleFormat("stacks", (4, 9, 7), "uint8", ".tiff", None, False),
    "npy": SampleFormat("npy", (4, 9, 7), "float32", ".npy", None, False),
}


@pytest.mark.parametrize("name", FORMATS)
def test_what_was_written_is_read_back_as_the_model_saw_it(tmp_path, name):
    fmt = FORMATS[name]
    samples = RNG.integers(0, 256, (3, *fmt.sample_shape)).astype(fmt.dtype)
    scaler = RangeScaler.fit(samples)
    names = write_class_files(tmp_path, "a", samples, fmt)
    np.testing.assert_array_equal(
        written_samples(tmp_path, names[::-1], scaler, fmt), scaler.transform(samples)[::-1]
    )


def test_grey_pixels_in_a_colour_format_are_colours(tmp_path):
    fmt = FORMATS["colour"]
    samples = np.repeat(RNG.integers(0, 256, (2, 9, 7, 1)), 3, axis=3).astype(np.uint8)
    names = write_class_files(tmp_path, "a", samples, fmt)
    assert written_samples(tmp_path, names, RangeScaler.fit(samples), fmt).shape == (2, 9, 7, 3)


def test_samples_come_at_the_size_that_is_modelled(tmp_path):
    fmt = SampleFormat("folder", (8, 6), "uint8", ".png", None, False, fit_shape=(4, 3))
    samples = np.full((1, 8, 6), 200, np.uint8)
    scaler = RangeScaler(np.asarray(0.0), np.asarray(400.0), "uint8")
    names = write_class_files(tmp_path, "a", samples, fmt)
    np.testing.assert_array_equal(written_samples(tmp_path, names, scaler, fmt), np.full((1, 4, 3), 0.5))


def test_volumes_come_as_they_were_written_and_at_the_modelled_size(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    header = nibabel.Nifti1Image(np.zeros((6, 4, 8), np.uint8), np.diag([2.0, 2.0, 3.0, 1.0])).header
    fmt = SampleFormat(
        "volumes", (6, 4, 8), "uint8", ".nii.gz", None, False, grid=VolumeGrid.of_header(header, 1)
    )
    samples = RNG.integers(0, 256, (2, 6, 4, 8)).astype(np.uint8)
    scaler = RangeScaler.fit(samples)
    names = write_class_files(tmp_path, "a", samples, fmt)
    np.testing.assert_array_equal(written_samples(tmp_path, names, scaler, fmt), scaler.transform(samples))
    half = replace(fmt, fit_shape=(3, 2, 4))
    means = samples.reshape(2, 3, 2, 2, 2, 4, 2).mean((2, 4, 6))
    np.testing.assert_allclose(
        written_samples(tmp_path, names, scaler, half), scaler.transform(means), atol=1e-5
    )


def test_rows_of_arrays(tmp_path):
    fmt = SampleFormat("arrays", (5, 2), "float32", "", ("X", "y"), False)
    samples = RNG.normal(size=(6, 5, 2)).astype(np.float32)
    write_arrays(tmp_path / "synthetic.npz", samples, np.arange(6), fmt)
    scaler = RangeScaler.fit(samples)
    found = written_samples(tmp_path, ["row 4", "row 1"], scaler, fmt)
    np.testing.assert_array_equal(found, scaler.transform(samples)[[4, 1]])
    with pytest.raises(InvalidInputError, match=r"'synthetic.npz' is not so"):
        written_samples(tmp_path, ["row 6"], scaler, fmt)


def test_no_samples_are_none(tmp_path):
    scaler = RangeScaler(np.asarray(0.0), np.asarray(255.0), "uint8")
    assert written_samples(tmp_path, [], scaler, FORMATS["grey"]).shape == (0, 9, 7)


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_a_damaged_file_is_named(tmp_path, content):
    scaler = RangeScaler(np.asarray(0.0), np.asarray(255.0), "uint8")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"'a.png' is not so"):
        written_samples(tmp_path, ["a.png"], scaler, FORMATS["grey"])
