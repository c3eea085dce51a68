"""The kernel metric of the RHVAE: a sum of Gaussian kernels around the encoded training data."""

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug import linalg
from riemaug._typing import Matrix, Momentum, Point, Scalar, Tangent
from riemaug.errors import InvalidInputError
from riemaug.geometry.metric import LocalGeometry, Metric
from riemaug.geometry.support import Support

MOMENT_TABLE_LIMIT = 2**24
"""Up to this many entries (N d^3) the table for dC/dz is kept; above, it is made at each call."""


class KernelMetric(Metric):
    """C(z) = sum_i exp(-|z - c_i|^2 / T^2) L_i L_i^T + lambda I.

    Every quantity is a product with the (B, N) matrix of weights; no (B, N, d, d) tensor is formed.

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
        if not (bandwidth > 0 and regularization > 0):
            raise InvalidInputError(
                f"bandwidth and regularization must be positive, got {bandwidth} and {regularization}"
            )
        if len(centroids) == 0:
            raise InvalidInputError("a kernel metric needs at least one centroid, got none")
        self.bandwidth = float(bandwidth)
        self.regularization = float(regularization)
        self.register_buffer("centroids", centroids)
        self.register_buffer("factors", factors)
        self.register_buffer("kernels", (factors @ factors.mT).flatten(1), persistent=False)
        self._register_products()

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
        return (point @ self._directions - own - self._offsets).clamp_max(0.0).exp()

    def cometric_matrix(self, point: Point) -> Matrix:
        """Return C(z), (..., d, d)."""
        return self._cometric_from(self.weights(point))

    def log_density_gradient(self, point: Point) -> Tangent:
        """Return grad 1/2 log det C = sum_i w_i tr(G M_i) (c_i - z) / T^2, (..., d)."""
        return self.log_density_and_gradient(point)[1]

    def log_density_and_gradient(self, point: Point) -> tuple[Scalar, Tangent]:
        """Return 1/2 log det C(z), (...), and its gradient, (..., d), from one factorisation."""
        weights = self.weights(point)
        factor = linalg.cholesky_factor(self._cometric_from(weights))
        traces = linalg.spd_inverse(factor).flatten(-2) @ self.kernels.T
        return 0.5 * linalg.log_det_of_factor(factor), self._pull(weights * traces, point)

    def kinetic_gradient(self, point: Point, momentum: Momentum) -> Momentum:
        """Return dH/dz = sum_i w_i (q^T M_i q) (c_i - z) / T^2, (..., d)."""
        outer = (momentum[..., :, None] * momentum[..., None, :]).flatten(-2)
        return self._pull(self.weights(point) * (outer @ self.kernels.T), point)

    def velocity_and_gradient(self, point: Point, momentum: Momentum) -> tuple[Tangent, Momentum]:
        """Return C(z) q and dH/dz from one evaluation of the weights, (..., d)."""
        weights = self.weights(point)
        outer = (momentum[..., :, None] * momentum[..., None, :]).flatten(-2)
        velocity = (self._cometric_from(weights) @ momentum[..., None])[..., 0]
        return velocity, self._pull(weights * (outer @ self.kernels.T), point)

    def momentum_derivative(self, point: Point, momentum: Momentum) -> Matrix:
        """Return A with columns (dC/dz_k) q = (2/T^2) sum_i w_i (c_i - z)_k M_i q, (..., d, d)."""
        by_kernel = self.kernels.unflatten(1, (self.dim, self.dim)).flatten(0, 1)
        products = (momentum @ by_kernel.T).unflatten(-1, (self.num_centroids, self.dim))
        weighted = self.weights(point)[..., None] * products
        pulled = weighted.mT @ self.centroids - weighted.sum(-2)[..., :, None] * point[..., None, :]
        return (2.0 / self.bandwidth**2) * pulled

    def local_geometry(self, point: Point) -> LocalGeometry:
        """Return C and dC at the points from one evaluation of the weights and one product."""
        dim = self.dim
        table = self._table if self._table is not None else self._product_table()
        plain, weighted = (self.weights(point) @ table).split([dim**2, dim**3], -1)
        kernels = plain.unflatten(-1, (dim, dim))
        scaled = point * (2.0 / self.bandwidth**2)
        pulled = kernels[..., None, :, :] * scaled[..., :, None, None]
        return LocalGeometry(point, kernels + self._ridge, weighted.unflatten(-1, (dim, dim, dim)) - pulled)

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
