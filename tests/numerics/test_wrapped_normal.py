"""The wrapped normal: its draws, and its density against closed forms, integrals and its own draws."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from riemaug.geometry import (
    ExplicitMidpoint,
    GeneralizedLeapfrog,
    GeodesicIntegrator,
    ImplicitMidpoint,
    KernelMetric,
    LagrangianLeapfrog,
    PoincareBallMetric,
    SphereMetric,
    WrappedNormal,
    exp,
    exp_with_derivative,
)
from tests.metrics import PlainKernelMetric, random_metric

INTEGRATORS = [
    ExplicitMidpoint(),
    LagrangianLeapfrog(),
    GeneralizedLeapfrog(tolerance=1e-12),
    ImplicitMidpoint(tolerance=1e-12),
]


def label(integrator: GeodesicIntegrator) -> str:
    return type(integrator).__name__


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normals(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def covariance(dim: int, scale: float) -> Tensor:
    root = scale**0.5 * (torch.eye(dim, dtype=torch.float64) + 0.3 * normals(dim, dim, seed=7).tril(-1))
    return root @ root.T


def grid(low: float, high: float, num: int, dim: int) -> tuple[Tensor, float]:
    """Return points (num^dim, dim) and the volume of a cell."""
    axis = torch.linspace(low, high, num, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(*[axis] * dim, indexing="ij"), -1).flatten(0, -2)
    return points, ((high - low) / (num - 1)) ** dim


def flat_metric() -> KernelMetric:
    factors = torch.zeros(1, 2, 2, dtype=torch.float64)  # lambda I alone: geodesics are straight
    return KernelMetric(torch.zeros(1, 2, dtype=torch.float64), factors, 1.0, 0.5)


def curved(dim: int, scale: float, **options) -> WrappedNormal:
    metric = random_metric(dim, 6, seed=dim, regularization=0.05, spread=0.8)
    return WrappedNormal(metric.centroids[0], covariance(dim, scale), metric, **options)


def test_draws_of_a_constant_metric_are_normal() -> None:
    sigma = torch.tensor([[0.5, 0.2], [0.2, 0.3]], dtype=torch.float64)
    loc = torch.tensor([1.0, -1.0], dtype=torch.float64)
    flow = WrappedNormal(loc, sigma, flat_metric()).sample(20000, seeded())
    assert flow.converged.all()
    # 5 standard errors: 2e-6 to fail by chance
    assert torch.allclose(flow.point.mean(0), loc, atol=5 * math.sqrt(0.5 / 20000))
    assert torch.allclose(flow.point.T.cov(), sigma, atol=5 * 0.5 * math.sqrt(2 / 20000))


def test_the_density_of_a_constant_metric_is_the_normal_one() -> None:
    sigma = torch.tensor([[0.5, 0.2], [0.2, 0.3]], dtype=torch.float64)
    loc = torch.tensor([1.0, -1.0], dtype=torch.float64)
    points = loc + normals(40, 2)
    expected = torch.distributions.MultivariateNormal(loc, sigma).log_prob(points)
    wrapped = WrappedNormal(loc, sigma, flat_metric())
    for density in (wrapped.log_prob(points), wrapped.log_prob_of(points - loc)):
        assert density.converged.all()
        torch.testing.assert_close(density.log_prob, expected)
        torch.testing.assert_close(density.velocity, points - loc)
        torch.testing.assert_close(density.point, points)


def test_draws_follow_the_metric() -> None:
    metric = random_metric(2, 6, seed=1)
    bent = WrappedNormal(metric.centroids[0], 0.5 * torch.eye(2, dtype=torch.float64), metric).sample(
        500, seeded()
    )
    straight = metric.centroids[0] + normals(500, 2) * math.sqrt(0.5)
    assert float((bent.point - straight).norm(dim=-1).mean()) > 0.05


def test_draws_that_failed_are_reported() -> None:
    # two leapfrog steps for velocities as long as all kernels together: some equations have no solution
    flow = curved(2, 4.0, integrator=GeneralizedLeapfrog(), num_steps=2).sample(500, seeded())
    assert 0 < int((~flow.converged).sum()) < 500
    assert flow.point.isfinite().all()


@pytest.mark.slow
def test_the_density_on_a_line_is_that_of_arc_length() -> None:
    # d = 1: v is the arc length from p over sqrt G(p), so the density needs one integral and no geodesic
    wrapped = curved(1, 0.5, num_steps=60)
    axis = torch.linspace(-2.0, 2.0, 40001, dtype=torch.float64)
    root = wrapped.metric.cometric_matrix(axis[:, None])[:, 0, 0].sqrt()
    length = torch.cat([torch.zeros(1).double(), torch.cumulative_trapezoid(1.0 / root, axis)])
    index = torch.tensor([2000, 9000, 16000, 24000, 31000, 38000])
    from_loc = np.interp(float(wrapped.loc), axis.numpy(), length.numpy())
    at_loc = wrapped.metric.cometric_matrix(wrapped.loc[None])[0, 0, 0].sqrt()
    velocity = at_loc * (length[index] - from_loc)
    normal = torch.distributions.Normal(0.0, wrapped.covariance[0, 0].sqrt())
    expected = normal.log_prob(velocity) + (at_loc / root[index]).log()
    density = wrapped.log_prob(axis[index, None])
    assert density.converged.all()
    torch.testing.assert_close(density.velocity[:, 0], velocity, rtol=0, atol=3e-3)
    torch.testing.assert_close(density.log_prob, expected, rtol=2e-3, atol=5e-3)


@pytest.mark.parametrize("dim", [2, 3])
def test_the_density_in_hyperbolic_space_is_the_closed_form(dim: int) -> None:
    # log |det dExp_p(v)| = (d - 1) log(sinh r / r) between volume elements, r the length of v
    space = PoincareBallMetric(dim)
    loc = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)[:dim]
    wrapped = WrappedNormal(loc, covariance(dim, 0.1), space, num_steps=20)
    points = 0.35 * normals(60, dim).clamp(-1.5, 1.5)
    velocity = space.log_exact(points, loc.expand_as(points))
    length = space.norm(velocity, loc.expand_as(points))
    zero = torch.zeros(dim, dtype=torch.float64)
    expected = (
        torch.distributions.MultivariateNormal(zero, wrapped.covariance).log_prob(velocity)
        - (dim - 1) * (length.sinh() / length).log()
        - space.log_volume_element(loc)
        + space.log_volume_element(points)
    )
    density = wrapped.log_prob(points)
    assert density.converged.all()
    torch.testing.assert_close(density.velocity, velocity, rtol=0, atol=5e-3)
    torch.testing.assert_close(density.log_prob, expected, rtol=0, atol=3e-2)


@pytest.mark.parametrize(("dim", "num", "scale"), [(1, 2001, 0.5), (2, 61, 0.08)])
def test_the_density_integrates_to_one_where_the_map_is_injective(dim: int, num: int, scale: float) -> None:
    wrapped = curved(dim, scale)
    points, cell = grid(-4.0, 4.0, num, 1) if dim == 1 else grid(-1.6, 1.6, num, 2)
    density = wrapped.log_prob(wrapped.loc + points)
    assert density.converged.all()
    assert float(density.log_prob.exp().sum()) * cell == pytest.approx(1.0, abs=2e-3)


def test_draws_in_one_dimension_follow_the_density() -> None:
    wrapped = curved(1, 0.5)
    points, cell = grid(-2.5, 2.5, 1001, 1)
    points = points + wrapped.loc
    density = wrapped.log_prob(points).log_prob.exp()
    cumulative = (density.cumsum(0) - 0.5 * density) * cell
    assert float(density[[0, -1]].max()) < 1e-4
    draws = wrapped.sample(3000, seeded()).point[:, 0]
    uniform = np.interp(draws.numpy(), points[:, 0].numpy(), cumulative.numpy())
    assert float(stats.kstest(uniform, "uniform").pvalue) > 1e-5  # fails by chance once in 1e5


def test_draws_in_two_dimensions_follow_the_density() -> None:
    wrapped = curved(2, 0.08)
    per_cell, num_cells = 10, 6
    edge = 0.9  # the outermost cells take what lies beyond
    centres = (torch.arange(per_cell * num_cells).double() + 0.5) / (per_cell * num_cells) * 2 * edge - edge
    points = torch.stack(torch.meshgrid(centres, centres, indexing="ij"), -1)
    density = wrapped.log_prob(wrapped.loc + points).log_prob.exp()
    blocks = density.unflatten(1, (num_cells, per_cell)).unflatten(0, (num_cells, per_cell))
    shares = blocks.sum((1, 3)) * (2 * edge / (per_cell * num_cells)) ** 2
    draws = wrapped.sample(4000, seeded()).point - wrapped.loc
    inside = (draws.abs() < edge).all(-1)
    cells = ((draws[inside] + edge) / (2 * edge) * num_cells).long()
    counts = torch.zeros(num_cells, num_cells).index_put(
        (cells[:, 0], cells[:, 1]), torch.ones(len(cells)), accumulate=True
    )
    observed = torch.cat([counts.flatten().double(), (~inside).sum().double()[None]])
    expected = 4000 * torch.cat([shares.flatten(), (1 - shares.sum())[None]])
    large = expected > 8
    observed = torch.cat([observed[large], observed[~large].sum()[None]])
    expected = torch.cat([expected[large], expected[~large].sum()[None]])
    assert len(observed) > 15
    assert float(stats.chisquare(observed, expected).pvalue) > 1e-5  # fails by chance once in 1e5


@pytest.mark.slow
@pytest.mark.parametrize("integrator", INTEGRATORS, ids=label)
@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("plain", [False, True])
def test_the_derivative_is_that_of_the_numerical_map(
    integrator: GeodesicIntegrator, dim: int, plain: bool
) -> None:
    closed = random_metric(dim, 6, seed=dim, regularization=0.05, spread=0.8)
    metric = PlainKernelMetric(closed) if plain else closed
    velocity, point, size = 0.4 * normals(4, dim), 0.5 * normals(4, dim, seed=1), 1e-6
    found = exp_with_derivative(metric, velocity, point, integrator, 3)
    assert found.converged.all()
    shifts = size * torch.eye(dim, dtype=torch.float64)
    columns = [
        (
            exp(metric, velocity + s, point, integrator, 3).point
            - exp(metric, velocity - s, point, integrator, 3).point
        )
        / (2 * size)
        for s in shifts
    ]
    torch.testing.assert_close(found.matrix, torch.stack(columns, -1), rtol=0, atol=1e-7)
    torch.testing.assert_close(
        found.point, exp(metric, velocity, point, integrator, 3).point, rtol=0, atol=1e-12
    )


@pytest.mark.slow
@pytest.mark.parametrize("integrator", INTEGRATORS, ids=label)
def test_inverting_the_map_gives_the_velocity_back(integrator: GeodesicIntegrator) -> None:
    wrapped = curved(3, 0.2, integrator=integrator, num_steps=2)
    with torch.no_grad():  # gradients need not be on for the derivatives inside
        along = wrapped.log_prob_of(0.4 * normals(20, 3))
        density = wrapped.log_prob(along.point)
    assert (along.converged & density.converged).all()
    torch.testing.assert_close(density.velocity, along.velocity, rtol=0, atol=1e-7)
    torch.testing.assert_close(density.log_prob, along.log_prob, rtol=0, atol=1e-6)
    assert not density.log_prob.requires_grad


@pytest.mark.slow
def test_beyond_the_injectivity_radius_it_is_one_term_of_the_density() -> None:
    space = SphereMetric(2)
    loc = torch.tensor([0.5, 0.0], dtype=torch.float64)
    wrapped = WrappedNormal(loc, torch.eye(2, dtype=torch.float64), space, num_steps=40)
    short = torch.tensor([[0.0, 0.8], [0.1, -0.6]], dtype=torch.float64)
    length = space.norm(short, loc.expand_as(short))[:, None]
    around = -short / length * (2 * math.pi - length)  # the same point, the other way round the sphere
    near, far = wrapped.log_prob_of(short), wrapped.log_prob_of(around)
    torch.testing.assert_close(far.point, near.point, rtol=0, atol=0.1)
    density = wrapped.log_prob(near.point)
    torch.testing.assert_close(density.log_prob, near.log_prob, rtol=0, atol=1e-6)
    assert (far.log_prob < near.log_prob).all()


def test_points_that_cannot_be_reached_are_flagged_and_leave_the_others_alone() -> None:
    wrapped = WrappedNormal(
        torch.zeros(2, dtype=torch.float64),
        0.1 * torch.eye(2, dtype=torch.float64),
        PoincareBallMetric(2),
        num_steps=3,
    )
    points = torch.tensor([[0.2, 0.1], [1.5, 0.0], [torch.nan, 0.0], [-0.3, 0.3]], dtype=torch.float64)
    density = wrapped.log_prob(points)
    assert density.converged.tolist() == [True, False, False, True]
    assert density.log_prob.isnan().tolist() == [False, True, True, False]
    alone = wrapped.log_prob(points[[0, 3]])
    torch.testing.assert_close(density.log_prob[[0, 3]], alone.log_prob, rtol=0, atol=1e-12)
    assert not wrapped.log_prob_of(points * torch.nan).converged.any()


@pytest.mark.slow
@pytest.mark.parametrize("batch", [(), (0,), (1,), (2, 3)])
def test_any_leading_dimensions_are_taken(batch: tuple[int, ...]) -> None:
    wrapped = curved(2, 0.2)
    points = wrapped.loc + 0.3 * normals(*batch, 2)
    density = wrapped.log_prob(points)
    assert density.log_prob.shape == density.converged.shape == batch
    assert density.velocity.shape == density.point.shape == (*batch, 2)
    flat = wrapped.log_prob(points.reshape(-1, 2))
    torch.testing.assert_close(density.log_prob.reshape(-1), flat.log_prob, rtol=0, atol=1e-12)


def test_many_velocities_are_carried_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped, velocity = curved(2, 0.2), 0.4 * normals(50, 2)
    whole = wrapped.log_prob_of(velocity)
    monkeypatch.setattr("riemaug.geometry.exp_derivative.CHUNK_ROWS", 14)
    torch.testing.assert_close(wrapped.log_prob_of(velocity).log_prob, whole.log_prob, rtol=0, atol=1e-12)


def test_the_density_has_a_gradient() -> None:
    wrapped = curved(2, 0.3, num_steps=3)
    points = (wrapped.loc + 0.4 * normals(5, 2)).requires_grad_()
    (gradient,) = torch.autograd.grad(wrapped.log_prob(points).log_prob.sum(), points)
    shifts = 1e-5 * torch.eye(2, dtype=torch.float64)
    ends = [[wrapped.log_prob(points.detach() + sign * s).log_prob for sign in (1, -1)] for s in shifts]
    expected = torch.stack([(up - down) / 2e-5 for up, down in ends], -1)
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-6)
