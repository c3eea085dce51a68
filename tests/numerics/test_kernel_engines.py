"""The fast ways to evaluate a kernel metric against the plain one, in float64."""

import copy
import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.geometry import KernelMetric, Metric, Support, compiled
from riemaug.geometry import engine as engines
from riemaug.geometry import kernel as kernel_module
from riemaug.geometry.engine import CompiledKernels
from riemaug.geometry.neighbours import NeighbourGrid, truncation_radius
from riemaug.geometry.products import BufferedProducts
from riemaug.samplers import MixtureSampler
from tests.metrics import PlainKernelMetric, random_metric

ENGINES = {
    1: CompiledKernels,
    2: CompiledKernels,
    3: CompiledKernels,
    4: BufferedProducts,
    10: BufferedProducts,
}


def points_and_momenta(dim: int, num: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(dim)
    points = 2.0 * torch.randn(num, dim, generator=generator, dtype=torch.float64)
    return points, torch.randn(num, dim, generator=generator, dtype=torch.float64)


def everything(metric: Metric, point: Tensor, momentum: Tensor) -> dict[str, Tensor]:
    velocity, gradient = metric.velocity_and_gradient(point, momentum)
    log_density, slope = metric.log_density_and_gradient(point)
    local = metric.local_geometry(point)
    return {
        "cometric": metric.cometric_matrix(point),
        "log_density": metric.log_density(point),
        "velocity": velocity,
        "kinetic_gradient": gradient,
        "log_density_again": log_density,
        "log_density_gradient": slope,
        "local cometric": local.cometric,
        "derivative": local.derivative,
        "momentum_derivative": metric.momentum_derivative(point, momentum),
        "momentum": metric.momentum_of(point, momentum),
    }


@pytest.mark.parametrize("num_centroids", [1, 2, 120])
@pytest.mark.parametrize("dim", list(ENGINES))
def test_fast_and_plain_evaluations_agree(dim: int, num_centroids: int) -> None:
    metric = random_metric(dim, num_centroids, seed=dim)
    point, momentum = points_and_momenta(dim)
    with torch.enable_grad():
        expected = everything(metric, point.clone().requires_grad_(), momentum)  # the plain formulas
    assert metric._engine is None
    actual = everything(metric, point, momentum)
    assert metric._engine is not None
    assert isinstance(metric._engine.engine, ENGINES[dim])
    for name, value in expected.items():
        torch.testing.assert_close(
            actual[name], value, rtol=1e-11, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("dim", list(ENGINES))
@torch.no_grad()
def test_batches_of_any_shape_and_emptiness(dim: int) -> None:
    metric = random_metric(dim, 7, seed=0)
    point, momentum = points_and_momenta(dim, 12)
    whole = everything(metric, point, momentum)
    grid = everything(metric, point.reshape(3, 4, dim), momentum.reshape(3, 4, dim))
    one = everything(metric, point[5], momentum[5])
    none = everything(metric, point[:0], momentum[:0])
    for name, value in whole.items():
        torch.testing.assert_close(grid[name].flatten(0, 1), value)
        torch.testing.assert_close(one[name], value[5])
        assert none[name].shape == (0, *value.shape[1:])


@torch.no_grad()
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_compiled_bits_do_not_depend_on_the_batch(dim: int) -> None:
    for count in (120, 3000):
        metric = random_metric(dim, count, seed=1, spread=20.0)
        point, momentum = 10.0 * points_and_momenta(dim, 100)[0], points_and_momenta(dim, 100)[1]
        whole = metric.velocity_and_gradient(point, momentum)
        for index in (0, 31, 99):
            part = metric.velocity_and_gradient(point[index : index + 1], momentum[index : index + 1])
            assert torch.equal(part[0][0], whole[0][index])
            assert torch.equal(part[1][0], whole[1][index])


@torch.no_grad()
@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_points_far_away_and_not_finite(dim: int) -> None:
    metric = random_metric(dim, 6, seed=2)
    point = torch.zeros(5, dim, dtype=torch.float64)
    point[:, 0] = torch.tensor([1e3, 1e8, 1e200, math.inf, math.nan], dtype=torch.float64)
    cometric = metric.cometric_matrix(point)
    flat = 0.01 * torch.eye(dim, dtype=torch.float64)
    far = 3 if dim <= 3 else 2  # squares of 1e200 overflow in a product
    torch.testing.assert_close(cometric[:far], flat.expand(far, -1, -1))
    assert not cometric[3:].isfinite().all(-1).all(-1).any()
    assert metric.default_support().contains(point).tolist() == [False] * 5


def scattered(dim: int, count: int) -> KernelMetric:
    """Centroids in a box, one for each T^d."""
    generator = torch.Generator().manual_seed(3)
    centroids = count ** (1 / dim) * torch.rand(count, dim, generator=generator, dtype=torch.float64)
    factors = (
        0.8 * torch.eye(dim).double() + 0.2 * torch.rand(count, dim, dim, generator=generator).double().tril()
    )
    return KernelMetric(centroids, factors, 1.0, 1e-3)


@pytest.mark.parametrize("dim", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_kernels_left_out_are_below_the_stated_share_of_lambda(dim: int) -> None:
    metric = scattered(dim, 5000)
    generator = torch.Generator().manual_seed(4)
    size = 5000 ** (1 / dim)
    point = size * (1.2 * torch.rand(300, dim, generator=generator, dtype=torch.float64) - 0.1)
    # by differences: |z|^2 - 2 z c + |c|^2 cancels too much here
    expected = everything(PlainKernelMetric(metric), point, torch.ones_like(point))
    with torch.no_grad():
        actual = everything(metric, point, torch.ones_like(point))
    engine = metric._current_engine()
    assert isinstance(engine, CompiledKernels)
    assert engine.radius < 8.0
    error = float((actual["cometric"] - expected["cometric"]).abs().max())
    assert error < engines.TRUNCATION * metric.regularization
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=1e-6, atol=1e-8)


def test_the_radius_bounds_what_is_left_out_at_any_point() -> None:
    metric = scattered(2, 4000)
    centroids = metric.centroids.numpy()
    for tolerance in (1e-3, 1e-6, 1e-9):
        radius = truncation_radius(centroids, 1.0, 1.0, tolerance)
        squares = torch.cdist(metric.centroids[::40], metric.centroids).square()
        omitted = torch.where(squares > radius**2, torch.exp(-squares), 0.0).sum(-1)
        assert float(omitted.max()) < tolerance
    assert truncation_radius(centroids, 1.0, 1.0, 0.0) == math.inf


@pytest.mark.parametrize("spread", [1.0, 1e6])
def test_cells_are_bounded_in_number_however_far_clusters_are(spread: float) -> None:
    generator = torch.Generator().manual_seed(5)
    centroids = torch.randn(500, 3, generator=generator, dtype=torch.float64)
    centroids[250:] += spread
    grid = NeighbourGrid.of(centroids.numpy(), 1.0)
    assert len(grid.starts) <= 8 * 4096 + 1
    assert sorted(grid.order.tolist()) == list(range(500))
    support = Support(centroids, 1.0)
    gaps = (centroids[:, None] - centroids).square().sum(-1)
    expected = (gaps <= 1.0).sum(-1).double()
    assert torch.equal(support.multiplicity(centroids), expected)


def test_everything_works_without_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = random_metric(2, 30, seed=6)
    with torch.no_grad():
        expected = everything(fast, *points_and_momenta(2))
    draws = MixtureSampler(fast).sample(50, 0)
    monkeypatch.setattr("riemaug.geometry.engine.compiled_kernels", lambda: None)
    for module in ("kernel", "products"):
        monkeypatch.setattr(f"riemaug.geometry.{module}.compiled_columns", lambda: None)
    plain = random_metric(2, 30, seed=6)
    with torch.no_grad():
        actual = everything(plain, *points_and_momenta(2))
    assert isinstance(plain._current_engine(), BufferedProducts)
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(MixtureSampler(plain).sample(50, 0).points, draws.points)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_transforms_and_moved_tensors_get_the_right_values() -> None:
    metric = random_metric(2, 9, seed=7)
    point, momentum = points_and_momenta(2)
    expected = metric.kinetic_gradient(point, momentum)
    with torch.no_grad():
        mapped = torch.func.vmap(metric.kinetic_gradient)(point, momentum)
        torch.testing.assert_close(mapped, expected)
        _, along = torch.func.jvp(metric.log_density, (point,), (momentum,))
        torch.testing.assert_close(along, (metric.log_density_gradient(point) * momentum).sum(-1))
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(point, momentum)
            tangent = torch.autograd.forward_ad.unpack_dual(metric.log_density(dual)).tangent
        torch.testing.assert_close(tangent, along)
        metric.velocity_and_gradient(point, momentum)
        single = metric.float()
        assert single.velocity_and_gradient(point.float(), momentum.float())[0].dtype == torch.float32
        back = single.double()
        torch.testing.assert_close(back.kinetic_gradient(point, momentum), expected, rtol=1e-4, atol=1e-5)
    assert kernel_module.LARGEST_COMPILED_DIM == 3


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
@torch.no_grad()
def test_whole_midpoint_paths_equal_their_steps(dim: int, sign: float) -> None:
    metric = random_metric(dim, 50, seed=9)
    point, momentum = 0.5 * points_and_momenta(dim)[0], 0.3 * points_and_momenta(dim)[1]
    start, start_momentum = point.clone(), momentum.clone()
    expected = Metric.midpoint_steps(PlainKernelMetric(metric), point, momentum, 6, 0.1, sign * 0.1)
    for actual, value in zip(
        metric.midpoint_steps(point, momentum, 6, 0.1, sign * 0.1), expected, strict=True
    ):
        torch.testing.assert_close(actual, value, rtol=1e-9, atol=1e-10)
    assert torch.equal(point, start)
    assert torch.equal(momentum, start_momentum)
    single = metric.float().midpoint_steps(point.float(), momentum.float(), 6, 0.1, sign * 0.1)
    torch.testing.assert_close(single[0].double(), expected[0], rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-15), (torch.float32, 3e-7)])
@torch.no_grad()
def test_compiled_exponentials_are_as_good_as_their_type(dtype: torch.dtype, limit: float) -> None:
    # one kernel of mass 1 in one dimension: C - lambda is the exponential itself
    metric = KernelMetric(torch.zeros(1, 1, dtype=dtype), torch.ones(1, 1, 1, dtype=dtype), 1.0, 1e-300)
    point = torch.linspace(0.0, 5.0, 4001, dtype=torch.float64).to(dtype)[:, None]
    exact = torch.exp(-(point.double() ** 2))[:, 0]
    scale = 1.0 + (point.double() ** 2)[:, 0]  # rounding of the exponent itself grows with it
    error = (metric.cometric_matrix(point)[:, 0, 0].double() / exact - 1.0).abs() / scale
    assert float(error.max()) < limit


@torch.no_grad()
def test_weights_far_away_do_not_slow_the_products_down_to_nothing() -> None:
    metric = random_metric(6, 20, seed=8)
    far = torch.full((4, 6), 12.0, dtype=torch.float64)
    weights = metric.weights(far)
    assert (weights >= math.exp(-300.0)).all()  # none is subnormal
    torch.testing.assert_close(metric.cometric_matrix(far), 0.01 * torch.eye(6).double().expand(4, 6, 6))


def test_functions_compile_where_no_cache_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    real = compiled.numba.njit

    def without_cache(*args: Any, cache: bool = False, **options: Any) -> Any:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(*args, **options)

    monkeypatch.setattr(compiled.numba, "njit", without_cache)
    assert compiled.compile_function(lambda x: x + 1)(2) == 3


def test_threads_do_not_mix_their_results() -> None:
    metric = random_metric(6, 30, seed=10)
    points = [points_and_momenta(6, 200)[0] * (1.0 + 0.1 * k) for k in range(8)]
    expected = [metric.log_density(point) for point in points]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            for actual, value in zip(pool.map(metric.log_density, points), expected, strict=True):
                assert torch.equal(actual, value)


@pytest.mark.parametrize("dim", [2, 5])
def test_loaded_copied_and_pickled_metrics_are_those_of_their_tensors(dim: int) -> None:
    first, second = random_metric(dim, 9, seed=11), random_metric(dim, 9, seed=12)
    point, momentum = points_and_momenta(dim)
    expected = everything(second, point, momentum)
    everything(first, point, momentum)  # its engine is there before the tensors change
    first.load_state_dict(second.state_dict())
    support = second.default_support()
    support.contains(point)
    for metric in (first, copy.deepcopy(second), pickle.loads(pickle.dumps(second))):
        for name, value in everything(metric, point, momentum).items():
            torch.testing.assert_close(value, expected[name])
    assert len(pickle.dumps(second)) < 20000 * dim
    assert torch.equal(pickle.loads(pickle.dumps(support)).contains(point), support.contains(point))


@pytest.mark.parametrize("dim", [2, 5])
def test_tensors_changed_in_place_or_moved_are_noticed(dim: int) -> None:
    metric = random_metric(dim, 9, seed=12)
    point, momentum = points_and_momenta(dim)
    metric.velocity_of(point, momentum)
    metric.kernels.mul_(2.0)
    doubled = metric.velocity_of(point, momentum)
    rounded = metric.float().double()
    again = KernelMetric(rounded.centroids, rounded.factors, rounded.bandwidth, rounded.regularization)
    again.kernels = rounded.kernels
    assert not torch.equal(rounded.velocity_of(point, momentum), doubled)
    assert torch.equal(rounded.velocity_of(point, momentum), again.velocity_of(point, momentum))


def test_inference_mode_leaves_nothing_behind() -> None:
    metric = random_metric(5, 9, seed=13)
    point, momentum = points_and_momenta(5)
    with torch.inference_mode():
        expected = metric.velocity_and_gradient(point, momentum)[0].clone()
    torch.testing.assert_close(metric.velocity_and_gradient(point, momentum)[0], expected)


def test_where_the_origin_is_does_not_matter() -> None:
    near = random_metric(5, 9, seed=14)
    far = KernelMetric(near.centroids + 1e5, near.factors, near.bandwidth, near.regularization)
    point, momentum = points_and_momenta(5)
    for here, there in zip(
        near.velocity_and_gradient(point, momentum),
        far.velocity_and_gradient(point + 1e5, momentum),
        strict=True,
    ):
        torch.testing.assert_close(there, here, rtol=1e-8, atol=1e-9)


def test_a_subclass_with_its_own_cometric_is_evaluated_by_it() -> None:
    class Doubled(KernelMetric):
        def cometric_matrix(self, point: Tensor) -> Tensor:
            return 2.0 * super().cometric_matrix(point)

    for dim in (2, 5):
        base = random_metric(dim, 6, seed=15)
        metric = Doubled(base.centroids, base.factors, base.bandwidth, base.regularization)
        point, _ = points_and_momenta(dim)
        torch.testing.assert_close(
            metric.log_density(point), base.log_density(point) + 0.5 * dim * math.log(2.0)
        )
        with pytest.raises(InvalidInputError, match="needs a KernelMetric, got Doubled"):
            MixtureSampler(metric)
