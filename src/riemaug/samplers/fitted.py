"""Independent draws from a fitted proposal by rejection under a ceiling."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.samplers.base import Block, Diagnostics
from riemaug.samplers.diagnostics import mean_log_density, pareto_shape
from riemaug.samplers.proposals import Fit
from riemaug.samplers.sources import DrawSums
from riemaug.samplers.target import Target

LEAST_EFFECTIVE_FRACTION = 0.1
LARGEST_KHAT = 0.7
LARGEST_SHARE = 0.01
GOOD_EFFECTIVE_FRACTION = 0.5
"""A fit this good, no weight of which has more than that share, is not judged by the shape of the tail."""

DISTANCE = 5e-4
"""Share of the law's mass that may lie above the ceiling: the distance from it in total variation."""

LARGEST_DISTANCE_SEEN = 2e-3
_AGREEMENT = 0.2
_MAX_ROUND = 4096


@dataclass(frozen=True)
class FitQuality:
    """What the importance weights of fresh draws say about a fitted proposal.

    Attributes
    ----------
    effective_fraction, khat : float
    largest_share : float
        The largest weight, divided by the sum of all.
    log_ceiling : float
        The least ceiling M of the weights W with E[(W - M)+] <= DISTANCE E[W], as a logarithm.
    acceptance : float
        E[min(W, M)] / M.
    """

    effective_fraction: float
    khat: float
    largest_share: float
    log_ceiling: float
    acceptance: float

    @classmethod
    def of(cls, fit: Fit) -> "FitQuality":
        """Judge the best proposal of a fit."""
        log_weights = fit.best.log_weights
        log_ceiling, acceptance = ceiling_of(log_weights, DISTANCE)
        largest = float(log_weights.softmax(0).max()) if math.isfinite(log_ceiling) else 1.0
        return cls(fit.best.effective_fraction, pareto_shape(log_weights), largest, log_ceiling, acceptance)

    @property
    def is_poor(self) -> bool:
        """Whether importance weights cannot be trusted to correct the proposal.

        A tail of weights that are all small says nothing by its shape: with n draws from a law of tail
        index k the largest weight holds about n^(k - 1) of the sum, 0.04 for k = 0.7 and n = 32,000.
        """
        is_good = self.effective_fraction >= GOOD_EFFECTIVE_FRACTION and self.largest_share <= LARGEST_SHARE
        is_heavy = not self.khat <= LARGEST_KHAT and not is_good
        return self.effective_fraction < LEAST_EFFECTIVE_FRACTION or is_heavy

    def describe(self) -> str:
        """Return the figures in words."""
        return f"effective fraction {self.effective_fraction:.2f}, Pareto k {self.khat:.2f}"


def ceiling_of(log_weights: Float[Tensor, " n"], distance: float) -> tuple[float, float]:
    """Return the log of the least M with sum (W - M)+ <= distance * sum W, and mean min(W, M) / M."""
    highest = float(log_weights.max())
    if not math.isfinite(highest):
        return -math.inf, 0.0
    weights = torch.exp(log_weights - highest).sort(descending=True).values
    allowed = distance * float(weights.sum())
    numbers = torch.arange(1, len(weights) + 1, dtype=weights.dtype, device=weights.device)
    # with the k largest weights above it, the ceiling that leaves out just `allowed`
    candidates = (weights.cumsum(0) - allowed) / numbers
    below = torch.cat([weights[1:], weights.new_zeros(1)])
    ceiling = float(candidates[int((candidates >= below).to(torch.uint8).argmax())])
    return highest + math.log(ceiling), float(weights.clamp_max(ceiling).mean()) / ceiling


@dataclass
class CeilingTally:
    """Sums over all proposals: their number, what is under the ceiling, what is above it."""

    proposed: int = 0
    below: float = 0.0
    above: float = 0.0

    @property
    def acceptance(self) -> float:
        """Mean acceptance probability."""
        return self.below / max(self.proposed, 1)

    @property
    def distance(self) -> float:
        """Estimate of the distance from the law in total variation."""
        return self.above / max(self.below + self.above, 1e-300)


class FittedSampler:
    """Independent draws of pi^b on S, up to a small distance that is known and reported.

    A proposal q of importance weight W = pi^b / q is accepted with probability min(1, W / M): the draws
    follow min(pi^b, M q), which differs from pi^b by the mass that lies above M q. M leaves
    out a share `DISTANCE` of it, by the weights of fresh draws of the fit; what the draws themselves
    find above the ceiling is added up and reported.

    Parameters
    ----------
    target : Target
    fit : Fit
    quality : FitQuality
    block_size : int
        Draws in a block.
    """

    def __init__(self, target: Target, fit: Fit, quality: FitQuality, block_size: int) -> None:
        self.target, self.fit, self.quality = target, fit, quality
        self.block_size = block_size
        self.tally = CeilingTally()
        wanted = 1.05 * block_size / max(quality.acceptance, 1e-9) + 16
        self._round_size = 32 * math.ceil(min(wanted, _MAX_ROUND) / 32)

    def block(self, generator: torch.Generator) -> Block:
        """Return `block_size` independent draws."""
        parts, found = [], 0
        while found < self.block_size:
            parts.append(self._round(generator))
            found += parts[-1].points.shape[0]
        joined = Block(
            torch.cat([part.points for part in parts]),
            torch.cat([part.log_density for part in parts]),
            torch.cat([part.origin for part in parts]),
            torch.cat([torch.full_like(part.log_density, self.quality.acceptance) for part in parts]),
        )
        return joined.first(self.block_size)

    def diagnostics(self, drawn: DrawSums) -> Diagnostics:
        """Return what is known about draws with these sums."""
        distance = self.tally.distance
        message, converged = self._verdict(distance)
        return replace(
            diagnostics_of_fit(self.target, self.fit, self.quality, drawn),
            acceptance=self.tally.acceptance if drawn.count else self.quality.acceptance,
            evaluations=self.fit.evaluations + self.tally.proposed,
            converged=converged,
            message=message,
        )

    def _verdict(self, distance: float) -> tuple[str, bool]:
        """Return the message and whether the draws can be taken as draws of the law."""
        figures = self.quality.describe()
        gap = abs(self.fit.best.log_normalizer - self.fit.check.log_normalizer)
        if gap > _AGREEMENT:
            return (
                f"Two proposals disagree on log Z by {gap:.2f} ({figures}): part of the mass may be missing.",
                False,
            )
        if distance > LARGEST_DISTANCE_SEEN:
            return f"The draws are within {distance:.4f} of the law only ({figures}).", False
        reach = f"within {max(distance, DISTANCE):.4f} of the law, as far as the proposal reaches"
        return f"Independent draws from a fitted mixture, {reach} ({figures}).", True

    def _round(self, generator: torch.Generator) -> Block:
        """Propose once and keep what is accepted."""
        mixture = self.fit.best.mixture
        proposal = mixture.draw(self._round_size, generator)
        log_density, log_target = self.target.log_densities(proposal.points)
        ratio = (log_target - mixture.log_density(proposal.points) - self.quality.log_ceiling).exp_()
        probability = ratio.clamp_max(1.0)
        uniform = torch.rand(len(ratio), generator=generator, dtype=ratio.dtype, device=ratio.device)
        self.tally.proposed += len(ratio)
        self.tally.below += float(probability.sum())
        self.tally.above += float((ratio - probability).sum())
        keep = (uniform < probability).nonzero()[:, 0]
        origin = self.fit.origin_of(proposal.origin[keep])
        return Block(proposal.points[keep], log_density[keep], origin, probability[keep])


def diagnostics_of_fit(target: Target, fit: Fit, quality: FitQuality, drawn: DrawSums) -> Diagnostics:
    """Return the diagnostics that all draws from a fitted proposal share."""
    metric = target.metric
    return Diagnostics(
        num_draws=drawn.count,
        effective_fraction=quality.effective_fraction,
        khat=quality.khat,
        log_normalizer=fit.best.log_normalizer,
        log_normalizer_check=fit.check.log_normalizer,
        expected_log_density=drawn.mean("log_density"),
        centroid_log_density=mean_log_density(metric, metric.centroids),
        flat_mass=drawn.mean("flat"),
    )
