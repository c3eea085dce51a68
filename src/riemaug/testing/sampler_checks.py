"""Invariants of a sampler: reproducible draws, honest records, and the law that it states."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.geometry import Metric, Support
from riemaug.random import Stream
from riemaug.samplers.base import Draws, Sampler, SamplingProgress, positive_finite
from riemaug.testing.grid_law import GridLaw
from riemaug.testing.measurements import (
    GlobalRandomness,
    Measurement,
    Measurements,
    absolute_gap,
    count_not_finite,
    double_copy,
    verify,
)

LARGEST_Z = 4.5
"""Standard errors that a mean may be off: a right sampler fails by chance with probability 7e-6."""

LEAST_P = 1e-5
"""Kolmogorov-Smirnov p-value below which the first coordinate has another law."""

_FEW = 5
_DENSITY_TOLERANCE = 1e-6


@dataclass(frozen=True)
class SamplerProbe:
    """How to make the sampler, what it should agree with, and some of its draws."""

    make: Callable[[], Sampler]
    metric: Metric | None
    support: Support | None
    inverse_temperature: float | None
    num_draws: int
    random_state: int

    def draw(self, num: int, random_state: int | Stream | None = None) -> Draws:
        """Return `num` draws."""
        return self.make().sample(num, self.random_state if random_state is None else random_state)

    @cached_property
    def few(self) -> Draws:
        """The first draws."""
        return self.draw(_FEW)


def check_sampler(
    sampler: Sampler | Callable[[], Sampler],
    *,
    metric: Metric | None = None,
    support: Support | None = None,
    inverse_temperature: float | None = None,
    num_draws: int = 2000,
    random_state: int = 0,
) -> None:
    """Check a sampler of your own; see docs/extending.md.

    Parameters
    ----------
    sampler : Sampler or callable
        A sampler, or a function without arguments that makes one anew for each use.
    metric : Metric, optional
        The one that it was made with: `log_density` of the draws must be the metric's.
    support : Support, optional
        The S that it was made with: draws must lie in it. With an inverse temperature, by default the
        metric's own.
    inverse_temperature : float, optional
        b, for a sampler that states the law pi^b on S: its draws are compared with a grid integral,
        which needs the metric and d = 1 or 2.
    num_draws : int
        Draws for that comparison, at least 100. Draws that depend on each other count as their
        effective number.
    random_state : int
        Seed of the draws.

    Raises
    ------
    AssertionError
        An invariant does not hold; one line names it with the measured error and the tolerance. The
        comparison of laws fails by chance with probability 2e-5.
    InvalidInputError
        A law that cannot be compared.
    """
    if inverse_temperature is not None:
        positive_finite("inverse_temperature", inverse_temperature)
        if metric is None or metric.dim > 2 or num_draws < 100:
            raise InvalidInputError(
                "a law is compared with at least 100 draws and a metric of dimension 1 or 2, got "
                f"{num_draws} draws and {'no metric' if metric is None else f'dimension {metric.dim}'}; "
                "leave inverse_temperature out"
            )
        support = support if support is not None else metric.default_support()
    make = sampler if not isinstance(sampler, Sampler) else lambda: sampler
    probe = SamplerProbe(make, metric, support, inverse_temperature, num_draws, random_state)
    verify(SAMPLER_INVARIANTS, probe)


def same_seed_same_draws(probe: SamplerProbe) -> Measurements:
    """Check that the same random state gives the same draws, and another state (a stream) others."""
    first, again = probe.few, probe.draw(_FEW)
    for name in ("points", "log_density", "origin", "acceptance"):
        gap = absolute_gap(getattr(first, name), getattr(again, name))
        yield Measurement(f"{name} differ for the same random_state", gap)
    other = probe.draw(_FEW, Stream(probe.random_state).child("another"))
    yield Measurement(
        "points are the same for another random_state", float(torch.equal(first.points, other.points))
    )


def draw_depends_on_its_index_alone(probe: SamplerProbe) -> Measurements:
    """Check that draw i is the same however many are asked for, and that blocks differ."""
    size = probe.make().block_size
    few, many = probe.few, probe.draw(size + _FEW)
    for name in ("points", "log_density", "origin"):
        gap = absolute_gap(getattr(many, name)[:_FEW], getattr(few, name))
        yield Measurement(f"the first {name} depend on the number asked for", gap)
    repeated = torch.equal(many.points[size:], many.points[:_FEW])
    yield Measurement("the second block repeats the first", float(repeated))


def shapes_and_edges(probe: SamplerProbe) -> Measurements:
    """Check that 0, 1 and more draws are complete, finite and float64, and -1 is refused."""
    for num in (0, 1, _FEW):
        draws = probe.few if num == _FEW else probe.draw(num)
        for name, value in (("points", draws.points), ("log_density", draws.log_density)):
            yield Measurement(f"{name} of {num} draws are not finite", count_not_finite(value))
            yield Measurement(f"{name} are {value.dtype}, not float64", float(value.dtype != torch.float64))
        for name in ("points", "log_density", "origin", "acceptance"):
            found = len(getattr(draws, name))
            yield Measurement(f"{name} of {num} draws has {found} rows", float(found != num))
        told = draws.diagnostics.num_draws
        yield Measurement(f"diagnostics tell of {told} draws, not {num}", float(told != num))
    refused = False
    try:
        probe.draw(-1)
    except InvalidInputError:
        refused = True
    yield Measurement("num_samples = -1 is not refused with InvalidInputError", float(not refused))


def honest_records(probe: SamplerProbe) -> Measurements:
    """Check log_density against the metric, draws against S, diagnostics as JSON, progress to its end."""
    heard: list[SamplingProgress] = []
    draws = probe.make().sample(_FEW, probe.random_state, heard.append)
    if probe.metric is not None:
        expected = double_copy(probe.metric).log_density(draws.points).detach()
        gap = absolute_gap(draws.log_density, expected)
        yield Measurement("log_density of the draws is not the metric's", gap, _DENSITY_TOLERANCE)
    if probe.support is not None:
        outside = float((~_double(probe.support).contains(draws.points)).sum())
        yield Measurement("draws lie outside the support", outside)
    try:
        json.dumps(draws.diagnostics.to_dict(), allow_nan=False)
        plain = True
    except (TypeError, ValueError):
        plain = False
    yield Measurement("diagnostics.to_dict() is not JSON", float(not plain))
    last = heard[-1] if heard else SamplingProgress(0, 0, 0.0)
    ended = (last.done, last.total) == (_FEW, _FEW)
    yield Measurement(f"progress ends at {last.done} of {last.total}, not {_FEW} of {_FEW}", float(not ended))


def surroundings_untouched(probe: SamplerProbe) -> Measurements:
    """Check that global generators and the metric are left alone, and that draws carry no graph."""
    before = _fingerprint(probe.metric)
    with GlobalRandomness() as randomness:
        draws = probe.draw(_FEW)
    yield Measurement("a global random generator is used", float(randomness.touched))
    yield Measurement(
        "the metric passed in is changed", float(not _equal(before, _fingerprint(probe.metric)))
    )
    yield Measurement("the draws carry a graph", float(draws.points.requires_grad))


def stated_law(probe: SamplerProbe) -> Measurements:
    """Compare draws with pi^b on S by a grid: the mean of log pi, the law of the first coordinate."""
    if probe.metric is None or probe.support is None or probe.inverse_temperature is None:
        return
    metric, support = double_copy(probe.metric), _double(probe.support)
    law = GridLaw(metric, support, probe.inverse_temperature)
    draws = probe.draw(probe.num_draws)
    outside = float((~support.contains(draws.points)).sum())
    yield Measurement("draws lie outside the support", outside)
    effective = effective_number(draws.log_density)
    deviation = float(draws.log_density.std()) / math.sqrt(effective)
    score = (float(draws.log_density.mean()) - law.mean_log_density) / max(deviation, 1e-12)
    yield Measurement(
        f"the mean of log pi is {score:+.1f} standard errors from pi^{probe.inverse_temperature:g}",
        abs(score),
        LARGEST_Z,
    )
    # the effective number of independent draws is itself an estimate: it may fall a fifth short
    stride = math.ceil(probe.num_draws / effective - 0.25)
    pvalue = law.first_coordinate_pvalue(draws.points[:: max(1, stride)])
    yield Measurement(
        f"the first coordinate is not that of pi^{probe.inverse_temperature:g}, as -log10 p",
        -math.log10(max(pvalue, 1e-300)),
        -math.log10(LEAST_P),
    )


def effective_number(values: Tensor) -> float:
    """Return the effective number of a sequence of draws, at most their number."""
    from arviz_stats.base.array import array_stats  # here, being slow to import

    found = float(array_stats.ess(values.cpu().numpy()[None]))  # pyright: ignore[reportArgumentType]
    return min(max(found, 1.0), float(len(values))) if math.isfinite(found) else 1.0


def _double(support: Support) -> Support:
    """Return the support in float64, the original left as it is."""
    return Support(support.centroids.detach().double(), support.radius)


def _fingerprint(metric: Metric | None) -> dict[str, Tensor]:
    """Return a copy of the metric's state."""
    return {} if metric is None else {name: value.clone() for name, value in metric.state_dict().items()}


def _equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Return whether two states hold the same tensors of the same dtypes."""
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and torch.equal(first[name], second[name]) for name in first
    )


SAMPLER_INVARIANTS = {
    "shapes and edges": shapes_and_edges,
    "same seed, same draws": same_seed_same_draws,
    "draw i depends on i alone": draw_depends_on_its_index_alone,
    "honest records": honest_records,
    "surroundings untouched": surroundings_untouched,
    "stated law": stated_law,
}
