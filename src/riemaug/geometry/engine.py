"""Fast evaluation of a kernel metric where no derivative with respect to its tensors is asked for."""

import functools
import math
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from riemaug.geometry.neighbours import NeighbourGrid, truncation_radius

LARGEST_COMPILED_DIM = 3
TRUNCATION = 1e-7
"""Kernels left out add up to at most this share of lambda, in any entry of C."""

_LEAST_NEIGHBOURS = 1000
_CACHED = 4096
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


@functools.cache
def compiled_columns() -> ModuleType | None:
    """Return the compiled functions of small matrices, or None where numba is not installed."""
    try:
        from riemaug.geometry import compiled_columns as columns
    except ImportError:
        return None
    return columns


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


def can_compile(*tensors: Tensor, single: bool = False) -> bool:
    """Return whether compiled sums take these tensors, of last dimension d; see `is_plain_array`."""
    return (
        tensors[0].shape[-1] <= LARGEST_COMPILED_DIM
        and compiled_kernels() is not None
        and all(is_plain_array(tensor, single) for tensor in tensors)
    )


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
    columns : Tensor (N, 2), optional
        Two more numbers for each kernel, not negative, for `sums_and_two`.
    truncation : float
        What is left out, as a share of lambda.
    """

    def __init__(
        self,
        centroids: Float[Tensor, "N dim"],
        kernels: Float[Tensor, "N square"],
        bandwidth: float,
        regularization: float,
        columns: Float[Tensor, "N 2"] | None = None,
        truncation: float = TRUNCATION,
    ) -> None:
        count, dim = centroids.shape
        radius = math.inf
        if count > _LEAST_NEIGHBOURS:
            largest = float(kernels.abs().max()) or 1.0
            if columns is not None:
                largest = max(largest, float(columns.max()))
            radius = truncation_radius(centroids.numpy(), bandwidth, largest, truncation * regularization)
        self._table = table = _CompiledTable(centroids.numpy(), radius)
        self._bandwidth, self._regularization = bandwidth, regularization
        self._scale = table.centroids.dtype.type(_LOG2_E / bandwidth**2)
        self._dim, work = dim, table.work_dim
        square = np.zeros((table.size, work, work), table.centroids.dtype)
        square[:count, -dim:, -dim:] = kernels.numpy().reshape(count, dim, dim)[table.order]
        upper, right = np.triu_indices(work)
        self._entries = np.ascontiguousarray(square[:, upper, right].T)
        symmetric = np.zeros((work, work), np.int64)
        symmetric[upper, right] = symmetric[right, upper] = np.arange(len(upper))
        self._all_entries = self._entries
        if columns is not None:
            two = np.zeros((2, table.size))
            two[:, :count] = columns.numpy()[table.order].T
            self._all_entries = np.concatenate([self._entries, two])
            self._entries = self._all_entries[: len(upper)]
        self._unpack = torch.from_numpy(symmetric[-dim:, -dim:].flatten())

    @property
    def radius(self) -> float:
        """Kernels farther than this are left out; infinity where all are used."""
        return self._table.radius

    def sums(self, point: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim dim"]:
        """Return sum_i w_i M_i."""
        packed = self._run("SUMS", point, point, len(self._entries))
        return packed.index_select(1, self._unpack).unflatten(1, (self._dim, self._dim))

    def sums_and_two(
        self, point: Float[Tensor, "n dim"]
    ) -> tuple[Float[Tensor, "n dim dim"], Float[Tensor, "n 2"]]:
        """Return sum_i w_i M_i and sum_i w_i m_i of the two columns m, in one pass."""
        size = len(self._all_entries)
        packed = self._table.run("SUMS_AND_TWO", point, point, self._all_entries, self._scale, size)
        square = packed.index_select(1, self._unpack).unflatten(1, (self._dim, self._dim))
        return square, packed[:, -2:]

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
