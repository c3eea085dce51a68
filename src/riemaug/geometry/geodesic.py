"""Geodesics of given initial velocity (the exponential map) and geodesics between given points."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemaug._typing import Flag, Point, Scalar, Tangent
from riemaug.errors import InvalidInputError
from riemaug.geometry.boundary import BoundarySolver
from riemaug.geometry.curves import Curve, length, straight_line
from riemaug.geometry.discrete_energy import Ends, expand_energy
from riemaug.geometry.integrators import ExplicitMidpoint, Flow, GeodesicIntegrator
from riemaug.geometry.metric import Metric
from riemaug.geometry.shortest_paths import AnchorGraph

BatchPoint = Float[Tensor, "*#batch dim"]
"""Points whose leading dimensions broadcast against those of others."""

_TIE = 1e-6
"""Curves whose lengths differ by this share are equally long: the error of the lengths' quadrature."""

_UNRESOLVED = 0.05
"""Share of its length by which the energy of a curve may miss it, see `GeodesicCurve.converged`."""


def exp(
    metric: Metric,
    tangent_vec: Tangent,
    base_point: Point,
    integrator: GeodesicIntegrator | None = None,
    num_steps: int = 10,
) -> Flow:
    """Return the exponential map Exp_z(v) with the solver's status.

    Parameters
    ----------
    metric : Metric
    tangent_vec, base_point : Tensor (..., d)
        Initial velocity v and start z.
    integrator : GeodesicIntegrator, optional
        By default the explicit midpoint rule (paper, Alg. 2).
    num_steps : int
        Sub-steps of the unit time, at least 1.
    """
    return (integrator or ExplicitMidpoint()).flow(metric, base_point, tangent_vec, num_steps)


def shoot(
    metric: Metric, tangent_vec: Tangent, base_point: Point, num_steps: int = 50, num_points: int = 50
) -> Float[Tensor, "time *batch dim"]:
    """Return `num_points` points along Exp_z(t v), t in [0, 1], (time, ..., d), for pictures."""
    integrator, num_pieces = ExplicitMidpoint(), max(1, num_points - 1)
    path, point, velocity = [base_point], base_point, tangent_vec / num_pieces
    for _ in range(num_points - 1):
        flow = integrator.flow(metric, point, velocity, max(1, num_steps // num_pieces))
        point, velocity = flow.point, flow.velocity
        path.append(point)
    return torch.stack(path)


@dataclass(frozen=True)
class GeodesicCurve:
    """Discrete geodesics between given points, with the solver's status.

    Attributes
    ----------
    points : Tensor (..., time, d)
        At equal steps of time, so that the speed is constant, from start to end, both exact.
    initial_velocity : Tensor (..., d)
        dz/dt at the start for unit time, with an error O(n^-2); `log` is exact.
    length : Tensor (...)
        Of the broken line through the points, see `riemaug.geometry.length`: an upper bound of the
        distance that approaches it as n^-2.
    energy : Tensor (...)
        The discretised energy, see `riemaug.geometry.energy`.
    residual : Tensor (...)
        max_t |dE/dz_t| / max_t |q_t| over the inner points, with the momenta q_t = G v_t.
    iterations : Tensor (...), int
        Newton steps tried.
    converged : Tensor (...), bool
        Whether the residual is at most the solver's tolerance and sqrt(2 energy) within 5 % of `length`:
        else the points are too few to see what lies between them. Where the solver found nothing shorter
        than the straight line, the straight line is returned and marked as not converged.
    """

    points: Curve
    initial_velocity: Tangent
    length: Scalar
    energy: Scalar
    residual: Scalar
    iterations: Int[Tensor, "*batch"]
    converged: Flag


@torch.no_grad()
def geodesic(
    metric: Metric,
    start: BatchPoint,
    end: BatchPoint,
    num_points: int = 65,
    anchors: Float[Tensor, "M dim"] | None = None,
    solver: BoundarySolver | None = None,
) -> GeodesicCurve:
    """Return geodesics from `start` to `end`: curves of locally least length.

    The search starts from the straight line. With `anchors` it starts a second time from the shortest
    path along edges between them, and the shorter result is kept: the straight line may lead to a
    curve through empty space where one through the data is shorter. The result is never longer than
    the straight line through as many points (up to 1e-6 of its length, the error of the quadrature).
    Results carry no derivatives.

    Parameters
    ----------
    metric : Metric
    start, end : Tensor (..., d)
        Batches of the same shape, or that broadcast.
    num_points : int
        Points of each curve, at least 3; 2^k + 1 costs least for its size.
    anchors : Tensor (M, d), optional
        Points in the data, at most 5,000: a kernel metric's centroids.
    solver : BoundarySolver, optional
        Tolerance, iterations, memory.

    Raises
    ------
    InvalidInputError
        Points that are not finite or of another dimension than the metric, too few points.
    """
    solver = solver or BoundarySolver()
    if num_points < 3:
        raise InvalidInputError(f"a geodesic needs num_points of at least 3, got {num_points}")
    start, end = matching_ends(metric, start, end)
    shape, dim = start.shape[:-1], metric.dim
    graph = None if anchors is None else AnchorGraph(metric, anchors)
    size = solver.pairs_per_part(num_points, dim)
    parts = [
        _solve(metric, a, b, num_points, graph, solver)
        for a, b in zip(start.reshape(-1, dim).split(size), end.reshape(-1, dim).split(size), strict=True)
    ]
    columns = (torch.cat([getattr(part, field.name) for part in parts]) for field in fields(GeodesicCurve))
    return GeodesicCurve(*(column.reshape((*shape, *column.shape[1:])) for column in columns))


def matching_ends(metric: Metric, start: BatchPoint, end: BatchPoint) -> tuple[Tensor, Tensor]:
    """Return the two broadcast against each other.

    Raises
    ------
    InvalidInputError
        Shapes that do not fit each other or the metric, points that are not finite.
    """
    try:
        first, last = torch.broadcast_tensors(start, end)
    except RuntimeError as error:
        raise InvalidInputError(
            f"start and end must have matching shapes, got {tuple(start.shape)} and {tuple(end.shape)}"
        ) from error
    if first.ndim < 1 or first.shape[-1] != metric.dim:
        raise InvalidInputError(
            f"points of this metric must have {metric.dim} coordinates, got shape {tuple(first.shape)}"
        )
    lost = ~(first.isfinite() & last.isfinite()).all(-1)
    if bool(lost.any()):
        raise InvalidInputError(
            f"start and end must be finite, got NaN or infinity in {int(lost.sum())} of {lost.numel()} pairs"
        )
    return first, last


def _solve(
    metric: Metric, start: Ends, end: Ends, num_points: int, graph: AnchorGraph | None, solver: BoundarySolver
) -> GeodesicCurve:
    """Return the best of the curves that the starts lead to, and the straight line where none is shorter."""
    line = straight_line(start, end, num_points)
    best = _minimized(metric, start, end, torch.zeros_like(line), solver)
    if graph is not None:
        guess = graph.paths(start, end, num_points) - line
        other = _minimized(metric, start, end, guess, solver)
        best = _merge(_rank(other) < _rank(best) * (1.0 - _TIE), other, best)
    straight = length(metric, line)
    longer = ~(best.length <= straight.nan_to_num(torch.inf) * (1.0 + _TIE))
    if bool(longer.any()):
        best = _merge(longer, _straight(metric, start, end, line, straight), best)
    return best


def _rank(curve: GeodesicCurve) -> Scalar:
    """Return lengths by which curves compare: infinite for none, and of equals the converged one wins."""
    rank = torch.where(curve.converged, curve.length, curve.length * (1.0 + 2.0 * _TIE))
    return rank.nan_to_num(torch.inf)


def _merge(which: Flag, first: GeodesicCurve, second: GeodesicCurve) -> GeodesicCurve:
    """Return `first` for some pairs, `second` for the others; the steps tried are those of both."""
    columns = []
    for field in fields(GeodesicCurve):
        mine, other = getattr(first, field.name), getattr(second, field.name)
        condition = which.reshape(-1, *[1] * (mine.ndim - 1))
        total = field.name == "iterations"
        columns.append(mine + other if total else torch.where(condition, mine, other))
    return GeodesicCurve(*columns)


def _minimized(
    metric: Metric, start: Ends, end: Ends, deviation: Float[Tensor, "pairs time dim"], solver: BoundarySolver
) -> GeodesicCurve:
    """Return the minima of the energy that the solver reaches from a guess."""
    found = solver.minimize(metric, start, end, deviation)
    points = straight_line(start, end, deviation.shape[1]) + found.deviation
    points[:, -1] = end
    size = length(metric, points)
    resolved = ((2.0 * found.energy).sqrt() - size).abs() <= _UNRESOLVED * size
    return GeodesicCurve(
        points,
        metric.velocity_of(start, found.initial_momentum),
        size,
        found.energy,
        found.residual,
        found.iterations,
        (found.residual <= solver.tolerance_for(start.dtype)) & resolved,
    )


def _straight(
    metric: Metric, start: Ends, end: Ends, line: Float[Tensor, "pairs time dim"], size: Scalar
) -> GeodesicCurve:
    """Return the straight lines as curves that have not converged."""
    terms = expand_energy(metric, start, end - start, torch.zeros_like(line))
    failed = torch.zeros(len(start), dtype=torch.bool, device=start.device)
    steps = torch.zeros(len(start), dtype=torch.long, device=start.device)
    velocity = metric.velocity_of(start, terms.initial_momentum)
    return GeodesicCurve(line, velocity, size, terms.energy, terms.residual, steps, failed)
