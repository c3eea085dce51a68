"""Laws that a walk draws its velocities from: a fixed covariance, or the cometric's own."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug import linalg
from riemaug._typing import Point, Scalar, Tangent
from riemaug.errors import InvalidInputError
from riemaug.geometry import Metric
from riemaug.samplers.base import positive_finite


class VelocityLaw(ABC):
    """A centred normal law of tangent vectors at each point.

    Log densities leave out what is the same at all points.
    """

    @abstractmethod
    def draw(self, metric: Metric, point: Point, noise: Tangent) -> tuple[Tangent, Scalar]:
        """Return velocities (n, d) made of standard normal noise, and their log density (n,)."""

    @abstractmethod
    def log_density(self, metric: Metric, point: Point, velocity: Tangent) -> Scalar:
        """Return the log density of velocities at points, (n,)."""

    @property
    @abstractmethod
    def evaluations(self) -> int:
        """Points at which the metric is evaluated for one velocity drawn and one judged."""


@dataclass(frozen=True)
class FixedCovariance(VelocityLaw):
    """v ~ N(0, Sigma) everywhere.

    Attributes
    ----------
    factor : Tensor (d, d)
        Lower Cholesky factor of Sigma.
    """

    factor: Float[Tensor, "dim dim"]

    @classmethod
    def of(cls, covariance: float | Tensor, dim: int, device: torch.device) -> "FixedCovariance":
        """Return the law of a covariance given in short.

        Parameters
        ----------
        covariance : float or Tensor
            s^2, a diagonal (d,), or a matrix (d, d).
        dim : int
        device : torch.device

        Raises
        ------
        InvalidInputError
            Another shape, or not symmetric and positive definite.
        """
        value = torch.as_tensor(covariance, dtype=torch.float64, device=device).detach()
        if value.numel() == 1:
            matrix = value.reshape(()) * torch.eye(dim).to(value)
        elif value.shape == (dim,):
            matrix = torch.diag(value)
        elif value.shape == (dim, dim):
            matrix = value
        else:
            raise InvalidInputError(
                f"covariance must be a number, ({dim},) or ({dim}, {dim}), got shape {tuple(value.shape)}"
            )
        if not torch.allclose(matrix, matrix.mT):
            raise InvalidInputError(
                "covariance must be symmetric, got a matrix that is not; pass (S + S.T) / 2"
            )
        factor = linalg.cholesky_factor(matrix)
        if not bool(factor.isfinite().all() & (factor.diagonal() > 0).all()):
            raise InvalidInputError(f"covariance must be positive definite, got {value.tolist()}")
        return cls(factor)

    def draw(self, metric: Metric, point: Point, noise: Tangent) -> tuple[Tangent, Scalar]:
        """Return L noise."""
        return noise @ self.factor.mT, -0.5 * (noise * noise).sum(-1)

    def log_density(self, metric: Metric, point: Point, velocity: Tangent) -> Scalar:
        """Return -|L^-1 v|^2 / 2."""
        whitened = velocity @ self._whitening.mT
        return -0.5 * (whitened * whitened).sum(-1)

    @property
    def evaluations(self) -> int:
        """None: the law does not depend on the metric."""
        return 0

    @cached_property
    def _whitening(self) -> Float[Tensor, "dim dim"]:
        return linalg.inverse_lower(self.factor)


@dataclass(frozen=True)
class CometricCovariance(VelocityLaw):
    """v ~ N(0, s^2 C(z)), steps as long as the metric says (the paper's stated future work).

    Attributes
    ----------
    scale : float
        s.
    """

    scale: float

    @classmethod
    def of(cls, covariance: float | Tensor) -> "CometricCovariance":
        """Return the law of s^2 C(z) from s^2.

        Raises
        ------
        InvalidInputError
            Not one positive finite number.
        """
        if isinstance(covariance, Tensor) and covariance.numel() != 1:
            raise InvalidInputError(
                f"an adaptive walk takes covariance = s^2, one number, got shape {tuple(covariance.shape)}"
            )
        return cls(math.sqrt(positive_finite("covariance", float(covariance))))

    def draw(self, metric: Metric, point: Point, noise: Tangent) -> tuple[Tangent, Scalar]:
        """Return s L(z) noise, C = L L^T."""
        factor = metric.cometric_factor(point)
        velocity = self.scale * (factor @ noise[..., None])[..., 0]
        return velocity, self._log_density(factor, noise)

    def log_density(self, metric: Metric, point: Point, velocity: Tangent) -> Scalar:
        """Return -v^T C(z)^-1 v / (2 s^2) - log det C(z) / 2."""
        factor = metric.cometric_factor(point)
        return self._log_density(factor, linalg.solve_lower(factor, velocity) / self.scale)

    @property
    def evaluations(self) -> int:
        """Two: at the start and at the end."""
        return 2

    @staticmethod
    def _log_density(factor: Float[Tensor, "n dim dim"], whitened: Tangent) -> Scalar:
        return -0.5 * ((whitened * whitened).sum(-1) + linalg.log_det_of_factor(factor))
