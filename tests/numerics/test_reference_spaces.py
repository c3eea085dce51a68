"""Closed-form spaces: against their embeddings, the integrators and geomstats, in float64."""

import math
import warnings
from types import ModuleType

import numpy
import pytest
import torch
from torch import Tensor

from riemaug.geometry import (
    EuclideanMetric,
    ExplicitMidpoint,
    GeodesicIntegrator,
    LagrangianLeapfrog,
    PoincareBallMetric,
    PullbackMetric,
    ReferenceMetric,
    SphereMetric,
    exp,
)

SPACES = [EuclideanMetric, SphereMetric, PoincareBallMetric]
DIMS = (1, 2, 3)


def points_and_velocities(
    space: type[ReferenceMetric], dim: int, num: int = 40
) -> tuple[Tensor, Tensor, Tensor]:
    """Two sets of points (in the ball: up to 0.9 from the origin) and velocities of length up to 3."""
    generator = torch.Generator().manual_seed(dim)
    first, second, vector = torch.randn(3, num, dim, generator=generator, dtype=torch.float64)
    if space is PoincareBallMetric:
        first, second = (0.9 * x / (1 + x.square().sum(-1, keepdim=True)).sqrt() for x in (first, second))
    lengths = torch.linspace(0.05, 3.0, num, dtype=torch.float64)
    return first, second, vector * (lengths / space(dim).norm(vector, first))[:, None]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("dim", DIMS)
def test_log_inverts_exp_within_the_injectivity_radius(space: type[ReferenceMetric], dim: int) -> None:
    metric = space(dim)
    start, _, velocity = points_and_velocities(space, dim)
    assert float(metric.norm(velocity, start).max()) < metric.injectivity_radius
    end = metric.exp_exact(velocity, start)
    torch.testing.assert_close(metric.log_exact(end, start), velocity, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(
        metric.dist_exact(start, end), metric.norm(velocity, start), rtol=1e-10, atol=0
    )
    still = metric.exp_exact(torch.zeros_like(velocity), start)
    torch.testing.assert_close(still, start, rtol=0, atol=1e-14)
    torch.testing.assert_close(metric.log_exact(start, start), torch.zeros_like(start), rtol=0, atol=1e-14)


def test_beyond_the_injectivity_radius_the_sphere_takes_the_short_way() -> None:
    metric, start = SphereMetric(2), torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    velocity = torch.tensor([[0.6, 0.8]], dtype=torch.float64)
    long = velocity * (1.5 * math.pi / metric.norm(velocity, start))[:, None]
    back = metric.log_exact(metric.exp_exact(long, start), start)
    torch.testing.assert_close(back, -long / 3.0)  # three quarters one way are one quarter the other


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("dim", DIMS)
def test_distance_is_symmetric_with_the_triangle_inequality(space: type[ReferenceMetric], dim: int) -> None:
    metric = space(dim)
    a, b, _ = points_and_velocities(space, dim)
    c = b.flip(0)
    torch.testing.assert_close(metric.dist_exact(a, b), metric.dist_exact(b, a), rtol=1e-14, atol=0)
    assert (metric.dist_exact(a, c) <= metric.dist_exact(a, b) + metric.dist_exact(b, c) + 1e-12).all()
    assert (metric.dist_exact(a, b) > 0).all()
    torch.testing.assert_close(metric.dist_exact(a, a), torch.zeros(len(a)).double(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(
    "integrator", [ExplicitMidpoint(), LagrangianLeapfrog()], ids=lambda i: type(i).__name__
)
@pytest.mark.parametrize("dim", DIMS)
def test_integrators_tend_to_the_closed_form(
    space: type[ReferenceMetric], integrator: GeodesicIntegrator, dim: int
) -> None:
    metric = space(dim)
    start, _, velocity = points_and_velocities(space, dim, num=8)
    start, velocity = 0.5 * start, 0.15 * velocity
    exact = metric.exp_exact(velocity, start)
    errors = [
        float((exp(metric, velocity, start, integrator, n).point - exact).abs().max()) for n in (40, 80)
    ]
    if space is EuclideanMetric:
        assert errors[1] < 1e-13
    else:
        assert errors[1] < 5e-3
        assert 3.3 < errors[0] / errors[1] < 9.0


@pytest.mark.parametrize("dim", DIMS)
def test_the_sphere_is_the_pull_back_of_its_embedding(dim: int) -> None:
    metric = SphereMetric(dim)
    points, _, _ = points_and_velocities(SphereMetric, dim)
    embedded = metric.embed(points)
    torch.testing.assert_close(embedded.norm(dim=-1), torch.ones(len(points)).double())
    pulled = PullbackMetric(metric.embed, dim, 0.0)
    torch.testing.assert_close(metric.metric_matrix(points), pulled.metric_matrix(points))
    angle = torch.acos((embedded * metric.embed(points.flip(0))).sum(-1).clamp(-1, 1))
    torch.testing.assert_close(metric.dist_exact(points, points.flip(0)), angle, rtol=0, atol=1e-7)


@pytest.mark.parametrize("dim", DIMS)
def test_the_ball_is_the_pull_back_of_the_hyperboloid(dim: int) -> None:
    # in Minkowski space, whose form is + ... + -: the tensor is that of space minus that of time
    metric = PoincareBallMetric(dim)
    points, others, _ = points_and_velocities(PoincareBallMetric, dim)

    def space(z: Tensor) -> Tensor:
        return 2.0 * z / (1.0 - z.square().sum(-1, keepdim=True))

    def time(z: Tensor) -> Tensor:
        square = z.square().sum(-1, keepdim=True)
        return (1.0 + square) / (1.0 - square)

    tensor = PullbackMetric(space, dim, 0.0).metric_matrix(points)
    tensor = tensor - PullbackMetric(time, dim, 0.0).metric_matrix(points)
    torch.testing.assert_close(metric.metric_matrix(points), tensor, rtol=1e-9, atol=1e-9)
    form = time(points)[:, 0] * time(others)[:, 0] - (space(points) * space(others)).sum(-1)
    torch.testing.assert_close(metric.dist_exact(points, others), torch.acosh(form), rtol=1e-8, atol=1e-8)


def test_the_law_is_the_uniform_measure() -> None:
    # its mass: the circle's length and the sphere's area, over the chart in polar coordinates
    radius = torch.logspace(-4, 4, 20001, dtype=torch.float64)[:, None]
    line = SphereMetric(1).log_density(radius).exp()
    assert 2 * float(torch.trapezoid(line, radius[:, 0])) == pytest.approx(2 * math.pi, rel=1e-3)
    plane = SphereMetric(2).log_density(torch.cat([radius, torch.zeros_like(radius)], 1)).exp()
    area = float(torch.trapezoid(2 * math.pi * radius[:, 0] * plane, radius[:, 0]))
    assert area == pytest.approx(4 * math.pi, rel=1e-3)


def test_outside_the_ball_nothing_is_finite() -> None:
    metric = PoincareBallMetric(2)
    outside = torch.tensor([[1.0, 0.0], [2.0, 1.0]], dtype=torch.float64)
    assert metric.log_density(outside).isnan().all()
    flow = LagrangianLeapfrog().flow(metric, outside, 0.1 * torch.ones_like(outside), 2)
    assert not flow.converged.any()


@pytest.fixture(scope="module")
def geomstats() -> dict[str, ModuleType]:
    """Give geomstats' modules: its import warns, and asks NumPy for a name that NumPy 2.4 dropped."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setattr(numpy, "trapz", numpy.trapezoid, raising=False)
        patch.setenv("GEOMSTATS_BACKEND", "numpy")
        return {
            name: pytest.importorskip(
                f"geomstats.geometry.{name}", reason="geomstats is not installed", exc_type=ImportError
            )
            for name in ("poincare_ball", "hypersphere")
        }


@pytest.mark.parametrize("dim", [2, 3])
def test_the_ball_agrees_with_geomstats(geomstats: dict[str, ModuleType], dim: int) -> None:
    metric, theirs = PoincareBallMetric(dim), geomstats["poincare_ball"].PoincareBall(dim).metric
    a, b, velocity = (x.numpy() for x in points_and_velocities(PoincareBallMetric, dim))
    ours = metric.exp_exact(torch.tensor(velocity), torch.tensor(a)).numpy()
    numpy.testing.assert_allclose(ours, theirs.exp(velocity, a), rtol=1e-7, atol=1e-9)
    ours = metric.log_exact(torch.tensor(b), torch.tensor(a)).numpy()
    numpy.testing.assert_allclose(ours, theirs.log(b, a), rtol=1e-7, atol=1e-9)
    ours = metric.dist_exact(torch.tensor(a), torch.tensor(b)).numpy()
    numpy.testing.assert_allclose(ours, theirs.dist(a, b), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_sphere_agrees_with_geomstats(geomstats: dict[str, ModuleType], dim: int) -> None:
    metric, theirs = SphereMetric(dim), geomstats["hypersphere"].Hypersphere(dim).metric
    a, b, velocity = points_and_velocities(SphereMetric, dim)

    jacobian = PullbackMetric(metric.embed, dim, 0.0).jacobian(a)

    def carry(vector: Tensor) -> numpy.ndarray:
        return (jacobian @ vector[..., None])[..., 0].numpy()

    start, end = metric.embed(a).numpy(), metric.embed(b).numpy()
    ours = metric.embed(metric.exp_exact(velocity, a)).numpy()
    numpy.testing.assert_allclose(ours, theirs.exp(carry(velocity), start), rtol=1e-7, atol=1e-9)
    numpy.testing.assert_allclose(carry(metric.log_exact(b, a)), theirs.log(end, start), rtol=1e-6, atol=1e-8)
    numpy.testing.assert_allclose(
        metric.dist_exact(a, b).numpy(), theirs.dist(start, end), rtol=1e-7, atol=1e-7
    )
