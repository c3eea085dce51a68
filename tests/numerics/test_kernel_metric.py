"""The kernel metric's closed forms against automatic differentiation and direct sums, in float64."""

import copy
import math

import pytest
import torch

from riemaug import linalg
from riemaug.errors import InvalidInputError
from riemaug.geometry import KernelMetric
from tests.metrics import PlainKernelMetric, random_metric

DIMS = (1, 2, 3, 4)


def points_and_vectors(dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    shape = (3, 5, dim)
    return (
        torch.randn(shape, generator=generator, dtype=torch.float64),
        torch.randn(shape, generator=generator, dtype=torch.float64),
    )


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize(
    "method", ["cometric_matrix", "cometric_derivative", "log_density", "log_volume_element", "metric_matrix"]
)
def test_closed_forms_of_a_point_equal_autograd(dim: int, method: str) -> None:
    metric = random_metric(dim, 6, seed=dim)
    point, _ = points_and_vectors(dim)
    torch.testing.assert_close(
        getattr(metric, method)(point),
        getattr(PlainKernelMetric(metric), method)(point),
        rtol=1e-11,
        atol=1e-12,
    )


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize(
    "method", ["kinetic_gradient", "momentum_derivative", "velocity_of", "momentum_of", "hamiltonian", "norm"]
)
def test_closed_forms_of_a_point_and_a_vector_equal_autograd(dim: int, method: str) -> None:
    metric = random_metric(dim, 6, seed=dim)
    point, vector = points_and_vectors(dim)
    first, second = (vector, point) if method == "norm" else (point, vector)
    torch.testing.assert_close(
        getattr(metric, method)(first, second),
        getattr(PlainKernelMetric(metric), method)(first, second),
        rtol=1e-11,
        atol=1e-12,
    )


@pytest.mark.parametrize("dim", DIMS)
def test_density_gradient_is_the_gradient(dim: int) -> None:
    # the published force sum_i w_i G M_i (c_i - z) / T^2 misses this by 75 % at d = 4
    metric = random_metric(dim, 6, seed=dim)
    point, _ = points_and_vectors(dim)
    expected = PlainKernelMetric(metric).log_density_gradient(point)
    torch.testing.assert_close(metric.log_density_gradient(point), expected, rtol=1e-11, atol=1e-12)
    if dim == 4:
        weights = metric.weights(point)
        pulls = torch.einsum(
            "...n,nij,...nj->...i",
            weights,
            metric.kernels.unflatten(1, (4, 4)),
            metric.centroids - point[..., None, :],
        )
        published = (metric.metric_matrix(point) @ pulls[..., None])[..., 0] / metric.bandwidth**2
        assert float((published - expected).norm() / expected.norm()) > 0.3


@pytest.mark.parametrize("dim", DIMS)
def test_christoffel_matrix_equals_the_textbook_symbols(dim: int) -> None:
    metric = random_metric(dim, 5, seed=dim)
    point, velocity = points_and_vectors(dim)
    flat_point, flat_velocity = point.flatten(0, 1), velocity.flatten(0, 1)
    slope = torch.func.vmap(torch.func.jacrev(metric.metric_matrix))(flat_point)  # dG_ij / dz_k
    lowered = 0.5 * (slope + slope.transpose(-1, -2) - slope.permute(0, 3, 1, 2))  # [l, j, k]
    symbols = torch.einsum("nil,nljk->nijk", metric.cometric_matrix(flat_point), lowered)
    expected = torch.einsum("nijk,nk->nij", symbols, flat_velocity)
    actual = metric.local_geometry(flat_point).christoffel_matrix(flat_velocity)
    # the quadratic form is what geodesics see; the matrix itself must agree too
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-10)


def test_log_volume_is_that_of_the_metric_not_of_its_inverse() -> None:
    metric = random_metric(2, 6, seed=0)
    near, far = metric.centroids[:1], metric.centroids[:1] + 50.0
    assert float(metric.log_volume_element(far)) > float(metric.log_volume_element(near))
    expected = 0.5 * torch.logdet(metric.metric_matrix(near))
    torch.testing.assert_close(metric.log_volume_element(near), expected)
    torch.testing.assert_close(metric.log_volume_element(far), torch.full((1,), -math.log(0.01)).double())


def test_tiny_determinants_are_not_floored() -> None:
    # log(sqrt(det) + 1e-10) in the public code stops at -23.03; here log sqrt det C = 16 / 2 log 1e-2
    factors = torch.zeros(1, 16, 16, dtype=torch.float64)
    metric = KernelMetric(torch.zeros(1, 16, dtype=torch.float64), factors, 1.0, 0.01)
    value = float(metric.log_density(torch.zeros(1, 16, dtype=torch.float64)))
    assert value == pytest.approx(-36.841, abs=1e-3)


def test_momenta_have_the_metric_as_covariance() -> None:
    metric = random_metric(3, 6, seed=2)
    point = metric.centroids[:1]
    noise = torch.eye(3, dtype=torch.float64)
    momenta = metric.sample_momentum(point.expand(3, 3), noise)  # columns of a square root of G
    torch.testing.assert_close(momenta.T @ momenta, metric.metric_matrix(point)[0])


def test_all_shapes_of_batches_agree() -> None:
    metric = random_metric(2, 6, seed=1)
    point, _ = points_and_vectors(2)
    for method in (metric.log_density, metric.cometric_derivative, metric.log_density_gradient):
        whole = method(point)
        torch.testing.assert_close(method(point[1, 2]), whole[1, 2])
        assert method(point[:0]).shape[0] == 0


def test_one_factorisation_gives_density_and_gradient() -> None:
    metric = random_metric(3, 6, seed=1)
    point, _ = points_and_vectors(3)
    density, gradient = metric.log_density_and_gradient(point)
    torch.testing.assert_close(density, metric.log_density(point))
    torch.testing.assert_close(gradient, metric.log_density_gradient(point))


@pytest.mark.parametrize(("bandwidth", "regularization"), [(0.0, 0.1), (1.0, 0.0), (-1.0, 0.1)])
def test_parameters_must_be_positive(bandwidth: float, regularization: float) -> None:
    with pytest.raises(InvalidInputError, match="must be positive"):
        KernelMetric(torch.zeros(1, 2), torch.eye(2)[None], bandwidth, regularization)


def test_state_and_dtype_follow_the_module() -> None:
    metric = random_metric(2, 4, seed=0)
    assert set(metric.state_dict()) == {"centroids", "factors"}
    assert metric.float().cometric_matrix(torch.zeros(1, 2)).dtype == torch.float32


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_linear_algebra_agrees_with_dense_formulas(dim: int) -> None:
    generator = torch.Generator().manual_seed(dim)
    root = torch.randn(4, dim, dim, generator=generator, dtype=torch.float64)
    matrix = root @ root.mT + 0.1 * torch.eye(dim, dtype=torch.float64)
    vector = torch.randn(4, dim, generator=generator, dtype=torch.float64)
    factor = linalg.cholesky_factor(matrix)
    torch.testing.assert_close(factor @ factor.mT, matrix)
    torch.testing.assert_close(linalg.log_det_of_factor(factor), torch.logdet(matrix))
    torch.testing.assert_close((matrix @ linalg.solve_spd(factor, vector)[..., None])[..., 0], vector)
    torch.testing.assert_close(matrix @ linalg.spd_inverse(factor), torch.eye(dim).double().expand(4, -1, -1))
    torch.testing.assert_close(
        factor @ linalg.inverse_lower(factor), torch.eye(dim).double().expand(4, -1, -1)
    )
    torch.testing.assert_close((root @ linalg.solve_general(root, vector)[..., None])[..., 0], vector)
    torch.testing.assert_close(linalg.log_abs_det(root), torch.linalg.slogdet(root).logabsdet)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_singular_and_indefinite_matrices_are_flagged_not_hidden(dim: int) -> None:
    zero = torch.zeros(1, dim, dim, dtype=torch.float64)
    assert not linalg.solve_general(zero, torch.ones(1, dim, dtype=torch.float64)).isfinite().any()
    assert float(linalg.log_abs_det(zero)) == -math.inf
    assert linalg.cholesky_factor(-torch.eye(dim).double()[None]).isnan().any()


def test_a_deep_copy_has_a_life_of_its_own() -> None:
    # closures in the public code make a copy follow its original
    metric = random_metric(2, 5, seed=3)
    point = torch.zeros(1, 2, dtype=torch.float64)
    with torch.no_grad():
        before = metric.cometric_matrix(point)
        twin = copy.deepcopy(metric)
        metric.kernels.mul_(2.0)
        metric.centroids.add_(1.0)
        torch.testing.assert_close(twin.cometric_matrix(point), before, rtol=0, atol=0)


def test_no_tensor_of_points_by_kernels_by_entries_is_formed() -> None:
    dim, num_centroids, num_points = 10, 400, 500
    metric = random_metric(dim, num_centroids, seed=4)
    point = torch.zeros(num_points, dim, dtype=torch.float64)
    forbidden = num_points * num_centroids * dim * dim
    with torch.no_grad(), torch.profiler.profile(profile_memory=True) as profile:
        metric.velocity_and_gradient(point, point)
        metric.log_density_and_gradient(point)
    largest = max(abs(event.cpu_memory_usage) for event in profile.events())
    assert 0 < largest < 8 * forbidden / 20
