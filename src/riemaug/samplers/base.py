"""What every sampler offers: draws of latent points with their log density, origin and diagnostics."""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.geometry import KernelMetric, Metric, Support
from riemaug.random import Stream

AnyMetric = TypeVar("AnyMetric", bound=Metric)


@dataclass(frozen=True)
class Diagnostics:
    """What is known about the quality of a set of draws; None where a quantity does not apply.

    Attributes
    ----------
    num_draws : int
    acceptance : float or None
        Mean acceptance probability of the rejection sampler or of the chains.
    step_size : float or None
        Step that the chains took: of the leapfrog for HMC; for the walks the factor that tuning put on
        the standard deviations of their velocities, 1 where it was left as given.
    divergences : int
        Proposals that were not finite, whose implicit equations were not solved, or whose energy was off
        by more than 1,000 (all rejected).
    outside : int
        Proposals rejected because they left the support S.
    rhat, ess_bulk, ess_tail : float or None
        The worst of log pi and of the coordinate along which the centroids spread most, over the steps
        that are judged: what follows the burn-in of thinned chains, else the second half of each
        chain. R-hat is the nested one, over groups of chains that began in the same region; above 1.02
        (1.05 with few chains) the chains still remember where they began.
    effective_fraction : float or None
        Effective sample size of the importance weights of the proposals, divided by their number.
    khat : float or None
        Pareto shape of the importance weights; above 0.7 their mean is not to be trusted.
    log_normalizer : float or None
        Estimate of log of the integral of pi^b over S.
    log_normalizer_check : float or None
        The same from a second, different proposal; a difference tells of missed mass.
    expected_log_density, centroid_log_density : float or None
        Mean of log pi over the draws, and over the centroids.
    flat_mass : float or None
        Share of the law's mass due to the regularisation: mean over the draws of
        (lambda^(d/2) / sqrt det C)^b, an estimate of lambda^(b d/2) |S| / Z.
    evaluations : int
        Points at which the metric was evaluated, tuning included; a lower bound for chains that follow
        implicit integrators.
    converged : bool or None
        Whether the draws can be taken as draws of pi^b; never for the paper's walks; None if unknown.
    message : str
        The same in plain words.
    """

    num_draws: int
    acceptance: float | None = None
    step_size: float | None = None
    divergences: int = 0
    outside: int = 0
    rhat: float | None = None
    ess_bulk: float | None = None
    ess_tail: float | None = None
    effective_fraction: float | None = None
    khat: float | None = None
    log_normalizer: float | None = None
    log_normalizer_check: float | None = None
    expected_log_density: float | None = None
    centroid_log_density: float | None = None
    flat_mass: float | None = None
    evaluations: int = 0
    converged: bool | None = None
    message: str = ""

    def to_dict(self) -> dict[str, float | int | bool | str | None]:
        """Return plain JSON values; numbers that are not finite become None."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True)
class Draws:
    """Points drawn by a sampler, float64.

    Attributes
    ----------
    points : Tensor (n, d)
    log_density : Tensor (n,)
        Unnormalised log pi (at inverse temperature 1); of the prior for `PriorSampler`.
    origin : Tensor (n,), int64
        Index of the centroid where the chain began, or of the mixture component's centroid (one of
        the two for a pair); -1 where there is none.
    acceptance : Tensor (n,)
        The chain's mean acceptance probability; the sampler's own where draws are by rejection.
    diagnostics : Diagnostics
    """

    points: Float[Tensor, "n dim"]
    log_density: Float[Tensor, " n"]
    origin: Int[Tensor, " n"]
    acceptance: Float[Tensor, " n"]
    diagnostics: Diagnostics


@dataclass(frozen=True)
class SamplingProgress:
    """How far a call of `sample` is; `acceptance` is the mean so far.

    `step` of `num_steps` tells how far the chains of the present block are; 0 of 0 without chains.
    """

    done: int
    total: int
    acceptance: float
    step: int = 0
    num_steps: int = 0


ProgressCallback = Callable[[SamplingProgress], None]


class Sampler(ABC):
    """A law on the latent space that can be drawn from, reproducibly.

    Draws are made in blocks of `block_size`, each from its own generator and always whole, so that
    draw i depends on the random state and on i alone, not on the number of draws asked for. What a sampler
    fits or tunes first has a generator of its own, too.
    """

    name: str
    block_size: int

    @abstractmethod
    def sample(
        self, num_samples: int, random_state: int | Stream, progress: ProgressCallback | None = None
    ) -> Draws:
        """Return `num_samples` (>= 0) draws.

        Parameters
        ----------
        num_samples : int
        random_state : int or Stream
        progress : callable, optional
            Called with a `SamplingProgress` after each block.

        Raises
        ------
        InvalidInputError
            A negative number of samples.
        """


@dataclass(frozen=True)
class Block:
    """The draws of one block, or of several joined."""

    points: Float[Tensor, "n dim"]
    log_density: Float[Tensor, " n"]
    origin: Int[Tensor, " n"]
    acceptance: Float[Tensor, " n"]

    def repeated(self, count: int) -> "Block":
        """Return room for `count` draws like these, filled with zeros."""
        columns = (self.points, self.log_density, self.origin, self.acceptance)
        return Block(*(column.new_zeros((count, *column.shape[1:])) for column in columns))

    def write(self, start: int, part: "Block") -> None:
        """Put the draws of another block in the places from `start` on."""
        places = slice(start, start + len(part.log_density))
        self.points[places], self.log_density[places] = part.points, part.log_density
        self.origin[places], self.acceptance[places] = part.origin, part.acceptance

    def first(self, count: int) -> "Block":
        """Return the first `count` draws."""
        return self.rows(0, count)

    def rows(self, start: int, stop: int) -> "Block":
        """Return draws `start` to `stop`, exclusive."""
        chosen = slice(start, stop)
        return Block(
            self.points[chosen], self.log_density[chosen], self.origin[chosen], self.acceptance[chosen]
        )

    def take(self, rows: Int[Tensor, " m"]) -> "Block":
        """Return the draws of these rows."""
        return Block(self.points[rows], self.log_density[rows], self.origin[rows], self.acceptance[rows])

    @classmethod
    def joined(cls, parts: Sequence["Block"]) -> "Block":
        """Return several, at least one, one after the other."""
        if len(parts) == 1:
            return parts[0]
        names = ("points", "log_density", "origin", "acceptance")
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def draw_blocks(
    draw: Callable[[int], Block],
    num_samples: int,
    block_size: int,
    empty: Block,
    progress: ProgressCallback | None,
) -> Block:
    """Join blocks 0, 1, ... of `draw` until there are `num_samples` draws; cut the last one."""
    if num_samples < 0:
        raise InvalidInputError(f"num_samples must be 0 or more, got {num_samples}")
    joined, total = empty.repeated(num_samples), 0.0
    for index in range(math.ceil(num_samples / block_size)):
        start, done = index * block_size, min(num_samples, (index + 1) * block_size)
        part = draw(index).first(done - start)
        joined.write(start, part)
        total += float(part.acceptance.sum())
        if progress is not None:
            progress(SamplingProgress(done, num_samples, total / done))
    return joined


def empty_block(dim: int, device: torch.device) -> Block:
    """Return a block of no draws."""
    none = torch.empty(0, dtype=torch.float64, device=device)
    return Block(none.reshape(0, dim), none, torch.empty(0, dtype=torch.int64, device=device), none)


def in_double(metric: AnyMetric) -> AnyMetric:
    """Return a detached copy of the metric in float64; the original is left as it is.

    A kernel metric is rebuilt from its tensors: in training they are not leaves and cannot be copied.
    """
    if type(metric) is KernelMetric:
        double = type(metric)(
            metric.centroids.detach().double().clone(),
            metric.factors.detach().double().clone(),
            metric.bandwidth,
            metric.regularization,
        )
    else:
        double = copy.deepcopy(metric).double()
    for name, tensor in double.named_buffers():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise InvalidInputError(f"the metric must be finite, its {name} holds NaN or infinity")
    return double


def support_for(metric: Metric, support: Support | None) -> Support:
    """Return a float64 copy of `support`, or the metric's default one.

    Raises
    ------
    InvalidInputError
        No support for a metric that has no default one, or one of another dimension.
    """
    if support is not None:
        if support.centroids.shape[1] != metric.dim:
            raise InvalidInputError(
                f"support and metric must have one dimension, got {support.centroids.shape[1]} and "
                f"{metric.dim}"
            )
        return Support(support.centroids.detach().double().clone(), support.radius)
    return metric.default_support()


def positive_finite(name: str, value: float) -> float:
    """Return `value` as a float.

    Raises
    ------
    InvalidInputError
        It is not a positive, finite number.
    """
    if not (value > 0 and math.isfinite(value)):
        raise InvalidInputError(f"{name} must be a positive finite number, got {value}")
    return float(value)
