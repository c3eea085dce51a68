"""Classic augmentation: what each factor does to an image."""

import numpy as np
import pytest
import torch

from riemaug.baselines import classic
from riemaug.baselines.classic import NOISE, ClassicAugmentation, random_crop
from riemaug.errors import InvalidInputError
from riemaug.evaluation.samples import LabelledSamples
from riemaug.random import Stream


def made(samples: np.ndarray, factor: int, count: int, seed: int = 0) -> np.ndarray:
    """New samples of one class."""
    training = LabelledSamples(samples.astype(np.float32), np.zeros(len(samples), np.int64))
    fitted = ClassicAugmentation(factor).fit(training, 1, Stream(0))
    return fitted.sample([count], Stream(seed)).samples


def ramp(side: int = 41) -> np.ndarray:
    """One image that grows along its rows, from 0.1 to 0.9."""
    return np.broadcast_to(np.linspace(0.1, 0.9, side)[:, None], (side, side))[None]


def slopes(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean slopes in the middle of images along rows and columns, in units of those of `ramp`."""
    side = images.shape[1]
    middle = images[:, side // 4 : -side // 4, side // 4 : -side // 4]
    unit = 0.8 / (side - 1)
    place = np.arange(middle.shape[1]) - (middle.shape[1] - 1) / 2
    scale = unit * middle.shape[1] * (place**2).sum()
    return np.einsum("nij,i->n", middle, place) / scale, np.einsum("nij,j->n", middle, place) / scale


def test_the_real_samples_count_towards_the_factor() -> None:
    assert ClassicAugmentation(10).counts_for((50, 3, 0)) == [450, 27, 0]
    assert ClassicAugmentation(5).name == "classic x5"


def test_the_noise_has_its_standard_deviation() -> None:
    # a crop of a constant image is that image: only the noise is left; 64,000 values, error of the sd 0.3 %
    drawn = made(np.full((1, 8, 8), 0.5), 5, 1000)
    assert abs(drawn.std() / NOISE - 1.0) < 0.015
    assert abs(drawn.mean() - 0.5) < 0.001


def test_every_sample_is_used_equally_often() -> None:
    levels = np.array([0.3, 0.5, 0.7])
    drawn = made(levels[:, None, None] * np.ones((1, 8, 8)), 5, 12)
    nearest = np.abs(drawn.mean((1, 2))[:, None] - levels).argmin(1)
    assert np.bincount(nearest).tolist() == [4, 4, 4]
    assert nearest.tolist() != sorted(nearest)


def test_a_crop_of_everything_is_the_image() -> None:
    image = torch.rand(3, 2, 7, 9, generator=torch.Generator().manual_seed(0))
    whole = random_crop(image, torch.Generator().manual_seed(1), least=1.0)
    torch.testing.assert_close(whole, image, atol=1e-6, rtol=0)


def test_crops_enlarge_and_neither_turn_nor_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classic, "NOISE", 0.0)
    drawn = made(ramp(), 5, 300)
    along, across = slopes(drawn)
    # kept shares are uniform on [0.8, 1]; 300 of them come within 0.002 of both ends (probability 0.95 each)
    assert 0.8 <= along.min() + 1e-4 < 0.81
    assert 0.99 < along.max() <= 1.0 + 1e-4
    np.testing.assert_allclose(across, 0.0, atol=1e-5)
    middles = drawn[:, 20, 20]
    assert 0.05 < middles.max() - middles.min() < 0.8 * 0.2 + 1e-3


@pytest.mark.parametrize("factor", [10, 15])
def test_from_ten_on_images_are_turned_and_mirrored(factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classic, "NOISE", 0.0)
    along, across = slopes(made(ramp(), factor, 400))
    angles = np.degrees(np.arctan2(np.abs(across), np.abs(along)))
    # a shear of 10 degrees turns the slope further
    assert 27.0 < angles.max() < (31.0 if factor == 10 else 41.0)
    # each side mirrored with probability 1/2: 400 draws, sd 0.025
    assert abs((along < 0).mean() - 0.5) < 0.1


def test_at_fifteen_sizes_and_brightness_change_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classic, "NOISE", 0.0)
    ten, fifteen = (np.hypot(*slopes(made(ramp(), factor, 400))) for factor in (10, 15))
    assert ten.min() > 0.79
    assert fifteen.min() < 0.78
    flat = np.full((1, 9, 9), 0.5)
    level_of_ten, level_of_fifteen = (made(flat, factor, 300).mean((1, 2)) for factor in (10, 15))
    np.testing.assert_allclose(level_of_ten, 0.5, atol=1e-5)
    assert 0.09 < np.abs(level_of_fifteen - 0.5).max() < 0.1 + 1e-5


@pytest.mark.parametrize("shape", [(9, 7), (9, 8, 3), (3, 9, 8), (8, 9, 7), (6, 8, 7, 2)])
@pytest.mark.parametrize("factor", [5, 10, 15])
def test_images_and_volumes_keep_their_shape(shape: tuple[int, ...], factor: int) -> None:
    drawn = made(np.random.default_rng(0).random((4, *shape)), factor, 6)
    assert drawn.shape == (6, *shape)
    assert drawn.min() >= 0
    assert drawn.max() <= 1


def test_channels_move_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classic, "NOISE", 0.0)
    grey = np.random.default_rng(0).random((4, 9, 9, 1))
    drawn = made(np.repeat(grey, 3, axis=-1), 15, 8)
    np.testing.assert_array_equal(drawn[..., 0], drawn[..., 2])


def test_large_samples_are_made_in_smaller_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(0).random((4, 9, 9))
    whole = made(samples, 10, 6)
    monkeypatch.setattr(classic, "BLOCK_VALUES", 2 * 81)
    assert made(samples, 10, 6).shape == whole.shape
    monkeypatch.setattr(classic, "BLOCK_VALUES", 1)
    assert made(samples, 10, 6).shape == whole.shape


def test_other_factors_and_tables_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="factors 5, 10, 15, got 3"):
        ClassicAugmentation(3)
    with pytest.raises(InvalidInputError, match="needs images or volumes, got samples of shape \\(12,\\)"):
        made(np.zeros((4, 12)), 5, 3)
