import base64
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tests.report_records import volume_class

from riemaug.errors import InvalidInputError
from riemaug.report.figures import curve_svg, distance_svg
from riemaug.report.latent_map import latent_view
from riemaug.report.sprites import MAX_TILES, make_sheet, make_sprites
from riemaug.report.volumes import volumes_view


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


@pytest.mark.parametrize(("longest", "form"), [(10**6, "png"), (50_000, "jpeg")])
def test_a_sheet_holds_its_pictures_side_by_side_within_the_budget(rng, longest, form):
    stack = rng.integers(0, 256, (36, 40, 30), dtype=np.uint8)
    sheet = make_sheet(stack, longest)
    assert sheet.uri.startswith(f"data:image/{form};base64,")
    assert len(sheet.uri) <= longest
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet.uri.split(",")[1])))).astype(int)
    assert shown.shape == (6 * sheet.height, 6 * sheet.width)
    if form == "png":
        row, column = 4, 2
        tile = shown[row * 40 : (row + 1) * 40, column * 30 : (column + 1) * 30]
        np.testing.assert_array_equal(tile, stack[row * 6 + column])


def test_a_sheet_that_cannot_fit_leaves_every_other_picture_out(rng):
    sheet = make_sheet(rng.integers(0, 256, (24**2, 48, 48), dtype=np.uint8), 1000)
    assert sheet.columns == 12
    assert sheet.reach == pytest.approx(22 / 23)


def facts_of(view):
    return json.loads(view.facts)


def test_latent_map_tells_the_script_where_things_are(latent):
    view = latent_view(latent, "m0", 10**6)
    facts = facts_of(view)
    assert (facts["x"], facts["y"]) == ([-3, 3], [-2, 2])
    assert facts["side"] == 6
    levels = np.frombuffer(base64.b64decode(facts["levels"]), np.uint8).reshape(facts["size"][::-1])
    np.testing.assert_array_equal(levels > 127, latent.inside_support[::2, ::2])
    low, high = facts["range"]
    told = low + (levels & 127) / 127 * (high - low)
    np.testing.assert_allclose(told, latent.log_volume[::2, ::2], atol=(high - low) / 250)


def test_latent_map_draws_every_centroid_and_draw_where_it_lies(latent):
    view = latent_view(latent, "m0", 10**6)
    left, top, width, height = facts_of(view)["box"]
    drawn = re.search(r'class="draws" d="([^"]+)"', view.figure)
    assert drawn
    dots = np.array([part.split() for part in drawn[1].replace("h0", "").split("M")[1:]], dtype=float)
    wanted = np.stack(
        [left + width * (latent.draws[:, 0] + 3) / 6, top + height * (2 - latent.draws[:, 1]) / 4], 1
    )
    np.testing.assert_allclose(dots, wanted, atol=0.06)
    crosses = re.search(r'class="centroids" d="([^"]+)"', view.figure)
    assert crosses
    assert crosses[1].count("M") == len(latent.centroids)
    assert view.figure.count('class="velocities"') == 2


def test_latent_map_without_extremes(latent):
    flat = np.full_like(latent.log_volume, np.nan)
    odd = replace(
        latent,
        log_volume=flat,
        inside_support=np.ones(flat.shape, bool),
        geodesics=(),
        draws=np.full((3, 2), np.nan),
        velocities=np.zeros((2, 2)),
        decoded=None,
    )
    view = latent_view(odd, "m0", 10**6)
    assert view.sheet is None
    assert "nan" not in view.figure
    assert "NaN" not in view.facts
    assert 'class="velocities"' not in view.figure


def test_decoded_pictures_fill_a_square(latent):
    with pytest.raises(InvalidInputError, match="square"):
        replace(latent, decoded=np.zeros((35, 8, 8), np.uint8))


def test_volumes_of_a_class_keep_to_the_budget():
    report = volume_class()
    everything = volumes_view(report, [0, 1], True, 10**6)
    assert everything is not None
    assert [len(pair) for pair in everything.pairs] == [2, 2]
    few = volumes_view(report, [0, 1], True, 10)
    assert few is not None
    assert len(few.pairs) == 1
    without = volumes_view(report, [1], False, 10**6)
    assert without is not None
    assert [item.kind for pair in without.pairs for item in pair] == ["synthetic"]
    assert without.pairs[0][0].title == "second.nii.gz"
