"""Independence Metropolis from a fitted proposal: one chain for each draw, so draws are independent."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemaug._typing import Point, Scalar
from riemaug.geometry import KernelMetric, Support
from riemaug.random import Stream
from riemaug.samplers.base import Block, Diagnostics
from riemaug.samplers.diagnostics import (
    ChainSummary,
    flat_mass,
    mean_log_density,
    pareto_shape,
    summarize_chains,
)
from riemaug.samplers.hamiltonian import hamiltonian_move
from riemaug.samplers.proposals import Fit, ProposalFitter
from riemaug.samplers.target import Target

LEAST_EFFECTIVE_FRACTION = 0.1
LARGEST_KHAT = 0.7
_DISTANCE = 1e-3
_MAX_STEPS = 400
_LOCAL_ROUNDS = 100
_AGREEMENT = 0.2


class IndependenceSampler:
    """Draws of pi^b on S by chains of independence Metropolis steps.

    Each chain begins with a draw of the proposal. Two such chains that share their proposals meet
    once both accept, so after L steps the law is within E_q[h^L] + E_pi[h^L] of pi in total variation,
    h(w) being the chance to stay at a point of weight w. L is the least with this below 0.001 for the
    weights seen while fitting. Where the fit is poor, each step is followed by a Hamiltonian move.

    Parameters
    ----------
    metric : KernelMetric
    support : Support
    inverse_temperature : float
    block_size : int
        Draws in a block.
    stream : Stream
        Of the fit.
    """

    def __init__(
        self,
        metric: KernelMetric,
        support: Support,
        inverse_temperature: float,
        block_size: int,
        stream: Stream,
    ) -> None:
        self.target = Target(metric, support, inverse_temperature)
        self.block_size = block_size
        self.fit: Fit = ProposalFitter(self.target, stream).fit()
        self.khat = pareto_shape(self.fit.best.log_weights)
        self.is_poor = (
            self.fit.best.effective_fraction < LEAST_EFFECTIVE_FRACTION or not self.khat <= LARGEST_KHAT
        )
        self.num_steps, self.distance = steps_to_converge(self.fit.best.log_weights)
        if self.is_poor:
            self.num_steps = _LOCAL_ROUNDS
        self._evaluations = self.fit.evaluations
        self._traces: list[Tensor] = []
        self._starts: list[Tensor] = []

    def block(self, generator: torch.Generator) -> Block:
        """Return the last states of `block_size` chains."""
        position, log_density, log_weight, origin = self._propose(generator)
        start, trace = position, []
        accepted = torch.zeros_like(log_density)
        for step in range(self.num_steps):
            new_position, new_density, new_weight, new_origin = self._propose(generator)
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
            if self.is_poor:
                position, log_density, log_weight = self._local(position, log_density, log_weight, generator)
                if 2 * step >= self.num_steps:
                    trace.append(torch.stack([log_density, position[:, 0]]))
        if self.is_poor and len(self._traces) < 4:
            self._traces.append(torch.stack(trace))
            self._starts.append(start)
        return Block(position, log_density, origin, accepted / self.num_steps)

    def diagnostics(self, drawn: Block) -> Diagnostics:
        """Return what is known about `drawn`."""
        best, count = self.fit.best, drawn.log_density.numel()
        metric, b = self.target.metric, self.target.inverse_temperature
        chains = self._chain_summary()
        message, converged = self._verdict(chains)
        return Diagnostics(
            num_draws=count,
            acceptance=float(drawn.acceptance.mean()) if count else None,
            rhat=chains.rhat if chains else None,
            ess_bulk=chains.ess_bulk if chains else None,
            ess_tail=chains.ess_tail if chains else None,
            effective_fraction=best.effective_fraction,
            khat=self.khat,
            log_normalizer=best.log_normalizer,
            log_normalizer_check=self.fit.check.log_normalizer,
            expected_log_density=float(drawn.log_density.mean()) if count else None,
            centroid_log_density=mean_log_density(metric, metric.centroids),
            flat_mass=flat_mass(metric, drawn.log_density, b),
            evaluations=self._evaluations,
            converged=converged,
            message=message,
        )

    def _propose(self, generator: torch.Generator) -> tuple[Point, Scalar, Scalar, Int[Tensor, " n"]]:
        """Return fresh proposals with log pi, log importance weight and the centroid they come from."""
        proposal = self.fit.best.mixture.draw(self.block_size, generator)
        log_density, log_target = self.target.log_densities(proposal.points)
        self._evaluations += self.block_size
        component = proposal.origin.clamp_min(0) % len(self.fit.component_origin)
        origin = torch.where(proposal.origin < 0, -1, self.fit.component_origin[component])
        log_weight = log_target - self.fit.best.mixture.log_density(proposal.points)
        return proposal.points, log_density, log_weight, origin

    def _local(
        self, position: Point, log_density: Scalar, log_weight: Scalar, generator: torch.Generator
    ) -> tuple[Point, Scalar, Scalar]:
        """Return the chains after one Hamiltonian move; chains that are not in S yet stay."""
        moved, moved_density, evaluations = hamiltonian_move(self.target, position, log_density, generator)
        self._evaluations += evaluations
        inside = log_weight.isfinite()
        position = torch.where(inside[:, None], moved, position)
        log_density = torch.where(inside, moved_density, log_density)
        log_target = self.target.inverse_temperature * log_density
        new_weight = log_target - self.fit.best.mixture.log_density(position)
        return position, log_density, torch.where(inside, new_weight, log_weight)

    def _chain_summary(self) -> ChainSummary | None:
        if not self._traces:
            return None
        return summarize_chains(torch.cat(self._traces, -1), torch.cat(self._starts))

    def _verdict(self, chains: ChainSummary | None) -> tuple[str, bool]:
        """Return the message and whether the draws can be taken as draws of the law."""
        best = self.fit.best
        fit = f"effective fraction {best.effective_fraction:.2f}, Pareto k {self.khat:.2f}"
        if self.is_poor:
            verdict = chains.describe() if chains else "There are no draws to judge."
            message = f"The fitted mixture is poor ({fit}); chains with local moves were used. {verdict}"
            return message, bool(chains and chains.has_converged)
        gap = abs(best.log_normalizer - self.fit.check.log_normalizer)
        if gap > _AGREEMENT:
            return (
                f"Two proposals disagree on log Z by {gap:.2f} ({fit}): part of the mass may be missing.",
                False,
            )
        if self.distance > _DISTANCE:
            return (
                f"Chains of {self.num_steps} steps are within {self.distance:.3f} of the law only ({fit}).",
                False,
            )
        message = f"Independent chains of {self.num_steps} steps from a fitted mixture ({fit})."
        return message, True


def steps_to_converge(log_weights: Float[Tensor, " n"]) -> tuple[int, float]:
    """Return the number of steps L, at most 400, and the bound on the distance from the law after them.

    The expectations of `IndependenceSampler` are taken over the draws that `log_weights` belong to.
    """
    weights = torch.exp(log_weights - log_weights.max()).nan_to_num(0.0).sort().values
    below, count = weights.cumsum(0), weights.numel()
    above = torch.arange(count - 1, -1, -1, dtype=weights.dtype, device=weights.device)
    # E min(1, W / w) over the draws: those above accept surely, those below with ratio W / w
    moved = (below / weights.clamp_min(1e-300)).clamp_max(float(count)) + above
    stay = (1.0 - moved / count).clamp(0.0, 1.0)
    law = weights / weights.sum().clamp_min(1e-300)
    low, high = 0, _MAX_STEPS
    bound = _distance_after(high, stay, law)
    if bound > _DISTANCE:
        return high, bound
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _distance_after(middle, stay, law) <= _DISTANCE else (middle, high)
    return high, _distance_after(high, stay, law)


def _distance_after(steps: int, stay: Float[Tensor, " n"], law: Float[Tensor, " n"]) -> float:
    """Return E_q[stay^steps] + E_pi[stay^steps], at most 1."""
    kept = stay**steps
    return min(1.0, float(kept.mean()) + float((law * kept).sum()))
