"""Transforms of a classifier's batches: what is moved, bent and mixed."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from riemaug.baselines.batch_transforms import AffineElastic, MixUp
from riemaug.errors import InvalidInputError

NOTHING = {"rotation": 0.0, "shift": 0.0, "scale": 0.0, "shear": 0.0, "amplitude": 0.0}


def only(**strengths: float | int) -> AffineElastic:
    return AffineElastic(**{**NOTHING, **strengths})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moved(transform: AffineElastic, images: Tensor, seed: int = 0) -> Tensor:
    shares = torch.full((len(images), 2), 0.5)
    changed, same = transform(images, shares, generator(seed))
    assert same is shares
    return changed


def ramp(count: int, shape: tuple[int, ...], axis: int) -> Tensor:
    """Images whose values are a pixel's place along an axis."""
    place = torch.arange(float(shape[axis])).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return place.expand(count, 1, *shape)


@pytest.mark.parametrize("shape", [(1, 9, 7), (3, 8, 8), (2, 6, 7, 5)])
def test_strengths_of_zero_leave_images_as_they_are(shape: tuple[int, ...]) -> None:
    images = torch.rand(4, *shape, generator=generator())
    torch.testing.assert_close(moved(only(), images), images, atol=1e-5, rtol=0)


def test_shifts_are_uniform_up_to_the_largest() -> None:
    images = ramp(500, (21, 31), 1)
    shifts = (moved(only(shift=0.1), images) - images)[:, 0, 10, 15].numpy() / (0.1 * 31)
    # failure probability 1e-3
    assert stats.kstest((shifts + 1) / 2, "uniform").pvalue > 1e-3


def test_turns_stay_below_the_largest() -> None:
    images = ramp(300, (25, 25), 0)
    turned = moved(only(rotation=20.0), images)[:, 0, 8:17, 8:17]
    along = (turned[:, -1] - turned[:, 0]).mean(1)
    across = (turned[:, :, -1] - turned[:, :, 0]).mean(1)
    angles = torch.rad2deg(torch.atan2(across, along)).abs()
    assert 19.0 < float(angles.max()) < 20.01
    torch.testing.assert_close(torch.hypot(along, across), torch.full((300,), 8.0), atol=1e-3, rtol=0)


@pytest.mark.parametrize("axis", [0, 1])
def test_random_vectors_have_the_amplitude_in_pixels(axis: int) -> None:
    # 6 vectors along a side of 21 pixels: every fourth pixel has one of its own
    images = ramp(4000, (21, 21), axis)
    bent = (moved(only(amplitude=0.7, spacing=5), images) - images)[:, 0]
    at_node, between = bent[:, 8, 12].std(), bent[:, 10, 14].std()
    assert abs(float(at_node) / 0.7 - 1.0) < 0.05  # 4,000 draws: error of the sd 1.1 %
    assert 0.6 < float(between) / 0.7 < 0.85
    assert abs(float(bent[:, 8, 12].mean())) < 0.05


def test_neighbours_bend_alike_and_distant_pixels_do_not() -> None:
    images = ramp(2000, (21, 21), 0)
    bent = (moved(only(amplitude=0.7, spacing=5), images) - images)[:, 0].numpy()
    near = np.corrcoef(bent[:, 8, 8], bent[:, 8, 9])[0, 1]
    far = np.corrcoef(bent[:, 8, 4], bent[:, 8, 16])[0, 1]
    assert near > 0.85
    assert abs(far) < 0.1


def test_volumes_are_bent_along_each_side() -> None:
    for axis in range(3):
        images = ramp(300, (9, 11, 13), axis)
        bent = (moved(only(amplitude=0.5, spacing=4), images) - images)[:, 0, 4, 5, 6]
        assert 0.15 < float(bent.std()) < 0.55


def test_a_generator_decides_the_batch() -> None:
    images = torch.rand(6, 1, 8, 8, generator=generator())
    before = torch.get_rng_state()
    for transform in (AffineElastic(), MixUp()):
        shares = torch.eye(6)
        first, again, other = (transform(images, shares, generator(seed))[0] for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_mixed_images_and_shares_are_the_same_combinations() -> None:
    # image i is the i-th unit vector, as its shares are
    images = torch.eye(7).reshape(7, 1, 1, 7)
    mixed, shares = MixUp(1.0)(images, torch.eye(7), generator(3))
    assert torch.equal(mixed.reshape(7, 7), shares)
    torch.testing.assert_close(shares.sum(1), torch.ones(7))
    assert bool((shares >= 0).all())
    assert bool(((shares > 0).sum(1) <= 2).all())
    assert not torch.equal(shares, torch.eye(7))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_the_weight_has_the_beta_law(alpha: float) -> None:
    images, first = torch.tensor([[[[1.0]]], [[[0.0]]]]), []
    for seed in range(600):
        mixed, _ = MixUp(alpha)(images, torch.eye(2), generator(seed))
        pair = mixed.reshape(2)
        if float(pair.sum()) == pytest.approx(1.0) and not torch.equal(pair, images.reshape(2)):
            first.append(float(pair[0]))
    # half of the orders leave the two where they are; failure probability 1e-3
    assert len(first) > 200
    assert stats.kstest(first, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_what_cannot_be_is_refused() -> None:
    for strengths, match in (
        ({"amplitude": -1.0}, "elastic amplitude must be 0 or more"),
        ({"spacing": 0}, "spacing 1 or more, got 0.8 and 0"),
        ({"rotation": 200.0}, "rotation: "),
        ({"shift": -0.1}, "shift: "),
    ):
        with pytest.raises(InvalidInputError, match=match):
            AffineElastic(**strengths)
    with pytest.raises(InvalidInputError, match="need images or volumes"):
        AffineElastic()(torch.rand(3, 5), torch.eye(3), generator())
    with pytest.raises(InvalidInputError, match="alpha of MixUp must be above 0, got 0"):
        MixUp(0.0)
