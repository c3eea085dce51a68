"""What a Riemannian metric on the latent space offers; the cometric is primary.

A metric of your own subclasses `Metric` and writes `dim` and one method, `cometric_matrix`; one that is given
by G itself subclasses `TensorMetric` and writes `metric_matrix`. All else follows from it by automatic
differentiation; override a method where a closed form is at hand.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemaug import linalg
from riemaug._typing import Matrix, Momentum, Point, Scalar, Tangent
from riemaug.errors import InvalidInputError
from riemaug.geometry.support import Support


@dataclass(frozen=True)
class LocalGeometry:
    """C(z) and dC/dz at a batch of points, and what follows from them, computed once when asked for.

    Attributes
    ----------
    point : Tensor (..., d)
    cometric : Tensor (..., d, d)
        C(z).
    derivative : Tensor (..., d, d, d)
        dC_ij / dz_k as [..., k, i, j]: here the derivative index comes first, so that products with
        momenta are plain matrix products.
    """

    point: Point
    cometric: Matrix
    derivative: Float[Tensor, "*batch dim dim dim"]

    @cached_property
    def factor(self) -> Matrix:
        """Lower Cholesky factor of C(z), (..., d, d)."""
        return linalg.cholesky_factor(self.cometric)

    @cached_property
    def _inverse_and_log_det(self) -> tuple[Matrix, Scalar]:
        return linalg.spd_inverse_and_log_det(self.cometric)

    @property
    def metric(self) -> Matrix:
        """G(z), (..., d, d)."""
        return self._inverse_and_log_det[0]

    def log_det_cometric(self) -> Scalar:
        """Return log det C(z), (...)."""
        return self._inverse_and_log_det[1]

    def christoffel_matrix(self, velocity: Tangent) -> Matrix:
        """Return O(z, v) with Gamma(v, u) = O(z, v) u, (..., d, d); geodesics obey dv/dt = -O v.

        With q = G v, A = [(dC/dz_k) q]_k and B = sum_k v_k dC/dz_k (Lan et al. 2015):
        O = -1/2 (B G + A) + 1/2 C A^T G.
        """
        momentum = (self.metric @ velocity[..., None])[..., 0]
        columns = self.momentum_derivative(momentum)
        along = (velocity[..., None, :] @ self.derivative.flatten(-2)).unflatten(-1, self.cometric.shape[-2:])
        difference = self.cometric @ columns.mT - along[..., 0, :, :]
        return 0.5 * (difference @ self.metric - columns)

    def momentum_derivative(self, momentum: Momentum) -> Matrix:
        """Return A with columns (dC/dz_k) q, (..., d, d)."""
        rows = self.derivative.flatten(-3, -2) @ momentum[..., None]
        return rows.unflatten(-2, self.cometric.shape[-2:])[..., 0].mT

    def velocity_of(self, momentum: Momentum) -> Tangent:
        """Return v = C(z) q, (..., d)."""
        return (self.cometric @ momentum[..., None])[..., 0]

    def kinetic_gradient(self, momentum: Momentum) -> Momentum:
        """Return dH/dz of H = 1/2 q^T C(z) q, (..., d)."""
        return 0.5 * (self.momentum_derivative(momentum).mT @ momentum[..., None])[..., 0]

    def log_det_gradient(self) -> Tangent:
        """Return grad log det C(z) = [tr(G dC/dz_k)]_k, (..., d)."""
        return (self.derivative.flatten(-2) @ self.metric.flatten(-2)[..., None])[..., 0]


def _derivative_of(matrix: Callable[[Tensor], Tensor], point: Point) -> Float[Tensor, "*batch dim dim dim"]:
    """Return the derivative of a matrix-valued function by automatic differentiation, [..., i, j, k]."""
    dim = point.shape[-1]
    flat = point.reshape(-1, dim)
    if len(flat) == 0:  # vmap does not take empty batches whatever the function does
        return point.new_zeros((*point.shape, dim, dim))
    derivative = torch.func.vmap(torch.func.jacrev(matrix))(flat)
    return derivative.reshape(*point.shape, dim, dim)


class Metric(nn.Module, ABC):
    """A Riemannian metric G(z) on R^d, given by its inverse, the cometric C(z) = G(z)^-1.

    Every method takes points of shape (..., d) with any leading dimensions. Tensors held by a
    metric are buffers: they follow `.to(device, dtype)` and appear in `state_dict`.
    """

    @property
    @abstractmethod
    def dim(self) -> int:
        """Dimension d of the latent space."""

    @abstractmethod
    def cometric_matrix(self, point: Point) -> Matrix:
        """Return C(z) = G(z)^-1, symmetric positive definite, (..., d, d)."""

    def cometric_factor(self, point: Point) -> Matrix:
        """Return the lower Cholesky factor of C(z), (..., d, d)."""
        return linalg.cholesky_factor(self.cometric_matrix(point))

    def metric_matrix(self, point: Point) -> Matrix:
        """Return G(z), (..., d, d)."""
        return linalg.spd_inverse(self.cometric_factor(point))

    def log_volume_element(self, point: Point) -> Scalar:
        """Return log sqrt det G(z), (...): the sign is that of G, large where there are no data."""
        return -0.5 * linalg.log_det_of_factor(self.cometric_factor(point))

    def log_density(self, point: Point) -> Scalar:
        """Return the unnormalised log density that samplers draw from, (...).

        Eq. 3 of the paper: log pi = log sqrt det C(z), the inverse volume element. A metric whose
        data lie where the volume element is *large* overrides this.
        """
        return -self.log_volume_element(point)

    def log_density_gradient(self, point: Point) -> Tangent:
        """Return the gradient of `log_density`, (..., d)."""
        with torch.enable_grad():
            position = point.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.log_density(position).sum(), position)
        return gradient

    def log_density_and_gradient(self, point: Point) -> tuple[Scalar, Tangent]:
        """Return `log_density`, (...), and its gradient, (..., d)."""
        return self.log_density(point), self.log_density_gradient(point)

    def cometric_derivative(self, point: Point) -> Float[Tensor, "*batch dim dim dim"]:
        """Return dC_ij / dz_k as [..., i, j, k]: the derivative index is last."""
        return _derivative_of(self.cometric_matrix, point)

    def momentum_derivative(self, point: Point, momentum: Momentum) -> Matrix:
        """Return the matrix A with columns (dC/dz_k) q, (..., d, d)."""
        return torch.einsum("...ijk,...j->...ik", self.cometric_derivative(point), momentum)

    def kinetic_gradient(self, point: Point, momentum: Momentum) -> Momentum:
        """Return dH/dz of H = 1/2 q^T C(z) q, (..., d)."""
        return 0.5 * torch.einsum("...ik,...i->...k", self.momentum_derivative(point, momentum), momentum)

    def local_geometry(self, point: Point) -> "LocalGeometry":
        """Return C, G and dC at the points, for integrators that use them several times."""
        cometric = self.cometric_matrix(point)
        return LocalGeometry(point, cometric, self.cometric_derivative(point).movedim(-1, -3))

    def velocity_of(self, point: Point, momentum: Momentum) -> Tangent:
        """Return v = C(z) q, (..., d)."""
        return (self.cometric_matrix(point) @ momentum[..., None])[..., 0]

    def velocity_and_gradient(self, point: Point, momentum: Momentum) -> tuple[Tangent, Momentum]:
        """Return C(z) q and dH/dz of H = 1/2 q^T C(z) q: the two halves of Hamilton's equations, (..., d)."""
        return self.velocity_of(point, momentum), self.kinetic_gradient(point, momentum)

    def midpoint_steps(
        self, point: Point, momentum: Momentum, num_steps: int, time_step: float, force_step: float
    ) -> tuple[Point, Momentum]:
        """Return where `num_steps` of the explicit midpoint rule lead, (..., d) each.

        A step takes the position along C(z) q for `time_step` and the momentum along dH/dz for
        `force_step`, which is minus `time_step` for geodesics. A method of the metric, so that a whole
        path can be followed in one piece of compiled code.
        """
        for _ in range(num_steps):
            slope, gradient = self.velocity_and_gradient(point, momentum)
            middle = point + 0.5 * time_step * slope
            middle_momentum = momentum + 0.5 * force_step * gradient
            slope, gradient = self.velocity_and_gradient(middle, middle_momentum)
            point = point + time_step * slope
            momentum = momentum + force_step * gradient
        return point, momentum

    def momentum_of(self, point: Point, velocity: Tangent) -> Momentum:
        """Return q = G(z) v, (..., d)."""
        return linalg.solve_spd(self.cometric_factor(point), velocity)

    def inner_product(self, u: Tangent, v: Tangent, base_point: Point) -> Scalar:
        """Return <u, v> = u^T G(z) v at the base point, (...)."""
        factor = self.cometric_factor(base_point)
        return (linalg.solve_lower(factor, u) * linalg.solve_lower(factor, v)).sum(-1)

    def norm(self, vector: Tangent, base_point: Point) -> Scalar:
        """Return the Riemannian length of a tangent vector, (...)."""
        return self.inner_product(vector, vector, base_point).sqrt()

    def hamiltonian(self, point: Point, momentum: Momentum) -> Scalar:
        """Return the geodesic Hamiltonian 1/2 q^T C(z) q, (...)."""
        return 0.5 * (momentum * self.velocity_of(point, momentum)).sum(-1)

    def sample_momentum(self, point: Point, noise: Momentum) -> Momentum:
        """Return momenta of law N(0, G(z)), (..., d), from standard normal `noise`.

        With C = L L^T this is L^-T noise; the factor of G is never formed.
        """
        return linalg.solve_lower_transposed(self.cometric_factor(point), noise)

    def default_support(self) -> Support:
        """Return the compact set S that samplers use when none is passed.

        Raises
        ------
        InvalidInputError
            The metric does not know where its data lie.
        """
        raise InvalidInputError(
            f"a {type(self).__name__} has no default support; pass support=Support(centroids, radius)"
        )


class TensorMetric(Metric):
    """A metric given by its tensor G(z), whose data lie where the volume element is large.

    Its law is therefore pi = sqrt det G, not its inverse; samplers take `log_density` and never ask
    which of the two it is.
    """

    @abstractmethod
    def metric_matrix(self, point: Point) -> Matrix:
        """Return G(z), symmetric positive definite, (..., d, d)."""

    def cometric_matrix(self, point: Point) -> Matrix:
        """Return C(z) = G(z)^-1, (..., d, d)."""
        return linalg.spd_inverse_and_log_det(self.metric_matrix(point))[0]

    def log_volume_element(self, point: Point) -> Scalar:
        """Return log sqrt det G(z), (...)."""
        return 0.5 * linalg.log_det_of_factor(linalg.cholesky_factor(self.metric_matrix(point)))

    def log_density(self, point: Point) -> Scalar:
        """Return the unnormalised log density that samplers draw from, log sqrt det G(z), (...)."""
        return self.log_volume_element(point)

    def metric_derivative(self, point: Point) -> Float[Tensor, "*batch dim dim dim"]:
        """Return dG_ij / dz_k as [..., i, j, k]: the derivative index is last."""
        return _derivative_of(self.metric_matrix, point)

    def cometric_derivative(self, point: Point) -> Float[Tensor, "*batch dim dim dim"]:
        """Return dC_ij / dz_k = -(C (dG/dz_k) C)_ij as [..., i, j, k]."""
        cometric = self.cometric_matrix(point)[..., None, :, :]
        slopes = self.metric_derivative(point).movedim(-1, -3)
        return -(cometric @ slopes @ cometric).movedim(-3, -1)
