"""One Hamiltonian Monte Carlo move on pi^b: the local move where a fitted proposal is poor."""

import torch

from riemaug._typing import Point, Scalar
from riemaug.samplers.target import Target

_NUM_STEPS = 5
_STEP_IN_DEVIATIONS = 0.5


def hamiltonian_move(
    target: Target, position: Point, log_density: Scalar, generator: torch.Generator
) -> tuple[Point, Scalar, int]:
    """Return points (n, d) of S and their log pi after one move, and the metric evaluations spent.

    Leapfrog with unit mass and a step, drawn anew for each chain, of about half a lone kernel's
    standard deviation; the true gradient; accepted on the log ratio; rejected outside S.
    """
    count = position.shape[0]
    scale = _STEP_IN_DEVIATIONS * target.variance**0.5
    options = {"generator": generator, "dtype": position.dtype, "device": position.device}
    momentum = torch.randn(position.shape, **options)
    uniforms = torch.rand((2, count), **options)
    step = (scale * (0.5 + uniforms[0]))[:, None]
    start_energy = 0.5 * (momentum * momentum).sum(-1) - target.inverse_temperature * log_density
    moved = position
    momentum = momentum + 0.5 * step * target.gradient(moved)
    for index in range(_NUM_STEPS):
        moved = moved + step * momentum
        last = index == _NUM_STEPS - 1
        momentum = momentum + (0.5 if last else 1.0) * step * target.gradient(moved)
    moved_density, log_target = target.log_densities(moved)
    log_ratio = start_energy - 0.5 * (momentum * momentum).sum(-1) + log_target
    accept = uniforms[1].log() < torch.where(log_ratio.isnan(), -torch.inf, log_ratio)
    evaluations = (_NUM_STEPS + 2) * count
    return (
        torch.where(accept[:, None], moved, position),
        torch.where(accept, moved_density, log_density),
        evaluations,
    )
