import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from riemaug.errors import InvalidInputError
from riemaug.report.figures import curve_svg, distance_svg
from riemaug.report.latent_map import latent_png
from riemaug.report.sprites import MAX_TILES, make_sprites


def decode(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))))


@pytest.mark.parametrize("channels", [(), (3,)])
def test_tiles_lie_where_the_offsets_say(rng, channels):
    stack = rng.integers(0, 256, (11, 5, 7, *channels), dtype=np.uint8)
    (sprite,) = make_sprites((stack,), 10**6)
    sheet = decode(sprite.uri)
    assert sheet.shape[1] == sprite.sheet_width
    for tile, (left, top) in zip(stack, sprite.offsets, strict=True):
        np.testing.assert_array_equal(sheet[top : top + 5, left : left + 7], tile)
        np.testing.assert_array_equal(sheet[top : top + 5, left - 1], tile[:, 0])


@pytest.mark.parametrize(("side", "zoom"), [(8, 12), (28, 3), (160, 1)])
def test_small_pictures_are_enlarged_by_a_whole_factor(rng, side, zoom):
    (sprite,) = make_sprites((rng.integers(0, 256, (1, side, side), dtype=np.uint8),), 10**6)
    assert (sprite.width, sprite.zoom) == (side, zoom)


def test_large_pictures_shrink_and_keep_their_shape(rng):
    (sprite,) = make_sprites((rng.integers(0, 256, (30, 416, 352), dtype=np.uint8),), 10**9)
    assert (sprite.height, sprite.width) == (160, 135)
    assert len(sprite.offsets) == MAX_TILES


def test_budget_bounds_the_size_and_pairs_stay_alike(rng):
    stacks = tuple(rng.integers(0, 256, (24, 200, 200), dtype=np.uint8) for _ in range(2))
    sprites = make_sprites(stacks, 100_000)
    assert sum(len(sprite.uri) for sprite in sprites) <= 100_000
    assert sprites[0].offsets == sprites[1].offsets


@pytest.mark.parametrize("shape", [(0, 8, 8), (2, 8, 8, 4), (2, 8, 8, 3, 1)])
def test_what_is_no_picture_is_refused(shape):
    with pytest.raises(InvalidInputError, match="pictures of a report"):
        make_sprites((np.zeros(shape, dtype=np.uint8),), 1000)


def test_floats_are_refused():
    with pytest.raises((InvalidInputError, TypeError)):
        make_sprites((np.zeros((2, 8, 8)),), 1000)


def test_pairs_must_pair_up(image_class):
    with pytest.raises(InvalidInputError, match="needs its nearest"):
        replace(image_class, synthetic=None)


def test_curve_is_small_and_names_nothing_outside(rng):
    svg = curve_svg(rng.normal(size=5000).cumsum(), rng.normal(size=5000), 4000, 'a "text" <b>', "k1")
    assert svg is not None
    assert "http" not in svg
    assert "<b>" not in svg
    assert len(svg) < 30_000
    assert set(re.findall(r'url\(#([^"]+)\)', svg)) <= set(re.findall(r' id="([^"]+)"', svg))
    assert all(name.startswith("k1-") for name in re.findall(r' id="([^"]+)"', svg))


def test_a_spike_survives_thinning():
    curve = np.zeros(5000)
    curve[3333] = 100.0
    flat, spiked = curve_svg(np.zeros(5000), None, None, "t", "k"), curve_svg(curve, None, None, "t", "k")
    assert flat is not None
    assert spiked is not None
    assert ">90<" in spiked
    assert ">90<" not in flat


@pytest.mark.parametrize("values", [[], [np.nan, np.inf]])
def test_nothing_finite_draws_nothing(values):
    assert curve_svg(np.array(values, dtype=float), None, 1, "t", "k") is None
    assert distance_svg(np.array(values, dtype=float), np.array([1.0]), "t", "k") is None


@pytest.mark.parametrize(
    "synthetic", [np.zeros(3), np.array([2.0]), np.array([1.0, np.nan, 3.0])], ids=["copies", "one", "gap"]
)
def test_histogram_of_odd_distances(synthetic):
    assert distance_svg(synthetic, np.empty(0), "t", "k") is not None


def test_single_epoch_is_drawn():
    assert curve_svg(np.array([3.0]), None, 1, "t", "k") is not None


def test_latent_map_shows_draws_and_velocities(latent):
    everything = decode_rgb(latent_png(latent, 60))
    bare = decode_rgb(latent_png(replace(latent, draws=np.empty((0, 2)), velocities=np.zeros((2, 2))), 60))
    blue, orange = [22, 103, 217], [240, 140, 0]
    assert near(everything, blue) > 20 > near(bare, blue)
    assert near(everything, orange) > 20 > near(bare, orange)


def test_latent_map_without_extremes(latent):
    flat = np.full_like(latent.log_volume, np.nan)
    odd = replace(
        latent,
        log_volume=flat,
        inside_support=np.ones(flat.shape, bool),
        geodesics=(),
        draws=np.full((3, 2), np.nan),
    )
    assert decode_rgb(latent_png(odd, 40)).ndim == 3


def decode_rgb(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB")).astype(int)


def near(picture, color):
    return int((np.abs(picture - color).max(axis=-1) < 40).sum())
