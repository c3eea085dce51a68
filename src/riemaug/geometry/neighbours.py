"""A grid over the centroids, so that a point looks at the few kernels near it and not at all of them."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

_CELLS_A_CENTROID = 8
_LEAST_CELLS = 4096
_CELLS_A_RADIUS = (2.0, 2.0, 4.0)


@dataclass(frozen=True)
class NeighbourGrid:
    """Cells of a regular grid, and the order in which centroids lie in them.

    Of one or two dimensions the first axes are dummies of one cell.

    Attributes
    ----------
    order : array (N,)
        The centroids, cell by cell.
    origin, side : array (3,)
    shape : array (3,)
        Number of cells along each axis.
    starts : array (cells + 1,)
        Where each cell begins in `order`.
    """

    order: Int[np.ndarray, " N"]
    origin: Float[np.ndarray, " 3"]
    side: Float[np.ndarray, " 3"]
    shape: Int[np.ndarray, " 3"]
    starts: Int[np.ndarray, " starts"]

    @classmethod
    def of(cls, centroids: Float[np.ndarray, "N dim"], radius: float) -> "NeighbourGrid":
        """Return a grid for looking within `radius`, d <= 3, of at most max(8 N, 4096) cells or so."""
        count, dim = centroids.shape
        padded = np.zeros((count, 3))
        padded[:, 3 - dim :] = centroids
        origin = padded.min(0)
        extent = padded.max(0) - origin
        side = np.array([radius / parts for parts in _CELLS_A_RADIUS])
        limit = max(_LEAST_CELLS, _CELLS_A_CENTROID * count)
        shape = np.floor(extent / side) + 1.0
        while shape.prod() > limit:
            side = side * max(1.1, (shape.prod() / limit) ** (1.0 / dim))
            shape = np.floor(extent / side) + 1.0
        shape = shape.astype(np.int64)
        flat = _cells(padded, origin, side, shape)
        starts = np.zeros(int(shape.prod()) + 1, np.int64)
        np.cumsum(np.bincount(flat, minlength=int(shape.prod())), out=starts[1:])
        return cls(np.argsort(flat, kind="stable"), origin, side, shape, starts)

    def cells_of(self, points: Float[np.ndarray, "n dim"]) -> Int[np.ndarray, " n"]:
        """Return the number of the cell that each point lies in, or of the nearest one."""
        padded = np.zeros((len(points), 3))
        padded[:, 3 - points.shape[1] :] = np.nan_to_num(points)
        return _cells(padded, self.origin, self.side, self.shape)


def _cells(
    points: Float[np.ndarray, "n 3"],
    origin: Float[np.ndarray, " 3"],
    side: Float[np.ndarray, " 3"],
    shape: Int[np.ndarray, " 3"],
) -> Int[np.ndarray, " n"]:
    index = np.clip(np.floor((points - origin) / side), 0, shape - 1).astype(np.int64)
    return (index[:, 0] * shape[1] + index[:, 1]) * shape[2] + index[:, 2]


def truncation_radius(
    centroids: Float[np.ndarray, "N dim"], bandwidth: float, total: float, tolerance: float
) -> float:
    """Return R such that kernels farther than R add up to at most `tolerance`, at any point.

    Two bounds of the sum of t_i exp(-|z - c_i|^2 / T^2) over |z - c_i| > R, t_i <= `total`: N kernels at
    distance R; and, with n the most centroids in any cube of side T, the cubes beyond R in shells of
    width T / 2, whose number the shell's volume limits.
    """
    count, dim = centroids.shape
    cubes = np.floor(centroids / bandwidth)
    densest = int(np.unique(cubes, axis=0, return_counts=True)[1].max())
    unit_ball = math.pi ** (0.5 * dim) / math.gamma(0.5 * dim + 1.0)
    shells = 0.5 * np.arange(80)
    radii = np.arange(0.0, 12.0, 0.05)
    inner = radii[:, None] + shells
    volumes = unit_ball * ((inner + 0.5 + math.sqrt(dim)) ** dim - inner**dim)
    by_density = densest * (volumes * np.exp(-(inner**2))).sum(1)
    by_number = count * np.exp(-(radii**2))
    enough = total * np.minimum(by_density, by_number) <= tolerance
    return bandwidth * float(radii[int(enough.argmax())]) if enough.any() else math.inf
