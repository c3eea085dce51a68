"""The paper's random walk (Alg. 1 with Alg. 2) in the tensor form of the code published with it.

Written anew from the paper, for comparison only. What it keeps of the published form is where the time goes:
float32, distances by explicit differences (B, N, d), matrices broadcast to (B, N, d, d), weights evaluated
again by each function, `torch.inverse` and `torch.det`, the square roots of the determinants in the ratio,
the density of both ends evaluated at each step, no support.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PublishedMetric:
    """G^-1(z) = sum_i exp(-|z - c_i|^2 / T^2) M_i + lambda I with tensors (B, N, d, d).

    Attributes
    ----------
    centroids : Tensor (N, d)
    kernels : Tensor (N, d, d)
        The M_i.
    bandwidth, regularization : float
    """

    centroids: Tensor
    kernels: Tensor
    bandwidth: float
    regularization: float

    def differences(self, position: Tensor) -> Tensor:
        """Return c_i - z, (B, N, d)."""
        return self.centroids[None] - position[:, None]

    def weights(self, position: Tensor) -> Tensor:
        """Return exp(-|z - c_i|^2 / T^2), (B, N, 1, 1)."""
        distances = torch.norm(self.differences(position), dim=-1)
        return torch.exp(-(distances**2) / self.bandwidth**2)[..., None, None]

    def inverse_metric(self, position: Tensor) -> Tensor:
        """Return G^-1(z), (B, d, d), by summing B N matrices."""
        summed = (self.kernels[None] * self.weights(position)).sum(dim=1)
        return summed + self.regularization * torch.eye(position.shape[-1], dtype=position.dtype)

    def metric(self, position: Tensor) -> Tensor:
        """Return G(z), (B, d, d)."""
        return torch.inverse(self.inverse_metric(position))

    def position_gradient(self, position: Tensor, momentum: Tensor) -> Tensor:
        """Return dH/dz = (1/T^2) sum_i w_i (q^T M_i q) (c_i - z), (B, d)."""
        row, column = momentum[:, None, None, :], momentum[:, None, :, None]
        squares = row @ self.kernels[None] @ column
        pulled = self.differences(position)[..., None] * squares * self.weights(position)
        return pulled.sum(dim=1)[..., 0] / self.bandwidth**2

    def momentum_gradient(self, position: Tensor, momentum: Tensor) -> Tensor:
        """Return dH/dq = G^-1(z) q, (B, d)."""
        return (self.inverse_metric(position) @ momentum[..., None])[..., 0]

    def root_det(self, position: Tensor) -> Tensor:
        """Return sqrt det G^-1(z), (B,)."""
        return torch.det(self.inverse_metric(position)).sqrt()


def exponential_map(metric: PublishedMetric, position: Tensor, velocity: Tensor, num_steps: int) -> Tensor:
    """Return Exp_z(v), (B, d), by the explicit midpoint rule (Alg. 2)."""
    momentum = (metric.metric(position) @ velocity[..., None])[..., 0]
    step = 1.0 / num_steps
    for _ in range(num_steps):
        half_position = position + 0.5 * step * metric.momentum_gradient(position, momentum)
        half_momentum = momentum - 0.5 * step * metric.position_gradient(position, momentum)
        position = position + step * metric.momentum_gradient(half_position, half_momentum)
        momentum = momentum - step * metric.position_gradient(half_position, half_momentum)
    return position


@dataclass(frozen=True)
class PublishedWalk:
    """Alg. 1: v ~ N(0, s^2 I), a proposal Exp_z(v), accepted by the ratio of sqrt det G^-1.

    Attributes
    ----------
    metric : PublishedMetric
    variance : float
        s^2; the paper's is 0.5.
    num_integration_steps : int
    """

    metric: PublishedMetric
    variance: float = 0.5
    num_integration_steps: int = 10

    def start(self, num_chains: int, generator: torch.Generator) -> Tensor:
        """Return centroids drawn with equal chances, (B, d)."""
        index = torch.randint(len(self.metric.centroids), (num_chains,), generator=generator)
        return self.metric.centroids[index]

    def step(self, position: Tensor, generator: torch.Generator) -> Tensor:
        """Return the chains (B, d) after one step, with the noise (B, d) and then the uniforms (B,) drawn."""
        noise = torch.randn(position.shape, generator=generator, dtype=position.dtype)
        uniform = torch.rand(len(position), generator=generator, dtype=position.dtype)
        velocity = self.variance**0.5 * noise
        proposal = exponential_map(self.metric, position, velocity, self.num_integration_steps)
        ratio = self.metric.root_det(proposal) / self.metric.root_det(position)
        return torch.where((uniform < ratio)[:, None], proposal, position)
