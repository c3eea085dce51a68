"""Chains for targets that the fitted mixture misses: independence Metropolis mixed with local moves."""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Int
from torch import Tensor

from riemaug._typing import Point, Scalar
from riemaug.samplers.base import Block, Diagnostics
from riemaug.samplers.diagnostics import ChainSummary, summarize_chains
from riemaug.samplers.fitted import FitQuality, diagnostics_of_fit
from riemaug.samplers.hamiltonian import hamiltonian_move
from riemaug.samplers.proposals import Fit
from riemaug.samplers.sources import DrawSums
from riemaug.samplers.target import Target

_ROUNDS = 100
_CANDIDATES = 8
_TRACED_BLOCKS = 4


@dataclass
class MoveTally:
    """Points at which the target was evaluated, and the traces of the first blocks."""

    evaluations: int
    traces: list[Tensor] = field(default_factory=list)
    starts: list[Tensor] = field(default_factory=list)

    @property
    def wants_traces(self) -> bool:
        """Whether fewer than four blocks have been traced."""
        return len(self.traces) < _TRACED_BLOCKS


class IndependenceSampler:
    """The last states of chains, each step a fresh proposal and then a Hamiltonian move; one chain a draw.

    A chain begins with one of eight proposals, chosen by importance weight.

    Parameters
    ----------
    target : Target
    fit : Fit
    quality : FitQuality
    block_size : int
        Draws in a block.
    num_rounds : int, optional
        Steps of each chain; 100 by default.
    """

    def __init__(
        self, target: Target, fit: Fit, quality: FitQuality, block_size: int, num_rounds: int | None = None
    ) -> None:
        self.target, self.fit, self.quality = target, fit, quality
        self.block_size, self.num_rounds = block_size, num_rounds or _ROUNDS
        self.tally = MoveTally(fit.evaluations)

    def block(self, generator: torch.Generator) -> Block:
        """Return the last states of `block_size` chains."""
        position, log_density, log_weight, origin = self._start(generator)
        start, trace = position, []
        accepted = torch.zeros_like(log_density)
        for step in range(self.num_rounds):
            new_position, new_density, new_weight, new_origin = self._propose(self.block_size, generator)
            log_ratio = torch.where(log_weight.isfinite(), new_weight - log_weight, torch.inf)
            log_ratio = torch.where(new_weight.isfinite(), log_ratio, -torch.inf)
            uniform = torch.rand(
                self.block_size, generator=generator, dtype=torch.float64, device=position.device
            )
            accept = uniform.log() < log_ratio
            accepted += log_ratio.exp().clamp_max(1.0)
            position = torch.where(accept[:, None], new_position, position)
            log_density = torch.where(accept, new_density, log_density)
            log_weight = torch.where(accept, new_weight, log_weight)
            origin = torch.where(accept, new_origin, origin)
            position, log_density, log_weight = self._local(position, log_density, log_weight, generator)
            if 2 * step >= self.num_rounds:
                trace.append(torch.stack([log_density, position[:, 0]]))
        if self.tally.wants_traces:
            self.tally.traces.append(torch.stack(trace).cpu())
            self.tally.starts.append(start.cpu())
        return Block(position, log_density, origin, accepted / self.num_rounds)

    def diagnostics(self, drawn: DrawSums) -> Diagnostics:
        """Return what is known about draws with these sums."""
        chains = self._chain_summary()
        verdict = chains.describe() if chains else "There are no draws to judge."
        figures = self.quality.describe()
        message = f"The fitted mixture is poor ({figures}); chains with local moves were used. {verdict}"
        return replace(
            diagnostics_of_fit(self.target, self.fit, self.quality, drawn),
            acceptance=drawn.mean("acceptance"),
            rhat=chains.rhat if chains else None,
            ess_bulk=chains.ess_bulk if chains else None,
            ess_tail=chains.ess_tail if chains else None,
            evaluations=self.tally.evaluations,
            converged=bool(chains and chains.has_converged),
            message=message,
        )

    def _start(self, generator: torch.Generator) -> tuple[Point, Scalar, Scalar, Int[Tensor, " n"]]:
        """Return resampled proposals with log pi, log importance weight and origin."""
        position, log_density, log_weight, origin = self._propose(_CANDIDATES * self.block_size, generator)
        table = log_weight.reshape(self.block_size, _CANDIDATES)
        chances = torch.where(table.isfinite().any(1, keepdim=True), table, 0.0).softmax(1)
        choice = torch.multinomial(chances, 1, generator=generator)[:, 0]
        index = torch.arange(self.block_size, device=choice.device) * _CANDIDATES + choice
        return position[index], log_density[index], log_weight[index], origin[index]

    def _propose(
        self, num: int, generator: torch.Generator
    ) -> tuple[Point, Scalar, Scalar, Int[Tensor, " n"]]:
        """Return fresh proposals with log pi, log importance weight and the centroid they come from."""
        proposal = self.fit.best.mixture.draw(num, generator)
        log_density, log_target = self.target.log_densities(proposal.points)
        self.tally.evaluations += num
        log_weight = log_target - self.fit.best.mixture.log_density(proposal.points)
        return proposal.points, log_density, log_weight, self.fit.origin_of(proposal.origin)

    def _local(
        self, position: Point, log_density: Scalar, log_weight: Scalar, generator: torch.Generator
    ) -> tuple[Point, Scalar, Scalar]:
        """Return the chains after one Hamiltonian move; chains that are not in S yet stay."""
        moved, moved_density, evaluations = hamiltonian_move(self.target, position, log_density, generator)
        self.tally.evaluations += evaluations
        inside = log_weight.isfinite()
        position = torch.where(inside[:, None], moved, position)
        log_density = torch.where(inside, moved_density, log_density)
        log_target = self.target.inverse_temperature * log_density
        new_weight = log_target - self.fit.best.mixture.log_density(position)
        return position, log_density, torch.where(inside, new_weight, log_weight)

    def _chain_summary(self) -> ChainSummary | None:
        if not self.tally.traces:
            return None
        return summarize_chains(torch.cat(self.tally.traces, -1), torch.cat(self.tally.starts))
