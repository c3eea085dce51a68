"""The mixture sampler: independent draws of pi^b on S, exact where a tight envelope is at hand."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from riemaug.errors import InvalidInputError
from riemaug.geometry import KernelMetric, Metric, Support
from riemaug.random import Stream, as_stream
from riemaug.samplers.base import (
    Block,
    Diagnostics,
    Draws,
    ProgressCallback,
    Sampler,
    draw_blocks,
    empty_block,
    in_double,
    positive_finite,
    support_for,
)
from riemaug.samplers.diagnostics import flat_mass, mean_log_density
from riemaug.samplers.envelope import Envelope
from riemaug.samplers.independence import IndependenceSampler
from riemaug.samplers.rejection import RejectionSampler

LARGEST_EXACT_POWER = 4.0
"""Envelopes exist for b d up to here (powers of the trace up to the square)."""

LEAST_ACCEPTANCE = 0.01
"""Below this acceptance the fitted proposals are cheaper than exact rejection."""


@dataclass(frozen=True)
class _Source:
    """What blocks come from: exactly one of the two."""

    rejection: RejectionSampler | None
    independence: IndependenceSampler | None


class MixtureSampler(Sampler):
    """Independent draws of pi^b restricted to S, pi = sqrt det C.

    For b d <= 4 (Eq. 3 in up to four dimensions) the draws are exact, by rejection from a mixture of
    normals that lies above the density. Beyond, a mixture is fitted to the density and its draws are
    corrected by independence Metropolis chains, one chain for each draw; the diagnostics say how
    well the mixture fits, and chains with local moves take over where it does not.

    Parameters
    ----------
    metric : Metric
        A `KernelMetric`, as the proposals are built from its kernels. Copied in float64; the
        original is left as it is.
    support : Support, optional
        The compact set S; by default `metric.default_support()`.
    inverse_temperature : float
        b > 0; 1 is Eq. 3, larger values stay closer to the data.

    Raises
    ------
    InvalidInputError
        Not a kernel metric, b not positive, or a support of another dimension.
    """

    name: ClassVar[str] = "mixture"
    block_size: ClassVar[int] = 256

    def __init__(
        self, metric: Metric, support: Support | None = None, *, inverse_temperature: float = 1.0
    ) -> None:
        if not isinstance(metric, KernelMetric):
            raise InvalidInputError(
                f"the mixture sampler needs a KernelMetric, got {type(metric).__name__}; use the walk instead"
            )
        self.inverse_temperature = positive_finite("inverse_temperature", inverse_temperature)
        self.metric = in_double(metric)
        self.support = support_for(self.metric, support)

    @property
    def has_envelope(self) -> bool:
        """Whether b d is small enough for exact rejection."""
        return self.metric.dim * self.inverse_temperature <= LARGEST_EXACT_POWER

    @torch.no_grad()
    def sample(
        self, num_samples: int, random_state: int | Stream, progress: ProgressCallback | None = None
    ) -> Draws:
        """Return `num_samples` independent draws; see `Sampler.sample`."""
        stream = as_stream(random_state)
        device = self.metric.centroids.device
        source = self._source(stream)
        drawer = source.rejection or source.independence
        assert drawer is not None
        drawn = draw_blocks(
            lambda index: drawer.block(stream.block(index).generator(device)),
            num_samples,
            self.block_size,
            empty_block(self.metric.dim, device),
            progress,
        )
        if source.rejection is not None:
            diagnostics = self._rejection_diagnostics(source.rejection, drawn)
        else:
            assert source.independence is not None
            diagnostics = source.independence.diagnostics(drawn)
        return Draws(drawn.points, drawn.log_density, drawn.origin, drawn.acceptance, diagnostics)

    def _source(self, stream: Stream) -> _Source:
        """Return the exact sampler, or the fitted one where there is none or it accepts too little."""
        preparation = stream.child("proposal")
        if self.has_envelope:
            envelope = Envelope(self.metric, self.support, self.inverse_temperature)
            rejection = RejectionSampler(envelope, self.metric, self.support, self.block_size, preparation)
            if rejection.pilot_acceptance >= LEAST_ACCEPTANCE:
                return _Source(rejection, None)
        return _Source(
            None,
            IndependenceSampler(
                self.metric, self.support, self.inverse_temperature, self.block_size, preparation
            ),
        )

    def _rejection_diagnostics(self, rejection: RejectionSampler, drawn: Block) -> Diagnostics:
        tally = rejection.tally
        count = drawn.log_density.numel()
        return Diagnostics(
            num_draws=count,
            acceptance=tally.acceptance,
            outside=tally.outside,
            log_normalizer=rejection.log_normalizer,
            expected_log_density=float(drawn.log_density.mean()) if count else None,
            centroid_log_density=mean_log_density(self.metric, self.metric.centroids),
            flat_mass=flat_mass(self.metric, drawn.log_density, self.inverse_temperature),
            evaluations=tally.proposed,
            converged=True,
            message=f"Exact independent draws by rejection; {tally.acceptance:.1%} of proposals accepted.",
        )
