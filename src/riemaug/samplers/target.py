"""The law pi^b on S as an unnormalised density, evaluated in pieces of bounded memory."""

from dataclasses import dataclass

import torch

from riemaug._typing import Point, Scalar, Tangent
from riemaug.geometry import KernelMetric, Support

POINTS_AT_ONCE = 1024


@dataclass(frozen=True)
class Target:
    """pi^b restricted to S."""

    metric: KernelMetric
    support: Support
    inverse_temperature: float

    @property
    def variance(self) -> float:
        """Variance T^2 / (b d) of pi^b around a lone kernel."""
        return self.metric.bandwidth**2 / (self.metric.dim * self.inverse_temperature)

    def log_densities(self, point: Point) -> tuple[Scalar, Scalar]:
        """Return log pi and b log pi, the latter -inf outside S, for points (n, d)."""
        log_density = torch.cat([self.metric.log_density(part) for part in point.split(POINTS_AT_ONCE)])
        inside = self.support.contains(point) & log_density.isfinite()
        return log_density, torch.where(inside, self.inverse_temperature * log_density, -torch.inf)

    def gradient(self, point: Point) -> Tangent:
        """Return the gradient of b log pi."""
        return self.inverse_temperature * self.metric.log_density_gradient(point)
