"""The kernel metric of the RHVAE: a sum of Gaussian kernels around the encoded training data."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemaug import linalg
from riemaug._typing import Matrix, Momentum, Point, Scalar, Tangent
from riemaug.errors import InvalidInputError
from riemaug.geometry.engine import (
    LARGEST_COMPILED_DIM,
    CompiledKernels,
    can_compile,
    compiled_columns,
    is_plain_array,
    is_transformed,
)
from riemaug.geometry.metric import LocalGeometry, Metric
from riemaug.geometry.products import LEAST_EXPONENT, BufferedProducts
from riemaug.geometry.support import Support

MOMENT_TABLE_LIMIT = 2**24
"""Up to this many entries (N d^3) the table for dC/dz is kept; above, it is made at each call."""


@dataclass(frozen=True)
class _EngineOf:
    """An engine, and the very tensors that it was made of, in the state in which it was made."""

    centroids: Tensor
    kernels: Tensor
    versions: tuple[int, int]
    engine: CompiledKernels | BufferedProducts

    def is_of(self, centroids: Tensor, kernels: Tensor, versions: tuple[int, int]) -> bool:
        """Return whether nothing has changed since."""
        return centroids is self.centroids and kernels is self.kernels and versions == self.versions


def _version(tensor: Tensor) -> int:
    """Return how often a tensor was changed in place; tensors of inference mode do not count."""
    return 0 if tensor.is_inference() else tensor._version


class KernelMetric(Metric):
    """C(z) = sum_i exp(-|z - c_i|^2 / T^2) L_i L_i^T + lambda I.

    Every quantity is a product with the (B, N) matrix of weights; no (B, N, d, d) tensor is formed.
    Where no derivative is asked for, points on the CPU in float64 take compiled sums for d <= 3, which
    look only at kernels near the point where there are many (left out: at most 1e-7 lambda in an
    entry of C), and products in buffers above.

    Parameters
    ----------
    centroids : Tensor (N, d)
        The c_i: posterior means of the training data.
    factors : Tensor (N, d, d)
        The lower-triangular L_i.
    bandwidth : float
        T > 0, the paper's "temperature".
    regularization : float
        lambda > 0; C tends to lambda I far from all centroids.

    Raises
    ------
    InvalidInputError
        Shapes that do not fit together, or a parameter that is not positive.
    """

    centroids: Tensor
    factors: Tensor
    kernels: Tensor
    _directions: Tensor
    _offsets: Tensor
    _ridge: Tensor
    _table: Tensor | None

    def __init__(
        self,
        centroids: Float[Tensor, "N dim"],
        factors: Float[Tensor, "N dim dim"],
        bandwidth: float,
        regularization: float,
    ) -> None:
        super().__init__()
        if not (0 < bandwidth < math.inf and 0 < regularization < math.inf):
            raise InvalidInputError(
                f"bandwidth and regularization must be positive, got {bandwidth} and {regularization}"
            )
        if len(centroids) == 0:
            raise InvalidInputError("a kernel metric needs at least one centroid, got none")
        expected = (*centroids.shape, centroids.shape[-1])
        if centroids.ndim != 2 or factors.shape != expected or factors.dtype != centroids.dtype:
            raise InvalidInputError(
                "a kernel metric needs centroids (N, d) and factors (N, d, d) of one type, got "
                f"{tuple(centroids.shape)} of {centroids.dtype} and {tuple(factors.shape)} of {factors.dtype}"
            )
        self.bandwidth = float(bandwidth)
        self.regularization = float(regularization)
        self.register_buffer("centroids", centroids)
        self.register_buffer("factors", factors)
        self.register_buffer("kernels", (factors @ factors.mT).flatten(1), persistent=False)
        self._register_products()
        self.register_load_state_dict_post_hook(_remake_products)
        self._engine: _EngineOf | None = None

    def _register_products(self) -> None:
        """Keep what every evaluation needs: on small batches the number of operations is the cost."""
        scale, dim = 1.0 / self.bandwidth**2, self.dim
        centroids = self.centroids
        identity = torch.eye(dim, dtype=centroids.dtype, device=centroids.device)
        keep = len(centroids) * dim**3 <= MOMENT_TABLE_LIMIT
        products = {
            "_directions": (2.0 * scale) * centroids.T,
            "_offsets": scale * (centroids * centroids).sum(-1),
            "_ridge": self.regularization * identity,
            "_table": self._product_table() if keep else None,
        }
        for name, tensor in products.items():
            self.register_buffer(name, tensor, persistent=False)

    @property
    def dim(self) -> int:
        """Dimension d of the latent space."""
        return self.centroids.shape[1]

    @property
    def num_centroids(self) -> int:
        """Number N of centroids."""
        return self.centroids.shape[0]

    def extra_repr(self) -> str:
        """Return the parameters that `repr` shows."""
        return (
            f"dim={self.dim}, centroids={self.num_centroids}, bandwidth={self.bandwidth}, "
            f"regularization={self.regularization}"
        )

    def default_support(self) -> Support:
        """Return the points within T sqrt(log(1/lambda)) of some centroid."""
        return Support.of_kernels(self.centroids, self.bandwidth, self.regularization)

    def squared_distances(self, point: Point) -> Float[Tensor, "*batch N"]:
        """Return |z - c_i|^2, never negative, (..., N)."""
        cross = point @ self.centroids.T
        squares = (point * point).sum(-1, keepdim=True) + (self.centroids * self.centroids).sum(-1)
        return (squares - 2.0 * cross).clamp_min(0.0)

    def weights(self, point: Point) -> Float[Tensor, "*batch N"]:
        """Return w_i(z) = exp(-|z - c_i|^2 / T^2), in [0, 1], (..., N)."""
        own = (point * point).sum(-1, keepdim=True) * (1.0 / self.bandwidth**2)
        exponents = point @ self._directions
        if not self._is_plain(point) or is_transformed(point):
            return (exponents - own - self._offsets).clamp_max(0.0).exp()
        # fresh memory for every (points, N) intermediate would cost more than the arithmetic
        return exponents.sub_(own).sub_(self._offsets).clamp_(LEAST_EXPONENT, 0.0).exp_()

    def cometric_matrix(self, point: Point) -> Matrix:
        """Return C(z), (..., d, d)."""
        engine = self._compiled(point) or self._products(point)
        if engine is None:
            return self._cometric_from(self.weights(point))
        sums = engine.sums(point.reshape(-1, self.dim))
        return sums.reshape(*point.shape, self.dim).add_(self._ridge)

    def log_density(self, point: Point) -> Scalar:
        """Return log sqrt det C(z), (...)."""
        engine = self._columns(point)
        if engine is None:
            return 0.5 * linalg.log_det_spd(self.cometric_matrix(point))
        return 0.5 * engine.log_det(point.reshape(-1, self.dim)).reshape(point.shape[:-1])

    def momentum_of(self, point: Point, velocity: Tangent) -> Momentum:
        """Return q = G(z) v, (..., d)."""
        engine = self._columns(point, velocity)
        if engine is None or point.shape != velocity.shape:
            if self.dim <= LARGEST_COMPILED_DIM:  # closed forms: fewer operations than by a factor
                return linalg.solve_general(self.cometric_matrix(point), velocity)
            return linalg.solve_spd(self.cometric_factor(point), velocity)
        flat = point.reshape(-1, self.dim), velocity.reshape(-1, self.dim)
        return engine.solve(*flat).reshape(velocity.shape)

    def log_volume_element(self, point: Point) -> Scalar:
        """Return log sqrt det G(z), (...): large where there are no data."""
        return -self.log_density(point)

    def log_density_gradient(self, point: Point) -> Tangent:
        """Return grad 1/2 log det C = sum_i w_i tr(G M_i) (c_i - z) / T^2, (..., d)."""
        return self.log_density_and_gradient(point)[1]

    def log_density_and_gradient(self, point: Point) -> tuple[Scalar, Tangent]:
        """Return 1/2 log det C(z), (...), and its gradient, (..., d), from one factorisation."""
        engine = self._compiled(point)
        if engine is not None:
            local = self._local_from(engine, point)
            return 0.5 * local.log_det_cometric(), 0.5 * local.log_det_gradient()
        weights = self.weights(point)
        inverse, log_det = linalg.spd_inverse_and_log_det(self._cometric_from(weights))
        traces = inverse.flatten(-2) @ self.kernels.T
        return 0.5 * log_det, self._pull(weights * traces, point)

    def velocity_of(self, point: Point, momentum: Momentum) -> Tangent:
        """Return v = C(z) q, (..., d)."""
        return self._motion(point, momentum)[0]

    def kinetic_gradient(self, point: Point, momentum: Momentum) -> Momentum:
        """Return dH/dz = sum_i w_i (q^T M_i q) (c_i - z) / T^2, (..., d)."""
        return self._motion(point, momentum)[1]

    def velocity_and_gradient(self, point: Point, momentum: Momentum) -> tuple[Tangent, Momentum]:
        """Return C(z) q and dH/dz from one evaluation of the weights, (..., d)."""
        return self._motion(point, momentum)

    def _motion(self, point: Point, momentum: Momentum) -> tuple[Tangent, Momentum]:
        """Return C(z) q and dH/dz."""
        engine = self._compiled(point, momentum) or self._products(point, momentum)
        if engine is not None:
            flat_point, flat_momentum = torch.broadcast_tensors(point, momentum)
            velocity, pull = engine.flow(
                flat_point.reshape(-1, self.dim), flat_momentum.reshape(-1, self.dim)
            )
            velocity, pull = velocity.reshape(flat_point.shape), pull.reshape(flat_point.shape)
            return velocity + self.regularization * momentum, pull * (1.0 / self.bandwidth**2)
        weights = self.weights(point)
        outer = (momentum[..., :, None] * momentum[..., None, :]).flatten(-2)
        velocity = (self._cometric_from(weights) @ momentum[..., None])[..., 0]
        return velocity, self._pull(weights * (outer @ self.kernels.T), point)

    def midpoint_steps(
        self, point: Point, momentum: Momentum, num_steps: int, time_step: float, force_step: float
    ) -> tuple[Point, Momentum]:
        """Return where the explicit midpoint rule leads; see `Metric.midpoint_steps`."""
        engine = self._compiled(point, momentum) or self._products(point, momentum)
        if engine is not None and point.ndim == 2 and point.shape == momentum.shape:
            end = engine.midpoint(point, momentum, num_steps, time_step, force_step)
            if end is not None:
                return end
        return super().midpoint_steps(point, momentum, num_steps, time_step, force_step)

    def momentum_derivative(self, point: Point, momentum: Momentum) -> Matrix:
        """Return A with columns (dC/dz_k) q = (2/T^2) sum_i w_i (c_i - z)_k M_i q, (..., d, d)."""
        engine = self._compiled(point, momentum)
        if engine is not None:
            return self._local_from(engine, point).momentum_derivative(momentum)
        by_kernel = self.kernels.unflatten(1, (self.dim, self.dim)).flatten(0, 1)
        products = (momentum @ by_kernel.T).unflatten(-1, (self.num_centroids, self.dim))
        weighted = self.weights(point)[..., None] * products
        pulled = weighted.mT @ self.centroids - weighted.sum(-2)[..., :, None] * point[..., None, :]
        return (2.0 / self.bandwidth**2) * pulled

    def local_geometry(self, point: Point) -> LocalGeometry:
        """Return C and dC at the points from one evaluation of the weights and one product."""
        dim, engine = self.dim, self._compiled(point)
        if engine is not None:
            return self._local_from(engine, point)
        table = self._table if self._table is not None else self._product_table()
        plain, weighted = (self.weights(point) @ table).split([dim**2, dim**3], -1)
        kernels = plain.unflatten(-1, (dim, dim))
        scaled = point * (2.0 / self.bandwidth**2)
        pulled = kernels[..., None, :, :] * scaled[..., :, None, None]
        return LocalGeometry(point, kernels + self._ridge, weighted.unflatten(-1, (dim, dim, dim)) - pulled)

    def _local_from(self, engine: CompiledKernels, point: Point) -> LocalGeometry:
        """Return C and dC at the points by compiled sums."""
        dim = self.dim
        kernels, slopes = engine.sums_and_slopes(point.reshape(-1, dim))
        cometric = kernels.reshape(*point.shape, dim) + self._ridge
        derivative = slopes.reshape(*point.shape, dim, dim) * (2.0 / self.bandwidth**2)
        return LocalGeometry(point, cometric, derivative)

    def _compiled(self, *vectors: Tensor) -> CompiledKernels | None:
        """Return the compiled sums if they can take these vectors and these tensors of the metric."""
        if not (self._is_plain(*vectors) and can_compile(self.centroids, *vectors, single=True)):
            return None
        engine = self._current_engine()
        return engine if isinstance(engine, CompiledKernels) else None

    def _products(self, *vectors: Tensor) -> BufferedProducts | None:
        """Return the buffered products if no derivative can be asked of these vectors."""
        if not self._is_plain(*vectors) or any(is_transformed(vector) for vector in vectors):
            return None
        engine = self._current_engine()
        return engine if isinstance(engine, BufferedProducts) else None

    def _columns(self, *vectors: Tensor) -> BufferedProducts | None:
        """Return the buffered products if their columns can go to compiled factorisations."""
        if compiled_columns() is None or not all(is_plain_array(v, single=True) for v in vectors):
            return None
        return self._products(*vectors)

    def _is_plain(self, *vectors: Tensor) -> bool:
        """Return whether the vectors have the metric's type and no derivative can be asked for."""
        tensors = (*vectors, self.kernels, self.centroids)
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            return False
        if type(self).cometric_matrix is not KernelMetric.cometric_matrix:
            return False
        return all(vector.dtype == self.kernels.dtype for vector in vectors)

    def _current_engine(self) -> CompiledKernels | BufferedProducts:
        """Return the engine of the present tensors, made anew after they were moved, replaced or changed."""
        known = self._engine
        versions = (_version(self.centroids), _version(self.kernels))
        if known is None or not known.is_of(self.centroids, self.kernels, versions):
            centroids, kernels = self.centroids.detach(), self.kernels.detach()
            with torch.inference_mode(False):  # it may be used outside that mode later
                if can_compile(centroids, single=True):
                    engine = CompiledKernels(centroids, kernels, self.bandwidth, self.regularization)
                else:
                    engine = BufferedProducts(centroids, kernels, self.bandwidth, self.regularization)
            known = _EngineOf(self.centroids, self.kernels, versions, engine)
            self._engine = known
        return known.engine

    def cometric_derivative(self, point: Point) -> Float[Tensor, "*batch dim dim dim"]:
        """Return dC_ij / dz_k = (2/T^2) sum_i w_i (c_i - z)_k M_i, [..., i, j, k]."""
        return self.local_geometry(point).derivative.movedim(-3, -1)

    def _product_table(self) -> Float[Tensor, "N columns"]:
        """Return M_i, flat, beside (2/T^2) (c_i)_k M_i, flat: (N, d^2 + d^3)."""
        moments = ((2.0 / self.bandwidth**2) * self.centroids[:, :, None] * self.kernels[:, None, :]).flatten(
            1
        )
        return torch.cat([self.kernels, moments], 1)

    def _cometric_from(self, weights: Float[Tensor, "*batch N"]) -> Matrix:
        """Return C from the kernel weights, (..., d, d)."""
        return (weights @ self.kernels).unflatten(-1, (self.dim, self.dim)) + self._ridge

    def _pull(self, coefficients: Float[Tensor, "*batch N"], point: Point) -> Tangent:
        """Return sum_i a_i (c_i - z) / T^2, (..., d)."""
        total = coefficients.sum(-1, keepdim=True)
        return (coefficients @ self.centroids - total * point) / self.bandwidth**2

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and sent to other processes: not what can be made anew."""
        return {**self.__dict__, "_engine": None}


def _remake_products(metric: nn.Module, _incompatible_keys: object) -> None:
    """Bring what is derived from the tensors up to date after other ones were loaded."""
    assert isinstance(metric, KernelMetric)
    metric.kernels = (metric.factors @ metric.factors.mT).flatten(1)
    metric._register_products()
    metric._engine = None
