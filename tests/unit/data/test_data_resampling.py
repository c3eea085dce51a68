"""Samples modelled at another size than they are written at."""

from pathlib import Path

import numpy as np
import pytest
from data_files import noise, refused, save_image
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from riemaug.data import RangeScaler, include_real, read_dataset, restore_samples, write_class_files
from riemaug.data.resampling import resample

SIDES = st.lists(st.integers(1, 12), min_size=1, max_size=3).map(tuple)
MANY = settings(max_examples=60, deadline=None)


@MANY
@given(SIDES, st.data())
def test_a_constant_stays_what_it_is(old, data):
    new = tuple(data.draw(st.integers(1, 25)) for _ in old)
    result = resample(np.full(old, 7.5, np.float32), new)
    assert result.shape == new
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, 7.5, rtol=1e-5)


@MANY
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 10))
def test_shrinking_keeps_the_mean_and_the_range(old, less, seed):
    new = min(old, less)
    values = np.random.default_rng(seed).random((old, 3))
    result = resample(values, (new,))
    np.testing.assert_allclose(result.mean(0), values.mean(0), rtol=1e-12)
    assert values.min() - 1e-12 <= result.min()
    assert result.max() <= values.max() + 1e-12


def test_halving_averages_pairs():
    values = np.arange(12.0).reshape(2, 6) ** 2
    np.testing.assert_allclose(resample(values, (1, 3)), values.reshape(2, 3, 2).mean((0, 2))[None])


def test_a_share_of_a_cell_counts_as_that_share():
    # three cells in two: each new one covers one and a half
    np.testing.assert_allclose(resample(np.array([1.0, 2.0, 6.0]), (2,)), [(1 + 1) / 1.5, (1 + 6) / 1.5])


def test_growing_passes_through_the_old_values_and_follows_lines():
    values = np.random.default_rng(0).random(9)
    np.testing.assert_allclose(resample(values, (27,))[1::3], values, rtol=1e-12)
    line = np.linspace(3.0, 11.0, 9)
    centres = (np.arange(18) + 0.5) / 2 - 0.5
    inside = (centres >= 1) & (centres <= 7)
    np.testing.assert_allclose(resample(line, (18,))[inside], (3 + centres)[inside], rtol=1e-12)


def test_shrinking_and_growing_back_moves_nothing():
    place = np.linspace(-1, 1, 40)
    spot = np.exp(-8 * (place - 0.2) ** 2)
    back = resample(resample(spot, (20,)), (40,))
    assert np.abs((back * place).sum() / back.sum() - (spot * place).sum() / spot.sum()) < 1e-3
    assert np.abs(back - spot).max() < 0.02


def test_large_integers_keep_their_digits():
    values = np.full((4, 4), 2**40 + 1, np.int64)
    np.testing.assert_array_equal(resample(values, (2, 3)), 2**40 + 1)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 200, 16)[:, None] + np.linspace(0, 50, 12)
    for index in range(4):
        shifted = np.roll(ramp, rng.integers(4), 0).astype(np.uint8)
        save_image(tmp_path / "in" / "ab"[index % 2] / f"{index}.png", shifted)
    return tmp_path / "in"


def test_images_are_modelled_small_and_written_at_their_own_size(pictures, tmp_path):
    data = read_dataset(pictures, fit_shape=(8, 6))
    assert data.samples.shape == (4, 8, 6)
    assert data.format.shape == (16, 12)
    np.testing.assert_array_equal(data.samples, read_dataset(pictures, resize=(8, 6)).samples)
    scaler = RangeScaler.fit(data.samples)
    restored = restore_samples(scaler.transform(data.samples), scaler, data.format)
    names = write_class_files(tmp_path / "out", "a", restored, data.format)
    for name in names:
        with Image.open(tmp_path / "out" / name) as image:
            assert image.size == (12, 16)
            assert image.mode == "L"


def test_a_sample_does_not_depend_on_those_beside_it(pictures):
    data = read_dataset(pictures, fit_shape=(7, 5))
    scaler = RangeScaler.fit(data.samples)
    unit = scaler.transform(data.samples)
    together = restore_samples(unit, scaler, data.format)
    alone = [restore_samples(unit[row : row + 1], scaler, data.format)[0] for row in range(4)]
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("how", ["copy", "link"])
def test_real_images_are_included_at_their_own_size(pictures, tmp_path, how):
    data = read_dataset(pictures, fit_shape=(8, 6))
    names = include_real(pictures, data, tmp_path / "out", how)
    for name, source in zip(names, data.names, strict=True):
        assert (tmp_path / "out" / name).is_symlink() is (how == "link")
        assert (tmp_path / "out" / name).read_bytes() == (pictures / source).read_bytes()


def test_colours_and_greys_are_restored_alike(tmp_path):
    for index in range(4):
        save_image(tmp_path / "ab"[index % 2] / f"{index}.png", noise(index, (9, 7, 3)))
    save_image(tmp_path / "a" / "grey.png", noise(9, (9, 7)))
    data = read_dataset(tmp_path, fit_shape=(5, 4))
    assert data.format.model_shape == (5, 4, 3)
    scaler = RangeScaler.fit(data.samples)
    assert restore_samples(scaler.transform(data.samples), scaler, data.format).shape == (5, 9, 7, 3)
    names = include_real(tmp_path, data, tmp_path.parent / "out", "copy")
    with Image.open(tmp_path.parent / "out" / names[data.names.index("a/grey.png")]) as image:
        assert (image.mode, image.size) == ("RGB", (7, 9))
        np.testing.assert_array_equal(np.asarray(image)[..., 1], noise(9, (9, 7)))


def test_grey_saved_as_rgb_stays_so(tmp_path):
    for index in range(4):
        pixels = np.repeat(noise(index, (9, 7))[..., None], 3, 2)
        save_image(tmp_path / "ab"[index % 2] / f"{index}.png", pixels)
    data = read_dataset(tmp_path, fit_shape=(5, 4))
    assert data.format.shape == (9, 7, 3)
    assert data.format.model_shape == (5, 4)
    assert data.format.sample_shape == (9, 7)


def test_images_of_several_sizes_have_no_own_size(pictures):
    save_image(pictures / "a" / "large.png", noise(1, (20, 20)))
    refused(pictures, "one size", "2 sizes", fit_shape=(8, 6))
    refused(pictures, "HxW", "got 8x6x4", fit_shape=(8, 6, 4))
