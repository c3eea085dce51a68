"""Laws of latent points: the Gaussian mixture against a planted one, a VAE's own metric against a grid."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from riemaug.baselines.latent_laws import GaussianMixtureLaw, PosteriorPrecisionLaw, SamplerLaw
from riemaug.geometry import PosteriorPrecisionMetric
from riemaug.random import Stream
from riemaug.samplers import PriorSampler
from riemaug.testing.grid_law import GridLaw

WEIGHTS = np.array([0.5, 0.3, 0.2])
MEANS = np.array([[0.0, 0.0], [6.0, 1.0], [1.0, -7.0]])
COVARIANCES = np.array([[[1.0, 0.6], [0.6, 0.8]], [[0.5, 0.0], [0.0, 2.0]], [[0.3, -0.1], [-0.1, 0.4]]])


def planted(count: int) -> np.ndarray:
    """Draws of the mixture above."""
    rng = np.random.default_rng(7)
    component = rng.choice(3, count, p=WEIGHTS)
    factors = np.linalg.cholesky(COVARIANCES)
    noise = rng.standard_normal((count, 2))
    return MEANS[component] + np.einsum("nij,nj->ni", factors[component], noise)


@pytest.fixture(scope="module")
def mixture() -> GaussianMixtureLaw:
    return GaussianMixtureLaw(planted(1500), Stream(0))


def test_a_planted_mixture_is_found(mixture: GaussianMixtureLaw) -> None:
    assert len(mixture.weights) == 3
    order = [int(np.linalg.norm(mixture.means - mean, axis=1).argmin()) for mean in MEANS]
    assert sorted(order) == [0, 1, 2]
    # errors of 300 and more points a component: below 0.013, 0.09 and 0.11, times four
    np.testing.assert_allclose(mixture.weights[order], WEIGHTS, atol=0.05)
    np.testing.assert_allclose(mixture.means[order], MEANS, atol=0.3)
    covariances = mixture.factors @ mixture.factors.swapaxes(1, 2)
    np.testing.assert_allclose(covariances[order], COVARIANCES, atol=0.45)


@pytest.mark.statistics
@pytest.mark.parametrize("axis", [0, 1])
def test_draws_have_the_law_of_the_mixture(mixture: GaussianMixtureLaw, axis: int) -> None:
    drawn = mixture.draw(4000, Stream(2)).numpy()
    deviations = np.sqrt((mixture.factors**2).sum(2))[:, axis]

    def cdf(values: np.ndarray) -> np.ndarray:
        parts = stats.norm.cdf(values[:, None], mixture.means[:, axis], deviations)
        return parts @ mixture.weights

    # failure probability 1e-3
    assert stats.kstest(drawn[:, axis], cdf).pvalue > 1e-3


@pytest.mark.statistics
def test_draws_have_the_correlations_of_the_mixture(mixture: GaussianMixtureLaw) -> None:
    drawn = mixture.draw(4000, Stream(3)).numpy()
    near = drawn[np.linalg.norm(drawn - MEANS[0], axis=1) < 3.0]
    # 2,000 draws of correlation 0.67, cut at three units: error 0.012
    assert 0.55 < np.corrcoef(near.T)[0, 1] < 0.75


@pytest.mark.parametrize(("count", "most"), [(2, 1), (9, 1), (14, 2)])
def test_few_points_have_few_components(count: int, most: int) -> None:
    law = GaussianMixtureLaw(planted(count), Stream(0))
    assert 1 <= len(law.weights) <= most
    assert law.draw(5, Stream(0)).shape == (5, 2)


def test_points_that_coincide_are_taken() -> None:
    law = GaussianMixtureLaw(np.ones((12, 2)), Stream(0))
    assert float((law.draw(20, Stream(0)) - 1.0).abs().max()) < 0.05


def test_the_law_of_a_sampler_is_the_samplers() -> None:
    sampler = PriorSampler(2)
    assert torch.equal(SamplerLaw(sampler).draw(9, Stream(4)), sampler.sample(9, Stream(4)).points)


@pytest.mark.slow
@pytest.mark.statistics
def test_a_vaes_own_metric_is_drawn_from() -> None:
    generator = torch.Generator().manual_seed(3)
    centroids = 1.2 * torch.randn(8, 2, generator=generator, dtype=torch.float64)
    deviations = 0.2 + 0.3 * torch.rand(8, 2, generator=generator, dtype=torch.float64)
    metric = PosteriorPrecisionMetric(centroids, deviations, bandwidth=2.5, regularization=0.05)
    count = 512
    points = PosteriorPrecisionLaw(metric).draw(count, Stream(1))
    grid = GridLaw(metric, metric.default_support())
    # failure probability 1e-3 each; a uniform law on S is far off, and so is the one of 1 / sqrt det G
    assert grid.first_coordinate_pvalue(points) > 1e-3
    log_density = metric.log_density(points)
    error = float(log_density.std()) / math.sqrt(count)
    assert abs(float(log_density.mean()) - grid.mean_log_density) < 3.3 * error
    opposite = GridLaw(metric, metric.default_support(), inverse_temperature=-1.0)
    flat = GridLaw(metric, metric.default_support(), inverse_temperature=1e-9)
    for other in (opposite, flat):
        assert abs(float(log_density.mean()) - other.mean_log_density) > 10 * error
