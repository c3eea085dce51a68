"""Riemannian distances between points, one by one and of all pairs."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemaug._typing import Flag, Scalar
from riemaug.geometry.boundary import BoundarySolver
from riemaug.geometry.curves import length, smooth_length, straight_line
from riemaug.geometry.geodesic import BatchPoint, geodesic, matching_ends
from riemaug.geometry.metric import Metric

_PAIRS_A_PART = 4096


@dataclass(frozen=True)
class Distances:
    """Riemannian distances with the solver's status.

    Attributes
    ----------
    values : Tensor (...)
        Each the length of an actual curve, so where the solver did not converge still an upper bound, up
        to the error of the quadrature.
    converged : Tensor (...), bool
    """

    values: Scalar
    converged: Flag


@torch.no_grad()
def dist(
    metric: Metric,
    point_a: BatchPoint,
    point_b: BatchPoint,
    num_points: int = 33,
    anchors: Float[Tensor, "M dim"] | None = None,
    solver: BoundarySolver | None = None,
) -> Distances:
    """Return the Riemannian distance d(a, b), (...), with an error O(n^-4) of the n segments.

    It is the length of the cubic curve through the points of `geodesic`, or of the straight line where
    that is shorter, and does not depend on the order of a and b beyond rounding.

    Parameters
    ----------
    metric : Metric
    point_a, point_b : Tensor (..., d)
        Batches of the same shape, or that broadcast.
    num_points, anchors, solver
        As for `geodesic`.

    Raises
    ------
    InvalidInputError
        As for `geodesic`.
    """
    point_a, point_b = matching_ends(metric, point_a, point_b)
    curve = geodesic(metric, point_a, point_b, num_points, anchors, solver)
    line = straight_line(point_a, point_b, num_points)
    values = torch.fmin(smooth_length(metric, curve.points), length(metric, line))
    return Distances(values, curve.converged)


@torch.no_grad()
def pairwise_dist(
    metric: Metric,
    points: Float[Tensor, "n dim"],
    others: Float[Tensor, "m dim"] | None = None,
    num_points: int = 33,
    anchors: Float[Tensor, "M dim"] | None = None,
    solver: BoundarySolver | None = None,
) -> Distances:
    """Return the distances of all pairs: (n, m) to `others`, or the symmetric (n, n) among the points.

    Among the points each unordered pair is solved once and the diagonal is zero. Beside the result, memory
    does not grow with the number of pairs.

    Parameters
    ----------
    metric : Metric
    points : Tensor (n, d)
    others : Tensor (m, d), optional
    num_points, anchors, solver
        As for `geodesic`.

    Raises
    ------
    InvalidInputError
        As for `geodesic`.
    """
    symmetric = others is None
    columns = points if others is None else others
    values = points.new_zeros(len(points), len(columns))
    converged = torch.ones_like(values, dtype=torch.bool)
    for i, j in _index_pairs(len(points), len(columns), symmetric):
        part = dist(metric, points[i], columns[j], num_points, anchors, solver)
        values[i, j], converged[i, j] = part.values, part.converged
        if symmetric:
            values[j, i], converged[j, i] = part.values, part.converged
    return Distances(values, converged)


def _index_pairs(
    rows: int, columns: int, above_diagonal: bool
) -> Iterator[tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]]:
    """Yield row and column numbers of the entries, or of those above the diagonal, in parts."""
    height = max(1, _PAIRS_A_PART // max(1, columns))
    for first in range(0, rows, height):
        i = torch.arange(first, min(first + height, rows))
        i, j = (grid.flatten() for grid in torch.meshgrid(i, torch.arange(columns), indexing="ij"))
        keep = j > i if above_diagonal else torch.ones_like(i, dtype=torch.bool)
        yield from zip(i[keep].split(_PAIRS_A_PART), j[keep].split(_PAIRS_A_PART), strict=True)
