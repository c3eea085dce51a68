"""Times the published form of the walk and, in a full run, keeps the last states of its chains."""

from pathlib import Path

import numpy as np
import torch

from riemaug.geometry import KernelMetric

from .cases import Case
from .published_form import PublishedMetric, PublishedWalk
from .sizes import effective_draws
from .timing import clock


def published_walk(metric: KernelMetric, case: Case) -> PublishedWalk:
    """Return the walk on a metric in float32, as published."""
    factors = metric.factors.float()
    plain = PublishedMetric(
        metric.centroids.float(), factors @ factors.mT, metric.bandwidth, metric.regularization
    )
    return PublishedWalk(plain, case.variance, case.num_integration_steps)


@torch.no_grad()
def measure_published(metric: KernelMetric, case: Case, draws_file: Path, quick: bool) -> dict:
    """Return the time of a step, the best of all taken, and the draws a second that follow.

    A draw is the last state of 200 steps; a quick run takes 200 only where that is a matter of seconds.
    """
    walk, generator = published_walk(metric, case), torch.Generator().manual_seed(1)
    position = walk.start(case.num_chains, generator)
    is_full = not quick or case.dim == 2
    num_steps = case.walk_steps if is_full else 4
    times, levels, acceptance = [], [], 0.0
    for index in range(num_steps):
        started = clock()
        moved = walk.step(position, generator)
        times.append(clock() - started)
        acceptance += float((moved != position).any(-1).float().mean()) / num_steps
        position = moved
        if 2 * index >= num_steps:
            levels.append(metric.log_density(position.double()))
    step_seconds = min(times)
    result = {
        "seconds_a_step": step_seconds,
        "mean_seconds_a_step": sum(times) / len(times),
        "draws_per_second": case.num_chains / (step_seconds * case.walk_steps),
        "acceptance": acceptance,
        "share_not_finite": float((~position.isfinite().all(-1)).float().mean()),
    }
    if is_full:
        np.save(draws_file, position.double().numpy())
        worth = effective_draws(torch.stack(levels)[:, None])
        result["ess_per_second_of_its_own_law"] = worth / (step_seconds * len(levels))
    return result
