"""Random walks along geodesics, and the exact one among them."""

from abc import abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemaug._typing import Scalar
from riemaug.errors import InvalidInputError
from riemaug.geometry import (
    ExplicitMidpoint,
    Flow,
    GeodesicIntegrator,
    LagrangianLeapfrog,
    Metric,
    Support,
)
from riemaug.samplers.adaptation import check_target, tune_step_size
from riemaug.samplers.chain_sampler import ChainOptions, ChainSampler
from riemaug.samplers.chains import ChainState, TransitionInfo, accept_or_stay
from riemaug.samplers.velocity_law import CometricCovariance, FixedCovariance, VelocityLaw


class GeodesicWalk(ChainSampler):
    """Chains that move along geodesics shot with random velocities.

    Parameters
    ----------
    metric : Metric
    support : Support, optional
    inverse_temperature : float
    chains : ChainOptions, optional
    integrator : GeodesicIntegrator
    num_integration_steps : int
        Sub-steps of each geodesic, at least 1.

    Raises
    ------
    InvalidInputError
        Fewer than one sub-step.
    """

    velocities: VelocityLaw
    """Of the velocities, which `step_size`, 1 unless tuned, then multiplies; set by the subclass."""

    def __init__(
        self,
        metric: Metric,
        support: Support | None,
        inverse_temperature: float,
        chains: ChainOptions | None,
        *,
        integrator: GeodesicIntegrator,
        num_integration_steps: int,
    ) -> None:
        super().__init__(metric, support, inverse_temperature, chains)
        if num_integration_steps < 1:
            raise InvalidInputError(f"num_integration_steps must be 1 or more, got {num_integration_steps}")
        self.integrator = integrator
        self.num_integration_steps = num_integration_steps
        self.step_size = 1.0

    def evaluate(self, position: Float[Tensor, "n dim"], origin: Int[Tensor, " n"]) -> ChainState:
        """Return the state of chains at `position`."""
        return ChainState(position, self.metric.log_density(position), origin)

    @torch.no_grad()
    def step(self, state: ChainState, generator: torch.Generator) -> tuple[ChainState, TransitionInfo]:
        """Shoot a geodesic and accept or reject its end; the state passed in is not changed."""
        options = {"generator": generator, "dtype": state.position.dtype, "device": state.position.device}
        noise = torch.randn(state.position.shape, **options)
        uniform = torch.rand(state.position.shape[:1], **options)
        unit_velocity, log_density = self.velocities.draw(self.metric, state.position, noise)
        velocity = self.step_size * unit_velocity
        flow = self.integrator.flow(self.metric, state.position, velocity, self.num_integration_steps)
        finite = flow.converged & flow.point.isfinite().all(-1) & flow.velocity.isfinite().all(-1)
        # a chain that failed is evaluated where it stands: its proposal is rejected in any case
        end = self.evaluate(torch.where(finite[:, None], flow.point, state.position), state.origin)
        return accept_or_stay(
            state,
            end,
            self.log_acceptance_ratio(state, end, flow, log_density),
            is_divergent=~finite,
            is_inside=self.support.contains(end.position) | (not self.stays_in_support),
            uniform=uniform,
        )

    @abstractmethod
    def log_acceptance_ratio(
        self, state: ChainState, end: ChainState, flow: Flow, log_velocity_density: Scalar
    ) -> Scalar:
        """Return the log of the ratio that proposals are accepted with, (n,).

        `log_velocity_density` is that of the velocities drawn.
        """

    @property
    def evaluations_per_step(self) -> int:
        """Points at which the metric is evaluated in one step of one chain, at the least."""
        stages = 2 if isinstance(self.integrator, ExplicitMidpoint) else 1
        ends = 3 if isinstance(self.integrator, ExplicitMidpoint) else 2
        return stages * self.num_integration_steps + ends + self.velocities.evaluations


class RiemannianRandomWalk(GeodesicWalk):
    """Random walk along geodesics with the law pi^b on S, for any covariance and number of sub-steps.

    With v ~ N(0, Sigma) at z carried to (z*, v*) by a reversible flow of log Jacobian log J,
    log alpha = b (log pi* - log pi) + log J + log N(v*; 0, Sigma*) - log N(v; 0, Sigma), where Sigma* is
    Sigma, or s^2 C(z*) for the adaptive walk. log pi is the metric's own, be it given by C or by G.

    Parameters
    ----------
    metric : Metric
    support : Support, optional
        The compact set S; by default `metric.default_support()`.
    integrator : GeodesicIntegrator, optional
        A reversible one; by default `LagrangianLeapfrog()`.
    num_integration_steps : int
        Sub-steps of each geodesic. Five are accepted as often as twenty at the paper's settings.
    covariance : float or Tensor
        Sigma: s^2 (0.5 in the paper), a diagonal (d,), or a matrix (d, d).
    adaptive : bool
        Take Sigma = s^2 C(z), the paper's stated future work, with `covariance` = s^2.
    target_acceptance : float, optional
        Tune the scale of Sigma, before the first draw, until this share of proposals is accepted.
    inverse_temperature : float
        b > 0; 1 is Eq. 3.
    chains : ChainOptions, optional
        Steps, burn-in, thinning, number and starts of the chains.

    Raises
    ------
    InvalidInputError
        An integrator that is not reversible, or a parameter out of its range.
    """

    name = "walk"
    claim = "Exact random walk along geodesics."
    has_stated_law = True
    stays_in_support = True

    def __init__(
        self,
        metric: Metric,
        support: Support | None = None,
        *,
        integrator: GeodesicIntegrator | None = None,
        num_integration_steps: int = 5,
        covariance: float | Tensor = 0.5,
        adaptive: bool = False,
        target_acceptance: float | None = None,
        inverse_temperature: float = 1.0,
        chains: ChainOptions | None = None,
    ) -> None:
        chosen = integrator or LagrangianLeapfrog()
        if not chosen.is_reversible:
            raise InvalidInputError(
                f"the exact walk needs a reversible integrator, got {type(chosen).__name__}; "
                "use LagrangianLeapfrog()"
            )
        super().__init__(
            metric,
            support,
            inverse_temperature,
            chains,
            integrator=chosen,
            num_integration_steps=num_integration_steps,
        )
        self.target_acceptance = None if target_acceptance is None else check_target(target_acceptance)
        self.velocities = (
            CometricCovariance.of(covariance)
            if adaptive
            else FixedCovariance.of(covariance, self.metric.dim, self.device)
        )

    def adapted(self, state: ChainState, generator: torch.Generator) -> tuple["RiemannianRandomWalk", int]:
        """Return the walk with the scale of Sigma tuned, if a target acceptance was given."""
        if self.target_acceptance is None:
            return self, 0
        steps = self.chains.num_tuning_steps
        tuned, _ = tune_step_size(self, state, self.target_acceptance, steps, generator)
        tuned.target_acceptance = None
        return tuned, steps

    def log_acceptance_ratio(
        self, state: ChainState, end: ChainState, flow: Flow, log_velocity_density: Scalar
    ) -> Scalar:
        """Return log alpha before truncation at 0, (n,)."""
        log_end = self.velocities.log_density(self.metric, end.position, flow.velocity / self.step_size)
        density = self.inverse_temperature * (end.log_density - state.log_density)
        return density + flow.log_jacobian + log_end - log_velocity_density
