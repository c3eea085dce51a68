"""The standard normal prior: what a plain VAE draws from."""

import math

import torch

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
    """Independent draws of N(0, I_d).

    Parameters
    ----------
    dim : int
        Dimension d of the latent space, at least 1.
    """

    name = "prior"
    block_size = 256

    def __init__(self, dim: int) -> None:
        if dim < 1:
            raise InvalidInputError(f"the latent dimension must be 1 or more, got {dim}")
        self.dim = dim

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

    def _block(self, stream: Stream) -> Block:
        shape = (self.block_size, self.dim)
        points = torch.randn(shape, generator=stream.generator(), dtype=torch.float64)
        log_density = -0.5 * (points * points).sum(-1) - 0.5 * self.dim * math.log(2.0 * math.pi)
        origin = torch.full((self.block_size,), -1, dtype=torch.int64)
        return Block(points, log_density, origin, torch.ones_like(log_density))
