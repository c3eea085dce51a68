"""Constants that follow from the data: what each rule gives, and that the paper's preset has none of them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special

from riemaug.config import GeneratorConfig
from riemaug.data.scaling import is_binary
from riemaug.models import RHVAE, ModelConfig, build_model, class_condition, paper_model
from riemaug.models.conditional import BANDWIDTH_FACTOR, conditional_model
from riemaug.models.defaults import (
    LARGEST_FLAT_SHARE,
    adapt_bandwidth,
    default_latent_dim,
    default_likelihood,
    default_regularization,
    flat_share,
    median_gap,
)
from riemaug.random import Stream


@pytest.mark.parametrize(
    ("data_dim", "dim"), [(1, 1), (2, 2), (4, 2), (13, 3), (30, 7), (64, 8), (36_608, 8)]
)
def test_the_latent_dimension_follows_the_features(data_dim: int, dim: int) -> None:
    assert default_latent_dim(data_dim) == dim


# lambda


@pytest.mark.parametrize("dim", [1, 2, 3, 8])
def test_the_flat_share_is_that_of_a_lone_kernel(dim: int) -> None:
    regularization, bandwidth = 1e-2, 0.7
    radius = bandwidth * math.sqrt(math.log(1 / regularization))
    sphere = 2 * math.pi ** (dim / 2) / special.gamma(dim / 2)

    def kernel(distance: float) -> float:
        return sphere * distance ** (dim - 1) * math.exp(-dim * (distance / bandwidth) ** 2 / 2)

    # Z without lambda: over all of space, as the formula takes it
    mass = integrate.quad(kernel, 0, np.inf)[0]
    flat = regularization ** (dim / 2) * sphere * radius**dim / dim
    assert flat_share(regularization, dim) == pytest.approx(flat / mass, rel=1e-9)


def test_the_papers_lambda_is_kept_but_in_one_dimension() -> None:
    assert [default_regularization(dim) for dim in (2, 3, 8, 512)] == [1e-3] * 4
    one = default_regularization(1)
    assert flat_share(one, 1) <= LARGEST_FLAT_SHARE < flat_share(one * 10**0.5, 1)
    # larger ones are lowered where they must be
    assert default_regularization(2, 1e-2) == pytest.approx(1e-3)
    assert default_regularization(8, 1e-2) == 1e-2


@given(st.integers(1, 64), st.floats(1e-4, 0.9))
def test_the_flat_share_is_bounded_whatever_it_began_from(dim: int, most: float) -> None:
    found = default_regularization(dim, most)
    assert 0 < found <= most
    assert flat_share(found, dim) <= LARGEST_FLAT_SHARE


# likelihood


def test_tables_are_gaussian_unless_they_are_binary() -> None:
    assert default_likelihood(is_table=False) == "bernoulli"
    assert default_likelihood(is_table=True) == "gaussian"
    assert default_likelihood(is_table=True, is_binary=True) == "bernoulli"


def test_two_values_a_feature_are_binary() -> None:
    assert is_binary(np.array([[0, 7], [1, 7], [0, 3]]))
    assert is_binary(np.array([[2.5, -1.0]]))
    assert not is_binary(np.array([[0.0], [0.5], [1.0]]))


# bandwidth


def test_the_median_gap_is_within_groups() -> None:
    # gaps of group 0: 1, 1, 3; of group 1: 0.5, 0.5; a lone one of group 2 has none
    points = torch.tensor([[0.0, 0], [1, 0], [4, 0], [0.1, 0], [0.6, 0], [0.05, 0]])
    group = torch.tensor([0, 0, 0, 1, 1, 2])
    assert median_gap(points, group) == pytest.approx(1.0)
    assert median_gap(points[:3]) == pytest.approx(1.0)
    assert median_gap(points[:1]) == 0.0


def test_samples_that_are_there_twice_do_not_close_the_gaps() -> None:
    points = torch.randn(30, 3, generator=Stream(0).generator())
    noise = 1e-7 * torch.randn(60, 3, generator=Stream(1).generator())
    twice = torch.cat([points, points]) + noise  # the same row of another batch differs by rounding
    assert median_gap(twice) == pytest.approx(median_gap(points), rel=1e-4)
    assert median_gap(points[:1] + noise) == 0.0


def test_the_median_gap_does_not_depend_on_the_blocks() -> None:
    points = torch.randn(2500, 3, generator=Stream(0).generator(), dtype=torch.float64)
    distances = torch.cdist(points, points).fill_diagonal_(math.inf)
    assert median_gap(points) == pytest.approx(float(distances.amin(1).median()), rel=1e-6)


def small_model(factor: float | None, conditions: int = 0) -> RHVAE:
    config = ModelConfig(
        data_dim=6,
        encoder_hidden=(5,),
        decoder_hidden=(5,),
        metric_hidden=(5,),
        bandwidth_factor=factor,
        num_conditions=conditions,
    )
    model = build_model(config, Stream(0)).eval()
    assert isinstance(model, RHVAE)
    return model


def test_the_stored_metric_has_the_adapted_bandwidth() -> None:
    data, model = torch.rand(20, 6, generator=Stream(1).generator()), small_model(1.5)
    adapt_bandwidth(model, data)
    metric = model.build_metric(data)
    assert metric.bandwidth == pytest.approx(1.5 * median_gap(metric.centroids), rel=1e-5)
    assert model.config.bandwidth == metric.bandwidth


def test_classes_that_share_a_model_share_the_bandwidth() -> None:
    data, labels = torch.rand(20, 6, generator=Stream(1).generator()), torch.arange(20) % 2
    condition, model = class_condition(labels, 2), small_model(1.0, 2)
    adapt_bandwidth(model, data, condition)
    metrics = [model.build_metric(data[labels == k], condition[labels == k]) for k in (0, 1)]
    assert metrics[0].bandwidth == metrics[1].bandwidth
    gaps = torch.cat(
        [torch.cdist(m.centroids, m.centroids).fill_diagonal_(math.inf).amin(1) for m in metrics]
    )
    assert metrics[0].bandwidth == pytest.approx(float(gaps.median()), rel=1e-5)


def test_the_adapted_bandwidth_is_one_that_a_model_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    data, model = torch.rand(20, 6, generator=Stream(1).generator()), small_model(1.5)
    monkeypatch.setattr("riemaug.models.defaults.median_gap", lambda *arguments: 1e-9)
    adapt_bandwidth(model, data)
    assert ModelConfig.model_validate(model.config.model_dump()).bandwidth == 1e-6


def test_without_a_factor_or_a_gap_the_bandwidth_stays() -> None:
    data = torch.rand(20, 6, generator=Stream(1).generator())
    for factor, rows in ((None, data), (1.0, data[:1].expand(4, 6)), (1.0, data[:1])):
        model = small_model(factor)
        adapt_bandwidth(model, rows)
        assert model.config.bandwidth == 0.8
    plain = build_model(ModelConfig(kind="vae", data_dim=6, bandwidth_factor=1.0), Stream(0))
    adapt_bandwidth(plain, data)
    assert plain.config.bandwidth == 0.8


# who takes them


def test_the_papers_constants_are_left_alone() -> None:
    config = GeneratorConfig(preset="paper").model_for((28, 28), (40, 40))
    assert config == paper_model(784)
    assert (config.bandwidth, config.bandwidth_factor, config.regularization) == (0.8, None, 1e-3)
    assert GeneratorConfig(preset="paper", latent_dim=1).model_for((28, 28), (40,)).regularization == 1e-3


def test_the_conditional_preset_takes_the_defaults_and_the_users_word_wins() -> None:
    assert conditional_model((28, 28), None, 2, (40, 40)).bandwidth_factor == BANDWIDTH_FACTOR

    def made(shape: tuple[int, ...] = (28, 28), is_binary: bool = False, **chosen: object) -> ModelConfig:
        return GeneratorConfig(preset="conditional", **chosen).model_for(shape, (40, 40), is_binary)

    assert made(bandwidth=0.5).bandwidth_factor is None
    assert made(bandwidth=0.5).bandwidth == 0.5
    assert made(latent_dim=1).regularization < 1e-4
    assert made(latent_dim=1, regularization=0.2).regularization == 0.2
    assert made((13,)).likelihood == "gaussian"
    assert made((13,), is_binary=True).likelihood == "bernoulli"
    assert made((13,), likelihood="gaussian-learned").likelihood == "gaussian-learned"
