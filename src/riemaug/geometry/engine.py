"""Fast evaluation of a kernel metric where no derivative with respect to its tensors is asked for."""

import functools
import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from riemaug.geometry.neighbours import NeighbourGrid, truncation_radius

LARGEST_COMPILED_DIM = 3
TRUNCATION = 1e-7
"""Kernels left out add up to at most this share of lambda, in any entry of C."""

LEAST_EXPONENT = -300.0
"""Kernel weights below exp(-300) count as that: far below any lambda, and products do not get subnormal."""

_LEAST_NEIGHBOURS = 1000
_CACHED = 4096
_COLUMNS_AT_ONCE = 1024
_LOG2_E = 1.0 / math.log(2.0)
"""Compiled exponentials are powers of two."""

_LANES = 32


@functools.cache
def compiled_kernels() -> ModuleType | None:
    """Return the compiled functions, or None where numba is not installed."""
    try:
        from riemaug.geometry import compiled
    except ImportError:
        return None
    return compiled


def is_transformed(tensor: Tensor) -> bool:
    """Return whether a tensor takes part in forward-mode differentiation or a `torch.func` transform."""
    if torch.autograd.forward_ad.unpack_dual(tensor).tangent is not None:
        return True
    try:
        tensor.data_ptr()
    except RuntimeError:
        return True
    return False


def is_plain_array(tensor: Tensor, single: bool = False) -> bool:
    """Return whether compiled code can take a tensor: float64 (float32 if `single`), CPU, no transform."""
    has_type = tensor.dtype == torch.float64 or (single and tensor.dtype == torch.float32)
    return has_type and tensor.device.type == "cpu" and not is_transformed(tensor)


class _CompiledTable:
    """Centroids laid out for the compiled loops, behind a grid where that spares most of them."""

    def __init__(self, centroids: Float[np.ndarray, "N dim"], radius: float) -> None:
        count, self.dim = centroids.shape
        self.radius = radius
        self.work_dim = max(2, self.dim)
        self.grid = NeighbourGrid.of(centroids if radius < math.inf else centroids[:1], min(radius, 1e300))
        self.order = self.grid.order if radius < math.inf else np.arange(count)
        # the last lanes repeat a centroid, without mass: loops then have no remainder
        self.size = -(-count // _LANES) * _LANES
        self.centroids = np.zeros((self.work_dim, self.size), centroids.dtype)
        self.centroids[-self.dim :] = centroids[:1].T
        self.centroids[-self.dim :, :count] = centroids[self.order].T

    def run(
        self,
        mode: str,
        point: Float[Tensor, "n dim"],
        momentum: Float[Tensor, "n dim"],
        entries: Float[np.ndarray, "rows size"],
        scale: float | np.floating,
        num_sums: int,
    ) -> Float[Tensor, "n sums"]:
        """Return what `compiled.evaluate` makes of the points."""
        compiled = compiled_kernels()
        assert compiled is not None
        grid, order = self.grid, self.order_of(point)
        out = np.empty((len(point), num_sums), self.centroids.dtype)
        compiled.evaluate(
            getattr(compiled, mode), self.padded(point), self.padded(momentum), self.centroids, entries,
            scale, self.radius, grid.origin, grid.side, grid.shape, grid.starts, order, out,
        )  # fmt: skip
        return torch.from_numpy(out)

    def order_of(self, point: Float[Tensor, "n dim"]) -> Int[np.ndarray, " n"]:
        """Return an order that takes points of one neighbourhood together: their kernels are in the cache."""
        if self.radius == math.inf or self.size <= _CACHED or len(point) < _LANES:
            return np.arange(len(point))
        return np.argsort(self.grid.cells_of(point.numpy()), kind="stable")

    def padded(self, rows: Float[Tensor, "n dim"]) -> Float[np.ndarray, "n work"]:
        """Return contiguous rows; one dimension becomes the second of two."""
        array = rows.numpy()
        if self.dim > 1:
            return np.ascontiguousarray(array)
        return np.concatenate([np.zeros_like(array), array], 1)


class CompiledCounts:
    """How many of many centroids are within a radius of each point, d <= 3.

    Parameters
    ----------
    centroids : Tensor (N, d), float64 on the CPU
    radius : float
    """

    def __init__(self, centroids: Float[Tensor, "N dim"], radius: float) -> None:
        self._table = _CompiledTable(centroids.numpy(), radius)

    def counts(self, point: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
        """Return the number of centroids within the radius; NaN for points that are not finite."""
        return self._table.run("COUNT", point, point, self._table.centroids, 1.0, 1)[:, 0]

    def any(self, point: Float[Tensor, "n dim"]) -> Bool[Tensor, " n"]:
        """Return whether a centroid is within the radius."""
        return self._table.run("ANY", point, point, self._table.centroids, 1.0, 1)[:, 0] > 0


class CompiledKernels:
    """The sums over kernels of a metric in at most three dimensions, by `riemaug.geometry.compiled`.

    With many centroids each point looks only at those within a radius beyond which the kernels add
    up to at most `TRUNCATION` lambda.

    Parameters
    ----------
    centroids : Tensor (N, d), float64 on the CPU
    kernels : Tensor (N, d * d)
        The M_i, flat.
    bandwidth, regularization : float
    """

    def __init__(
        self,
        centroids: Float[Tensor, "N dim"],
        kernels: Float[Tensor, "N square"],
        bandwidth: float,
        regularization: float,
    ) -> None:
        count, dim = centroids.shape
        radius = math.inf
        if count > _LEAST_NEIGHBOURS:
            largest = float(kernels.abs().max()) or 1.0
            radius = truncation_radius(centroids.numpy(), bandwidth, largest, TRUNCATION * regularization)
        self._table = table = _CompiledTable(centroids.numpy(), radius)
        self._bandwidth, self._regularization = bandwidth, regularization
        self._scale = table.centroids.dtype.type(_LOG2_E / bandwidth**2)
        self._dim, work = dim, table.work_dim
        square = np.zeros((table.size, work, work), table.centroids.dtype)
        square[:count, -dim:, -dim:] = kernels.numpy().reshape(count, dim, dim)[table.order]
        rows, columns = np.triu_indices(work)
        self._entries = np.ascontiguousarray(square[:, rows, columns].T)
        symmetric = np.zeros((work, work), np.int64)
        symmetric[rows, columns] = symmetric[columns, rows] = np.arange(len(rows))
        self._unpack = torch.from_numpy(symmetric[-dim:, -dim:].flatten())

    @property
    def radius(self) -> float:
        """Kernels farther than this are left out; infinity where all are used."""
        return self._table.radius

    def sums(self, point: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim dim"]:
        """Return sum_i w_i M_i."""
        packed = self._run("SUMS", point, point, len(self._entries))
        return packed.index_select(1, self._unpack).unflatten(1, (self._dim, self._dim))

    def sums_and_slopes(
        self, point: Float[Tensor, "n dim"]
    ) -> tuple[Float[Tensor, "n dim dim"], Float[Tensor, "n dim dim dim"]]:
        """Return sum_i w_i M_i and sum_i w_i (c_i - z)_k M_i as [n, k, i, j]."""
        size, work = len(self._entries), self._table.work_dim
        packed = self._run("SUMS_AND_SLOPES", point, point, size * (1 + work))
        parts = packed.unflatten(1, (1 + work, size)).index_select(2, self._unpack)
        square = parts.unflatten(2, (self._dim, self._dim))
        return square[:, 0], square[:, -self._dim :]

    def flow(
        self, point: Float[Tensor, "n dim"], momentum: Float[Tensor, "n dim"]
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "n dim"]]:
        """Return sum_i w_i M_i q and sum_i w_i (q^T M_i q) (c_i - z)."""
        velocity, pull = self._run("FLOW", point, momentum, 2 * self._table.work_dim).chunk(2, 1)
        return velocity[:, -self._dim :], pull[:, -self._dim :]

    def midpoint(
        self,
        point: Float[Tensor, "n dim"],
        momentum: Float[Tensor, "n dim"],
        num_steps: int,
        time_step: float,
        force_step: float,
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "n dim"]] | None:
        """Return where the explicit midpoint rule leads in `num_steps`; None where kernels are left out."""
        table, number = self._table, self._scale.dtype.type
        if table.radius < math.inf:
            return None
        compiled = compiled_kernels()
        assert compiled is not None
        end, end_momentum = table.padded(point).copy(), table.padded(momentum).copy()
        compiled.midpoint(
            end, end_momentum, table.centroids, self._entries, self._scale, number(self._bandwidth**-2),
            number(self._regularization), number(time_step), number(force_step), num_steps,
        )  # fmt: skip
        return torch.from_numpy(end[:, -self._dim :]), torch.from_numpy(end_momentum[:, -self._dim :])

    def _run(
        self, mode: str, point: Float[Tensor, "n dim"], momentum: Float[Tensor, "n dim"], num_sums: int
    ) -> Float[Tensor, "n sums"]:
        return self._table.run(mode, point, momentum, self._entries, self._scale, num_sums)


class CompiledPairOfSums:
    """sum_i exp(-|z - c_i|^2 / width^2) m_i for two columns m, and draws of i by these weights, d <= 3.

    Parameters
    ----------
    centroids : Tensor (N, d), float64 on the CPU
    columns : Tensor (N, 2)
        Not negative.
    width : float
    radius : float
        Kernels farther than this are left out; infinity for none.
    """

    def __init__(
        self, centroids: Float[Tensor, "N dim"], columns: Float[Tensor, "N 2"], width: float, radius: float
    ) -> None:
        self._table = table = _CompiledTable(centroids.numpy(), radius)
        self._scale = _LOG2_E / width**2
        self._columns = np.zeros((2, table.size))
        self._columns[:, : len(centroids)] = columns.numpy()[table.order].T

    def sums(self, point: Float[Tensor, "n dim"]) -> Float[Tensor, "n 2"]:
        """Return the two sums at each point."""
        return self._table.run("TWO_SUMS", point, point, self._columns, self._scale, 2)

    def choose(self, point: Float[Tensor, "n dim"], levels: Float[Tensor, " n"]) -> Int[Tensor, " n"]:
        """Return the centroid at which the running sum of w m, first column, exceeds each level."""
        table, grid = self._table, self._table.grid
        compiled = compiled_kernels()
        assert compiled is not None
        chosen = np.empty(len(point), np.int64)
        compiled.choose(
            table.padded(point), levels.numpy(), table.centroids, self._columns, self._scale, table.radius,
            grid.origin, grid.side, grid.shape, grid.starts, table.order_of(point), chosen,
        )  # fmt: skip
        # a level within rounding of the total takes the last centroid that was looked at
        return torch.from_numpy(table.order[np.clip(chosen, 0, len(table.order) - 1)])


class BufferedProducts:
    """C q and dH/dz by matrix products with the points as columns, in buffers that are kept.

    Columns suit the products (the few rows of C and of the pull are the short side), and buffers
    that stay in the cache cost less than fresh memory for every (points, centroids) array. Of the
    symmetric M_i only the entries on and below the diagonal are used.

    Parameters
    ----------
    centroids : Tensor (N, d)
    kernels : Tensor (N, d * d)
    bandwidth, regularization : float
    """

    def __init__(
        self,
        centroids: Float[Tensor, "N dim"],
        kernels: Float[Tensor, "N square"],
        bandwidth: float,
        regularization: float,
    ) -> None:
        dim = centroids.shape[1]
        self._regularization = regularization
        scale = 1.0 / bandwidth**2
        rows, columns = torch.tril_indices(dim, dim, device=centroids.device)
        self._rows, self._columns = rows, columns
        self._diagonal = (rows == columns).nonzero()[:, 0]
        self._entries = kernels.unflatten(1, (dim, dim))[:, rows, columns].T.contiguous()
        double = torch.where(rows == columns, 1.0, 2.0).to(kernels)
        self._doubled = (self._entries * double[:, None]).T.contiguous()
        symmetric = torch.zeros((dim, dim), dtype=torch.int64, device=centroids.device)
        numbers = torch.arange(len(rows), device=centroids.device)
        symmetric[rows, columns] = symmetric[columns, rows] = numbers
        self._unpack = symmetric.flatten()
        self._centroids = centroids.T.contiguous()
        squares = (centroids * centroids).sum(1, keepdim=True)
        ones = torch.ones_like(squares)
        self._exponents = torch.cat([(2.0 * scale) * centroids, -scale * ones, -scale * squares], 1)
        self._workspace: _Workspace | None = None

    def sums(self, point: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim dim"]:
        """Return sum_i w_i M_i."""
        dim, parts = point.shape[1], []
        for z in point.split(_COLUMNS_AT_ONCE):
            space = self._workspace_for(len(z))
            packed = torch.mm(self._weigh(z.T, space).T, self._entries.T)
            parts.append(packed.index_select(1, self._unpack).unflatten(1, (dim, dim)))
        return torch.cat(parts)

    def log_det(self, point: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
        """Return log det C, (n,), for points on the CPU."""
        parts = [self._factors(z)[self._diagonal].log_().sum(0) for z in point.split(_COLUMNS_AT_ONCE)]
        return 2.0 * torch.cat(parts)

    def solve(
        self, point: Float[Tensor, "n dim"], velocity: Float[Tensor, "n dim"]
    ) -> Float[Tensor, "n dim"]:
        """Return C^-1 v, (n, d), for points on the CPU."""
        compiled, parts = compiled_kernels(), []
        assert compiled is not None
        for z, v in zip(point.split(_COLUMNS_AT_ONCE), velocity.split(_COLUMNS_AT_ONCE), strict=True):
            momentum = v.T.contiguous()
            if momentum.data_ptr() == v.data_ptr():
                momentum = momentum.clone()
            compiled.solve_columns(self._factors(z).numpy(), momentum.numpy())
            parts.append(momentum.T)
        return torch.cat(parts)

    def _factors(self, z: Float[Tensor, "n dim"]) -> Float[Tensor, "pairs n"]:
        """Return the lower Cholesky factors of C as columns, in the workspace."""
        compiled, space = compiled_kernels(), self._workspace_for(len(z))
        assert compiled is not None
        torch.mm(self._entries, self._weigh(z.T, space), out=space.packed)
        space.packed[self._diagonal] += self._regularization
        compiled.factor_columns(space.packed.numpy(), z.shape[1])
        return space.packed

    def flow(
        self, point: Float[Tensor, "n dim"], momentum: Float[Tensor, "n dim"]
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "n dim"]]:
        """Return sum_i w_i M_i q and sum_i w_i (q^T M_i q) (c_i - z)."""
        velocities, pulls = [], []
        for z, q in zip(point.split(_COLUMNS_AT_ONCE), momentum.split(_COLUMNS_AT_ONCE), strict=True):
            velocity, pull = self._flow_of_columns(z.T.contiguous(), q.T.contiguous())
            velocities.append(velocity.T)
            pulls.append(pull.T)
        return torch.cat(velocities), torch.cat(pulls)

    def _flow_of_columns(
        self, z: Float[Tensor, "dim n"], q: Float[Tensor, "dim n"]
    ) -> tuple[Float[Tensor, "dim n"], Float[Tensor, "dim n"]]:
        dim, num = z.shape
        space = self._workspace_for(num)
        weights = self._weigh(z, space)
        torch.mm(self._entries, weights, out=space.packed)
        square = torch.index_select(space.packed, 0, self._unpack, out=space.square).unflatten(0, (dim, dim))
        velocity = square.mul_(q).sum(1)
        torch.index_select(q, 0, self._rows, out=space.packed)
        torch.index_select(q, 0, self._columns, out=space.other)
        torch.mm(self._doubled, space.packed.mul_(space.other), out=space.quadratic)
        weights.mul_(space.quadratic)
        total = (q * velocity).sum(0)  # sum_i w_i q^T M_i q
        return velocity, torch.mm(self._centroids, weights) - total * z

    def _weigh(self, z: Float[Tensor, "dim n"], space: "_Workspace") -> Float[Tensor, "N n"]:
        """Return the weights of the points in the columns of z, in the workspace."""
        dim = len(z)
        space.lifted[:dim] = z
        torch.sum(z * z, 0, out=space.lifted[dim])
        torch.mm(self._exponents, space.lifted, out=space.weights)
        return space.weights.clamp_(LEAST_EXPONENT, 0.0).exp_()

    def _workspace_for(self, num: int) -> "_Workspace":
        """Return uninitialised arrays for `num` points, the same as long as the number does not change."""
        if self._workspace is None or self._workspace.lifted.shape[1] != num:
            dim, pairs, count = len(self._centroids), len(self._entries), len(self._exponents)
            new = self._exponents.new_empty
            self._workspace = _Workspace(
                torch.cat([new((dim + 1, num)), new((1, num)).fill_(1.0)]),
                *(new((rows, num)) for rows in (count, count, pairs, pairs, dim * dim)),
            )
        return self._workspace


@dataclass(frozen=True)
class _Workspace:
    """Arrays for n points: (d + 2, n), twice (N, n), twice (d (d + 1) / 2, n), (d * d, n)."""

    lifted: Tensor
    weights: Tensor
    quadratic: Tensor
    packed: Tensor
    other: Tensor
    square: Tensor
