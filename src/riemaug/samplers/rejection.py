"""Exact, independent draws by rejection from an envelope."""

import copy
import math
from dataclasses import dataclass, replace

import torch

from riemaug.random import Stream
from riemaug.samplers.base import Block, Diagnostics
from riemaug.samplers.envelope import Envelope
from riemaug.samplers.sources import DrawSums

_PILOT = 4096
_MAX_ROUND = 8192


@dataclass
class Tally:
    """Running count of proposals and sum of their acceptance probabilities."""

    proposed: int = 0
    accepted: float = 0.0
    outside: int = 0

    @property
    def acceptance(self) -> float:
        """Mean acceptance probability."""
        return self.accepted / self.proposed


class RejectionSampler:
    """Draws of pi^b on S by proposing from an envelope; the pilot tells how well that works.

    Parameters
    ----------
    envelope : Envelope
    block_size : int
        Draws in a block.
    stream : Stream
        Of the pilot, which fixes how many proposals are made at once.
    """

    def __init__(self, envelope: Envelope, block_size: int, stream: Stream) -> None:
        self.envelope = envelope
        self.metric, self.support = envelope.metric, envelope.flat.support
        self.block_size = block_size
        self.tally = Tally()
        self._device = self.metric.centroids.device
        self._round(_PILOT, stream.generator(self._device))
        self.pilot_acceptance = self.tally.acceptance
        wanted = 1.05 * block_size / max(self.pilot_acceptance, 1e-9) + 16
        self._round_size = 32 * math.ceil(min(wanted, _MAX_ROUND) / 32)

    def fresh(self) -> "RejectionSampler":
        """Return the same sampler with a tally of its own, that of the pilot."""
        twin = copy.copy(self)
        twin.tally = replace(self.tally)
        return twin

    @property
    def log_normalizer(self) -> float:
        """Log of the mass of pi^b on S, from all proposals so far."""
        return self.envelope.log_mass + math.log(self.tally.acceptance)

    def block(self, generator: torch.Generator) -> Block:
        """Return `block_size` independent draws."""
        parts, found = [], 0
        while found < self.block_size:
            parts.append(self._round(self._round_size, generator))
            found += parts[-1].points.shape[0]
        count = self.block_size
        return Block(
            torch.cat([part.points for part in parts])[:count],
            torch.cat([part.log_density for part in parts])[:count],
            torch.cat([part.origin for part in parts])[:count],
            torch.full((count,), self.pilot_acceptance, dtype=torch.float64, device=self._device),
        )

    def diagnostics(self, drawn: DrawSums) -> Diagnostics:
        """Return what is known about draws with these sums."""
        tally = self.tally
        return Diagnostics(
            num_draws=drawn.count,
            acceptance=tally.acceptance,
            outside=tally.outside,
            log_normalizer=self.log_normalizer,
            expected_log_density=drawn.mean("log_density"),
            centroid_log_density=self.envelope.centroid_log_density,
            flat_mass=drawn.mean("flat"),
            evaluations=tally.proposed,
            converged=True,
            message=f"Exact independent draws by rejection; {tally.acceptance:.1%} of proposals accepted.",
        )

    def _round(self, num: int, generator: torch.Generator) -> Block:
        """Propose `num` points and keep what is accepted."""
        proposal = self.envelope.propose(num, generator)
        log_density, log_bound = self.envelope.log_densities(proposal.points)
        log_ratio = self.envelope.inverse_temperature * log_density - log_bound
        probability = log_ratio.exp_().clamp_max_(1.0).mul_(proposal.thinning)
        inside = self.support.contains(proposal.points)
        # a cometric too ill-conditioned to factor gives NaN: such a point is not kept
        probability = torch.where(inside & ~probability.isnan(), probability, 0.0)
        uniform = torch.rand(num, generator=generator, dtype=torch.float64, device=self._device)
        self.tally.proposed += num
        self.tally.accepted += float(probability.sum())
        self.tally.outside += num - int(inside.sum())
        keep = (uniform < probability).nonzero()[:, 0]
        return Block(proposal.points[keep], log_density[keep], proposal.origin[keep], probability[keep])
