"""Spaces whose geodesics are known in closed form, in the conventions of all metrics here: for tests.

Velocities are those of the chart's coordinates, and `exp_exact` is the position after unit time. The
law that samplers draw from is sqrt det G, the uniform measure of the space.
"""

import math
from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug._typing import Matrix, Momentum, Point, Scalar, Tangent
from riemaug.errors import InvalidInputError
from riemaug.geometry.metric import TensorMetric


class ReferenceMetric(TensorMetric):
    """A conformal metric G(z) = f(z)^2 I with closed-form geodesics.

    Parameters
    ----------
    dim : int
        d, at least 1.

    Attributes
    ----------
    injectivity_radius : float
        `log_exact` inverts `exp_exact` for velocities of a Riemannian length below it.
    """

    injectivity_radius: float = math.inf

    def __init__(self, dim: int) -> None:
        super().__init__()
        if dim < 1:
            raise InvalidInputError(f"dim must be 1 or more, got {dim}")
        self._dim = dim

    @property
    def dim(self) -> int:
        """Dimension d of the space."""
        return self._dim

    def extra_repr(self) -> str:
        """Return the parameters that `repr` shows."""
        return f"dim={self.dim}"

    @abstractmethod
    def scale(self, point: Point) -> Scalar:
        """Return f(z) > 0, (...)."""

    @abstractmethod
    def log_scale_gradient(self, point: Point) -> Tangent:
        """Return grad log f(z), (..., d)."""

    @abstractmethod
    def exp_exact(self, tangent_vec: Tangent, base_point: Point) -> Point:
        """Return Exp_z(v), (..., d)."""

    @abstractmethod
    def log_exact(self, point: Point, base_point: Point) -> Tangent:
        """Return the velocity v of the shortest geodesic with Exp_z(v) = `point`, (..., d)."""

    @abstractmethod
    def dist_exact(self, point_a: Point, point_b: Point) -> Scalar:
        """Return the Riemannian distance, (...)."""

    def metric_matrix(self, point: Point) -> Matrix:
        """Return G(z) = f^2 I, (..., d, d)."""
        return self._times_identity(self.scale(point).square())

    def cometric_matrix(self, point: Point) -> Matrix:
        """Return C(z) = f^-2 I, (..., d, d)."""
        return self._times_identity(self.scale(point).square().reciprocal())

    def log_volume_element(self, point: Point) -> Scalar:
        """Return log sqrt det G(z) = d log f, (...)."""
        return self.dim * self.scale(point).log()

    def log_density_gradient(self, point: Point) -> Tangent:
        """Return d grad log f, (..., d)."""
        return self.dim * self.log_scale_gradient(point)

    def metric_derivative(self, point: Point) -> Float[Tensor, "*batch dim dim dim"]:
        """Return dG_ij / dz_k = 2 f^2 delta_ij (grad log f)_k as [..., i, j, k]."""
        return 2.0 * self.metric_matrix(point)[..., None] * self.log_scale_gradient(point)[..., None, None, :]

    def cometric_derivative(self, point: Point) -> Float[Tensor, "*batch dim dim dim"]:
        """Return dC_ij / dz_k = -2 f^-2 delta_ij (grad log f)_k as [..., i, j, k]."""
        slopes = self.log_scale_gradient(point)[..., None, None, :]
        return -2.0 * self.cometric_matrix(point)[..., None] * slopes

    def kinetic_gradient(self, point: Point, momentum: Momentum) -> Momentum:
        """Return dH/dz = -|q|^2 f^-2 grad log f, (..., d)."""
        speed = momentum.square().sum(-1) / self.scale(point).square()
        return -speed[..., None] * self.log_scale_gradient(point)

    def _times_identity(self, value: Scalar) -> Matrix:
        """Return value I, (..., d, d)."""
        return value[..., None, None] * torch.eye(self.dim, dtype=value.dtype, device=value.device)


class EuclideanMetric(ReferenceMetric):
    """G = I: geodesics are straight lines; parameters as in `ReferenceMetric`."""

    def scale(self, point: Point) -> Scalar:
        """Return 1, (...)."""
        return torch.ones_like(point[..., 0])

    def log_scale_gradient(self, point: Point) -> Tangent:
        """Return 0, (..., d)."""
        return torch.zeros_like(point)

    def exp_exact(self, tangent_vec: Tangent, base_point: Point) -> Point:
        """Return z + v, (..., d)."""
        return base_point + tangent_vec

    def log_exact(self, point: Point, base_point: Point) -> Tangent:
        """Return the difference of the points, (..., d)."""
        return point - base_point

    def dist_exact(self, point_a: Point, point_b: Point) -> Scalar:
        """Return |a - b|, (...)."""
        return (point_a - point_b).norm(dim=-1)


class SphereMetric(ReferenceMetric):
    """The unit sphere S^d seen from a pole: G = 4 / (1 + |z|^2)^2 I on R^d.

    z stands for x = (2 z, 1 - |z|^2) / (1 + |z|^2) of the sphere in R^(d+1): the origin is the north
    pole, and the south pole, which no z reaches, lies at infinity. Closed forms go through this
    embedding, where geodesics are great circles. Curvature 1, injectivity radius pi; parameters as in
    `ReferenceMetric`.
    """

    injectivity_radius = math.pi

    def scale(self, point: Point) -> Scalar:
        """Return 2 / (1 + |z|^2), (...)."""
        return 2.0 / (1.0 + point.square().sum(-1))

    def log_scale_gradient(self, point: Point) -> Tangent:
        """Return -2 z / (1 + |z|^2), (..., d)."""
        return -self.scale(point)[..., None] * point

    def embed(self, point: Point) -> Float[Tensor, "*batch ambient"]:
        """Return the points of the sphere in R^(d+1), the polar coordinate last, (..., d + 1)."""
        scale = self.scale(point)[..., None]
        return torch.cat([scale * point, scale - 1.0], -1)

    def exp_exact(self, tangent_vec: Tangent, base_point: Point) -> Point:
        """Return Exp_z(v), (..., d): cos(l) x + sin(l) u of the great circle, l = |v|_G."""
        scale = self.scale(base_point)[..., None]
        along = scale.square() * (base_point * tangent_vec).sum(-1, keepdim=True)
        direction = torch.cat([scale * tangent_vec - along * base_point, -along], -1)  # dx of dz = v
        length = (scale * tangent_vec).norm(dim=-1, keepdim=True)
        end = length.cos() * self.embed(base_point) + torch.sinc(length / math.pi) * direction
        return end[..., :-1] / (1.0 + end[..., -1:])

    def log_exact(self, point: Point, base_point: Point) -> Tangent:
        """Return the velocity towards `point`, (..., d); not unique, and not finite, at the antipode."""
        start, end = self.embed(base_point), self.embed(point)
        length = self.dist_exact(point, base_point)[..., None]
        direction = (end - length.cos() * start) / torch.sinc(length / math.pi)
        away, polar = direction[..., :-1], direction[..., -1:]
        scale = self.scale(base_point)[..., None]  # 1 + the polar coordinate
        return (away - polar * base_point) / scale

    def dist_exact(self, point_a: Point, point_b: Point) -> Scalar:
        """Return the angle between the points, (...), from its half's sine and cosine."""
        sine = (point_a - point_b).square().sum(-1)
        inner = (point_a * point_b).sum(-1)
        cosine = 1.0 + 2.0 * inner + point_a.square().sum(-1) * point_b.square().sum(-1)
        return 2.0 * torch.atan2(sine.sqrt(), cosine.clamp_min(0.0).sqrt())


class PoincareBallMetric(ReferenceMetric):
    """Hyperbolic space in the unit ball: G = 4 / (1 - |z|^2)^2 I; NaN outside |z| < 1.

    Closed forms are those of Moebius addition, the isometry that carries the origin to z. Curvature
    -1, injectivity radius infinite; parameters as in `ReferenceMetric`.
    """

    def scale(self, point: Point) -> Scalar:
        """Return 2 / (1 - |z|^2), (...); NaN where |z| >= 1."""
        gap = 1.0 - point.square().sum(-1)
        return 2.0 / torch.where(gap > 0.0, gap, torch.nan)

    def log_scale_gradient(self, point: Point) -> Tangent:
        """Return 2 z / (1 - |z|^2), (..., d)."""
        return self.scale(point)[..., None] * point

    def exp_exact(self, tangent_vec: Tangent, base_point: Point) -> Point:
        """Return Exp_z(v), (..., d): z + tanh(l / 2) v / |v| in Moebius addition, l = |v|_G."""
        norm = tangent_vec.norm(dim=-1, keepdim=True)
        half = 0.5 * self.scale(base_point)[..., None]
        step = torch.where(norm > 0, torch.tanh(half * norm) / norm, half) * tangent_vec
        return _moebius_sum(base_point, step)

    def log_exact(self, point: Point, base_point: Point) -> Tangent:
        """Return the velocity towards `point`, (..., d)."""
        step = _moebius_sum(-base_point, point)
        norm = step.norm(dim=-1, keepdim=True)
        half = 0.5 * self.scale(base_point)[..., None]
        return torch.where(norm > 0, torch.atanh(norm) / norm, 1.0) / half * step

    def dist_exact(self, point_a: Point, point_b: Point) -> Scalar:
        """Return 2 asinh(|a - b| / sqrt((1 - |a|^2) (1 - |b|^2))), (...)."""
        scales = self.scale(point_a) * self.scale(point_b)
        return 2.0 * torch.asinh(0.5 * (point_a - point_b).norm(dim=-1) * scales.sqrt())


def _moebius_sum(a: Point, b: Point) -> Point:
    """Return the image of b under the isometry of the ball that carries 0 to a, (..., d).

    With s = |a|^2, t = |b|^2, p = a.b: ((1 + 2 p + t) a + (1 - s) b) / (1 + 2 p + s t).
    """
    inner = (a * b).sum(-1, keepdim=True)
    square_a, square_b = a.square().sum(-1, keepdim=True), b.square().sum(-1, keepdim=True)
    total = (1.0 + 2.0 * inner + square_b) * a + (1.0 - square_a) * b
    return total / (1.0 + 2.0 * inner + square_a * square_b)
