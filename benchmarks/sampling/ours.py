"""Times the package's own samplers: a step of the printed walk, draws of the mixture, exact chains."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from riemaug import geometry
from riemaug.geometry import KernelMetric
from riemaug.samplers import HMC, ChainState, MixtureSampler, PaperWalk, RiemannianRandomWalk, TransitionInfo

from .cases import Case
from .sizes import effective_draws
from .timing import best_of, clock, seconds_of

_LARGE_NUMBERS_OF_DRAWS = (10_000, 1_000_000)
_LEAST_CALL = 0.5
_INDEPENDENT = 0.9
_SEED = 5


@dataclass(frozen=True)
class Effort:
    """How long to measure: seconds of a timing, steps of the chains, most draws kept for the laws."""

    seconds: float
    chain_steps: int
    kept_draws: int


class StartedKernel(Protocol):
    """A kernel that turns positions into chains."""

    def init(self, position: torch.Tensor) -> ChainState:
        """Return chains at the positions, (n, d)."""
        ...

    def step(self, state: ChainState, generator: torch.Generator) -> tuple[ChainState, TransitionInfo]:
        """Return the chains after one step, and what happened."""
        ...


def start_at_centroids(metric: KernelMetric, count: int, generator: torch.Generator) -> torch.Tensor:
    """Return centroids drawn with equal chances, (count, d)."""
    return metric.centroids[torch.randint(metric.num_centroids, (count,), generator=generator)]


@torch.no_grad()
def measure_walk_step(metric: KernelMetric, case: Case, effort: Effort) -> dict:
    """Return the best time of one step of `PaperWalk` (float64), and of the same operations in float32."""
    walk = PaperWalk(metric, num_integration_steps=case.num_integration_steps, covariance=case.variance)
    generator = torch.Generator().manual_seed(2)
    state = walk.init(start_at_centroids(metric, case.num_chains, generator))
    first = seconds_of(lambda: walk.step(state, generator))
    for _ in range(5):
        state, _ = walk.step(state, generator)
    double = best_of(lambda: walk.step(state, generator), effort.seconds, least=20)
    single_step = _step_in_float32(metric, case, state.position, generator)
    return {
        "seconds_a_step": double,
        "first_call_seconds": first,
        "seconds_a_step_float32": best_of(single_step, effort.seconds, least=20),
    }


def _step_in_float32(
    metric: KernelMetric, case: Case, position: torch.Tensor, generator: torch.Generator
) -> Callable[[], torch.Tensor]:
    """Return the step of the printed walk made of the public parts, for the samplers run in float64 only."""
    single = KernelMetric(
        metric.centroids.float(), metric.factors.float(), metric.bandwidth, metric.regularization
    )
    position = position.float()

    def step() -> torch.Tensor:
        velocity = case.variance**0.5 * torch.randn(position.shape, generator=generator)
        end = geometry.exp(single, velocity, position, num_steps=case.num_integration_steps).point
        ratio = single.log_density(end) - single.log_density(position)
        accept = torch.rand(len(position), generator=generator).log() < ratio
        return torch.where(accept[:, None], end, position)

    return step


def measure_mixture(metric: KernelMetric, draws_file: Path, effort: Effort) -> dict:
    """Return setup and rate of `MixtureSampler`, what its diagnostics say, and its effective draws a second.

    The setup is the first call of a new sampler, for one draw: it prepares all that draws need. Draws are
    independent by construction; those from a fitted proposal are nevertheless counted as `effective_fraction`
    of a draw each. The ESS of their sequence is a check, and counts where it finds that they depend.
    """
    first = seconds_of(lambda: MixtureSampler(metric).sample(1, _SEED))
    setup = best_of(lambda: MixtureSampler(metric).sample(1, _SEED), effort.seconds)
    sampler = MixtureSampler(metric)
    count, seconds_a_draw = _cost_of_a_draw(sampler)
    draws = sampler.sample(max(effort.kept_draws, 4000), _SEED)
    np.save(draws_file, draws.points[: effort.kept_draws].numpy())
    trace = torch.cat([draws.log_density[:, None], draws.points[:, :1]], 1)
    chains = trace[: 4 * (len(trace) // 4)].unflatten(0, (-1, 4)).movedim(1, 2)
    independence = min(1.0, effective_draws(chains) / (chains.shape[0] * 4))
    fraction = draws.diagnostics.effective_fraction
    worth = (1.0 if fraction is None else fraction) * (1.0 if independence > _INDEPENDENT else independence)
    return {
        "first_call_seconds": first,
        "setup_seconds": setup,
        "timed_draws": count,
        "draws_per_second": 1.0 / seconds_a_draw,
        "worth_of_a_draw": worth,
        "ess_over_draws": independence,
        "effective_draws_per_second": worth / seconds_a_draw,
        "with_setup": {
            f"{number:,}": worth * number / (setup + number * seconds_a_draw)
            for number in _LARGE_NUMBERS_OF_DRAWS
        },
        "diagnostics": draws.diagnostics.to_dict(),
    }


def _cost_of_a_draw(sampler: MixtureSampler) -> tuple[int, float]:
    """Return a number of draws that takes half a second beyond a call for one block, and seconds a draw."""
    block = sampler.block_size
    fixed = best_of(lambda: sampler.sample(block, _SEED), 0.0)
    count = 8 * block
    while True:
        seconds = seconds_of(lambda: sampler.sample(count, _SEED))  # noqa: B023
        if seconds - fixed > max(_LEAST_CALL, fixed) or count >= 2_000_000:
            break
        count *= 4
    seconds = min(seconds, *(seconds_of(lambda: sampler.sample(count, _SEED)) for _ in range(4)))
    return count, (seconds - fixed) / (count - block)


@torch.no_grad()
def measure_exact_chains(
    metric: KernelMetric, case: Case, draws_file: Callable[[str], Path], effort: Effort
) -> dict:
    """Return `measure_chains` of every exact kernel, begun in pi; their ends must still be in pi.

    The printed walk, with either sign of its force, begins at the centroids as in the paper and takes its
    number of steps; in a full run so do the exact kernels.
    """
    inside = MixtureSampler(metric).sample(case.num_chains, _SEED).points
    centroids = start_at_centroids(metric, case.num_chains, torch.Generator().manual_seed(4))
    results = {}
    for name, kernel in exact_kernels(metric).items():
        file = draws_file(f"{name} begun in pi")
        results[name] = measure_chains(kernel, kernel.init(inside), effort.chain_steps, file)
        if effort.chain_steps >= case.walk_steps:
            file = draws_file(f"{name} from centroids")
            begun = kernel.init(centroids)
            results[f"{name} from centroids"] = measure_chains(kernel, begun, case.walk_steps, file)
    for name, wrong_sign in (("printed walk", False), ("printed walk, published sign", True)):
        walk = PaperWalk(metric, published_sign=wrong_sign, covariance=case.variance)
        results[name] = measure_chains(walk, walk.init(centroids), case.walk_steps, draws_file(name))
    return results


def measure_chains(kernel: StartedKernel, state: ChainState, steps: int, draws_file: Path) -> dict:
    """Return ESS per second (log pi and every coordinate, the least), and keep the chains' last states."""
    generator, trace, acceptance, seconds = torch.Generator().manual_seed(3), [], [], 0.0
    for _ in range(steps):
        started = clock()
        state, info = kernel.step(state, generator)
        seconds += clock() - started
        trace.append(torch.cat([state.log_density[None], state.position.T]))
        acceptance.append(float(info.acceptance_probability.mean()))
    np.save(draws_file, state.position.numpy())
    states = steps * len(state.position)
    worth = min(effective_draws(torch.stack(trace)), float(states))
    return {
        "num_chains": len(state.position),
        "num_steps": steps,
        "acceptance": sum(acceptance) / steps,
        "seconds_a_step": seconds / steps,
        "ess": worth,
        "ess_per_second": worth / seconds,
    }


def exact_kernels(metric: KernelMetric) -> dict[str, StartedKernel]:
    """Return the package's exact chain kernels, tuned where they tune themselves."""
    return {"walk": RiemannianRandomWalk(metric).tuned(_SEED), "hmc": HMC(metric).tuned(_SEED)}
