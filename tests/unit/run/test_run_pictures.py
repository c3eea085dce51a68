import math

import numpy as np
import pytest
import torch

from riemaug.data import SampleFormat
from riemaug.geometry import KernelMetric
from riemaug.random import Stream
from riemaug.run.latent_map import (
    DECODED_VALUES,
    GRID_SIDE,
    MOST_DECODED,
    NUM_GEODESICS,
    SHOWN_DRAWS,
    LatentPlane,
    latent_map_arrays,
)
from riemaug.run.pictures import as_pictures
from riemaug.run.shown import ShownSamples, as_volumes, sample_arrays


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((8, 6), (8, 6)),
        ((8, 6, 1), (8, 6)),
        ((8, 6, 3), (8, 6, 3)),
        ((1, 8, 6), (8, 6)),
        ((3, 8, 6), (8, 6, 3)),
        ((5, 8, 6), (8, 6 + 6 + 8)),
        ((5, 8, 6, 1), (8, 20)),
        ((5, 8, 6, 3), (8, 20, 3)),
        ((1, 5, 8, 6), (8, 20)),
        ((3, 5, 8, 6), (8, 20, 3)),
        ((2, 8, 6), (8, 6)),
        ((8, 6, 2), (8, 6)),
        ((64,), None),
        ((), None),
        ((3, 8), None),
        ((8, 3), None),
        ((5, 2, 2), None),
        ((2, 2, 2, 2, 2), None),
    ],
)
def test_shapes(shape, wanted):
    pictures = as_pictures(np.zeros((7, *shape), np.float32))
    assert (None if pictures is None else pictures.shape) == (None if wanted is None else (7, *wanted))


def test_the_values_are_kept_and_clamped():
    unit = np.linspace(0, 1, 2 * 8 * 6 * 3, dtype=np.float32).reshape(2, 3, 8, 6)
    pictures = as_pictures(unit)
    assert pictures.dtype == np.uint8
    assert np.array_equal(pictures, np.rint(np.moveaxis(unit, 1, -1) * 255))
    assert as_pictures(np.full((1, 8, 8), 1.02, np.float32)).max() == 255
    assert as_pictures(np.full((1, 8, 8), -0.02, np.float32)).max() == 0


def test_of_a_volume_the_three_middle_slices_are_shown_side_by_side():
    volume = np.random.default_rng(0).random((2, 5, 8, 6), np.float32)
    pictures = as_pictures(volume)
    across = [volume[:, 2], volume[:, :, 4], volume[:, :, :, 3]]
    # the flatter two are in the middle of the height of the first
    columns = [(slice(0, 8), slice(0, 6)), (slice(1, 6), slice(6, 12)), (slice(1, 6), slice(12, 20))]
    for plane, (rows, place) in zip(across, columns, strict=True):
        assert np.array_equal(pictures[:, rows, place], np.rint(plane * 255))
    assert not pictures[:, 0, 6:].any()
    assert not pictures[:, 6:, 6:].any()


@pytest.mark.parametrize(
    ("spacing", "wanted"),
    [
        ((2.0, 1.0, 1.0), (10, 6 + 6 + 8)),
        ((1.0, 2.0, 3.0), (16, 18 + 18 + 16)),
        ((0.7, 0.7, 0.705), (8, 6 + 6 + 8)),
        ((1.0, 1.0, 100.0), (4, 160 + 160 + 4)),
    ],
)
def test_slices_of_voxels_that_are_no_cubes_are_stretched(spacing, wanted):
    pictures = as_pictures(np.zeros((1, 5, 8, 6), np.float32), spacing)
    assert pictures.shape[1:] == wanted


def test_a_ball_in_flat_voxels_is_round_in_all_three_slices():
    axes = [np.linspace(-1, 1, side) for side in (9, 33, 33)]
    ball = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij"))) < 0.6
    picture = as_pictures(ball[None].astype(np.float32), (4.0, 1.0, 1.0))[0] > 127
    for plane in np.split(picture, [33, 66], axis=1):
        height, width = plane.any(axis=1).sum(), plane.any(axis=0).sum()
        assert abs(int(height) - int(width)) <= 4


@pytest.fixture
def metric():
    generator = torch.Generator().manual_seed(0)
    centroids = torch.randn(12, 2, generator=generator)
    factors = torch.eye(2).expand(12, 2, 2) * (1 + torch.rand(12, 1, 1, generator=generator))
    return KernelMetric(centroids, factors.contiguous(), 0.8, 0.01)


def test_the_latent_map_has_the_arrays_of_the_report(metric):
    draws = torch.randn(SHOWN_DRAWS + 50, 2, dtype=torch.float64)
    arrays = latent_map_arrays(metric, draws, Stream(0))
    assert {name: array.shape for name, array in arrays.items()} == {
        "x": (GRID_SIDE,),
        "y": (GRID_SIDE,),
        "log_volume": (GRID_SIDE, GRID_SIDE),
        "inside_support": (GRID_SIDE, GRID_SIDE),
        "centroids": (12, 2),
        "draws": (SHOWN_DRAWS, 2),
        "geodesics": (arrays["geodesics"].shape[0], NUM_GEODESICS, 2),
        "starts": (NUM_GEODESICS, 2),
        "velocities": (NUM_GEODESICS, 2),
        "share": (),
    }
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert (np.diff(arrays["x"]) > 0).all()
    assert (np.diff(arrays["y"]) > 0).all()


def test_the_grid_is_laid_out_as_rows_of_y(metric):
    arrays = latent_map_arrays(metric, torch.zeros(1, 2, dtype=torch.float64), Stream(0))
    row, column = 10, 90
    point = torch.tensor([[arrays["x"][column], arrays["y"][row]]])
    assert arrays["log_volume"][row, column] == pytest.approx(float(metric.log_volume_element(point)), 1e-5)
    inside = bool(metric.default_support().contains(point))
    assert bool(arrays["inside_support"][row, column]) == inside
    assert arrays["inside_support"].any()
    assert not arrays["inside_support"].all()


def test_geodesics_begin_where_they_say_and_leave_as_fast_as_they_say(metric):
    arrays = latent_map_arrays(metric, torch.zeros(1, 2, dtype=torch.float64), Stream(0))
    assert np.allclose(arrays["geodesics"][0], arrays["starts"])
    known = {tuple(point) for point in np.asarray(metric.centroids).tolist()}
    assert all(tuple(point) in known for point in arrays["starts"].tolist())
    assert np.allclose(np.linalg.norm(arrays["velocities"], axis=1), 2 * metric.bandwidth)


def test_the_same_stream_gives_the_same_map_and_few_centroids_few_geodesics(metric):
    draws = torch.zeros(1, 2, dtype=torch.float64)
    first, again, other = (latent_map_arrays(metric, draws, Stream(seed)) for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["starts"], other["starts"])
    small = KernelMetric(metric.centroids[:3], metric.factors[:3], 0.8, 0.01)
    assert latent_map_arrays(small, draws, Stream(0))["starts"].shape == (3, 2)


def test_decoded_nodes_lie_row_by_row_from_the_lowest_corner(metric):
    def decode(points):
        seen.append(points)
        return np.zeros((len(points), 8, 8), np.uint8)

    seen = []
    arrays = latent_map_arrays(metric, torch.zeros(1, 2), Stream(0), decode)
    nodes = seen[-1].reshape(MOST_DECODED, MOST_DECODED, 2)
    assert arrays["decoded"].shape == (MOST_DECODED**2, 8, 8)
    assert np.allclose(nodes[0, :, 0], np.linspace(arrays["x"][0], arrays["x"][-1], MOST_DECODED), atol=1e-5)
    assert np.allclose(nodes[:, 0, 1], np.linspace(arrays["y"][0], arrays["y"][-1], MOST_DECODED), atol=1e-5)


def test_large_samples_are_decoded_at_fewer_nodes(metric):
    def decode(points):
        return np.zeros((len(points), 300, 300), np.uint8)

    arrays = latent_map_arrays(metric, torch.zeros(1, 2), Stream(0), decode)
    assert len(arrays["decoded"]) == math.isqrt(DECODED_VALUES // 90_000) ** 2


@pytest.fixture
def flat_in_five():
    """Centroids in five dimensions that lie in a plane, but for a little noise."""
    generator = torch.Generator().manual_seed(1)
    axes = torch.linalg.qr(torch.randn(5, 2, generator=generator)).Q.T
    centroids = torch.randn(20, 2, generator=generator) @ axes * 3 + 1
    centroids += 0.01 * torch.randn(20, 5, generator=generator)
    factors = torch.eye(5).expand(20, 5, 5).contiguous()
    return KernelMetric(centroids, factors, 0.8, 0.01), axes


def test_above_two_dimensions_the_map_is_the_principal_plane(flat_in_five):
    metric, axes = flat_in_five
    plane = LatentPlane.of_centroids(metric.centroids)
    assert torch.allclose(plane.axes @ plane.axes.T, torch.eye(2), atol=1e-5)
    # the two planes are one: each axis of the one lies in the other
    assert torch.allclose((plane.axes @ axes.T).square().sum(1), torch.ones(2), atol=1e-3)
    assert plane.share > 0.999
    assert torch.allclose(plane.points(plane.project(metric.centroids)), metric.centroids, atol=0.05)


def test_what_the_map_shows_above_two_dimensions_is_of_the_plane(flat_in_five):
    metric, _ = flat_in_five
    seen = []

    def decode(points):
        seen.append(points)
        return np.zeros((len(points), 8, 8), np.uint8)

    arrays = latent_map_arrays(metric, metric.centroids[:4], Stream(0), decode)
    plane = LatentPlane.of_centroids(metric.centroids)
    assert arrays["centroids"].shape == (20, 2)
    assert np.allclose(arrays["draws"], plane.project(metric.centroids[:4]), atol=1e-5)
    assert np.allclose(plane.points(plane.project(seen[-1])), seen[-1], atol=1e-4)
    row, column = 10, 90
    point = plane.points(torch.tensor([[arrays["x"][column], arrays["y"][row]]]))
    assert arrays["log_volume"][row, column] == pytest.approx(float(metric.log_volume_element(point)), 1e-3)
    assert np.allclose(arrays["geodesics"][0], arrays["starts"], atol=1e-5)
    assert (arrays["centroids"] > [arrays["x"][0], arrays["y"][0]]).all()
    assert (arrays["centroids"] < [arrays["x"][-1], arrays["y"][-1]]).all()


def test_two_centroids_span_a_plane():
    centroids = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    plane = LatentPlane.of_centroids(centroids)
    assert torch.allclose(plane.axes @ plane.axes.T, torch.eye(2), atol=1e-6)
    assert plane.share == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((20, 24, 16), (20, 24, 16)),
        ((128, 64, 32), (64, 32, 16)),
        ((1, 9, 9, 9), (9, 9, 9)),
        ((9, 9, 9, 1), (9, 9, 9)),
        ((8, 8), None),
        ((8, 8, 3), None),
        ((3, 8, 8), None),
        ((7,), None),
    ],
)
def test_volumes_are_told_from_images(shape, wanted):
    volumes = as_volumes(np.full((2, *shape), 0.5, np.float32))
    assert (None if volumes is None else volumes.shape) == (None if wanted is None else (2, *wanted))
    assert volumes is None or (volumes == 128).all()


@pytest.mark.parametrize("pages", [1, 3])
def test_pages_of_a_stack_are_no_colours(pages):
    fmt = SampleFormat("stacks", (pages, 8, 6), "uint8", ".tiff", None, False)
    unit = np.random.default_rng(0).random((2, pages, 8, 6), np.float32)
    arrays = sample_arrays(ShownSamples(unit), fmt)
    assert arrays["synthetic"].shape == (2, 8, 6)
    np.testing.assert_array_equal(arrays["synthetic"], np.rint(255 * unit[:, pages // 2]))
    assert arrays["volumes_synthetic"].shape == (2, pages, 8, 6)
