"""Tuning a step size to a target acceptance by dual averaging (Hoffman & Gelman 2014, section 3.2)."""

import math
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import torch

from riemaug.errors import InvalidInputError
from riemaug.samplers.chains import ChainState, TransitionInfo

_SHRINKAGE = 0.05
_DELAY = 10.0
_DECAY = 0.75


@dataclass(frozen=True)
class DualAveraging:
    """State of the search for the step whose mean acceptance probability is the target.

    Symbols of the reference: gamma = 0.05, t0 = 10, kappa = 0.75, mu = log(10 step_0).

    Attributes
    ----------
    target : float
        Wanted acceptance probability, delta.
    center : float
        mu: log steps are pulled towards it.
    log_step : float
        Log of the step to try next.
    mean_log_step : float
        Running average of the log steps, which the search ends with.
    mean_error : float
        Running average of target minus acceptance, H-bar.
    count : int
        Number of updates so far.
    """

    target: float
    center: float
    log_step: float
    mean_log_step: float = 0.0
    mean_error: float = 0.0
    count: int = 0

    @classmethod
    def start(cls, step_size: float, target: float) -> "DualAveraging":
        """Return the state before the first try, at `step_size`."""
        return cls(target, math.log(10.0 * step_size), math.log(step_size))

    def updated(self, acceptance: float) -> "DualAveraging":
        """Return the state after a try of the current step; an acceptance of NaN counts as 0."""
        error = self.target - (0.0 if math.isnan(acceptance) else acceptance)
        count = self.count + 1
        share = 1.0 / (count + _DELAY)
        mean_error = (1.0 - share) * self.mean_error + share * error
        log_step = self.center - math.sqrt(count) / _SHRINKAGE * mean_error
        weight = count**-_DECAY
        mean_log_step = weight * log_step + (1.0 - weight) * self.mean_log_step
        return DualAveraging(self.target, self.center, log_step, mean_log_step, mean_error, count)

    @property
    def step_size(self) -> float:
        """The step to try next."""
        return math.exp(self.log_step)

    @property
    def tuned_step_size(self) -> float:
        """The averaged step, to be kept once the search is over."""
        return math.exp(self.mean_log_step) if self.count else self.step_size


AnyKernel = TypeVar("AnyKernel", bound="SteppedKernel")


@runtime_checkable
class SteppedKernel(Protocol):
    """A Markov kernel with a step size that can be changed."""

    @property
    def step_size(self) -> float:
        """The present step."""
        ...

    def with_step_size(self: AnyKernel, step_size: float) -> AnyKernel:
        """Return the kernel with another step."""
        ...

    def step(self, state: ChainState, generator: torch.Generator) -> tuple[ChainState, TransitionInfo]:
        """Return the new state and what happened."""
        ...


def tune_step_size(
    kernel: AnyKernel,
    state: ChainState,
    target_acceptance: float,
    num_steps: int,
    generator: torch.Generator,
) -> tuple[AnyKernel, ChainState]:
    """Return the kernel with its step tuned, and where `num_steps` tuning steps led the chains.

    All chains share the step; the mean of their acceptance probabilities is one observation of it.
    While it is tuned the chains have no law of their own: only the kernel returned has.
    """
    search = DualAveraging.start(kernel.step_size, target_acceptance)
    for _ in range(num_steps):
        state, info = kernel.with_step_size(search.step_size).step(state, generator)
        search = search.updated(float(info.acceptance_probability.mean()))
    return kernel.with_step_size(search.tuned_step_size), state


def check_target(acceptance: float) -> float:
    """Return a target acceptance.

    Raises
    ------
    InvalidInputError
        It is not between 0 and 1.
    """
    if not 0.0 < acceptance < 1.0:
        raise InvalidInputError(f"target_acceptance must lie between 0 and 1, got {acceptance}")
    return float(acceptance)
