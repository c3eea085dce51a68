import numpy as np
import pytest
import torch

from riemaug.geometry import KernelMetric
from riemaug.random import Stream
from riemaug.run.latent_map import GRID_SIDE, NUM_GEODESICS, SHOWN_DRAWS, latent_map_arrays
from riemaug.run.pictures import as_pictures


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
