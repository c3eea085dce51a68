"""The pull-back metric of a decoder: lengths in the latent space are lengths in the data space."""

import copy
import inspect
import math
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemaug import linalg
from riemaug._typing import Matrix, Momentum, Point, Tangent
from riemaug.errors import InvalidInputError
from riemaug.geometry.forward_mode import load_forward_mode
from riemaug.geometry.metric import LocalGeometry, TensorMetric

ENTRIES_AT_ONCE = 2**22
"""Decoder outputs, times tangents pushed through at once, in one piece of a batch (32 MiB in float64)."""


class PullbackMetric(TensorMetric):
    """G(z) = J(z)^T J(z) + lambda I, J = df/dz the Jacobian of a decoder f.

    J is pushed forward through the decoder (d tangents, for d is far below the number D of outputs),
    and dG by pushing forward twice; batches go through in pieces of bounded memory. The law drawn from
    is sqrt det G, with no default support: the decoder does not tell where the data are.

    A module, or a method of one such as `model.decode`, is copied, put into evaluation mode and its
    weights are fixed: later training does not change the metric, and the metric changes no module of
    yours. A plain function is kept as it is; of one that closes over tensors, `.to` cannot move them.
    The decoder's dtype is that of the geometry: call `.double()` on the metric for float64.

    A decoder with kinks (ReLU) has a J that jumps: the closed forms hold almost everywhere, integrators
    lose their order, and geodesics are refracted at the kinks. Prefer a smooth one (tanh, SiLU).

    Parameters
    ----------
    decoder : nn.Module or callable
        Maps points (n, d) to outputs (n, ...) row by row; of PyTorch operations with forward-mode
        derivatives.
    dim : int
        d, at least 1.
    regularization : float
        lambda >= 0; 0 only where J has full rank everywhere.

    Raises
    ------
    InvalidInputError
        A parameter out of its range; on use, a decoder whose output is not one row for each point.
    """

    def __init__(
        self, decoder: nn.Module | Callable[[Tensor], Tensor], dim: int, regularization: float = 1e-3
    ) -> None:
        super().__init__()
        if dim < 1 or not 0 <= regularization < math.inf:
            raise InvalidInputError(
                f"dim must be 1 or more and regularization 0 or more, got {dim} and {regularization}"
            )
        self._dim = dim
        self.regularization = float(regularization)
        owner = decoder.__self__ if inspect.ismethod(decoder) else decoder
        self.decoder = _frozen_copy(owner) if isinstance(owner, nn.Module) else None
        self._method = decoder.__name__ if inspect.ismethod(decoder) and self.decoder is not None else None
        self._function = None if self.decoder is not None else decoder
        self._width: int | None = None
        load_forward_mode()

    @property
    def dim(self) -> int:
        """Dimension d of the latent space."""
        return self._dim

    def extra_repr(self) -> str:
        """Return the parameters that `repr` shows."""
        return f"dim={self.dim}, regularization={self.regularization}"

    def jacobian(self, point: Point) -> Float[Tensor, "*batch D dim"]:
        """Return J(z), the decoder's outputs flattened, (..., D, d)."""
        parts = [self._columns(part).permute(1, 2, 0) for part in self._pieces(point, self.dim)]
        return self._joined(parts, point) if parts else point.new_zeros((*point.shape[:-1], 0, self.dim))

    def metric_matrix(self, point: Point) -> Matrix:
        """Return G(z), (..., d, d)."""
        parts = [self._tensor_of(self._columns(part)) for part in self._pieces(point, self.dim)]
        return self._joined(parts, point) if parts else _empty(point, 2)

    def log_density_gradient(self, point: Point) -> Tangent:
        """Return grad log sqrt det G, by reverse mode over J, (..., d)."""
        gradient = torch.func.grad(lambda position: self.log_density(position).sum())
        parts = [gradient(part) for part in self._pieces(point, self.dim)]
        return self._joined(parts, point) if parts else _empty(point, 1)

    def metric_derivative(self, point: Point) -> Float[Tensor, "*batch dim dim dim"]:
        """Return dG_ij / dz_k as [..., i, j, k]: the derivative index is last."""
        parts = [self._tensor_and_slopes(part)[1] for part in self._pieces(point, self.dim**2)]
        return self._joined(parts, point) if parts else _empty(point, 3)

    def cometric_derivative(self, point: Point) -> Float[Tensor, "*batch dim dim dim"]:
        """Return dC_ij / dz_k as [..., i, j, k]: the derivative index is last."""
        return self.local_geometry(point).derivative.movedim(-3, -1)

    def local_geometry(self, point: Point) -> LocalGeometry:
        """Return C and dC = -C (dG) C at the points, J being pushed forward once."""
        pairs = [self._tensor_and_slopes(part) for part in self._pieces(point, self.dim**2)]
        if not pairs:
            return LocalGeometry(point, _empty(point, 2), _empty(point, 3))
        tensors, slopes = (self._joined(parts, point) for parts in zip(*pairs, strict=True))
        cometric = linalg.spd_inverse_and_log_det(tensors)[0]
        by_direction = slopes.movedim(-1, -3)
        return LocalGeometry(
            point, cometric, -(cometric[..., None, :, :] @ by_direction @ cometric[..., None, :, :])
        )

    def kinetic_gradient(self, point: Point, momentum: Momentum) -> Momentum:
        """Return dH/dz = -grad_z 1/2 |J(z) v|^2 at the fixed velocity v = C(z) q, (..., d)."""
        return self.velocity_and_gradient(point, momentum)[1]

    def velocity_and_gradient(self, point: Point, momentum: Momentum) -> tuple[Tangent, Momentum]:
        """Return C(z) q and dH/dz, (..., d): one tangent pushed forward, one cotangent pulled back."""
        velocity = self.velocity_of(point, momentum)
        gradient = torch.func.grad(self._half_squared_speed)
        pairs = torch.cat([point, velocity], -1)
        parts = [-gradient(*pair.split(self.dim, -1)) for pair in self._pieces(pairs, self.dim)]
        return velocity, self._joined(parts, point) if parts else _empty(point, 1)

    def _half_squared_speed(self, flat: Float[Tensor, "n dim"], velocity: Float[Tensor, "n dim"]) -> Tensor:
        """Return the sum over the rows of 1/2 |J v|^2."""
        moved = torch.func.jvp(self._decode, (flat,), (velocity,))[1]
        return 0.5 * (moved * moved).sum()

    def _decode(self, flat: Float[Tensor, "n dim"]) -> Float[Tensor, "n D"]:
        """Return the decoder's outputs, one flat row each."""
        if self.decoder is None:
            assert self._function is not None
            output = self._function(flat)
        else:
            output = self.decoder(flat) if self._method is None else getattr(self.decoder, self._method)(flat)
        if not isinstance(output, Tensor) or output.ndim == 0 or len(output) != len(flat):
            found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise InvalidInputError(
                f"a decoder must map points {tuple(flat.shape)} to a tensor of {len(flat)} rows, got {found}"
            )
        return output.reshape(len(flat), -1)

    def _columns(self, flat: Float[Tensor, "n dim"]) -> Float[Tensor, "dim n D"]:
        """Return the columns of J, one pushed-forward unit tangent each."""
        units = torch.eye(self.dim, dtype=flat.dtype, device=flat.device)

        def push(unit: Tensor) -> Tensor:
            return torch.func.jvp(self._decode, (flat,), (unit.expand_as(flat),))[1]

        return torch.func.vmap(push)(units)

    def _tensor_of(self, columns: Float[Tensor, "dim n D"]) -> Float[Tensor, "n dim dim"]:
        """Return J^T J + lambda I from the columns of J."""
        rows = columns.movedim(0, 1)
        identity = torch.eye(self.dim, dtype=rows.dtype, device=rows.device)
        return rows @ rows.mT + self.regularization * identity

    def _tensor_and_slopes(
        self, flat: Float[Tensor, "n dim"]
    ) -> tuple[Float[Tensor, "n dim dim"], Float[Tensor, "n dim dim dim"]]:
        """Return G and dG_ij / dz_k = <dJ_i / dz_k, J_j> + <J_i, dJ_j / dz_k>, [n, i, j, k]."""
        units = torch.eye(self.dim, dtype=flat.dtype, device=flat.device)

        def push(unit: Tensor) -> tuple[Tensor, Tensor]:
            value, slope = torch.func.jvp(self._columns, (flat,), (unit.expand_as(flat),))[:2]
            return value, slope

        # J does not depend on the direction k, its derivative [k, i, n, D] does
        columns, bent = torch.func.vmap(push, out_dims=(None, 0))(units)  # pyright: ignore[reportArgumentType]
        half = torch.einsum("kinx,jnx->nijk", bent, columns)
        return self._tensor_of(columns), half + half.transpose(1, 2)

    def _pieces(
        self, rows: Float[Tensor, "*batch columns"], num_tangents: int
    ) -> Iterator[Float[Tensor, "n columns"]]:
        """Yield rows that begin with a point, flat, in pieces of bounded memory; none of an empty batch."""
        if rows.numel():
            flat = rows.reshape(-1, rows.shape[-1])
            if self._width is None:
                with torch.no_grad():
                    self._width = self._decode(flat[:1, : self.dim].detach()).shape[1]
            yield from flat.split(max(1, ENTRIES_AT_ONCE // max(1, self._width * num_tangents)))

    def _joined(self, parts: list[Tensor] | tuple[Tensor, ...], point: Point) -> Tensor:
        """Return pieces as one tensor with the batch dimensions of `point`."""
        whole = parts[0] if len(parts) == 1 else torch.cat(list(parts))
        return whole.reshape(*point.shape[:-1], *whole.shape[1:])


def _frozen_copy(module: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode whose weights are fixed."""
    return copy.deepcopy(module).eval().requires_grad_(False)


def _empty(point: Point, order: int) -> Tensor:
    """Return the tensor of `order` latent indices for an empty batch."""
    return point.new_zeros((*point.shape[:-1], *[point.shape[-1]] * order))
