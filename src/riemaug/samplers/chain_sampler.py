"""What all samplers by Markov chains share: their options, starts, tuning, blocks and diagnostics."""

import copy
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.geometry import Metric, Support
from riemaug.random import Stream, as_stream
from riemaug.samplers.base import (
    Block,
    Diagnostics,
    in_double,
    positive_finite,
    support_for,
)
from riemaug.samplers.chains import (
    TRACED_CHAINS,
    ChainRun,
    ChainState,
    OnStep,
    TransitionInfo,
    longest_axis,
    run_chains,
)
from riemaug.samplers.diagnostics import ChainSummary, flat_shares, mean_log_density, summarize_chains
from riemaug.samplers.sources import BlockSampler, DrawReader, DrawSource, DrawSums

AnyChainSampler = TypeVar("AnyChainSampler", bound="ChainSampler")


@dataclass(frozen=True)
class ChainOptions:
    """How chains are run, whatever their kernel.

    Attributes
    ----------
    num_steps : int
        Steps of each chain after the burn-in, at least 1.
    burn_in : int
        Steps before those; their states are neither drawn nor judged.
    thinning : int, optional
        Draw every so many-th state after the burn-in, `num_steps // thinning` of each chain. By default
        a chain gives one draw, its last state, so that draws are independent.
    num_chains : int
        Chains run at once; with `thinning` this is also how many draws come one after the other before
        a chain gives its next one.
    num_tuning_steps : int
        Steps of the chains that tune a step size, where one is tuned.
    start : Tensor (m, d) or BlockSampler, optional
        Where chains begin: at one of these points drawn with equal chances, or each at its own draw of
        another sampler (a `MixtureSampler` of the same law: then they are in the law from the first step).
        By default at a centroid drawn with equal chances.

    Raises
    ------
    InvalidInputError
        A number out of its range.
    """

    num_steps: int = 200
    burn_in: int = 0
    thinning: int | None = None
    num_chains: int = 128
    num_tuning_steps: int = 100
    start: Tensor | BlockSampler | None = None

    def __post_init__(self) -> None:
        for name in ("num_steps", "num_chains", "num_tuning_steps"):
            if getattr(self, name) < 1:
                raise InvalidInputError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if self.burn_in < 0:
            raise InvalidInputError(f"burn_in must be 0 or more, got {self.burn_in}")
        if self.thinning is not None and not 1 <= self.thinning <= self.num_steps:
            raise InvalidInputError(
                f"thinning must be from 1 to num_steps = {self.num_steps}, got {self.thinning}"
            )

    @property
    def total_steps(self) -> int:
        """Steps of each chain, burn-in included."""
        return self.burn_in + self.num_steps

    @property
    def draws_per_chain(self) -> int:
        """How many draws a chain gives."""
        return 1 if self.thinning is None else self.num_steps // self.thinning


class ChainSampler(BlockSampler):
    """Draws by batches of Markov chains.

    A subclass writes `evaluate` and `step`, a kernel in the sense of `riemaug.samplers.Kernel`, and may tune
    itself in `adapted`. Tuning happens once, on chains and a generator of its own, before the first draw.

    Parameters
    ----------
    metric : Metric
        Copied in float64; the original is left as it is.
    support : Support, optional
        The compact set S; by default `metric.default_support()`. Its centroids are where chains begin.
    inverse_temperature : float
        b > 0.
    chains : ChainOptions, optional
    """

    claim: str
    """What the sampler says of its law."""
    has_stated_law: bool
    """Whether the chains have the law pi^b on S."""
    stays_in_support: bool
    """Whether what leaves S is rejected."""
    step_size: float

    def __init__(
        self,
        metric: Metric,
        support: Support | None,
        inverse_temperature: float,
        chains: ChainOptions | None,
    ) -> None:
        self.metric = in_double(metric)
        self.support = support_for(self.metric, support)
        self.inverse_temperature = positive_finite("inverse_temperature", inverse_temperature)
        self.chains = chains or ChainOptions()
        self.block_size = self.chains.num_chains * self.chains.draws_per_chain

    @abstractmethod
    def evaluate(self, position: Float[Tensor, "n dim"], origin: Int[Tensor, " n"]) -> ChainState:
        """Return the state of chains at `position`."""

    @abstractmethod
    def step(self, state: ChainState, generator: torch.Generator) -> tuple[ChainState, TransitionInfo]:
        """Take one step; the state passed in is not changed."""

    @abstractmethod
    def adapted(
        self: AnyChainSampler, state: ChainState, generator: torch.Generator
    ) -> tuple[AnyChainSampler, int]:
        """Return the sampler tuned on chains that begin at `state`, and the steps it took for that."""

    @property
    @abstractmethod
    def evaluations_per_step(self) -> int:
        """Points at which the metric is evaluated in one step of one chain."""

    def with_step_size(self: AnyChainSampler, step_size: float) -> AnyChainSampler:
        """Return the sampler with another step and all else alike."""
        changed = copy.copy(self)
        changed.step_size = positive_finite("step_size", step_size)
        return changed

    @torch.no_grad()
    def init(self, position: Float[Tensor, "n dim"], origin: Int[Tensor, " n"] | None = None) -> ChainState:
        """Return the state of chains that begin at `position`, (n, d), converted to float64.

        Raises
        ------
        InvalidInputError
            A point of another dimension, where the density is not finite, or outside S for a sampler that
            stays there.
        """
        if position.shape[1] != self.metric.dim:
            raise InvalidInputError(
                f"chains must begin at points of {self.metric.dim} coordinates, got {position.shape[1]}"
            )
        position = position.detach().to(self.device, torch.float64)
        unknown = torch.full(position.shape[:1], -1, dtype=torch.int64, device=self.device)
        state = self.evaluate(position, unknown if origin is None else origin)
        if not bool(state.log_density.isfinite().all() & position.isfinite().all()):
            raise InvalidInputError("chains must begin where log pi is finite, some starts are elsewhere")
        if self.stays_in_support and not bool(self.support.contains(position).all()):
            count = int((~self.support.contains(position)).sum())
            raise InvalidInputError(
                f"chains must begin in the support S, {count} of {len(position)} starts lie outside; "
                "begin at the centroids or pass a larger support"
            )
        return state

    def tuned(self: AnyChainSampler, random_state: int | Stream) -> AnyChainSampler:
        """Return the sampler tuned as `sample` would for this random state; itself if nothing is tuned."""
        stream = as_stream(random_state)
        return self.tuned_from(_Starts.of(self, stream), stream)[0]

    def tuned_from(self: AnyChainSampler, starts: "_Starts", stream: Stream) -> tuple[AnyChainSampler, int]:
        """Return the sampler tuned on chains that begin at `starts`, and the steps it took for that."""
        generator = stream.child("adaptation").generator(self.device)
        return self.adapted(starts.block(0, generator), generator)

    def source(self, random_state: int | Stream) -> DrawSource:
        """Return the draws of the chains of a random state."""
        return ChainSource(self, as_stream(random_state))

    def run_block(self, starts: "_Starts", index: int, stream: Stream, on_step: OnStep | None) -> ChainRun:
        """Return the run of block `index`."""
        generator = stream.block(index).generator(self.device)
        return run_chains(
            self,
            starts.block(index, generator),
            self.chains.num_steps,
            generator,
            on_step,
            burn_in=self.chains.burn_in,
            thinning=self.chains.thinning,
            traced_axis=longest_axis(self.support.centroids),
        )

    @property
    def device(self) -> torch.device:
        """The device of the chains."""
        return self.support.centroids.device


@dataclass(frozen=True)
class _Starts:
    """Where the chains of each block begin.

    `points` (m, d) are drawn from with equal chances; where there are none, chains begin at the draws of
    `reader`, one after the other.
    """

    sampler: ChainSampler
    points: Float[Tensor, "m dim"] | None
    origin: Int[Tensor, " m"] | None = None
    reader: DrawReader | None = None

    @classmethod
    def of(cls, sampler: ChainSampler, stream: Stream) -> "_Starts":
        """Return the starts of all blocks of a random state."""
        start, device = sampler.chains.start, sampler.device
        if start is None:
            centroids = sampler.support.centroids
            return cls(sampler, centroids, torch.arange(len(centroids), device=device))
        if isinstance(start, BlockSampler):
            return cls(sampler, None, reader=DrawReader(start.source(stream.child("start"))))
        if start.ndim != 2 or len(start) == 0:
            raise InvalidInputError(
                f"start must hold points as (m, {sampler.metric.dim}), m > 0, got {tuple(start.shape)}"
            )
        return cls(sampler, start.to(device))

    def block(self, index: int, generator: torch.Generator) -> ChainState:
        """Return the chains of block `index` before their first step."""
        count, device = self.sampler.chains.num_chains, self.sampler.device
        if self.reader is not None:
            drawn = self.reader.rows(index * count, (index + 1) * count)
            return self.sampler.init(drawn.points.to(device), drawn.origin.to(device))
        assert self.points is not None
        chosen = torch.randint(len(self.points), (count,), generator=generator, device=device)
        return self.sampler.init(self.points[chosen], None if self.origin is None else self.origin[chosen])


class ChainSource(DrawSource):
    """The draws of chains of one random state; see `DrawSource`. The chains are tuned at the first block."""

    def __init__(self, sampler: ChainSampler, stream: Stream) -> None:
        super().__init__()
        self.sampler, self.stream = sampler, stream
        self.block_size, self.dim, self.device = sampler.block_size, sampler.metric.dim, sampler.device
        self._tally, self._starts = ChainTally(), _Starts.of(sampler, stream)
        self._kernel: ChainSampler | None = None
        self._tuning_steps = 0

    @torch.no_grad()
    def block(self, index: int, on_step: OnStep | None = None) -> Block:
        """Return block `index`."""
        run = self._tuned().run_block(self._starts, index, self.stream, on_step)
        self._tally.add(run)
        acceptance = run.acceptance.repeat(self.sampler.chains.draws_per_chain)
        return Block(run.draws.position, run.draws.log_density, run.draws.origin, acceptance)

    @torch.no_grad()
    def diagnostics(self) -> Diagnostics:
        """Return what is known about the draws that were taken."""
        # a source that went on after its last block has made none, but its draws are of the tuned kernel
        tuned = self._tuned() if self.sums.count else self.sampler
        steps = self._tuning_steps * self.sampler.chains.num_chains
        return chain_diagnostics(tuned, self._tally, self.sums, steps)

    def _tuned(self) -> ChainSampler:
        if self._kernel is None:
            self._kernel, self._tuning_steps = self.sampler.tuned_from(self._starts, self.stream)
        return self._kernel

    def flat_shares(self, log_density: Float[Tensor, " n"]) -> Float[Tensor, " n"] | None:
        """Return the regularisation's share of each draw."""
        return flat_shares(self.sampler.metric, log_density, self.sampler.inverse_temperature)

    def tally(self) -> "ChainTally":
        """Return the tally of the runs."""
        return self._tally


@dataclass
class ChainTally:
    """What is kept of the runs of all blocks: counts, and the traces of the first chains."""

    steps: int = 0
    divergences: int = 0
    outside: int = 0
    traces: list[Tensor] = field(default_factory=list)
    starts: list[Tensor] = field(default_factory=list)

    def add(self, run: ChainRun) -> None:
        """Add one run; traces beyond the first 1,024 chains are dropped to bound the memory."""
        self.steps += run.num_steps * len(run.acceptance)
        self.divergences += run.divergences
        self.outside += run.outside
        if self.wants_traces:
            self.traces.append(run.trace.cpu())
            self.starts.append(run.start.cpu())

    @property
    def wants_traces(self) -> bool:
        """Whether fewer than 1,024 chains have been traced."""
        return sum(map(len, self.starts)) < TRACED_CHAINS

    def summary(self) -> ChainSummary | None:
        """Return the diagnostics of the traces; None without runs or with too short ones."""
        if not self.traces:
            return None
        return summarize_chains(torch.cat(self.traces, -1), torch.cat(self.starts))


def chain_diagnostics(
    kernel: ChainSampler, tally: ChainTally, drawn: DrawSums, tuning_steps: int
) -> Diagnostics:
    """Return what is known about the draws of chains.

    Parameters
    ----------
    kernel : ChainSampler
        As tuned.
    tally : ChainTally
    drawn : DrawSums
    tuning_steps : int
        Of all chains together.
    """
    chains = tally.summary()
    verdict = chains.describe() if chains else "Too few steps or chains to judge convergence."
    if not kernel.has_stated_law:
        verdict = f"As to a law of their own: {verdict}"
    has_share = flat_shares(kernel.metric, torch.empty(0).double(), kernel.inverse_temperature) is not None
    diagnostics = Diagnostics(
        num_draws=drawn.count,
        acceptance=drawn.mean("acceptance"),
        step_size=kernel.step_size if drawn.count else None,
        divergences=tally.divergences,
        outside=tally.outside,
        expected_log_density=drawn.mean("log_density"),
        centroid_log_density=mean_log_density(kernel.metric, kernel.support.centroids),
        flat_mass=drawn.mean("flat") if has_share else None,
        evaluations=(tally.steps + tuning_steps) * kernel.evaluations_per_step,
        converged=None if kernel.has_stated_law else False,
        message=f"{kernel.claim} {verdict}",
    )
    if chains is None:
        return diagnostics
    return replace(
        diagnostics,
        rhat=chains.rhat,
        ess_bulk=chains.ess_bulk,
        ess_tail=chains.ess_tail,
        converged=chains.has_converged and kernel.has_stated_law,
    )
