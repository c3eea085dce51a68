"""How well a fitted proposal is judged, and what is done where it is poor."""

import math
import pickle

import pytest
import torch

from riemaug.errors import InvalidInputError
from riemaug.geometry import KernelMetric
from riemaug.samplers import MixtureSampler
from riemaug.samplers.fitted import DISTANCE, FitQuality, ceiling_of
from tests.metrics import random_metric
from tests.statistics.checks import importance_reference, z_score


def test_the_ceiling_leaves_out_the_share_it_is_asked_for() -> None:
    generator = torch.Generator().manual_seed(0)
    log_weights = 0.5 * torch.randn(5000, generator=generator, dtype=torch.float64)
    weights = log_weights.exp()
    for share in (1e-4, 1e-2, 0.3):
        log_ceiling, acceptance = ceiling_of(log_weights, share)
        ceiling = math.exp(log_ceiling)
        above = float((weights - ceiling).clamp_min(0.0).sum() / weights.sum())
        assert above == pytest.approx(share, rel=1e-9)
        assert acceptance == pytest.approx(float(weights.clamp_max(ceiling).mean()) / ceiling)
    assert ceiling_of(log_weights + 700.0, 1e-2)[0] == pytest.approx(ceiling_of(log_weights, 1e-2)[0] + 700.0)


def test_equal_weights_are_all_accepted_and_none_are_refused() -> None:
    log_ceiling, acceptance = ceiling_of(torch.zeros(100, dtype=torch.float64), 1e-3)
    assert acceptance == pytest.approx(1.0)
    assert log_ceiling == pytest.approx(0.0, abs=2e-3)
    assert ceiling_of(torch.full((10,), -math.inf, dtype=torch.float64), 1e-3) == (-math.inf, 0.0)


@pytest.mark.parametrize(
    ("effective_fraction", "khat", "largest_share", "is_poor"),
    [
        (0.9, 0.3, 1e-4, False),
        (0.05, 0.3, 1e-4, True),
        (0.9, 0.9, 1e-4, False),  # bounded weights: the tail's shape says nothing
        (0.3, 0.9, 1e-4, True),
        (0.9, 0.9, 0.2, True),
        (0.5, math.nan, 0.2, True),
    ],
)
def test_the_rule_that_falls_back(
    effective_fraction: float, khat: float, largest_share: float, is_poor: bool
) -> None:
    assert FitQuality(effective_fraction, khat, largest_share, 0.0, 0.5).is_poor == is_poor


def test_a_poor_fit_falls_back_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riemaug.samplers.fitted.LEAST_EFFECTIVE_FRACTION", 1.1)
    monkeypatch.setattr("riemaug.samplers.independence._ROUNDS", 20)
    metric = random_metric(5, 8, seed=5, bandwidth=1.15)
    draws = MixtureSampler(metric).sample(512, 0)
    mean, error, _ = importance_reference(metric, 1.0, 100000)
    values = 2 * draws.log_density
    assert "chains with local moves were used" in draws.diagnostics.message
    assert draws.diagnostics.rhat is not None
    own = float(values.std()) / len(values) ** 0.5
    # |z| < 4.5: 7e-6 by chance
    assert abs(float(values.mean()) - mean) < 4.5 * math.hypot(own, error)


def test_what_lies_above_the_ceiling_is_reported() -> None:
    diagnostics = MixtureSampler(random_metric(6, 20, seed=6, bandwidth=1.2)).sample(4000, 0).diagnostics
    assert diagnostics.converged
    assert f"{DISTANCE:.4f}" in diagnostics.message or "within 0.00" in diagnostics.message


def test_further_calls_of_one_sampler_change_nothing() -> None:
    for dim in (2, 5):
        sampler = MixtureSampler(random_metric(dim, 10, seed=7, bandwidth=1.0))
        first = sampler.sample(300, 0)
        sampler.sample(50, 1)
        again = sampler.sample(300, 0)
        assert torch.equal(first.points, again.points)
        assert first.diagnostics == again.diagnostics


def test_isolated_kernels_beyond_a_thousand_all_get_their_share() -> None:
    # a lattice of 1,100 equal, disjoint kernels in d = 5: draws are spread evenly over all of them
    axes = [torch.arange(5.0) * 12.0] * 4 + [torch.arange(2.0) * 12.0]
    lattice = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)[:1100].double()
    factors = torch.eye(5, dtype=torch.float64).expand(1100, 5, 5)
    draws = MixtureSampler(KernelMetric(lattice, factors, 1.0, 1e-3)).sample(4000, 0)
    nearest = torch.cdist(draws.points, lattice).argmin(-1)
    first_half = (nearest < 550).double()
    # |z| < 4.5: 7e-6 by chance
    assert abs(z_score(first_half, 0.5)) < 4.5
    assert len(nearest.unique()) > 1000  # 4,000 draws leave out about 29 of 1,100
    assert draws.diagnostics.converged


def test_samplers_can_be_sent_to_other_processes() -> None:
    for dim in (2, 5):
        sampler = MixtureSampler(random_metric(dim, 8, seed=8, bandwidth=1.0))
        expected = sampler.sample(20, 0).points
        assert torch.equal(pickle.loads(pickle.dumps(sampler)).sample(20, 0).points, expected)


def test_too_many_centroids_to_fit_are_refused() -> None:
    metric = KernelMetric(torch.zeros(20001, 5).double(), torch.zeros(20001, 5, 5).double(), 1.0, 0.1)
    with pytest.raises(InvalidInputError, match="at most 20000 centroids where b d > 4, got 20001"):
        MixtureSampler(metric).sample(1, 0)
