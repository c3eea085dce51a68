"""Driving batches of chains, and judging them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug._typing import Point, Scalar
from riemaug.geometry import Metric
from riemaug.samplers.base import Block, ChainState, Diagnostics, TransitionInfo
from riemaug.samplers.diagnostics import ChainSummary, flat_mass, mean_log_density, summarize_chains

_TRACED_BLOCKS = 8
_STEPS_BETWEEN_WORDS = 10


@runtime_checkable
class Kernel(Protocol):
    """A Markov kernel: one step of a batch of chains."""

    def step(self, state: ChainState, generator: torch.Generator) -> tuple[ChainState, TransitionInfo]:
        """Return the new state and what happened; the state passed in is not changed."""
        ...


@dataclass(frozen=True)
class ChainRun:
    """A run of n chains.

    Attributes
    ----------
    state : ChainState
        The last one.
    start : Tensor (n, d)
    trace : Tensor (steps, scalars, n)
        log pi and the coordinate along which the starts spread most, over the second half of the run.
    acceptance : Tensor (n,)
        Mean acceptance probability of each chain.
    divergences, outside : int
    """

    state: ChainState
    start: Point
    trace: Float[Tensor, "steps scalars n"]
    acceptance: Scalar
    divergences: int
    outside: int


def run_chains(
    kernel: Kernel,
    state: ChainState,
    num_steps: int,
    generator: torch.Generator,
    on_step: Callable[[int, float], None] | None = None,
) -> ChainRun:
    """Take `num_steps` >= 1 steps from `state`.

    `on_step` hears, now and then, the number of steps done and the mean acceptance probability so far.
    """
    start, trace = state.position, []
    axis = int((start.amax(0) - start.amin(0)).argmax())
    acceptance = torch.zeros_like(state.log_density)
    divergences = torch.zeros((), dtype=torch.int64, device=start.device)
    outside = torch.zeros_like(divergences)
    for index in range(num_steps):
        state, info = kernel.step(state, generator)
        acceptance = acceptance + info.acceptance_probability
        divergences = divergences + info.is_divergent.sum()
        outside = outside + info.is_outside.sum()
        if on_step is not None and index % _STEPS_BETWEEN_WORDS == 0:
            on_step(index + 1, float(acceptance.mean()) / (index + 1))
        if 2 * index >= num_steps:
            trace.append(torch.stack([state.log_density, state.position[:, axis]]))
    return ChainRun(
        state, start, torch.stack(trace) if trace else _no_trace(state), acceptance / num_steps,
        int(divergences), int(outside),
    )  # fmt: skip


def _no_trace(state: ChainState) -> Float[Tensor, "steps scalars n"]:
    return state.log_density.new_empty((0, 2, len(state.log_density)))


@dataclass
class ChainTally:
    """What is kept of the runs of all blocks: counts, and the traces of the first eight."""

    steps: int = 0
    divergences: int = 0
    outside: int = 0
    traces: list[Tensor] = field(default_factory=list)
    starts: list[Tensor] = field(default_factory=list)

    def add(self, run: ChainRun) -> None:
        """Add one run; traces beyond the first blocks are dropped to bound the memory."""
        self.steps += 2 * run.trace.shape[0] * run.trace.shape[2]
        self.divergences += run.divergences
        self.outside += run.outside
        if len(self.traces) < _TRACED_BLOCKS:
            self.traces.append(run.trace)
            self.starts.append(run.start)

    def summary(self) -> ChainSummary | None:
        """Return the diagnostics of the traces; None without runs or with too short ones."""
        if not self.traces:
            return None
        return summarize_chains(torch.cat(self.traces, -1), torch.cat(self.starts))

    def diagnostics(
        self,
        drawn: Block,
        metric: Metric,
        centroids: Point,
        inverse_temperature: float,
        evaluations: int,
    ) -> Diagnostics:
        """Return what is known about the last states `drawn` of these chains."""
        chains, count = self.summary(), drawn.log_density.numel()
        verdict = chains.describe() if chains else "Too few steps or chains to judge convergence."
        return Diagnostics(
            num_draws=count,
            acceptance=float(drawn.acceptance.mean()) if count else None,
            divergences=self.divergences,
            outside=self.outside,
            rhat=chains.rhat if chains else None,
            ess_bulk=chains.ess_bulk if chains else None,
            ess_tail=chains.ess_tail if chains else None,
            expected_log_density=float(drawn.log_density.mean()) if count else None,
            centroid_log_density=mean_log_density(metric, centroids),
            flat_mass=flat_mass(metric, drawn.log_density, inverse_temperature),
            evaluations=evaluations,
            converged=chains.has_converged if chains else None,
            message=verdict,
        )
