"""The prior: standard normal of a plain VAE, a mixture of normal laws of a VAMP-VAE."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.random import Stream, as_stream
from riemaug.samplers.base import (
    Block,
    Diagnostics,
    Draws,
    ProgressCallback,
    Sampler,
    draw_blocks,
    empty_block,
)


class PriorSampler(Sampler):
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

    def sample(
        self, num_samples: int, random_state: int | Stream, progress: ProgressCallback | None = None
    ) -> Draws:
        """Return `num_samples` draws; their `log_density` is the prior's own, normalised."""
        stream = as_stream(random_state)
        empty = empty_block(self.dim, torch.device("cpu"))
        drawn = draw_blocks(
            lambda index: self._block(stream.block(index)), num_samples, self.block_size, empty, progress
        )
        diagnostics = Diagnostics(
            num_draws=num_samples,
            acceptance=1.0,
            log_normalizer=0.0,
            expected_log_density=float(drawn.log_density.mean()) if num_samples else None,
            converged=True,
            message="Independent draws of the prior.",
        )
        return Draws(drawn.points, drawn.log_density, drawn.origin, drawn.acceptance, diagnostics)

    def log_prob(self, points: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
        """Return the log density, normalised, (n,)."""
        scaled = (points[:, None] - self.means) / self.deviations
        each = -0.5 * scaled.square().sum(-1) - self.deviations.log().sum(-1)
        constant = 0.5 * self.dim * math.log(2.0 * math.pi) + math.log(len(self.means))
        return torch.logsumexp(each, -1) - constant

    def _block(self, stream: Stream) -> Block:
        generator = stream.generator()
        noise = torch.randn(self.block_size, self.dim, generator=generator, dtype=torch.float64)
        component = torch.randint(len(self.means), (self.block_size,), generator=generator)
        points = self.means[component] + self.deviations[component] * noise
        log_density = self.log_prob(points)
        origin = torch.full_like(component, -1)
        return Block(points, log_density, origin, torch.ones_like(log_density))
