"""`check_sampler`: every sampler of ours passes, and every deliberate fault is named."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch

from riemaug.errors import InvalidInputError
from riemaug.geometry import KernelMetric, Support
from riemaug.random import Stream
from riemaug.samplers import (
    HMC,
    ChainOptions,
    Diagnostics,
    Draws,
    MixtureSampler,
    PaperWalk,
    PriorSampler,
    RiemannianRandomWalk,
    Sampler,
)
from riemaug.samplers.base import ProgressCallback
from riemaug.testing import check_sampler
from riemaug.testing.sampler_checks import effective_number
from tests.contract.checked_metrics import OUR_METRICS, places
from tests.metrics import random_metric

SHORT = ChainOptions(num_steps=8, num_chains=16, num_tuning_steps=8)


@pytest.mark.parametrize(
    "make",
    [
        lambda metric: PriorSampler(2),
        MixtureSampler,
        lambda metric: RiemannianRandomWalk(metric, chains=SHORT),
        lambda metric: RiemannianRandomWalk(metric, adaptive=True, chains=SHORT),
        lambda metric: HMC(metric, chains=SHORT),
    ],
    ids=["prior", "mixture", "walk", "adaptive walk", "HMC"],
)
def test_our_samplers_pass(make: Callable[[KernelMetric], Sampler]) -> None:
    metric = random_metric(2, 6, seed=0)
    sampler = make(metric)
    if isinstance(sampler, PriorSampler):
        check_sampler(sampler)
    else:
        check_sampler(sampler, metric=metric, support=metric.default_support())


def test_the_printed_walk_passes_where_nothing_is_claimed() -> None:
    metric = random_metric(2, 6, seed=0)
    check_sampler(PaperWalk(metric, chains=SHORT), metric=metric)
    with pytest.raises(AssertionError, match="^honest records: draws lie outside the support"):
        check_sampler(
            lambda: PaperWalk(metric, covariance=30.0, chains=SHORT),
            metric=metric,
            support=metric.default_support(),
        )


@pytest.mark.statistics
@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_stated_laws_are_compared_with_the_grid(dim: int, power: float) -> None:
    # fails by chance with probability 2e-5, see check_sampler
    metric = random_metric(dim, 6, seed=3)
    make = lambda: MixtureSampler(metric, inverse_temperature=power)  # noqa: E731
    check_sampler(make, metric=metric, inverse_temperature=power)
    with pytest.raises(AssertionError, match=f"^stated law: the mean of log pi is .* from pi.{3 - power:g}"):
        check_sampler(make, metric=metric, inverse_temperature=3.0 - power)


@pytest.mark.statistics
@pytest.mark.slow
@pytest.mark.parametrize("name", ["posterior precision", pytest.param("pull-back", marks=pytest.mark.long)])
def test_the_walk_has_the_law_of_metrics_given_by_their_tensor(name: str) -> None:
    # fails by chance with probability 2e-5, see check_sampler
    metric = OUR_METRICS[name](2)
    support = Support(0.5 * places(2, 4), 1.0)
    chains = ChainOptions(num_steps=40, num_chains=256)
    walk = RiemannianRandomWalk(metric, support, covariance=0.3, num_integration_steps=3, chains=chains)
    check_sampler(walk, metric=metric, support=support, inverse_temperature=1.0, num_draws=512)
    with pytest.raises(AssertionError, match="^stated law"):
        check_sampler(walk, metric=metric, support=support, inverse_temperature=4.0, num_draws=512)


def test_a_law_that_cannot_be_compared_is_refused() -> None:
    metric = random_metric(3, 6, seed=0)
    with pytest.raises(
        InvalidInputError, match="got 2000 draws and dimension 3; leave inverse_temperature out"
    ):
        check_sampler(MixtureSampler(metric), metric=metric, inverse_temperature=1.0)
    with pytest.raises(InvalidInputError, match="got 2000 draws and no metric"):
        check_sampler(PriorSampler(2), inverse_temperature=1.0)


@dataclass(frozen=True)
class BadDiagnostics(Diagnostics):
    def to_dict(self) -> dict[str, float | int | bool | str | None]:
        return super().to_dict() | {"acceptance": float("nan")}


class WrappedSampler(Sampler):
    """A right sampler, for the wrong ones to start from; of one whose law is its own mirror image."""

    name = "wrapped"
    block_size = 256

    def __init__(self) -> None:
        half = random_metric(2, 3, seed=1)
        mirror = torch.tensor([-1.0, 1.0], dtype=torch.float64)
        factors = torch.diag_embed(half.factors.diagonal(dim1=-2, dim2=-1))
        self.metric = KernelMetric(
            torch.cat([half.centroids, half.centroids * mirror]), torch.cat([factors, factors]), 0.8, 0.01
        )
        self.inner = MixtureSampler(self.metric)

    def sample(
        self, num_samples: int, random_state: int | Stream, progress: ProgressCallback | None = None
    ) -> Draws:
        return self.changed(self.inner.sample(num_samples, random_state, progress))

    def changed(self, draws: Draws) -> Draws:
        return draws


class WrongTemperature(WrappedSampler):
    def __init__(self) -> None:
        super().__init__()
        self.inner = MixtureSampler(self.metric, inverse_temperature=1.5)


class OneSideOnly(WrappedSampler):
    """Log pi has the right law: the density is mirrored, but the first coordinate is not."""

    def changed(self, draws: Draws) -> Draws:
        return replace(draws, points=torch.cat([draws.points[:, :1].abs(), draws.points[:, 1:]], 1))


class Jittered(WrappedSampler):
    def changed(self, draws: Draws) -> Draws:
        return replace(draws, points=draws.points + 1e-3 * torch.randn(draws.points.shape))


class TouchesTheGlobalGenerator(WrappedSampler):
    def changed(self, draws: Draws) -> Draws:
        torch.manual_seed(0)
        return draws


class ForgetsItsSeed(WrappedSampler):
    def sample(
        self, num_samples: int, random_state: int | Stream, progress: ProgressCallback | None = None
    ) -> Draws:
        return super().sample(num_samples, 0, progress)


class DependsOnTheNumber(WrappedSampler):
    def sample(
        self, num_samples: int, random_state: int | Stream, progress: ProgressCallback | None = None
    ) -> Draws:
        return super().sample(num_samples, random_state if num_samples <= 256 else 99, progress)


class RepeatsItsBlocks(WrappedSampler):
    def changed(self, draws: Draws) -> Draws:
        index = torch.arange(len(draws.points)) % 256
        return replace(draws, points=draws.points[index], log_density=draws.log_density[index])


class LogDensityOfTheVolume(WrappedSampler):
    def changed(self, draws: Draws) -> Draws:
        return replace(draws, log_density=-draws.log_density)


class LeavesTheSupport(WrappedSampler):
    def changed(self, draws: Draws) -> Draws:
        points = draws.points + 100.0
        return replace(draws, points=points, log_density=self.metric.log_density(points))


class SinglePrecision(WrappedSampler):
    def changed(self, draws: Draws) -> Draws:
        return replace(draws, points=draws.points.float())


class TakesNegativeNumbers(WrappedSampler):
    def sample(
        self, num_samples: int, random_state: int | Stream, progress: ProgressCallback | None = None
    ) -> Draws:
        return super().sample(max(num_samples, 0), random_state, progress)


class CountsWrongly(WrappedSampler):
    def changed(self, draws: Draws) -> Draws:
        return replace(draws, diagnostics=replace(draws.diagnostics, num_draws=1000))


class NotJson(WrappedSampler):
    def changed(self, draws: Draws) -> Draws:
        return replace(draws, diagnostics=BadDiagnostics(len(draws.points)))


class Silent(WrappedSampler):
    def sample(
        self, num_samples: int, random_state: int | Stream, progress: ProgressCallback | None = None
    ) -> Draws:
        return super().sample(num_samples, random_state)


class MovesTheMetric(WrappedSampler):
    def changed(self, draws: Draws) -> Draws:
        self.metric.centroids.add_(1e-9)
        return draws


BROKEN_SAMPLERS = {
    WrongTemperature: "stated law: the mean of log pi is .* standard errors from pi.1",
    OneSideOnly: "stated law: the first coordinate is not that of pi.1",
    Jittered: "same seed, same draws: points differ for the same random_state",
    TouchesTheGlobalGenerator: "surroundings untouched: a global random generator is used",
    ForgetsItsSeed: "same seed, same draws: points are the same for another random_state",
    DependsOnTheNumber: "draw i depends on i alone: the first points depend on the number asked for",
    RepeatsItsBlocks: "draw i depends on i alone: the second block repeats the first",
    LogDensityOfTheVolume: "honest records: log_density of the draws is not the metric's",
    LeavesTheSupport: "honest records: draws lie outside the support",
    SinglePrecision: "shapes and edges: points are torch.float32, not float64",
    TakesNegativeNumbers: "shapes and edges: num_samples = -1 is not refused",
    CountsWrongly: "shapes and edges: diagnostics tell of 1000 draws, not 0",
    NotJson: r"honest records: diagnostics.to_dict\(\) is not JSON",
    Silent: "honest records: progress ends at 0 of 0, not 5 of 5",
    MovesTheMetric: "surroundings untouched: the metric passed in is changed",
}


@pytest.mark.parametrize("broken", BROKEN_SAMPLERS, ids=lambda sampler: sampler.__name__)
def test_a_broken_sampler_is_told_what_is_wrong(broken: type[WrappedSampler]) -> None:
    sampler = broken()
    with pytest.raises(AssertionError, match=f"^{BROKEN_SAMPLERS[broken]}") as caught:
        check_sampler(sampler, metric=sampler.metric, inverse_temperature=1.0)
    assert "\n" not in str(caught.value)


@pytest.mark.statistics
def test_the_sampler_that_the_broken_ones_start_from_is_right() -> None:
    # fails by chance with probability 2e-5, see check_sampler
    sampler = WrappedSampler()
    check_sampler(sampler, metric=sampler.metric, inverse_temperature=1.0)


def test_draws_that_depend_on_each_other_count_as_fewer() -> None:
    class Repeated(WrappedSampler):
        """Every draw eight times: the law of each is right, their number is an eighth."""

        block_size = 2048

        def sample(
            self, num_samples: int, random_state: int | Stream, progress: ProgressCallback | None = None
        ) -> Draws:
            draws = super().sample(num_samples, random_state, progress)
            index = torch.arange(num_samples) // 8
            return replace(draws, points=draws.points[index], log_density=draws.log_density[index])

    sampler = Repeated()
    log_density = sampler.sample(4000, 0).log_density
    assert 300 < effective_number(log_density) < 800
    assert effective_number(sampler.inner.sample(4000, 0).log_density) > 3500
    check_sampler(sampler, metric=sampler.metric, inverse_temperature=1.0, num_draws=4000)
