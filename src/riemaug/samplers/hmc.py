"""Hamiltonian Monte Carlo on pi^b, with the true gradient and a tuned step."""

import copy

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.geometry import Metric, Support
from riemaug.samplers.adaptation import check_target, tune_step_size
from riemaug.samplers.base import positive_finite
from riemaug.samplers.chain_sampler import ChainOptions, ChainSampler
from riemaug.samplers.chains import ChainState, TransitionInfo, accept_or_stay

_JITTER = 0.5
_LARGEST_ENERGY_ERROR = 1000.0


class HMC(ChainSampler):
    """Hamiltonian Monte Carlo with the law pi^b on S, for any metric whose log pi can be differentiated.

    H = -b log pi(z) + 1/2 p^T M^-1 p; leapfrog steps with the true gradient, evaluated once a step and kept
    with the state. Each chain draws its own step, up to half off the common one, so that no orbit closes. The
    end is accepted on the log ratio and rejected outside S. The common step is tuned by dual averaging
    before the first draw and then frozen, so the law is exact.

    Parameters
    ----------
    metric : Metric
    support : Support, optional
        The compact set S; by default `metric.default_support()`.
    num_leapfrog_steps : int
        Leapfrog steps of one transition, at least 1.
    step_size : float, optional
        In latent units (times the scales below); by default it is tuned.
    target_acceptance : float
        Mean acceptance probability that the step is tuned to.
    scales : Tensor (d,), optional
        Square roots of the diagonal of M^-1: the law's own spread along each coordinate is best. By
        default 1.
    adapt_scales : bool
        Take the spread of the chains after a first half of tuning as scales, and tune the step again.
    inverse_temperature : float
        b > 0; 1 is Eq. 3.
    chains : ChainOptions, optional
        Transitions, burn-in, thinning, number and starts of the chains.

    Raises
    ------
    InvalidInputError
        A parameter out of its range, or scales to adapt with a step that is not tuned.
    """

    name = "hmc"
    claim = "Hamiltonian Monte Carlo."
    has_stated_law = True
    stays_in_support = True

    def __init__(
        self,
        metric: Metric,
        support: Support | None = None,
        *,
        num_leapfrog_steps: int = 5,
        step_size: float | None = None,
        target_acceptance: float = 0.8,
        scales: Float[Tensor, " dim"] | None = None,
        adapt_scales: bool = False,
        inverse_temperature: float = 1.0,
        chains: ChainOptions | None = None,
    ) -> None:
        super().__init__(metric, support, inverse_temperature, chains)
        if num_leapfrog_steps < 1:
            raise InvalidInputError(f"num_leapfrog_steps must be 1 or more, got {num_leapfrog_steps}")
        if adapt_scales and step_size is not None:
            raise InvalidInputError("scales are adapted with a tuned step only, got step_size too; drop one")
        self.num_leapfrog_steps = num_leapfrog_steps
        self.target_acceptance = check_target(target_acceptance)
        self.is_tuned = step_size is not None
        self.adapt_scales = adapt_scales
        self.scales = self._checked_scales(scales)
        guess = self.support.radius / (2.0 * (self.inverse_temperature * self.metric.dim) ** 0.5)
        self.step_size = positive_finite("step_size", guess if step_size is None else step_size)

    def evaluate(self, position: Float[Tensor, "n dim"], origin: Int[Tensor, " n"]) -> ChainState:
        """Return the state of chains at `position`, with the gradient there."""
        log_density, gradient = self.metric.log_density_and_gradient(position)
        return ChainState(position, log_density, origin, gradient)

    @torch.no_grad()
    def step(self, state: ChainState, generator: torch.Generator) -> tuple[ChainState, TransitionInfo]:
        """Make one transition of `num_leapfrog_steps`; the state passed in is not changed."""
        options = {"generator": generator, "dtype": state.position.dtype, "device": state.position.device}
        momentum = torch.randn(state.position.shape, **options)
        jitter, uniform = torch.rand((2, len(momentum)), **options)
        step = self.step_size * (1.0 + _JITTER * (2.0 * jitter - 1.0))
        end, end_momentum = self._leapfrog(state, momentum, step[:, None])
        kinetic = 0.5 * ((end_momentum * end_momentum).sum(-1) - (momentum * momentum).sum(-1))
        log_ratio = self.inverse_temperature * (end.log_density - state.log_density) - kinetic
        return accept_or_stay(
            state,
            end,
            log_ratio,
            is_divergent=log_ratio < -_LARGEST_ENERGY_ERROR,
            is_inside=self.support.contains(end.position),
            uniform=uniform,
        )

    def _leapfrog(
        self, state: ChainState, momentum: Float[Tensor, "n dim"], step: Float[Tensor, "n 1"]
    ) -> tuple[ChainState, Float[Tensor, "n dim"]]:
        """Return where the flow ends; `momentum` is in units in which its law is standard normal."""
        kick = self.inverse_temperature * step * self.scales
        drift = step * self.scales
        for index in range(self.num_leapfrog_steps):
            assert state.gradient is not None
            momentum = momentum + (0.5 if index == 0 else 1.0) * kick * state.gradient
            state = self.evaluate(state.position + drift * momentum, state.origin)
        assert state.gradient is not None
        return state, momentum + 0.5 * kick * state.gradient

    def adapted(self, state: ChainState, generator: torch.Generator) -> tuple["HMC", int]:
        """Return the sampler with its step, and its scales if asked for, tuned."""
        if self.is_tuned:
            return self, 0
        steps, target = self.chains.num_tuning_steps, self.target_acceptance
        tuned, state = tune_step_size(self, state, target, steps, generator)
        if self.adapt_scales:
            rescaled = copy.copy(tuned)
            rescaled.scales = _spread(state.position)
            rescaled = rescaled.with_step_size(tuned.step_size / float(rescaled.scales.mean()))
            tuned, _ = tune_step_size(rescaled, state, target, steps, generator)
        tuned.is_tuned = True
        return tuned, steps * (2 if self.adapt_scales else 1)

    @property
    def evaluations_per_step(self) -> int:
        """Points at which log pi and its gradient are evaluated in one transition of one chain."""
        return self.num_leapfrog_steps

    def _checked_scales(self, scales: Float[Tensor, " dim"] | None) -> Float[Tensor, " dim"]:
        dim = self.metric.dim
        if scales is None:
            return torch.ones(dim, dtype=torch.float64, device=self.device)
        value = scales.detach().to(self.device, torch.float64)
        if value.shape != (dim,) or not bool((value.isfinite() & (value > 0)).all()):
            raise InvalidInputError(f"scales must be {dim} positive finite numbers, got {value.tolist()}")
        return value


def _spread(position: Float[Tensor, "n dim"]) -> Float[Tensor, " dim"]:
    """Return the standard deviation of each coordinate, drawn to their mean by five draws' worth."""
    count = len(position)
    if count < 2:
        return torch.ones_like(position[0])
    variance = position.var(0)
    return ((count * variance + 5.0 * variance.mean()) / (count + 5.0)).clamp_min(1e-12).sqrt()
