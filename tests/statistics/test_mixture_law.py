"""The mixture sampler's law against grid integrals and importance sampling.

Seeds are fixed. Thresholds: |z| < 4.5 (7e-6 each by chance) and KS p > 1e-5; below 120 of either, so the
file would fail by chance with probability 2e-3 under fresh seeds.
"""

import pytest
import torch
from scipy import stats

from riemaug.geometry import KernelMetric
from riemaug.random import Stream
from riemaug.samplers import MixtureSampler
from riemaug.samplers.fitted import FitQuality
from riemaug.samplers.independence import IndependenceSampler
from riemaug.samplers.pairs import DensePairs, NeighbourPairs, pairs_of_traces
from riemaug.samplers.proposals import ProposalFitter
from riemaug.samplers.sources import DrawSums
from riemaug.samplers.target import Target
from tests.metrics import GridLaw, random_metric
from tests.statistics.checks import importance_reference, ks_pvalue, z_score

pytestmark = pytest.mark.statistics


def check_against_grid(metric: KernelMetric, power: float, num: int = 20000) -> MixtureSampler:
    law = GridLaw(metric, metric.default_support(), power)
    sampler = MixtureSampler(metric, inverse_temperature=power)
    draws = sampler.sample(num, 1)
    assert abs(z_score(2 * draws.log_density, law.log_det)) < 4.5
    assert ks_pvalue(draws.points, law) > 1e-5
    assert draws.diagnostics.log_normalizer == pytest.approx(law.log_normalizer, abs=0.03)
    assert draws.diagnostics.converged
    assert sampler.support.contains(draws.points).all()
    return sampler


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("dim", [1, 2])
def test_draws_have_the_law_of_the_grid(dim: int, seed: int, power: float) -> None:
    check_against_grid(random_metric(dim, 6, seed), power)


@pytest.mark.parametrize(("dim", "power"), [(1, 0.5), (1, 3.0), (1, 4.0), (2, 0.3), (2, 1.5)])
def test_other_exact_temperatures(dim: int, power: float) -> None:
    assert check_against_grid(random_metric(dim, 6, seed=3), power).has_envelope


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "power"), [(1, 6.0), (2, 3.0)])
def test_fitted_proposals_where_no_envelope_is(dim: int, power: float) -> None:
    assert not check_against_grid(random_metric(dim, 6, seed=4), power, num=4000).has_envelope


def test_determinants_in_two_dimensions_need_no_rejection_at_b_two() -> None:
    diagnostics = (
        MixtureSampler(random_metric(2, 6, seed=0), inverse_temperature=2.0).sample(500, 0).diagnostics
    )
    acceptance, proposed = diagnostics.acceptance, diagnostics.evaluations
    assert acceptance == pytest.approx(1 - diagnostics.outside / proposed, abs=1e-12)


def test_many_overlapping_centroids_in_one_dimension() -> None:
    # the sum of square roots alone would accept about one in sqrt(N)
    metric = random_metric(1, 400, seed=5)
    check_against_grid(metric, 1.0)
    assert (MixtureSampler(metric).sample(1, 0).diagnostics.acceptance or 0) > 0.3


@pytest.mark.parametrize("spread", [0.5, 30.0])
def test_flat_part_is_drawn_and_counted(spread: float) -> None:
    metric = random_metric(2, 3, seed=6, regularization=0.3, spread=spread)
    law = GridLaw(metric, metric.default_support())
    draws = MixtureSampler(metric).sample(20000, 2)
    assert abs(z_score(2 * draws.log_density, law.log_det)) < 4.5
    share = (draws.origin == -1).double()
    assert (
        abs(z_score(share, draws.diagnostics.flat_mass or 0.0)) < 8
    )  # rejection thins the flat part a little
    assert 0.1 < (draws.diagnostics.flat_mass or 0.0) < 0.9


@pytest.mark.parametrize("dim", [3, 4])
def test_rejection_in_three_and_four_dimensions(dim: int) -> None:
    metric = random_metric(dim, 30, seed=dim, regularization=1e-3)
    mean, error, log_normalizer = importance_reference(metric, 1.0, 200000)
    draws = MixtureSampler(metric).sample(20000, 0)
    values = 2 * draws.log_density
    own = float(values.std()) / len(values) ** 0.5
    assert abs(float(values.mean()) - mean) < 4.5 * (error**2 + own**2) ** 0.5
    assert draws.diagnostics.log_normalizer == pytest.approx(log_normalizer, abs=0.03)
    assert draws.diagnostics.khat is None


@pytest.mark.parametrize(("dim", "bandwidth"), [(5, 1.15), pytest.param(10, 1.5, marks=pytest.mark.slow)])
def test_fitted_proposals_in_five_and_ten_dimensions(dim: int, bandwidth: float) -> None:
    metric = random_metric(dim, 40, seed=dim, bandwidth=bandwidth, regularization=1e-3)
    mean, error, log_normalizer = importance_reference(metric, 1.0, 300000)
    draws = MixtureSampler(metric).sample(4000, 0)
    values = 2 * draws.log_density
    own = float(values.std()) / len(values) ** 0.5
    assert abs(float(values.mean()) - mean) < 4.5 * (error**2 + own**2) ** 0.5
    assert draws.diagnostics.log_normalizer == pytest.approx(log_normalizer, abs=0.06)
    assert (draws.diagnostics.effective_fraction or 0) > 0.8
    assert draws.diagnostics.converged


@pytest.mark.slow
def test_local_moves_keep_the_law() -> None:
    # the fall-back for poor fits, run where the fit is good and the law is known
    metric = random_metric(2, 6, seed=7)
    support = metric.default_support()
    law = GridLaw(metric, support)
    target = Target(metric, support, 1.0)
    fit = ProposalFitter(target, Stream(0)).fit()
    sampler = IndependenceSampler(target, fit, FitQuality.of(fit), 1024, num_rounds=20)
    blocks = [sampler.block(Stream(1).block(index).generator()) for index in range(8)]
    points = torch.cat([block.points for block in blocks])
    values = torch.cat([2 * block.log_density for block in blocks])
    assert abs(z_score(values, law.log_det)) < 4.5
    assert ks_pvalue(points, law) > 1e-5
    torch.testing.assert_close(values, 2 * metric.log_density(points))
    assert "local moves" in sampler.diagnostics(DrawSums(1024)).message


@pytest.mark.parametrize(("dim", "power"), [(2, 1.0), (2, 1.5), (3, 1.0)])
def test_many_centroids_seen_by_neighbours(dim: int, power: float) -> None:
    metric = random_metric(dim, 1500, seed=8, regularization=1e-3, spread=3.0)
    sampler = MixtureSampler(metric, inverse_temperature=power)
    mean, error, log_normalizer = importance_reference(metric, power, 20000)
    draws = sampler.sample(20000, 0)
    values = 2 * draws.log_density
    own = float(values.std()) / len(values) ** 0.5
    assert abs(float(values.mean()) - mean) < 4.5 * (error**2 + own**2) ** 0.5
    assert draws.diagnostics.log_normalizer == pytest.approx(log_normalizer, abs=0.03)


def test_partners_come_by_their_weights() -> None:
    metric = random_metric(3, 1500, seed=9, spread=2.0)
    scales = torch.rand(1500, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.1
    near, dense = pairs_of_traces(metric, scales), DensePairs(metric, scales[:, None], scales[:, None])
    assert isinstance(near, NeighbourPairs)
    torch.testing.assert_close(near.row_sums(), dense.row_sums(), rtol=1e-5, atol=0)
    first = torch.full((40000,), 7)
    uniform = torch.rand(40000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    counts = torch.bincount(near.partners(first, uniform), minlength=1500).double()
    weights = dense._rows(first[:1])[0]
    expected = 40000 * weights / weights.sum()
    often = expected >= 5
    chi_square = float(((counts - expected) ** 2 / expected)[often].sum())
    assert stats.chi2.sf(chi_square, int(often.sum()) - 1) > 1e-5
    assert int(counts[~often].sum()) < 1.5 * float(expected[~often].sum()) + 30
