"""The metric of a plain VAE: a sum of the encoder's posterior precisions around the encoded data."""

import math
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemaug._typing import Matrix, Momentum, Point, Scalar, Tangent
from riemaug.errors import InvalidInputError
from riemaug.geometry.metric import LocalGeometry, TensorMetric
from riemaug.geometry.support import Support

_PAIRS_AT_ONCE = 2**22
_ROWS_AT_ONCE = 1024


@runtime_checkable
class DiagonalNormal(Protocol):
    """A batch of normal laws with diagonal covariance, such as an encoder's posteriors."""

    @property
    def mean(self) -> Float[Tensor, "n dim"]:
        """The means, (n, d)."""
        ...

    @property
    def log_variance(self) -> Float[Tensor, "n dim"]:
        """The logarithms of the variances, (n, d)."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """What is needed of a VAE: a module whose `encode` gives the posteriors of a batch of data."""

    training: bool

    def encode(self, data: Tensor) -> DiagonalNormal:
        """Return q(z|x) for each row."""
        ...

    def train(self, mode: bool = True) -> Any:
        """Set training (or evaluation) mode."""
        ...


class PosteriorPrecisionMetric(TensorMetric):
    """G(z) = sum_i w_i(z) diag(1/sigma_i^2) + lambda I, w_i = exp(-sum_k (z - c_i)_k^2 / sigma_ik^2 / T^2).

    The metric that any VAE has without training one (Chadebec & Allassonniere 2022, "A geometric
    perspective on variational autoencoders"): G itself is the sum, large at the data, and the law
    drawn from is sqrt det G. As G is diagonal, so is everything that follows from it; each quantity
    is a product with the (B, N) matrix of weights.

    The weights' exponents are expanded into matrix products, so use float64 where deviations are
    small beside the spread of the centroids. The tensors passed in are copied without their graph: the
    metric is of a trained model, not for training one.

    Parameters
    ----------
    centroids : Tensor (N, d)
        The c_i: posterior means of the training data.
    standard_deviations : Tensor (N, d)
        The sigma_i: posterior standard deviations, positive, in latent units.
    bandwidth : float
        T > 0, in units of the deviations (no dimension).
    regularization : float
        lambda > 0; G tends to lambda I far from all centroids.

    Raises
    ------
    InvalidInputError
        Shapes that do not fit together, no centroids, or a parameter that is not positive.
    """

    centroids: Tensor
    standard_deviations: Tensor
    _precisions: Tensor
    _pulls: Tensor
    _offsets: Tensor

    def __init__(
        self,
        centroids: Float[Tensor, "N dim"],
        standard_deviations: Float[Tensor, "M dim_of_deviations"],
        bandwidth: float,
        regularization: float,
    ) -> None:
        super().__init__()
        if centroids.shape != standard_deviations.shape:
            raise InvalidInputError(
                f"centroids and standard deviations must have one shape, got {tuple(centroids.shape)} and "
                f"{tuple(standard_deviations.shape)}"
            )
        if not (0 < bandwidth < math.inf and 0 < regularization < math.inf):
            raise InvalidInputError(
                "bandwidth and regularization must be positive and finite, got "
                f"{bandwidth} and {regularization}"
            )
        if len(centroids) == 0:
            raise InvalidInputError("a posterior precision metric needs at least one centroid, got none")
        if not bool(((standard_deviations > 0) & standard_deviations.isfinite()).all()):
            raise InvalidInputError(
                f"standard deviations must be positive and finite, got {float(standard_deviations.min())} "
                "as the smallest"
            )
        self.bandwidth = float(bandwidth)
        self.regularization = float(regularization)
        self.register_buffer("centroids", centroids.detach().clone())
        self.register_buffer("standard_deviations", standard_deviations.detach().clone())
        _register_products(self)
        self.register_load_state_dict_post_hook(_register_products)

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        model: Encoder,
        data: Float[Tensor, "n *features"],
        bandwidth: float | None = None,
        regularization: float = 1e-2,
    ) -> "PosteriorPrecisionMetric":
        """Return the metric of a VAE's posteriors over `data`, in float64.

        Parameters
        ----------
        model : Encoder
            Any `LatentModel`, or another module whose `encode` gives `mean` and `log_variance`; run in
            evaluation mode, its own mode restored.
        data : Tensor (n, ...)
            The training data, as the model takes them.
        bandwidth : float, optional
            By default `nearest_neighbour_bandwidth` of the posteriors.
        regularization : float
        """
        was_training = model.training
        model.train(False)
        try:
            posteriors = [model.encode(part) for part in data.split(_ROWS_AT_ONCE)]
        finally:
            model.train(was_training)
        means = torch.cat([posterior.mean for posterior in posteriors]).double()
        log_variances = torch.cat([posterior.log_variance for posterior in posteriors]).double()
        deviations = (0.5 * log_variances).exp()
        if bandwidth is None:
            bandwidth = nearest_neighbour_bandwidth(means, deviations)
        return cls(means, deviations, bandwidth, regularization)

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
        """Return the points within sigma T sqrt(log(1/lambda)) of some centroid, sigma the largest deviation.

        Every point where a kernel's weight is above lambda lies in it (for lambda above 1/e the radius
        is sigma T).
        """
        widest = float(self.standard_deviations.max())
        return Support.of_kernels(self.centroids, widest * self.bandwidth, self.regularization)

    def weights(self, point: Point) -> Float[Tensor, "*batch N"]:
        """Return w_i(z), in [0, 1], (..., N)."""
        squares = (point * point) @ self._precisions.T - 2.0 * (point @ self._pulls.T) + self._offsets
        return (squares * (-1.0 / self.bandwidth**2)).clamp_max(0.0).exp()

    def metric_diagonal(self, point: Point) -> Tangent:
        """Return the diagonal of G(z), (..., d)."""
        return self.weights(point) @ self._precisions + self.regularization

    def metric_matrix(self, point: Point) -> Matrix:
        """Return G(z), (..., d, d)."""
        return torch.diag_embed(self.metric_diagonal(point))

    def cometric_matrix(self, point: Point) -> Matrix:
        """Return C(z) = G(z)^-1, (..., d, d)."""
        return torch.diag_embed(1.0 / self.metric_diagonal(point))

    def cometric_factor(self, point: Point) -> Matrix:
        """Return the lower Cholesky factor of C(z), here diagonal, (..., d, d)."""
        return torch.diag_embed(self.metric_diagonal(point).rsqrt())

    def log_volume_element(self, point: Point) -> Scalar:
        """Return log sqrt det G(z), (...)."""
        return 0.5 * self.metric_diagonal(point).log().sum(-1)

    def log_density_gradient(self, point: Point) -> Tangent:
        """Return grad log sqrt det G = -(1/T^2) sum_i w_i tr(C P_i) P_i (z - c_i), (..., d)."""
        return self.log_density_and_gradient(point)[1]

    def log_density_and_gradient(self, point: Point) -> tuple[Scalar, Tangent]:
        """Return log sqrt det G(z), (...), and its gradient, (..., d), from one evaluation of the weights."""
        weights = self.weights(point)
        diagonal = weights @ self._precisions + self.regularization
        traces = (1.0 / diagonal) @ self._precisions.T
        return 0.5 * diagonal.log().sum(-1), -self._push(weights * traces, point)

    def metric_derivative(self, point: Point) -> Float[Tensor, "*batch dim dim dim"]:
        """Return dG_ij / dz_k = -(2/T^2) delta_ij sum_i w_i p_i (z - c_i)_k p_k as [..., i, j, k]."""
        slopes = self._diagonal_slopes(self.weights(point), point)
        return torch.diag_embed(slopes.mT).movedim(-3, -1)

    def cometric_derivative(self, point: Point) -> Float[Tensor, "*batch dim dim dim"]:
        """Return dC_ij / dz_k as [..., i, j, k]: the derivative index is last."""
        return self.local_geometry(point).derivative.movedim(-3, -1)

    def local_geometry(self, point: Point) -> LocalGeometry:
        """Return C and dC at the points from one evaluation of the weights."""
        weights = self.weights(point)
        cometric = 1.0 / (weights @ self._precisions + self.regularization)
        slopes = -(cometric * cometric)[..., None, :] * self._diagonal_slopes(weights, point).mT
        return LocalGeometry(point, torch.diag_embed(cometric), torch.diag_embed(slopes))

    def velocity_of(self, point: Point, momentum: Momentum) -> Tangent:
        """Return v = C(z) q, (..., d)."""
        return momentum / self.metric_diagonal(point)

    def momentum_of(self, point: Point, velocity: Tangent) -> Momentum:
        """Return q = G(z) v, (..., d)."""
        return velocity * self.metric_diagonal(point)

    def kinetic_gradient(self, point: Point, momentum: Momentum) -> Momentum:
        """Return dH/dz = (1/T^2) sum_i w_i (v^T P_i v) P_i (z - c_i) with v = C(z) q, (..., d)."""
        return self.velocity_and_gradient(point, momentum)[1]

    def velocity_and_gradient(self, point: Point, momentum: Momentum) -> tuple[Tangent, Momentum]:
        """Return C(z) q and dH/dz from one evaluation of the weights, (..., d)."""
        weights = self.weights(point)
        velocity = momentum / (weights @ self._precisions + self.regularization)
        energies = (velocity * velocity) @ self._precisions.T
        return velocity, self._push(weights * energies, point)

    def momentum_derivative(self, point: Point, momentum: Momentum) -> Matrix:
        """Return A with columns (dC/dz_k) q, (..., d, d)."""
        weights = self.weights(point)
        cometric = 1.0 / (weights @ self._precisions + self.regularization)
        return -(cometric * cometric * momentum)[..., :, None] * self._diagonal_slopes(weights, point)

    def inner_product(self, u: Tangent, v: Tangent, base_point: Point) -> Scalar:
        """Return <u, v> = u^T G(z) v at the base point, (...)."""
        return (u * v * self.metric_diagonal(base_point)).sum(-1)

    def sample_momentum(self, point: Point, noise: Momentum) -> Momentum:
        """Return momenta of law N(0, G(z)), (..., d), from standard normal `noise`."""
        return self.metric_diagonal(point).sqrt() * noise

    def _push(self, coefficients: Float[Tensor, "*batch N"], point: Point) -> Tangent:
        """Return sum_i a_i P_i (z - c_i) / T^2, (..., d)."""
        return (point * (coefficients @ self._precisions) - coefficients @ self._pulls) / self.bandwidth**2

    def _diagonal_slopes(self, weights: Float[Tensor, "*batch N"], point: Point) -> Matrix:
        """Return dG_ii / dz_k = -(2/T^2) sum_n w_n p_ni p_nk (z - c_n)_k as [..., i, k]."""
        dim = self.dim
        plain = (self._precisions[:, :, None] * self._precisions[:, None, :]).flatten(1)
        moved = (self._precisions[:, :, None] * self._pulls[:, None, :]).flatten(1)
        first, second = (weights @ torch.cat([plain, moved], 1)).split([dim**2, dim**2], -1)
        slopes = first.unflatten(-1, (dim, dim)) * point[..., None, :] - second.unflatten(-1, (dim, dim))
        return (-2.0 / self.bandwidth**2) * slopes


def _register_products(metric: nn.Module, *_: Any) -> None:
    """Keep 1/sigma^2, c/sigma^2 and sum_k c^2/sigma^2; made anew when a state is loaded."""
    assert isinstance(metric, PosteriorPrecisionMetric)
    precisions = metric.standard_deviations.square().reciprocal()
    pulls = metric.centroids * precisions
    products = {
        "_precisions": precisions,
        "_pulls": pulls,
        "_offsets": (metric.centroids * pulls).sum(-1),
    }
    for name, tensor in products.items():
        metric.register_buffer(name, tensor, persistent=False)


def nearest_neighbour_bandwidth(
    centroids: Float[Tensor, "N dim"], standard_deviations: Float[Tensor, "N dim"]
) -> float:
    """Return the T at which every kernel reaches its nearest neighbour.

    The largest over i of the smallest over j != i of |(c_i - c_j) / sigma_i|; neighbours that coincide
    do not count, and a centroid without any neighbour gives 1. The work is N^2 d, in pieces of bounded
    memory: pass a bandwidth for hundreds of thousands of centroids.
    """
    centroids, precisions = centroids.double(), standard_deviations.double().square().reciprocal()
    pulls = centroids * precisions
    widest = 0.0
    rows = max(1, _PAIRS_AT_ONCE // len(centroids))
    for start in range(0, len(centroids), rows):
        part = slice(start, start + rows)
        own = (centroids[part] * pulls[part]).sum(-1, keepdim=True)
        squares = precisions[part] @ (centroids * centroids).T - 2.0 * (pulls[part] @ centroids.T) + own
        apart = torch.where(squares > 1e-9 * (1.0 + own), squares, torch.inf).amin(-1)
        reached = apart[apart.isfinite()]
        if reached.numel():
            widest = max(widest, float(reached.max()))
    return math.sqrt(widest) if widest > 0 else 1.0
