"""The random walk as published: Algorithm 1 as printed, or with the sign of the authors' code."""

import torch
from torch import Tensor

from riemaug._typing import Scalar
from riemaug.geometry import ExplicitMidpoint, Flow, Metric, Support
from riemaug.samplers.chain_sampler import ChainOptions
from riemaug.samplers.chains import ChainState
from riemaug.samplers.random_walk import GeodesicWalk
from riemaug.samplers.velocity_law import FixedCovariance


class PaperWalk(GeodesicWalk):
    """Algorithm 1: explicit midpoint geodesics, accepted by the ratio of the densities alone.

    It does NOT sample Eq. 3, in either form: the proposal is neither symmetric nor reversible and the ratio
    leaves that out; and there is no support S, so chains may drift away from the data. For comparison with
    the paper only. For Sigma = s^2 I, s towards 0, and isotropic kernels (C a multiple of I) the law tends to
    pi^(2/d) as printed and to pi^(2(1 + d)/d) with the published sign: pi itself only as printed at d = 2;
    for other kernels it is far from any power of pi.

    Parameters
    ----------
    metric : Metric
    support : Support, optional
        Only its centroids are used, as starts.
    published_sign : bool
        Whether the force has the wrong sign that it has in the code that the paper's authors published: its
        paths are no geodesics, and its draws stay closer to the data than Eq. 3.
    num_integration_steps : int
        Sub-steps of each path; the paper has 10.
    covariance : float or Tensor
        Sigma; the paper's is 0.5.
    chains : ChainOptions, optional
        Steps (the paper has 200), burn-in, thinning, number and starts of the chains.
    """

    has_stated_law = False
    stays_in_support = False

    def __init__(
        self,
        metric: Metric,
        support: Support | None = None,
        *,
        published_sign: bool = False,
        num_integration_steps: int = 10,
        covariance: float | Tensor = 0.5,
        chains: ChainOptions | None = None,
    ) -> None:
        super().__init__(
            metric,
            support,
            1.0,
            chains,
            integrator=ExplicitMidpoint(flipped_force=published_sign),
            num_integration_steps=num_integration_steps,
        )
        self.name = "walk-paper-code" if published_sign else "walk-paper"
        version = "with the sign of its published code" if published_sign else "as printed"
        self.claim = (
            f"Algorithm 1 of the paper {version}: it does NOT sample Eq. 3 (use the walk, HMC or the mixture "
            "sampler)."
        )
        self.velocities = FixedCovariance.of(covariance, self.metric.dim, self.device)

    def adapted(self, state: ChainState, generator: torch.Generator) -> tuple["PaperWalk", int]:
        """Return the walk itself: nothing in it is tuned."""
        return self, 0

    def log_acceptance_ratio(
        self, state: ChainState, end: ChainState, flow: Flow, log_velocity_density: Scalar
    ) -> Scalar:
        """Return the log ratio of the densities, (n,)."""
        return end.log_density - state.log_density
