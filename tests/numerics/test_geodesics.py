"""Geodesics between points: logarithm, curves, lengths and distances, in float64."""

import inspect
import math
import time
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.geometry import (
    BoundarySolver,
    EuclideanMetric,
    ExplicitMidpoint,
    ExtrapolatedMidpoint,
    GeodesicIntegrator,
    KernelMetric,
    LagrangianLeapfrog,
    Metric,
    PoincareBallMetric,
    PosteriorPrecisionMetric,
    PullbackMetric,
    SphereMetric,
    dist,
    energy,
    exp,
    geodesic,
    length,
    log,
    pairwise_dist,
    smooth_length,
    straight_line,
)
from riemaug.geometry.block_tridiagonal import solve_block_tridiagonal
from riemaug.geometry.boundary import Minimum
from riemaug.geometry.curves import resample
from riemaug.geometry.discrete_energy import expand_energy
from riemaug.geometry.geodesic import matching_ends
from riemaug.geometry.shortest_paths import AnchorGraph
from tests.metrics import PlainKernelMetric, random_metric

CURVED = [SphereMetric(2), PoincareBallMetric(2), PoincareBallMetric(3)]


def randn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def inside(num: int, dim: int, seed: int) -> Tensor:
    """Points of length below 0.7, in the domain of all charts."""
    return 0.7 * torch.tanh(randn(num, dim, seed=seed)) / math.sqrt(dim)


def centroid_pairs(metric: KernelMetric, num: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    count = metric.num_centroids
    first = torch.randint(0, count, (num,), generator=generator)
    second = (first + 1 + torch.randint(0, count - 1, (num,), generator=generator)) % count
    return metric.centroids[first], metric.centroids[second]


def ring_metric() -> KernelMetric:
    """Centroids on a circle: what is inside it is empty, and the shortest way is around."""
    angle = torch.linspace(0, 2 * math.pi, 81, dtype=torch.float64)[:-1]
    centroids = 4.0 * torch.stack([angle.cos(), angle.sin()], -1)
    return KernelMetric(centroids, torch.eye(2, dtype=torch.float64).expand(80, 2, 2).clone(), 0.4, 1e-3)


# ---- the logarithm -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("dim", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("integrator", "num_steps"),
    [
        (ExtrapolatedMidpoint(), 16),
        (LagrangianLeapfrog(), 10),
        (ExplicitMidpoint(), 10),
        (ExplicitMidpoint(), 7),
    ],
)
def test_log_inverts_exp(dim: int, integrator: GeodesicIntegrator, num_steps: int) -> None:
    metric = random_metric(dim, 8, seed=dim, regularization=0.05, spread=0.8)
    base, velocity = 0.5 * randn(12, dim, seed=3), 0.3 * randn(12, dim, seed=4)
    end = exp(metric, velocity, base, integrator, num_steps)
    found = log(metric, end.point, base, integrator, num_steps)
    assert found.converged.all()
    assert (found.tangent_vec - velocity).norm(dim=-1).max() < 1e-8
    assert (found.residual <= 1e-9 * (end.point - base).norm(dim=-1) + 1e-13).all()


@pytest.mark.parametrize("metric", CURVED, ids=repr)
def test_log_agrees_with_closed_forms(metric: SphereMetric | PoincareBallMetric) -> None:
    start, end = inside(20, metric.dim, 1), inside(20, metric.dim, 2)
    found = log(metric, end, start)
    assert found.converged.all()
    assert (found.tangent_vec - metric.log_exact(end, start)).norm(dim=-1).max() < 1e-8


def test_log_within_the_injectivity_radius_of_the_sphere() -> None:
    metric = SphereMetric(2)
    angle = torch.linspace(0, 6, 7, dtype=torch.float64)
    base = torch.tensor([0.1, -0.2], dtype=torch.float64)
    direction = torch.stack([angle.cos(), angle.sin()], -1)
    velocity = 0.6 * math.pi * direction / metric.norm(direction, base.expand(7, 2))[:, None]
    end = exp(metric, velocity, base.expand(7, 2), ExtrapolatedMidpoint(), 32).point
    found = log(metric, end, base, num_steps=32)
    assert found.converged.all()
    assert (found.tangent_vec - velocity).norm(dim=-1).max() < 1e-8


def test_log_of_sensitive_geodesics() -> None:
    metric = random_metric(2, 120, seed=0, bandwidth=0.4, regularization=1e-3)
    start, end = centroid_pairs(metric, 15)
    found = log(metric, end, start)
    assert found.converged.all()
    again = exp(metric, found.tangent_vec, start, ExtrapolatedMidpoint(), 16).point
    assert ((again - end).norm(dim=-1) <= 1e-8 * (end - start).norm(dim=-1)).all()
    lengths = metric.norm(found.tangent_vec, start)
    torch.testing.assert_close(lengths, dist(metric, start, end, 129).values, rtol=1e-5, atol=0)


def test_log_says_where_it_failed() -> None:
    metric = random_metric(2, 120, seed=0, bandwidth=0.3, regularization=1e-3)
    start, end = centroid_pairs(metric, 10)
    found = log(metric, end, start, max_iterations=1)
    assert not found.converged.any()
    assert (found.residual > 1e-9 * (end - start).norm(dim=-1)).all()


def test_log_of_a_point_nearby_keeps_its_digits() -> None:
    metric = random_metric(2, 20, seed=5)
    start = torch.tensor([0.3, 0.4], dtype=torch.float64)
    step = torch.tensor([2.0**-30, -(2.0**-31)], dtype=torch.float64)
    found = log(metric, start + step, start)
    assert found.converged
    assert (found.tangent_vec - step).norm() < 1e-6 * step.norm()


@pytest.mark.parametrize("metric", CURVED, ids=repr)
def test_extrapolation_is_of_eighth_order(metric: SphereMetric | PoincareBallMetric) -> None:
    base, velocity = inside(10, metric.dim, 1), 0.8 * inside(10, metric.dim, 2)
    exact = metric.exp_exact(velocity, base)
    errors = [
        float((ExtrapolatedMidpoint().flow(metric, base, velocity, n).point - exact).norm())
        for n in (1, 2, 16)
    ]
    assert 2**6.5 < errors[0] / errors[1] < 2**10.5
    assert errors[2] < 1e-12


# ---- curves --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("regularization", [1e-2, 1e-3])
@pytest.mark.parametrize("num_points", [33, 65])
def test_random_pairs_of_centroids_converge(regularization: float, num_points: int) -> None:
    metric = random_metric(2, 120, seed=0, regularization=regularization)
    start, end = centroid_pairs(metric, 200)
    curve = geodesic(metric, start, end, num_points)
    assert curve.converged.double().mean() >= 0.99
    gradient = energy_gradient(metric, curve.points).flatten(1).norm(dim=1)
    assert (gradient < 1e-4).double().mean() >= 0.99


@pytest.mark.slow
def test_a_thousand_geodesics_in_two_seconds() -> None:
    metric = random_metric(2, 120, seed=0, regularization=1e-3)
    start, end = centroid_pairs(metric, 1000)
    geodesic(metric, start[:2], end[:2])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        begun = time.process_time()
        curve = geodesic(metric, start, end)
        taken = time.process_time() - begun
    finally:
        torch.set_num_threads(threads)
    assert curve.converged.double().mean() >= 0.99
    assert taken < 2.0


def energy_gradient(metric: Metric, points: Tensor) -> Tensor:
    """Gradient in the inner points by automatic differentiation."""
    inner = points[..., 1:-1, :].clone().requires_grad_()
    curve = torch.cat([points[..., :1, :], inner, points[..., -1:, :]], -2)
    (gradient,) = torch.autograd.grad(energy(metric, curve).sum(), inner)
    return gradient


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_gradient_and_hessian_agree_with_autograd(dim: int) -> None:
    metric = random_metric(dim, 6, seed=dim, regularization=0.1)
    ends = 0.7 * randn(2, 1, dim, seed=2)
    curve = straight_line(ends[0], ends[1], 5) + 0.1 * randn(1, 5, dim, seed=3)
    chord = curve[:, -1] - curve[:, 0]
    terms = expand_energy(metric, curve[:, 0], chord, curve - straight_line(curve[:, 0], curve[:, -1], 5))
    torch.testing.assert_close(terms.energy, energy(metric, curve), rtol=1e-12, atol=0)
    torch.testing.assert_close(terms.gradient, energy_gradient(metric, curve), rtol=1e-9, atol=1e-9)

    hessian = torch.autograd.functional.hessian(lambda c: energy(metric, c), curve[0])
    blocks = hessian.permute(0, 2, 1, 3)
    size = hessian.abs().max()
    for t in (1, 2, 3):
        assert (terms.diagonal[0, t - 1] - blocks[t, t]).abs().max() < 1e-5 * size
    for t in range(4):
        assert (terms.coupling[0, t] - blocks[t + 1, t]).abs().max() < 1e-5 * size
    start, mixed, end = (block[0] for block in terms.condensed())
    rows = [0, 4]
    inner = hessian[1:4, :, 1:4].reshape(3 * dim, 3 * dim)
    outer = hessian[rows][:, :, rows].reshape(2 * dim, 2 * dim)
    across = hessian[1:4][:, :, rows].reshape(3 * dim, 2 * dim)
    assert terms.newton_step(torch.zeros(1, dtype=torch.float64), True)[1].all()
    expected = outer - across.T @ torch.linalg.solve(inner, across)
    found = torch.cat([torch.cat([start, mixed], 1), torch.cat([mixed.T, end], 1)])
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("num_points", [5, 34, 65])
@pytest.mark.parametrize("make", [SphereMetric, PoincareBallMetric])
def test_points_and_lengths_converge_with_second_order(
    make: type[SphereMetric] | type[PoincareBallMetric], num_points: int
) -> None:
    metric = make(2)
    start, end = inside(15, 2, 1), inside(15, 2, 2)
    exact = metric.dist_exact(start, end)
    share = torch.linspace(0, 1, num_points, dtype=torch.float64)[:, None, None]
    path = metric.exp_exact(share * metric.log_exact(end, start), start.expand(num_points, 15, 2)).transpose(
        0, 1
    )
    coarse, fine = geodesic(metric, start, end, num_points), geodesic(metric, start, end, 2 * num_points - 1)
    assert coarse.converged.all()
    assert fine.converged.all()
    errors = [(coarse.points - path).norm(), (fine.points[:, ::2] - path).norm()]
    assert 3.3 < errors[0] / errors[1] < 4.7
    errors = [(coarse.length - exact).norm(), (fine.length - exact).norm()]
    assert 3.3 < errors[0] / errors[1] < 4.7
    velocity = metric.log_exact(end, start)
    errors = [(coarse.initial_velocity - velocity).norm(), (fine.initial_velocity - velocity).norm()]
    assert 3.3 < errors[0] / errors[1] < 4.7


def test_speed_is_constant() -> None:
    metric = random_metric(2, 30, seed=2, regularization=1e-2)
    start, end = centroid_pairs(metric, 20)
    curve = geodesic(metric, start, end, 129)
    steps = curve.points.diff(dim=1)
    speed = metric.norm(128 * steps, curve.points[:, :-1] + 0.5 * steps)
    assert ((speed / speed.mean(1, keepdim=True) - 1).abs() < 2e-2).all()
    torch.testing.assert_close((2 * curve.energy).sqrt(), curve.length, rtol=1e-3, atol=0)
    torch.testing.assert_close(metric.norm(curve.initial_velocity, start), curve.length, rtol=1e-2, atol=0)


def test_reversed_ends_give_the_reversed_curve() -> None:
    metric = random_metric(2, 30, seed=2, regularization=1e-2)
    start, end = centroid_pairs(metric, 20)
    there, back = geodesic(metric, start, end), geodesic(metric, end, start)
    torch.testing.assert_close(there.points.flip(1), back.points, rtol=0, atol=1e-6)
    torch.testing.assert_close(there.length, back.length, rtol=1e-10, atol=0)
    assert torch.equal(there.points[:, 0], start)
    assert torch.equal(there.points[:, -1], end)


@pytest.mark.parametrize(("dim", "bandwidth"), [(1, 0.3), (2, 0.3), (3, 0.8)])
def test_never_longer_than_the_straight_line(dim: int, bandwidth: float) -> None:
    metric = random_metric(dim, 25, seed=7, bandwidth=bandwidth, regularization=1e-4, spread=1.5)
    start, end = 1.5 * randn(12, dim, seed=1), 1.5 * randn(12, dim, seed=2)
    for solver in (BoundarySolver(), BoundarySolver(max_iterations=2)):
        curve = geodesic(metric, start, end, 33, solver=solver)
        line = straight_line(start, end, 33)
        assert (curve.length <= length(metric, line) * (1 + 2e-6)).all()
        values = dist(metric, start, end, 33, solver=solver).values
        assert (values <= length(metric, line) * (1 + 1e-12)).all()


class WanderingSolver(BoundarySolver):
    """A solver whose results are far too long."""

    def minimize(self, metric: Metric, start: Tensor, end: Tensor, deviation: Tensor) -> Minimum:
        found = super().minimize(metric, start, end, deviation)
        detour = torch.linspace(0, math.pi, deviation.shape[1], dtype=torch.float64).sin()
        return replace(found, deviation=found.deviation + 3.0 * detour[:, None])


def test_the_straight_line_replaces_what_is_longer() -> None:
    metric = random_metric(2, 10, seed=0)
    start, end = metric.centroids[:4], metric.centroids[4:8]
    line = straight_line(start, end, 17)
    for anchors in (None, metric.centroids):
        curve = geodesic(metric, start, end, 17, anchors, WanderingSolver())
        assert torch.equal(curve.points, line)
        assert not curve.converged.any()
        torch.testing.assert_close(curve.length, length(metric, line), rtol=1e-12, atol=0)
        torch.testing.assert_close(curve.energy, energy(metric, line), rtol=1e-12, atol=0)
        assert (curve.residual > 1e-4).all()


def test_points_outside_the_chart_are_reported() -> None:
    metric = PoincareBallMetric(2)
    start, end = (
        torch.tensor([[0.1, 0.2], [0.5, 0.0]]).double(),
        torch.tensor([[0.3, 0.0], [1.5, 0.0]]).double(),
    )
    curve = geodesic(metric, start, end)
    assert curve.converged.tolist() == [True, False]
    assert dist(metric, start, end).converged.tolist() == [True, False]
    found = log(metric, end, start)
    assert found.converged.tolist() == [True, False]
    assert (found.tangent_vec[0] - metric.log_exact(end[0], start[0])).norm() < 1e-8


def test_too_few_iterations_are_reported() -> None:
    metric = random_metric(2, 120, seed=0, bandwidth=0.3, regularization=1e-3)
    start, end = centroid_pairs(metric, 50)
    curve = geodesic(metric, start, end, 33, solver=BoundarySolver(max_iterations=1))
    assert not curve.converged.all()
    assert torch.equal(curve.converged, curve.residual <= 1e-8)
    assert curve.iterations.max() == 1


def test_too_few_points_are_reported() -> None:
    # Midpoints in the data, and between them empty space that five points do not see.
    centroids = (
        torch.tensor([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0], [6.0, 0.0], [8.0, 0.0]], dtype=torch.float64) - 1.0
    )
    metric = KernelMetric(centroids, torch.eye(2, dtype=torch.float64).expand(5, 2, 2).clone(), 0.3, 1e-4)
    ends = torch.tensor([[-2.0, -1.0], [6.0, -1.0]], dtype=torch.float64)
    curve = geodesic(metric, ends[0], ends[1], 5)
    assert curve.residual <= 1e-8
    assert not curve.converged


# ---- starts through the data ---------------------------------------------------------------------------


def test_paths_between_anchors_lead_around_empty_space() -> None:
    metric = ring_metric()
    start, end = metric.centroids[:40:8] + 0.01, metric.centroids[40::8]
    paths = AnchorGraph(metric, metric.centroids, 4).paths(start, end, 65)
    assert torch.equal(paths[:, 0], start)
    assert torch.equal(paths[:, -1], end)
    assert (paths.norm(dim=-1) > 3.9).all()
    steps = metric.norm(paths.diff(dim=1), 0.5 * (paths[:, 1:] + paths[:, :-1]))
    assert ((steps / steps.mean(1, keepdim=True) - 1).abs() < 0.2).all()
    curve = geodesic(metric, start, end, anchors=metric.centroids)
    assert curve.converged.all()
    assert (curve.length <= length(metric, paths)).all()
    assert (curve.length > 0.9 * length(metric, paths)).all()


def test_no_path_between_anchors_gives_the_straight_line() -> None:
    metric = random_metric(2, 4, seed=0)
    anchors = torch.tensor([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0], [5.1, 5.0]], dtype=torch.float64)
    start, end = anchors[:1], anchors[3:]
    paths = AnchorGraph(metric, anchors, 2).paths(start, end, 9)
    assert torch.equal(paths, straight_line(start, end, 9))


def test_anchors_never_make_it_longer() -> None:
    metric = random_metric(2, 30, seed=0, bandwidth=0.5, regularization=1e-3, spread=1.5)
    start, end = centroid_pairs(metric, 30)
    plain, anchored = (geodesic(metric, start, end, 33, anchors=a) for a in (None, metric.centroids))
    assert (anchored.length <= plain.length * (1 + 1e-6)).all()
    assert (anchored.length < 0.99 * plain.length).any()


def test_single_and_separate_and_repeated_anchors() -> None:
    metric = random_metric(2, 30, seed=0)
    start, end = metric.centroids[:3], metric.centroids[3:6]
    for anchors in (metric.centroids[:1], metric.centroids[:2].repeat(10, 1)):
        assert geodesic(metric, start, end, 17, anchors=anchors).converged.all()


def test_bad_anchors_are_refused() -> None:
    metric = random_metric(2, 5, seed=0)
    start, end = metric.centroids[:2], metric.centroids[2:4]
    for anchors in (metric.centroids[:0], torch.full((3, 2), torch.nan, dtype=torch.float64), randn(5001, 2)):
        with pytest.raises(InvalidInputError, match="anchors must be 1 to 5000"):
            geodesic(metric, start, end, anchors=anchors)


# ---- distances -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", CURVED, ids=repr)
def test_distances_agree_with_closed_forms_to_fourth_order(metric: SphereMetric | PoincareBallMetric) -> None:
    start, end = inside(20, metric.dim, 1), inside(20, metric.dim, 2)
    exact = metric.dist_exact(start, end)
    errors = [(dist(metric, start, end, n).values - exact).norm() for n in (9, 17, 33)]
    assert errors[1] < errors[0] / 11
    assert errors[2] < 1e-6


def test_distance_on_a_line_is_the_integral() -> None:
    metric = random_metric(1, 12, seed=4, bandwidth=0.5, regularization=1e-2)
    start, end = 1.5 * randn(10, 1, seed=1), 1.5 * randn(10, 1, seed=2)
    exact = torch.stack(
        [
            torch.trapezoid(metric.cometric_matrix(line[:, None])[:, 0, 0].rsqrt(), line).abs()
            for line in (
                torch.linspace(float(a), float(b), 20001).double() for a, b in zip(start, end, strict=True)
            )
        ]
    )
    found = dist(metric, start, end, 129)
    assert found.converged.all()
    torch.testing.assert_close(found.values, exact, rtol=1e-6, atol=0)


def test_distances_are_those_of_a_metric_space() -> None:
    metric = random_metric(2, 30, seed=9, regularization=1e-2)
    points = metric.centroids[:12]
    found = pairwise_dist(metric, points, anchors=metric.centroids)
    values = found.values
    assert found.converged.all()
    assert torch.equal(values, values.T)
    assert torch.equal(values.diagonal(), torch.zeros(12, dtype=torch.float64))
    assert (values + torch.eye(12) > 0).all()
    # Each value is the length of a curve, at most 1e-5 above the distance on these 32 segments.
    detours = values[:, :, None] + values[None, :, :]
    assert (values[:, None, :] <= detours * (1 + 1e-5)).all()
    there = dist(metric, points[:1].expand(11, 2), points[1:], anchors=metric.centroids).values
    back = dist(metric, points[1:], points[:1].expand(11, 2), anchors=metric.centroids).values
    torch.testing.assert_close(there, back, rtol=1e-10, atol=0)
    torch.testing.assert_close(there, values[0, 1:], rtol=1e-10, atol=0)


def test_distances_between_two_sets_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    metric = random_metric(2, 15, seed=3)
    points, others = metric.centroids[:2], metric.centroids[3:6]
    whole, square = pairwise_dist(metric, points, others, 17), pairwise_dist(metric, points, num_points=17)
    monkeypatch.setattr("riemaug.geometry.distance._PAIRS_A_PART", 3)
    small = BoundarySolver(max_bytes=2**14)
    assert small.pairs_per_part(17, 2) < 2
    parts = pairwise_dist(metric, points, others, 17, solver=small)
    assert whole.values.shape == (2, 3)
    torch.testing.assert_close(parts.values, whole.values, rtol=1e-9, atol=0)
    torch.testing.assert_close(
        pairwise_dist(metric, points, num_points=17).values, square.values, rtol=1e-9, atol=0
    )
    one_by_one = torch.stack([torch.stack([dist(metric, a, b, 17).values for b in others]) for a in points])
    torch.testing.assert_close(whole.values, one_by_one, rtol=1e-9, atol=0)


# ---- lengths and energies ------------------------------------------------------------------------------


def test_lengths_of_given_curves() -> None:
    metric = EuclideanMetric(2)
    square = torch.tensor([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]], dtype=torch.float64)
    assert math.isclose(float(length(metric, square)), 4.0, rel_tol=1e-14)
    assert math.isclose(float(energy(metric, square)), 8.0, rel_tol=1e-14)
    assert float(length(metric, square[:1])) == 0.0
    assert length(metric, square.expand(2, 3, 5, 2)).shape == (2, 3)
    assert length(metric, square.expand(0, 5, 2)).shape == (0,)
    angle = torch.linspace(0, 1, 65, dtype=torch.float64)
    circle = torch.stack([angle.cos(), angle.sin()], -1)
    assert abs(float(smooth_length(metric, circle)) - 1.0) < 1e-8
    assert abs(float(length(metric, circle)) - 2 * 64 * math.sin(1 / 128)) < 1e-12
    assert float(smooth_length(metric, circle[:2])) == float(length(metric, circle[:2]))


def test_length_on_the_sphere() -> None:
    metric = SphereMetric(2)
    meridian = straight_line(torch.zeros(2).double(), torch.tensor([1.0, 0.0]).double(), 9)
    assert abs(float(length(metric, meridian)) - 0.5 * math.pi) < 1e-8


def test_resampling_is_exact_for_cubics() -> None:
    times = torch.linspace(0, 1, 7, dtype=torch.float64)[:, None]
    curve = torch.cat([times**3 - times, 2 * times**2 + 1], 1)
    fine = torch.linspace(0, 1, 24, dtype=torch.float64)[:, None]
    expected = torch.cat([fine**3 - fine, 2 * fine**2 + 1], 1)
    torch.testing.assert_close(resample(curve, 24), expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(resample(curve[[0, 6]], 3)[1], curve[[0, 6]].mean(0), rtol=0, atol=1e-15)


# ---- linear systems ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 3, 6, 15])
def test_block_tridiagonal_systems(dim: int, count: int) -> None:
    lower = randn(4, count, dim, dim, seed=1)
    coupling = randn(4, count - 1, dim, dim, seed=2)
    dense = torch.zeros(4, count, dim, count, dim, dtype=torch.float64)
    for t in range(count):
        dense[:, t, :, t, :] = lower[:, t]
    for t in range(count - 1):
        dense[:, t + 1, :, t, :] = coupling[:, t]
    factor = dense.reshape(4, count * dim, count * dim)
    matrix = factor @ factor.mT + 0.1 * torch.eye(count * dim)
    matrix[3] -= 0.2 * torch.linalg.eigvalsh(matrix[3])[-1] * torch.eye(count * dim)
    blocks = matrix.reshape(4, count, dim, count, dim).transpose(2, 3)
    diagonal = torch.stack([blocks[:, t, t] for t in range(count)], 1)
    upper = [blocks[:, t, t + 1] for t in range(count - 1)]
    stacked = torch.stack(upper, 1) if upper else diagonal[:, :0]
    right_side = randn(4, count, dim, 2, seed=3)
    found, definite = solve_block_tridiagonal(diagonal, stacked, right_side)
    expected = torch.linalg.solve(matrix[:3], right_side[:3].flatten(1, 2)).unflatten(1, (count, dim))
    torch.testing.assert_close(found[:3], expected, rtol=1e-9, atol=1e-9)
    positive = torch.linalg.eigvalsh(matrix)[:, 0] > 0
    assert torch.equal(definite, positive)


# ---- any metric, any batch -----------------------------------------------------------------------------


def test_a_metric_without_closed_forms_gives_the_same() -> None:
    metric = random_metric(3, 10, seed=1, bandwidth=1.0, spread=0.6)
    start, end = metric.centroids[:4], metric.centroids[4:8]
    fast, plain = (geodesic(m, start, end, 17) for m in (metric, PlainKernelMetric(metric)))
    assert plain.converged.all()
    torch.testing.assert_close(fast.points, plain.points, rtol=0, atol=1e-6)
    fast, plain = (
        log(m, end, start, num_steps=8, num_points=17) for m in (metric, PlainKernelMetric(metric))
    )
    assert plain.converged.all()
    torch.testing.assert_close(fast.tangent_vec, plain.tangent_vec, rtol=1e-7, atol=0)


def test_the_pull_back_of_a_sphere_has_its_distances() -> None:
    sphere = SphereMetric(2)
    metric = PullbackMetric(sphere.embed, 2, 0.0)
    start, end = inside(4, 2, 1), inside(4, 2, 2)
    found = dist(metric, start, end, 17)
    assert found.converged.all()
    torch.testing.assert_close(found.values, sphere.dist_exact(start, end), rtol=1e-5, atol=0)
    velocity = log(metric, end, start, LagrangianLeapfrog(), 8, 17)
    assert velocity.converged.all()
    again = LagrangianLeapfrog().flow(sphere, start, velocity.tangent_vec, 8).point
    torch.testing.assert_close(again, end, rtol=0, atol=1e-7)


def test_posterior_precision_metric() -> None:
    deviations = 0.2 + 0.4 * torch.rand(9, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    metric = PosteriorPrecisionMetric(randn(9, 2, seed=2), deviations, bandwidth=1.5, regularization=0.01)
    base, velocity = 0.5 * randn(8, 2, seed=3), 0.3 * randn(8, 2, seed=4)
    end = exp(metric, velocity, base, ExtrapolatedMidpoint(), 16).point
    found = log(metric, end, base)
    assert found.converged.all()
    assert (found.tangent_vec - velocity).norm(dim=-1).max() < 1e-8


def test_batches_of_any_shape() -> None:
    metric = random_metric(2, 10, seed=1)
    start, end = metric.centroids[0], metric.centroids[1:7].reshape(2, 3, 2)
    curve = geodesic(metric, start, end, 9)
    assert curve.points.shape == (2, 3, 9, 2)
    assert curve.initial_velocity.shape == (2, 3, 2)
    for name in ("length", "energy", "residual", "iterations", "converged"):
        assert getattr(curve, name).shape == (2, 3)
    single = geodesic(metric, start, end[1, 2], 9)
    assert single.points.shape == (9, 2)
    torch.testing.assert_close(single.points, curve.points[1, 2], rtol=0, atol=1e-8)
    assert log(metric, end, start).tangent_vec.shape == (2, 3, 2)
    empty = torch.zeros(0, 2, dtype=torch.float64)
    assert geodesic(metric, empty, empty, 9, anchors=metric.centroids).points.shape == (0, 9, 2)
    assert log(metric, empty, empty).tangent_vec.shape == (0, 2)
    assert dist(metric, empty, empty).values.shape == (0,)
    assert pairwise_dist(metric, empty).values.shape == (0, 0)
    assert pairwise_dist(metric, empty, metric.centroids).values.shape == (0, 10)
    assert pairwise_dist(metric, metric.centroids[:1]).values.shape == (1, 1)


@pytest.mark.parametrize("num_points", [3, 17, 65])
def test_coincident_points(num_points: int) -> None:
    metric = random_metric(2, 10, seed=1)
    point = metric.centroids[:3]
    curve = geodesic(metric, point, point, num_points)
    assert curve.converged.all()
    assert (curve.length == 0).all()
    assert torch.equal(curve.points, point[:, None].expand(3, num_points, 2))
    assert (dist(metric, point, point, num_points).values == 0).all()
    found = log(metric, point, point, num_points=num_points)
    assert found.converged.all()
    assert (found.tangent_vec.abs() < 1e-12).all()


def test_a_single_centroid() -> None:
    metric = random_metric(2, 1, seed=3)
    start = metric.centroids + torch.tensor([[0.5, 0.3]])
    end = metric.centroids - torch.tensor([[0.4, -0.6]])
    curve = geodesic(metric, start, end, anchors=metric.centroids)
    assert curve.converged.all()
    assert (curve.length <= length(metric, straight_line(start, end, 65))).all()
    assert log(metric, end, start).converged.all()


def test_float32() -> None:
    metric = random_metric(2, 30, seed=2).float()
    start, end = metric.centroids[:10], metric.centroids[10:20]
    curve = geodesic(metric, start, end, 33)
    assert curve.points.dtype == torch.float32
    assert curve.converged.all()
    exact = geodesic(random_metric(2, 30, seed=2), start.double(), end.double(), 33)
    torch.testing.assert_close(curve.points.double(), exact.points, rtol=0, atol=2e-2)


# ---- refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("function", [geodesic, dist, log])
def test_points_that_are_not_finite_are_refused(function: object, bad: float) -> None:
    metric = random_metric(2, 5, seed=0)
    points = torch.tensor([[0.0, 1.0], [bad, 0.0]], dtype=torch.float64)
    with pytest.raises(InvalidInputError, match="must be finite, got NaN or infinity in 1 of 2 pairs"):
        function(metric, points, torch.zeros_like(points))  # type: ignore[operator]


def test_bad_shapes_and_numbers_are_refused() -> None:
    metric = random_metric(2, 5, seed=0)
    point = torch.zeros(2, dtype=torch.float64)
    with pytest.raises(InvalidInputError, match="num_points of at least 3, got 2"):
        geodesic(metric, point, point, num_points=2)
    with pytest.raises(InvalidInputError, match="must have 2 coordinates"):
        geodesic(metric, torch.zeros(4, 3).double(), torch.zeros(4, 3).double())
    with pytest.raises(InvalidInputError, match="matching shapes"):  # unwrapped: the tests check shapes first
        inspect.unwrap(matching_ends)(metric, torch.zeros(4, 2).double(), torch.zeros(3, 2).double())
    with pytest.raises(InvalidInputError, match="tolerance positive"):
        BoundarySolver(tolerance=0.0)
    with pytest.raises(InvalidInputError, match="max_iterations must be at least 1"):
        BoundarySolver(max_iterations=0)
    with pytest.raises(InvalidInputError, match="num_steps, max_iterations and tolerance must be positive"):
        log(metric, point, point, num_steps=0)
    with pytest.raises(InvalidInputError, match="a curve must be"):
        length(metric, torch.zeros(5, 3).double())


def test_far_from_the_data_curves_are_straight() -> None:
    metric = random_metric(2, 10, seed=1, regularization=1e-3)
    start = torch.tensor([[1e3, 1e3]], dtype=torch.float64)
    end = start + torch.tensor([[1.0, -2.0]])
    curve = geodesic(metric, start, end)
    assert curve.converged.all()
    torch.testing.assert_close(curve.length, (end - start).norm(dim=-1) / math.sqrt(1e-3), rtol=1e-9, atol=0)
    assert log(metric, end, start).converged.all()
