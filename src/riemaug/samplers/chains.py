"""Markov chains: their state, one Metropolis decision, and driving a batch of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from riemaug._typing import Point, Scalar, Tangent

TRACED_CHAINS = 1024
"""So many chains are traced for the diagnostics; the others only give draws."""

OnStep = Callable[[int, int, float], None]
"""Hears the number of steps done, that of all, and the mean acceptance probability so far."""

_TRACED_STEPS = 1024
_STEPS_BETWEEN_WORDS = 10


@dataclass(frozen=True)
class ChainState:
    """Where a batch of chains is.

    Attributes
    ----------
    position : Tensor (n, d)
    log_density : Tensor (n,)
        log pi at the position (inverse temperature 1).
    origin : Tensor (n,), int64
        Index of the centroid where the chain began, -1 for none.
    gradient : Tensor (n, d), optional
        Gradient of log pi at the position, for kernels that use it.
    """

    position: Point
    log_density: Scalar
    origin: Int[Tensor, " n"]
    gradient: Tangent | None = None

    def moved_to(self, end: "ChainState", accept: Bool[Tensor, " n"]) -> "ChainState":
        """Return the chains at `end` where they accept and where they are elsewhere.

        What is not accepted may be NaN: it is left behind, not multiplied by zero.
        """
        gradient = None
        if self.gradient is not None and end.gradient is not None:
            gradient = torch.where(accept[:, None], end.gradient, self.gradient)
        return ChainState(
            torch.where(accept[:, None], end.position, self.position),
            torch.where(accept, end.log_density, self.log_density),
            self.origin,
            gradient,
        )


@dataclass(frozen=True)
class TransitionInfo:
    """What happened in one step of a batch of chains, each field (n,).

    `is_divergent`: the proposal was not finite, its ratio NaN, its equations not solved or its energy off
    by more than 1,000. `is_outside`: it was fine but outside the support. Both are rejected, with
    probability 0 here.
    """

    acceptance_probability: Float[Tensor, " n"]
    is_accepted: Bool[Tensor, " n"]
    is_divergent: Bool[Tensor, " n"]
    is_outside: Bool[Tensor, " n"]


@runtime_checkable
class Kernel(Protocol):
    """A Markov kernel: one step of a batch of chains."""

    def step(self, state: ChainState, generator: torch.Generator) -> tuple[ChainState, TransitionInfo]:
        """Return the new state and what happened; the state passed in is not changed."""
        ...


def accept_or_stay(
    state: ChainState,
    end: ChainState,
    log_ratio: Float[Tensor, " n"],
    *,
    is_divergent: Bool[Tensor, " n"],
    is_inside: Bool[Tensor, " n"],
    uniform: Float[Tensor, " n"],
) -> tuple[ChainState, TransitionInfo]:
    """Return the state after a Metropolis decision, made on the log of the ratio.

    Parameters
    ----------
    state, end : ChainState
        Where the chains are, and what is proposed to them.
    log_ratio : Tensor (n,)
        Log of the acceptance ratio; NaN counts as a divergence.
    is_divergent, is_inside : Tensor (n,)
        Proposals that failed, and those that lie where chains may go.
    uniform : Tensor (n,)
        Uniform numbers in [0, 1).
    """
    is_divergent = is_divergent | log_ratio.isnan()
    is_outside = ~is_divergent & ~is_inside
    log_ratio = torch.where(is_divergent | is_outside, -math.inf, log_ratio)
    accept = uniform.log() < log_ratio
    info = TransitionInfo(log_ratio.exp().clamp_max(1.0), accept, is_divergent, is_outside)
    return state.moved_to(end, accept), info


@dataclass(frozen=True)
class ChainRun:
    """A run of n chains.

    Attributes
    ----------
    state : ChainState
        The last one.
    draws : ChainState
        Without thinning the last state; else the thinned ones one after the other, each n chains long.
    start : Tensor (chains, d)
        Where the traced chains began.
    trace : Tensor (entries, scalars, chains)
        log pi and one coordinate, over what follows the burn-in of thinned chains, else over the second
        half of the run. At most 1,024 evenly spaced entries of the first 1,024 chains, so that long runs
        take no more memory.
    acceptance : Tensor (n,)
        Mean acceptance probability of each chain.
    num_steps : int
        Steps taken by each chain, burn-in included.
    divergences, outside : int
    """

    state: ChainState
    draws: ChainState
    start: Float[Tensor, "chains dim"]
    trace: Float[Tensor, "entries scalars chains"]
    acceptance: Float[Tensor, " n"]
    num_steps: int
    divergences: int
    outside: int


def run_chains(
    kernel: Kernel,
    state: ChainState,
    num_steps: int,
    generator: torch.Generator,
    on_step: OnStep | None = None,
    *,
    burn_in: int = 0,
    thinning: int | None = None,
    traced_axis: int | None = None,
) -> ChainRun:
    """Take `burn_in` steps and then `num_steps` >= 1 more from `state`.

    Parameters
    ----------
    kernel : Kernel
    state : ChainState
    num_steps, burn_in : int
    generator : torch.Generator
    on_step : callable, optional
        Called now and then.
    thinning : int, optional
        Keep every so many-th state after the burn-in; by default the last state alone.
    traced_axis : int, optional
        The coordinate to trace; by default that along which the starts spread most.
    """
    total = burn_in + num_steps
    first = burn_in if thinning else max(burn_in, (total + 1) // 2)
    trace = _Trace(state, traced_axis, first, total)
    kept: list[ChainState] = []
    acceptance = torch.zeros_like(state.log_density)
    divergences = torch.zeros((), dtype=torch.int64, device=acceptance.device)
    outside = torch.zeros_like(divergences)
    for index in range(total):
        state, info = kernel.step(state, generator)
        acceptance = acceptance + info.acceptance_probability
        divergences = divergences + info.is_divergent.sum()
        outside = outside + info.is_outside.sum()
        trace.add(index, state)
        if thinning is not None and index >= burn_in and (index + 1 - burn_in) % thinning == 0:
            kept.append(state)
        if on_step is not None and index % _STEPS_BETWEEN_WORDS == 0:
            on_step(index + 1, total, float(acceptance.mean()) / (index + 1))
    draws = _joined(kept) if kept else state
    return ChainRun(
        state, draws, trace.start, trace.values(), acceptance / total, total, int(divergences), int(outside)
    )


def longest_axis(points: Point) -> int:
    """Return the coordinate along which points (n, d) extend most."""
    return int((points.amax(0) - points.amin(0)).argmax())


def _joined(states: list[ChainState]) -> ChainState:
    """Return the states one after the other, without gradients."""
    return ChainState(
        torch.cat([state.position for state in states]),
        torch.cat([state.log_density for state in states]),
        torch.cat([state.origin for state in states]),
    )


class _Trace:
    """The scalars kept along a run; see `ChainRun.trace`."""

    def __init__(self, state: ChainState, axis: int | None, first: int, end: int) -> None:
        self.start = state.position[:TRACED_CHAINS]
        self._axis = longest_axis(self.start) if axis is None else axis
        self._first, self._stride = first, max(1, math.ceil((end - first) / _TRACED_STEPS))
        self._entries: list[Tensor] = []

    def add(self, index: int, state: ChainState) -> None:
        """Keep what the state after step `index` has to say, if it is one of those to keep."""
        if index >= self._first and (index - self._first) % self._stride == 0:
            count = len(self.start)
            self._entries.append(torch.stack([state.log_density[:count], state.position[:count, self._axis]]))

    def values(self) -> Float[Tensor, "entries scalars chains"]:
        """Return the trace."""
        if not self._entries:
            return self.start.new_empty((0, 2, len(self.start)))
        return torch.stack(self._entries)
