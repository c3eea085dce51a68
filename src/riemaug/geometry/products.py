"""Kernel sums as matrix products in buffers, for any dimension and device."""

import threading
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.geometry.engine import compiled_columns

LEAST_EXPONENT = -300.0
"""Kernel weights below exp(-300) count as that: far below any lambda, and products do not get subnormal."""

_COLUMNS_AT_ONCE = 1024


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
        self._scale = scale = 1.0 / bandwidth**2
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
        # |z|^2 - 2 z c + |c|^2 cancels the less, the nearer the origin is to the data
        self._center = centroids.mean(0, keepdim=True).T.contiguous()
        centroids = centroids - self._center.T
        self._centroids = centroids.T.contiguous()
        squares = (centroids * centroids).sum(1, keepdim=True)
        ones = torch.ones_like(squares)
        self._exponents = torch.cat([(2.0 * scale) * centroids, -scale * ones, -scale * squares], 1)
        self._workspaces: dict[int, _Workspace] = {}

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
        compiled, parts = compiled_columns(), []
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
        compiled, space = compiled_columns(), self._workspace_for(len(z))
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

    def midpoint(
        self,
        point: Float[Tensor, "n dim"],
        momentum: Float[Tensor, "n dim"],
        num_steps: int,
        time_step: float,
        force_step: float,
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "n dim"]]:
        """Return where the explicit midpoint rule leads in `num_steps`; points stay columns on the way."""
        ends, momenta = [point[:0]], [momentum[:0]]
        half_time, half_force = 0.5 * time_step, 0.5 * force_step * self._scale
        for part, vector in zip(point.split(_COLUMNS_AT_ONCE), momentum.split(_COLUMNS_AT_ONCE), strict=True):
            z, q = part.T.clone(memory_format=torch.contiguous_format), vector.T.contiguous()
            for _ in range(num_steps):
                velocity, pull = self._flow_of_columns(z, q)
                velocity.add_(q, alpha=self._regularization)
                middle = torch.add(z, velocity, alpha=half_time)
                middle_momentum = torch.add(q, pull, alpha=half_force)
                velocity, pull = self._flow_of_columns(middle, middle_momentum)
                velocity.add_(middle_momentum, alpha=self._regularization)
                z = torch.add(z, velocity, alpha=time_step)
                q = torch.add(q, pull, alpha=force_step * self._scale)
            ends.append(z.T)
            momenta.append(q.T)
        return torch.cat(ends), torch.cat(momenta)

    def _flow_of_columns(
        self, z: Float[Tensor, "dim n"], q: Float[Tensor, "dim n"]
    ) -> tuple[Float[Tensor, "dim n"], Float[Tensor, "dim n"]]:
        space = self._workspace_for(z.shape[1])
        weights = self._weigh(z, space)
        torch.mm(self._entries, weights, out=space.packed)
        velocity = self._times(space, q)
        torch.mm(self._doubled, self._squares(space, q), out=space.quadratic)
        weights.mul_(space.quadratic)
        total = (q * velocity).sum(0)  # sum_i w_i q^T M_i q
        return velocity, torch.mm(self._centroids, weights) - total * (z - self._center)

    def _times(self, space: "_Workspace", q: Float[Tensor, "dim n"]) -> Float[Tensor, "dim n"]:
        """Return the products of the packed matrices with the columns of q."""
        compiled = compiled_columns() if q.device.type == "cpu" else None
        if compiled is None:
            dim = len(q)
            square = space.packed.index_select(0, self._unpack).unflatten(0, (dim, dim))
            return (square * q).sum(1)
        product = torch.empty_like(q)
        compiled.multiply_columns(space.packed.numpy(), q.numpy(), product.numpy())
        return product

    def _squares(self, space: "_Workspace", q: Float[Tensor, "dim n"]) -> Float[Tensor, "pairs n"]:
        """Return the packed products of the columns of q with themselves, in the workspace."""
        compiled = compiled_columns() if q.device.type == "cpu" else None
        if compiled is None:
            return q.index_select(0, self._rows).mul_(q.index_select(0, self._columns))
        compiled.square_columns(q.numpy(), space.packed.numpy())
        return space.packed

    def _weigh(self, z: Float[Tensor, "dim n"], space: "_Workspace") -> Float[Tensor, "N n"]:
        """Return the weights of the points in the columns of z, in the workspace."""
        dim = len(z)
        shifted = torch.sub(z, self._center, out=space.lifted[:dim])
        torch.sum(shifted * shifted, 0, out=space.lifted[dim])
        torch.mm(self._exponents, space.lifted, out=space.weights)
        return space.weights.clamp_(LEAST_EXPONENT, 0.0).exp_()

    def _workspace_for(self, num: int) -> "_Workspace":
        """Return uninitialised arrays for `num` points, the same as long as the number does not change."""
        thread = threading.get_ident()  # each has its own: results must not mix
        space = self._workspaces.get(thread)
        if space is None or space.lifted.shape[1] != num:
            dim, pairs, count = len(self._centroids), len(self._entries), len(self._exponents)
            new = self._exponents.new_empty
            with torch.inference_mode(False):  # it may be used outside that mode later
                space = _Workspace(
                    torch.cat([new((dim + 1, num)), new((1, num)).fill_(1.0)]),
                    *(new((rows, num)) for rows in (count, count, pairs)),
                )
            self._workspaces[thread] = space
        return space


@dataclass(frozen=True)
class _Workspace:
    """Arrays for n points: (d + 2, n), twice (N, n), (d (d + 1) / 2, n)."""

    lifted: Tensor
    weights: Tensor
    quadratic: Tensor
    packed: Tensor
