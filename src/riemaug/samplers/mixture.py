"""The mixture sampler: independent draws of pi^b on S, exact where a tight envelope is at hand."""

import functools
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.geometry import KernelMetric, Metric, Support
from riemaug.random import Stream, as_stream
from riemaug.samplers.base import (
    Block,
    Diagnostics,
    in_double,
    positive_finite,
    support_for,
)
from riemaug.samplers.chains import OnStep
from riemaug.samplers.diagnostics import flat_shares
from riemaug.samplers.envelope import Envelope
from riemaug.samplers.fitted import FitQuality, FittedSampler
from riemaug.samplers.independence import IndependenceSampler
from riemaug.samplers.proposals import ProposalFitter
from riemaug.samplers.rejection import RejectionSampler
from riemaug.samplers.sources import BlockSampler, DrawSource, DrawSums
from riemaug.samplers.target import Target

LARGEST_EXACT_POWER = 4.0
"""Envelopes exist for b d up to here (powers of the trace up to the square)."""

LEAST_ACCEPTANCE = 0.01
"""Below this acceptance the fitted proposals are cheaper than exact rejection."""


@runtime_checkable
class _Maker(Protocol):
    """What blocks of draws come from, and where they are counted."""

    block_size: int

    @property
    def tally(self) -> object: ...

    def block(self, generator: torch.Generator) -> Block: ...

    def diagnostics(self, drawn: DrawSums) -> Diagnostics: ...


class _MixtureSource(DrawSource):
    """The draws of one way to make them; see `DrawSource`."""

    def __init__(self, sampler: "MixtureSampler", maker: _Maker, stream: Stream) -> None:
        super().__init__()
        self.maker, self.stream = maker, stream
        self.block_size, self.dim = maker.block_size, sampler.metric.dim
        self.device = sampler.metric.centroids.device
        self._metric, self._power = sampler.metric, sampler.inverse_temperature

    @torch.no_grad()
    def block(self, index: int, on_step: OnStep | None = None) -> Block:
        """Return block `index`."""
        return self.maker.block(self.stream.block(index).generator(self.device))

    @torch.no_grad()
    def diagnostics(self) -> Diagnostics:
        """Return what is known about the draws that were taken."""
        return self.maker.diagnostics(self.sums)

    def flat_shares(self, log_density: Float[Tensor, " n"]) -> Float[Tensor, " n"] | None:
        """Return the regularisation's share of each draw."""
        return flat_shares(self._metric, log_density, self._power)

    def tally(self) -> object:
        """Return the maker's tally."""
        return self.maker.tally


class MixtureSampler(BlockSampler):
    """Independent draws of pi^b restricted to S, pi = sqrt det C.

    For b d <= 4 (Eq. 3 in up to four dimensions) the draws are exact, by rejection from a mixture of
    normals that lies above the density. Beyond, a mixture is fitted to the density and its draws are
    corrected by rejection under a ceiling that leaves out a share of 0.0005 of the law's mass; the
    diagnostics say how well the mixture fits. Where it does not (effective fraction below 0.1, or Pareto k
    above 0.7 in a fit whose effective fraction is below 0.5 or one of whose weights has 1 % of the sum),
    chains of proposals and local moves take over and say so.

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

    name = "mixture"
    block_size = 4096
    """Draws in a block of exact rejection."""

    fitted_block_size = 512
    """Draws in a block where proposals are fitted."""

    def __init__(
        self, metric: Metric, support: Support | None = None, *, inverse_temperature: float = 1.0
    ) -> None:
        if type(metric) is not KernelMetric:  # a subclass may have another density than its kernels
            raise InvalidInputError(
                f"the mixture sampler needs a KernelMetric, got {type(metric).__name__}; "
                "use the walk or hmc instead"
            )
        self.inverse_temperature = positive_finite("inverse_temperature", inverse_temperature)
        self.metric = in_double(metric)
        self.support = support_for(self.metric, support)
        self._prepared: tuple[Stream, Callable[[], _Maker]] | None = None

    @property
    def has_envelope(self) -> bool:
        """Whether b d is small enough for exact rejection."""
        return self.metric.dim * self.inverse_temperature <= LARGEST_EXACT_POWER

    @torch.no_grad()
    def source(self, random_state: int | Stream) -> DrawSource:
        """Return the independent draws of a random state.

        What precedes the first draw (envelope, fit) is kept for further calls with the same random state.
        """
        stream = as_stream(random_state)
        if self._prepared is None or self._prepared[0] != stream:
            self._prepared = (stream, self._prepare(stream.child("proposal")))
        return _MixtureSource(self, self._prepared[1](), stream)

    @functools.cached_property
    def _envelope(self) -> Envelope:
        return Envelope(self.metric, self.support, self.inverse_temperature)

    def _prepare(self, stream: Stream) -> Callable[[], _Maker]:
        """Return what makes fresh sources: exact ones, or fitted ones where exact ones accept too little."""
        if self.has_envelope:
            rejection = RejectionSampler(self._envelope, self.block_size, stream)
            if rejection.tally.acceptance >= LEAST_ACCEPTANCE:
                return rejection.fresh
        target = Target(self.metric, self.support, self.inverse_temperature)
        fit = ProposalFitter(target, stream).fit()
        quality = FitQuality.of(fit)
        kind = IndependenceSampler if quality.is_poor else FittedSampler
        return functools.partial(kind, target, fit, quality, self.fitted_block_size)
