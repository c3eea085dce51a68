"""What a user may choose, and what is refused."""

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from riemaug.config import (
    GEOMETRIC_SAMPLERS,
    TEMPERED_SAMPLERS,
    Amount,
    GeneratorConfig,
    SamplerName,
    SamplingConfig,
)
from riemaug.errors import InvalidInputError
from riemaug.models import ModelConfig, paper_model
from riemaug.models.config import ModelKind
from riemaug.report.words import SAMPLERS
from riemaug.training import TrainingConfig, paper_training

LARGE = 208 * 176


@pytest.mark.parametrize("data_dim", [64, LARGE])
def test_without_choices_it_is_the_preset(data_dim: int) -> None:
    config = GeneratorConfig()
    assert config.model_for(data_dim, is_table=False) == paper_model(data_dim)
    assert config.training_for(data_dim) == paper_training(data_dim)


def test_choices_override_the_preset_and_nothing_else() -> None:
    config = GeneratorConfig(latent_dim=5, bandwidth=1.5, regularization=0.5, max_epochs=7)
    model, preset = config.model_for(LARGE, is_table=False), paper_model(LARGE)
    changed = {name for name in ModelConfig.model_fields if getattr(model, name) != getattr(preset, name)}
    assert changed == {"latent_dim", "bandwidth", "regularization"}
    assert (model.latent_dim, model.bandwidth, model.regularization) == (5, 1.5, 0.5)
    assert config.training_for(LARGE) == paper_training(LARGE).model_copy(update={"max_epochs": 7})


@pytest.mark.parametrize(
    ("chosen", "is_table", "expected"),
    [
        (None, True, "gaussian"),
        (None, False, "bernoulli"),
        ("bernoulli", True, "bernoulli"),
        ("gaussian", False, "gaussian"),
    ],
)
def test_tables_are_gaussian_unless_said_otherwise(chosen: str | None, is_table: bool, expected: str) -> None:
    config = GeneratorConfig.model_validate({"likelihood": chosen})
    assert config.model_for(10, is_table).likelihood == expected


@pytest.mark.parametrize("kind", ["vae", "rhvae"])
def test_the_kind_is_passed_on(kind: ModelKind) -> None:
    assert GeneratorConfig(model=kind).model_for(10, is_table=False).kind == kind


@pytest.mark.parametrize(
    "values",
    [
        {"preset": "other"},
        {"model": "gan"},
        {"latent_dim": 0},
        {"latent_dim": 1.5},
        {"bandwidth": 0.0},
        {"bandwidth": math.inf},
        {"bandwidth": math.nan},
        {"regularization": 1.5},
        {"regularization": 0.0},
        {"likelihood": "poisson"},
        {"max_epochs": 0},
        {"seed": -1},
        {"unknown": 1},
    ],
)
def test_impossible_generators_are_refused(values: dict) -> None:
    with pytest.raises(ValidationError):
        GeneratorConfig.model_validate(values)


def test_numpy_numbers_are_taken() -> None:
    config = GeneratorConfig.model_validate(
        {"latent_dim": np.int64(3), "bandwidth": np.float32(0.5), "seed": np.uint8(7)}
    )
    assert (config.latent_dim, config.bandwidth, config.seed) == (3, 0.5, 7)
    assert type(config.latent_dim) is int


@pytest.mark.parametrize(
    "values",
    [
        {"learning_rate": 0.0},
        {"learning_rate": math.inf},
        {"patience": 0},
        {"batch_size": 0},
        {"max_gradient_norm": 0.0},
        {"max_rollbacks": -1},
    ],
)
def test_impossible_trainings_are_refused(values: dict) -> None:
    with pytest.raises(ValidationError):
        TrainingConfig.model_validate(values)


def test_the_default_sampler_follows_the_model() -> None:
    assert SamplingConfig().sampler_for("rhvae") == "mixture"
    assert SamplingConfig().sampler_for("vae") == "prior"
    assert SamplingConfig(sampler="walk").sampler_for("rhvae") == "walk"


def test_the_samplers_are_those_of_the_manual() -> None:
    names = {"mixture", "walk", "walk-paper", "walk-paper-code", "hmc", "prior"}
    assert set(get_args(SamplerName)) == names
    assert set(GEOMETRIC_SAMPLERS) == names - {"prior"}
    assert set(SAMPLERS) == names
    assert set(TEMPERED_SAMPLERS) < set(GEOMETRIC_SAMPLERS)
    with pytest.raises(ValidationError):
        SamplingConfig.model_validate({"sampler": "nuts"})


@pytest.mark.parametrize("sampler", GEOMETRIC_SAMPLERS)
def test_a_plain_vae_has_no_geometric_sampler(sampler: str) -> None:
    config = SamplingConfig.model_validate({"sampler": sampler})
    config.check_against("rhvae")
    with pytest.raises(InvalidInputError, match=f"sampler {sampler} needs a learned metric") as caught:
        config.check_against("vae")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("sampler", ["prior", "walk-paper", "walk-paper-code"])
def test_an_inverse_temperature_needs_a_sampler_that_has_one(sampler: str) -> None:
    config = SamplingConfig.model_validate({"sampler": sampler, "inverse_temperature": 2.0})
    with pytest.raises(InvalidInputError, match="has no inverse temperature, got 2"):
        config.check_against("rhvae")
    for name in TEMPERED_SAMPLERS:
        SamplingConfig.model_validate({"sampler": name, "inverse_temperature": 2.0}).check_against("rhvae")


def test_a_plain_vae_has_no_inverse_temperature() -> None:
    with pytest.raises(InvalidInputError, match="has no inverse temperature"):
        SamplingConfig(inverse_temperature=0.5).check_against("vae")


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_inverse_temperatures_are_positive_and_finite(value: float) -> None:
    with pytest.raises(ValidationError):
        SamplingConfig(inverse_temperature=value)


# amounts


def test_without_a_choice_the_data_are_doubled() -> None:
    assert Amount().counts((3, 10)) == (3, 10)


def test_the_three_ways() -> None:
    assert Amount(per_class=5).counts((3, 10)) == (5, 5)
    assert Amount(factor=3).counts((3, 10)) == (6, 20)
    assert Amount(balance=True).counts((3, 10, 7)) == (7, 0, 3)


@given(
    st.lists(st.integers(2, 5000), min_size=1, max_size=6),
    st.floats(1.0, 1000.0, exclude_min=True, allow_nan=False),
)
def test_a_factor_is_kept_to_half_a_sample(sizes: list[int], factor: float) -> None:
    counts = Amount(factor=factor).counts(tuple(sizes))
    for size, count in zip(sizes, counts, strict=True):
        assert count >= 0
        assert abs(size + count - factor * size) <= 0.5 + 1e-6


@given(st.lists(st.integers(2, 5000), min_size=1, max_size=6))
def test_balanced_classes_are_equal(sizes: list[int]) -> None:
    counts = Amount(balance=True).counts(tuple(sizes))
    assert {size + count for size, count in zip(sizes, counts, strict=True)} == {max(sizes)}


@pytest.mark.parametrize(
    "values",
    [
        {"per_class": 5, "balance": True},
        {"per_class": 5, "factor": 2.0},
        {"factor": 2.0, "balance": True},
        {"per_class": 0},
        {"factor": 1.0},
        {"factor": math.inf},
        {"factor": math.nan},
    ],
)
def test_impossible_amounts_are_refused(values: dict) -> None:
    with pytest.raises(ValidationError):
        Amount.model_validate(values)
