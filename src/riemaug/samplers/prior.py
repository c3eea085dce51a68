"""The prior: standard normal of a plain VAE, a mixture of normal laws of a VAMP-VAE."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.random import Stream, as_stream
from riemaug.samplers.base import (
    Block,
    Diagnostics,
)
from riemaug.samplers.chains import OnStep
from riemaug.samplers.sources import BlockSampler, DrawSource


class PriorSampler(BlockSampler):
    """Independent draws of N(0, I_d), or of an equal mixture of normal laws with diagonal covariance.

    Parameters
    ----------
    dim : int
        Dimension d of the latent space, at least 1.
    means, log_variances : Tensor (K, d), optional
        The mixture's; both or neither.
    """

    name = "prior"
    block_size = 256

    def __init__(
        self,
        dim: int,
        means: Float[Tensor, "components axes"] | None = None,
        log_variances: Float[Tensor, "components axes"] | None = None,
    ) -> None:
        if dim < 1:
            raise InvalidInputError(f"the latent dimension must be 1 or more, got {dim}")
        if (means is None) != (log_variances is None):
            raise InvalidInputError("a mixture needs means and log-variances, one of them is missing")
        for part in (means, log_variances):
            if part is not None and (
                part.dim() != 2 or part.shape[1] != dim or not bool(part.isfinite().all())
            ):
                raise InvalidInputError(
                    f"a mixture's parts must be finite, of shape (K, {dim}), got shape {tuple(part.shape)}"
                )
        self.dim = dim
        self.means = torch.zeros(1, dim).double() if means is None else means.detach().cpu().double()
        deviations = torch.ones_like(self.means) if log_variances is None else (0.5 * log_variances).exp()
        self.deviations = deviations.detach().cpu().double()

    def source(self, random_state: int | Stream) -> DrawSource:
        """Return the draws of a random state; their `log_density` is the prior's own, normalised."""
        return _PriorSource(self, as_stream(random_state))

    def log_prob(self, points: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
        """Return the log density, normalised, (n,)."""
        scaled = (points[:, None] - self.means) / self.deviations
        each = -0.5 * scaled.square().sum(-1) - self.deviations.log().sum(-1)
        constant = 0.5 * self.dim * math.log(2.0 * math.pi) + math.log(len(self.means))
        return torch.logsumexp(each, -1) - constant

    def block(self, stream: Stream) -> Block:
        """Return `block_size` draws of a stream."""
        generator = stream.generator()
        noise = torch.randn(self.block_size, self.dim, generator=generator, dtype=torch.float64)
        component = torch.randint(len(self.means), (self.block_size,), generator=generator)
        points = self.means[component] + self.deviations[component] * noise
        log_density = self.log_prob(points)
        origin = torch.full_like(component, -1)
        return Block(points, log_density, origin, torch.ones_like(log_density))


@dataclass
class _Nothing:
    """There is nothing to count in draws of a prior."""


class _PriorSource(DrawSource):
    """The draws of a prior; see `DrawSource`."""

    def __init__(self, sampler: PriorSampler, stream: Stream) -> None:
        super().__init__()
        self.sampler, self.stream = sampler, stream
        self.block_size, self.dim, self.device = sampler.block_size, sampler.dim, torch.device("cpu")

    def block(self, index: int, on_step: OnStep | None = None) -> Block:
        """Return block `index`."""
        return self.sampler.block(self.stream.block(index))

    def diagnostics(self) -> Diagnostics:
        """Return what is known about the draws that were taken."""
        return Diagnostics(
            num_draws=self.sums.count,
            acceptance=1.0,
            log_normalizer=0.0,
            expected_log_density=self.sums.mean("log_density"),
            converged=True,
            message="Independent draws of the prior.",
        )

    def flat_shares(self, log_density: Float[Tensor, " n"]) -> None:
        """Return None: a prior has no regularisation."""

    def tally(self) -> _Nothing:
        """Return an empty tally."""
        return _Nothing()
