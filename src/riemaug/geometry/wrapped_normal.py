"""The wrapped normal distribution: a normal in the tangent space, pushed along geodesics."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug import linalg
from riemaug.geometry.geodesic import exp
from riemaug.geometry.integrators import Flow, GeodesicIntegrator
from riemaug.geometry.metric import Metric


@dataclass(frozen=True)
class WrappedNormal:
    """N^W(p, Sigma) of the paper's section 4.1: Exp_p(v) with v ~ N(0, Sigma).

    Parameters
    ----------
    loc : Tensor (d,)
        The point p.
    covariance : Tensor (d, d)
        Sigma, symmetric positive definite, in the coordinates of the chart.
    metric : Metric
    integrator : GeodesicIntegrator, optional
        By default the explicit midpoint rule.
    num_steps : int
        Sub-steps of the exponential map.
    """

    loc: Float[Tensor, " dim"]
    covariance: Float[Tensor, "dim dim"]
    metric: Metric
    integrator: GeodesicIntegrator | None = None
    num_steps: int = 10

    def sample(self, num_samples: int, generator: torch.Generator) -> Flow:
        """Return `num_samples` draws, (n, d), as the flow that made them (with its status)."""
        shape = (num_samples, self.loc.shape[0])
        noise = torch.randn(shape, generator=generator, dtype=self.loc.dtype, device=self.loc.device)
        velocity = noise @ linalg.cholesky_factor(self.covariance).T
        return exp(self.metric, velocity, self.loc.expand(shape), self.integrator, self.num_steps)
