"""Shortest paths along straight edges between given points: where a solver for geodesics may start."""

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.geometry.curves import length, straight_line
from riemaug.geometry.metric import Metric

_POINTS_AN_EDGE = 5
_MOST_ANCHORS = 5000


class AnchorGraph:
    """Anchors joined to their nearest neighbours by straight edges with their Riemannian lengths.

    Parameters
    ----------
    metric : Metric
    anchors : Tensor (M, d)
        Points in the data, 1 to 5,000; for a kernel metric the centroids.
    num_neighbors : int
        Nearest in the coordinates.

    Raises
    ------
    InvalidInputError
        Too few or too many anchors, or some that are not finite.
    """

    def __init__(self, metric: Metric, anchors: Float[Tensor, "M dim"], num_neighbors: int = 8) -> None:
        if not 1 <= len(anchors) <= _MOST_ANCHORS or not bool(anchors.isfinite().all()):
            raise InvalidInputError(
                f"anchors must be 1 to {_MOST_ANCHORS} finite points, got {len(anchors)}; pass a subset"
            )
        self.metric = metric
        self.anchors = anchors
        self.num_neighbors = min(num_neighbors, len(anchors))
        near, lengths = self._edges_from(anchors)
        count = len(anchors)
        tails = np.repeat(np.arange(count), self.num_neighbors)
        # The least float stands for zero: a sparse graph drops edges of no length.
        weights = np.maximum(lengths.numpy().ravel(), np.finfo(np.float64).tiny)
        self._graph = coo_array((weights, (tails, near.numpy().ravel())), (count, count)).tocsr()

    def paths(
        self, start: Float[Tensor, "pairs dim"], end: Float[Tensor, "pairs dim"], num_points: int
    ) -> Float[Tensor, "pairs time dim"]:
        """Return the shortest paths start - anchors - end as `num_points` points, evenly spaced in length.

        Where no path exists the straight line is returned.
        """
        points, index = torch.cat([start, end]).unique(dim=0, return_inverse=True)
        near, gaps = self._edges_from(points)
        first, last = index.cpu().view(2, -1)
        sources, source_row = near[first].unique(return_inverse=True)
        distances, previous = dijkstra(self._graph, False, sources.numpy(), return_predecessors=True)
        between = torch.from_numpy(distances)[source_row[:, :, None], near[last][:, None, :]]
        totals = (gaps[first][:, :, None] + between + gaps[last][:, None, :]).flatten(1)
        best, choice = totals.min(1)
        enter, leave = choice // self.num_neighbors, choice % self.num_neighbors
        rows = torch.arange(len(start))
        start_rows, start_nodes = source_row[rows, enter], near[first][rows, enter]
        end_nodes = near[last][rows, leave]
        nodes = _follow(previous, start_rows.numpy(), start_nodes.numpy(), end_nodes.numpy())
        corners = torch.cat([start[:, None], self.anchors[nodes], end[:, None]], 1)
        curves = self._evenly(corners, num_points)
        reached = best.isfinite()[:, None, None].to(curves.device)
        return torch.where(reached, curves, straight_line(start, end, num_points))

    def _edges_from(self, points: Tensor) -> tuple[Int[Tensor, "P k"], Float[Tensor, "P k"]]:
        """Return the nearest anchors of the points and the lengths of straight edges to them, on the CPU."""
        near = torch.cdist(points, self.anchors).topk(self.num_neighbors, largest=False).indices
        edges = straight_line(points[:, None].expand(*near.shape, -1), self.anchors[near], _POINTS_AN_EDGE)
        lengths = length(self.metric, edges).cpu().double()
        return near.cpu(), torch.where(lengths.isfinite(), lengths, torch.inf)

    def _evenly(
        self, corners: Float[Tensor, "pairs corners dim"], num_points: int
    ) -> Float[Tensor, "pairs num_points dim"]:
        """Return points on the broken lines at equal steps of their Riemannian length."""
        edges = straight_line(corners[:, :-1], corners[:, 1:], _POINTS_AN_EDGE)
        sums = length(self.metric, edges).cumsum(1)
        marks = torch.nn.functional.pad(sums, (1, 0))
        share = torch.linspace(0.0, 1.0, num_points, dtype=corners.dtype, device=corners.device)
        wanted = share * marks[:, -1:]
        right = torch.searchsorted(marks, wanted).clamp(1, corners.shape[1] - 1)
        low, high = marks.gather(1, right - 1), marks.gather(1, right)
        part = ((wanted - low) / (high - low).clamp_min(torch.finfo(low.dtype).tiny)).clamp(0.0, 1.0)
        index = right[..., None].expand(-1, -1, corners.shape[-1])
        return torch.lerp(corners.gather(1, index - 1), corners.gather(1, index), part[..., None])


def _follow(
    previous: Int[np.ndarray, "sources M"],
    rows: Int[np.ndarray, " pairs"],
    first: Int[np.ndarray, " pairs"],
    last: Int[np.ndarray, " pairs"],
) -> Int[Tensor, "pairs nodes"]:
    """Return the nodes from `first` to `last` of each pair, the first repeated where paths are shorter."""
    columns, node = [last], last
    while True:
        before = previous[rows, node]
        node = np.where((node == first) | (before < 0), node, before)
        if (node == columns[-1]).all():
            break
        columns.append(node)
    return torch.from_numpy(np.stack(columns[::-1], 1)).long()
