"""Riemannian random walks: the exact one, and the paper's Algorithm 1 as printed."""

import math
from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from riemaug import linalg
from riemaug._typing import Point, Scalar, Tangent
from riemaug.errors import InvalidInputError
from riemaug.geometry import (
    ExplicitMidpoint,
    Flow,
    GeodesicIntegrator,
    LagrangianLeapfrog,
    Metric,
    Support,
)
from riemaug.random import Stream, as_stream
from riemaug.samplers.base import (
    Block,
    ChainState,
    Draws,
    ProgressCallback,
    Sampler,
    SamplingProgress,
    TransitionInfo,
    draw_blocks,
    empty_block,
    in_double,
    positive_finite,
    support_for,
)
from riemaug.samplers.chains import ChainTally, run_chains


class GeodesicWalk(Sampler):
    """Chains that move along geodesics shot with random velocities; one chain for each draw.

    Parameters
    ----------
    metric : Metric
        Copied in float64; the original is left as it is.
    support : Support, optional
        The compact set S; its centroids are where chains begin.
    integrator : GeodesicIntegrator
    num_steps : int
        Steps of each chain, at least 1; a draw is the last state.
    num_integration_steps : int
        Sub-steps of the integrator, at least 1.
    covariance : float or Tensor
        Sigma of the velocities: s^2 as a number, a diagonal (d,), or a matrix (d, d).
    adaptive : bool
        Whether Sigma is s^2 C(z), with `covariance` = s^2.
    inverse_temperature : float
    """

    block_size: ClassVar[int] = 128
    claim: ClassVar[str]
    has_stated_law: ClassVar[bool]

    def __init__(
        self,
        metric: Metric,
        support: Support | None,
        *,
        integrator: GeodesicIntegrator,
        num_steps: int,
        num_integration_steps: int,
        covariance: float | Tensor,
        adaptive: bool,
        inverse_temperature: float,
    ) -> None:
        if num_steps < 1 or num_integration_steps < 1:
            raise InvalidInputError(
                f"num_steps and num_integration_steps must be 1 or more, got {num_steps} and "
                f"{num_integration_steps}"
            )
        self.metric = in_double(metric)
        self.support = support_for(self.metric, support)
        self.integrator = integrator
        self.num_steps = num_steps
        self.num_integration_steps = num_integration_steps
        self.adaptive = adaptive
        self.inverse_temperature = positive_finite("inverse_temperature", inverse_temperature)
        if adaptive and isinstance(covariance, Tensor) and covariance.numel() != 1:
            raise InvalidInputError(
                f"an adaptive walk takes covariance = s^2, one number, got shape {tuple(covariance.shape)}"
            )
        self.velocity_factor = _velocity_factor(covariance, self.metric.dim, self.support.centroids)
        self._whitening = linalg.inverse_lower(self.velocity_factor)

    def init(self, position: Float[Tensor, "n dim"], origin: Int[Tensor, " n"] | None = None) -> ChainState:
        """Return the state of chains at `position`."""
        unknown = torch.full(position.shape[:1], -1, dtype=torch.int64, device=position.device)
        return ChainState(position, self.metric.log_density(position), unknown if origin is None else origin)

    def start(self, generator: torch.Generator) -> ChainState:
        """Return a block of chains at centroids drawn with equal chances."""
        centroids = self.support.centroids
        origin = torch.randint(
            len(centroids), (self.block_size,), generator=generator, device=centroids.device
        )
        return self.init(centroids[origin], origin)

    @torch.no_grad()
    def step(self, state: ChainState, generator: torch.Generator) -> tuple[ChainState, TransitionInfo]:
        """Take one step; the state passed in is not changed."""
        options = {"generator": generator, "dtype": state.position.dtype, "device": state.position.device}
        noise = torch.randn(state.position.shape, **options)
        uniform = torch.rand(state.position.shape[:1], **options)
        velocity = self.velocity_of_noise(state, noise)
        flow = self.integrator.flow(self.metric, state.position, velocity, self.num_integration_steps)
        finite = flow.converged & flow.point.isfinite().all(-1) & flow.velocity.isfinite().all(-1)
        # a chain that failed is evaluated where it stands: its proposal is rejected in any case
        end = self.init(torch.where(finite[:, None], flow.point, state.position), state.origin)
        log_ratio = self.log_acceptance_ratio(state, end, velocity, flow)
        divergent = ~finite | log_ratio.isnan()
        outside = ~divergent & ~self.may_visit(end.position)
        log_ratio = torch.where(divergent | outside, -math.inf, log_ratio)
        accept = uniform.log() < log_ratio
        chosen = ChainState(
            torch.where(accept[:, None], end.position, state.position),
            torch.where(accept, end.log_density, state.log_density),
            state.origin,
        )
        return chosen, TransitionInfo(log_ratio.exp().clamp_max(1.0), accept, divergent, outside)

    def velocity_of_noise(self, state: ChainState, noise: Tangent) -> Tangent:
        """Return velocities of law N(0, Sigma) from standard normal noise, (n, d)."""
        if self.adaptive:
            factor = self.metric.cometric_factor(state.position)
            return self.velocity_factor[0, 0] * (factor @ noise[..., None])[..., 0]
        return noise @ self.velocity_factor.T

    @abstractmethod
    def log_acceptance_ratio(
        self, state: ChainState, end: ChainState, velocity: Tangent, flow: Flow
    ) -> Scalar:
        """Return the log of the ratio that a proposal is accepted with, (n,)."""

    @abstractmethod
    def may_visit(self, position: Point) -> Bool[Tensor, " n"]:
        """Return whether chains are allowed at the positions, (n,)."""

    @torch.no_grad()
    def sample(
        self, num_samples: int, random_state: int | Stream, progress: ProgressCallback | None = None
    ) -> Draws:
        """Return the last states of `num_samples` chains; see `Sampler.sample`."""
        stream, tally = as_stream(random_state), ChainTally()
        device = self.metric_device

        def draw(index: int) -> Block:
            generator = stream.block(index).generator(device)
            done = index * self.block_size

            def tell(step: int, acceptance: float) -> None:
                if progress is not None:
                    progress(SamplingProgress(done, num_samples, acceptance, step, self.num_steps))

            run = run_chains(self, self.start(generator), self.num_steps, generator, tell)
            tally.add(run)
            return Block(run.state.position, run.state.log_density, run.state.origin, run.acceptance)

        empty = empty_block(self.metric.dim, device)
        drawn = draw_blocks(draw, num_samples, self.block_size, empty, progress)
        evaluations = tally.steps * (self.num_integration_steps + 2 + self.adaptive)
        diagnostics = tally.diagnostics(
            drawn, self.metric, self.support.centroids, self.inverse_temperature, evaluations
        )
        if not self.has_stated_law:
            diagnostics = replace(diagnostics, converged=False)
        diagnostics = replace(diagnostics, message=f"{self.claim} {diagnostics.message}")
        return Draws(drawn.points, drawn.log_density, drawn.origin, drawn.acceptance, diagnostics)

    @property
    def metric_device(self) -> torch.device:
        """The device of the chains."""
        return self.support.centroids.device


class RiemannianRandomWalk(GeodesicWalk):
    """Random walk along geodesics with the law pi^b on S, for any covariance and number of sub-steps.

    With v ~ N(0, Sigma) at z carried to (z*, v*) by a reversible flow of log Jacobian log J,
    log alpha = b (log pi* - log pi) + log J - (v*^T Sigma*^-1 v* - v^T Sigma^-1 v) / 2
    - (log det Sigma* - log det Sigma) / 2; Sigma* is Sigma, or s^2 C(z*) for the adaptive walk.

    Parameters
    ----------
    metric : Metric
    support : Support, optional
        The compact set S; by default `metric.default_support()`.
    integrator : GeodesicIntegrator, optional
        A reversible one; by default `LagrangianLeapfrog()`.
    num_steps, num_integration_steps : int
        Steps of each chain and sub-steps of each geodesic. Five sub-steps are accepted as often as
        twenty at the paper's settings.
    covariance : float or Tensor
        Sigma: s^2 (0.5 in the paper), a diagonal (d,), or a matrix (d, d).
    adaptive : bool
        Take Sigma = s^2 C(z), the paper's stated future work.
    inverse_temperature : float
        b > 0; 1 is Eq. 3.

    Raises
    ------
    InvalidInputError
        An integrator that is not reversible, or a parameter out of its range.
    """

    name: ClassVar[str] = "walk"
    claim: ClassVar[str] = "Exact random walk along geodesics."
    has_stated_law: ClassVar[bool] = True

    def __init__(
        self,
        metric: Metric,
        support: Support | None = None,
        *,
        integrator: GeodesicIntegrator | None = None,
        num_steps: int = 200,
        num_integration_steps: int = 5,
        covariance: float | Tensor = 0.5,
        adaptive: bool = False,
        inverse_temperature: float = 1.0,
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
            integrator=chosen,
            num_steps=num_steps,
            num_integration_steps=num_integration_steps,
            covariance=covariance,
            adaptive=adaptive,
            inverse_temperature=inverse_temperature,
        )

    def log_acceptance_ratio(
        self, state: ChainState, end: ChainState, velocity: Tangent, flow: Flow
    ) -> Scalar:
        """Return log alpha before truncation at 0, (n,)."""
        density = self.inverse_temperature * (end.log_density - state.log_density)
        if not self.adaptive:
            before, after = velocity @ self._whitening.T, flow.velocity @ self._whitening.T
            return density + flow.log_jacobian - 0.5 * ((after * after).sum(-1) - (before * before).sum(-1))
        factor, end_factor = map(self.metric.cometric_factor, (state.position, end.position))
        before = linalg.solve_lower(factor, velocity)
        after = linalg.solve_lower(end_factor, flow.velocity)
        volume = 0.5 * (linalg.log_det_of_factor(end_factor) - linalg.log_det_of_factor(factor))
        energy = 0.5 * ((after * after).sum(-1) - (before * before).sum(-1)) / self.velocity_factor[0, 0] ** 2
        return density - volume + flow.log_jacobian - energy

    def may_visit(self, position: Point) -> Bool[Tensor, " n"]:
        """Return whether the positions are in S."""
        return self.support.contains(position)


class PaperWalk(GeodesicWalk):
    """Algorithm 1 as printed: explicit midpoint geodesics, accepted by the ratio of sqrt det C.

    It does NOT sample Eq. 3: the proposal is neither symmetric nor reversible, and there is no
    support S, so chains drift away from the data. For comparison with the paper only; the published
    code differs from it by a sign that makes its paths no geodesics.

    Parameters
    ----------
    metric : Metric
    support : Support, optional
        Only its centroids are used, as starts.
    num_steps, num_integration_steps : int
    covariance : float or Tensor
        Sigma; the paper's is 0.5.
    """

    name: ClassVar[str] = "walk-paper"
    claim: ClassVar[str] = (
        "Algorithm 1 of the paper as printed: it does NOT sample Eq. 3 (use the walk or mixture sampler)."
    )
    has_stated_law: ClassVar[bool] = False

    def __init__(
        self,
        metric: Metric,
        support: Support | None = None,
        *,
        num_steps: int = 200,
        num_integration_steps: int = 10,
        covariance: float | Tensor = 0.5,
    ) -> None:
        super().__init__(
            metric,
            support,
            integrator=ExplicitMidpoint(),
            num_steps=num_steps,
            num_integration_steps=num_integration_steps,
            covariance=covariance,
            adaptive=False,
            inverse_temperature=1.0,
        )

    def log_acceptance_ratio(
        self, state: ChainState, end: ChainState, velocity: Tangent, flow: Flow
    ) -> Scalar:
        """Return the log ratio of sqrt det C, (n,)."""
        return end.log_density - state.log_density

    def may_visit(self, position: Point) -> Bool[Tensor, " n"]:
        """Return true everywhere: the printed algorithm has no support."""
        return torch.ones_like(position[:, 0], dtype=torch.bool)


def _velocity_factor(covariance: float | Tensor, dim: int, like: Tensor) -> Float[Tensor, "dim dim"]:
    """Return the lower Cholesky factor of Sigma, checked.

    Raises
    ------
    InvalidInputError
        Not a positive number, a positive diagonal (d,), or an SPD matrix (d, d).
    """
    value = torch.as_tensor(covariance, dtype=torch.float64, device=like.device).detach()
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
        raise InvalidInputError("covariance must be symmetric, got a matrix that is not; pass (S + S.T) / 2")
    factor = linalg.cholesky_factor(matrix)
    if not bool(factor.isfinite().all() & (factor.diagonal() > 0).all()):
        raise InvalidInputError(f"covariance must be positive definite, got {value.tolist()}")
    return factor
