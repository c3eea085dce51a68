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

SMALL, LARGE = (8, 8), (208, 176)
SIZES = (10, 12, 30)


@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_without_choices_it_is_the_preset(shape: tuple[int, ...]) -> None:
    config, data_dim = GeneratorConfig(preset="paper"), math.prod(shape)
    assert config.model_for(shape, SIZES) == paper_model(data_dim)
    assert config.training_for(shape, SIZES) == paper_training(data_dim)
    assert not config.shares(3)


def test_choices_override_the_preset_and_nothing_else() -> None:
    config = GeneratorConfig(preset="paper", latent_dim=5, bandwidth=1.5, regularization=0.5, max_epochs=7)
    data_dim = math.prod(LARGE)
    model, preset = config.model_for(LARGE, SIZES), paper_model(data_dim)
    changed = {name for name in ModelConfig.model_fields if getattr(model, name) != getattr(preset, name)}
    assert changed == {"latent_dim", "bandwidth", "regularization"}
    assert (model.latent_dim, model.bandwidth, model.regularization) == (5, 1.5, 0.5)
    expected = paper_training(data_dim).model_copy(update={"max_epochs": 7})
    assert config.training_for(LARGE, SIZES) == expected


def test_choices_of_training_override_the_preset_and_nothing_else() -> None:
    chosen = {"learning_rate": 0.02, "patience": 3, "warmup_epochs": 2, "precision": "bfloat16"}
    config = GeneratorConfig.model_validate(chosen | {"training_batch_size": 9, "validation_fraction": 0.3})
    training = config.training_for(SMALL, SIZES)
    expected = chosen | {"batch_size": 9, "monitor": "validation", "validation_fraction": 0.3}
    assert training == paper_training(64).model_copy(update=expected)


def test_choices_of_training_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="warmup_epochs must be below max_epochs") as caught:
        GeneratorConfig(max_epochs=5, warmup_epochs=5).training_for(SMALL, SIZES)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("chosen", "shape", "expected"),
    [
        (None, (10,), "gaussian"),
        (None, (2, 5), "bernoulli"),
        ("bernoulli", (10,), "bernoulli"),
        ("gaussian", (2, 5), "gaussian"),
        ("gaussian-learned", (2, 5), "gaussian-learned"),
        ("continuous-bernoulli", (10,), "continuous-bernoulli"),
    ],
)
def test_tables_are_gaussian_unless_said_otherwise(
    chosen: str | None, shape: tuple[int, ...], expected: str
) -> None:
    config = GeneratorConfig.model_validate({"likelihood": chosen})
    assert config.model_for(shape, SIZES).likelihood == expected


@pytest.mark.parametrize("preset", ["paper", "conditional"])
@pytest.mark.parametrize("kind", get_args(ModelKind))
def test_the_kind_is_passed_on(kind: ModelKind, preset: str) -> None:
    config = GeneratorConfig.model_validate({"preset": preset, "model": kind})
    assert config.model_for(SMALL, SIZES).kind == kind


# the conditional preset


@pytest.mark.parametrize(
    ("shape", "channel_axis", "network"),
    [
        ((28, 28), None, "conv"),
        ((28, 28, 3), 2, "conv"),
        ((3, 28, 28), 0, "conv"),
        ((9, 10, 11), None, "conv"),
        ((1, 9, 10, 11), 0, "conv"),
        ((9, 10, 11, 12), None, "mlp"),
        ((30,), None, "mlp"),
        ((28, 1), None, "mlp"),
    ],
)
def test_a_shared_model_convolves_what_has_sides(
    shape: tuple[int, ...], channel_axis: int | None, network: str
) -> None:
    config = GeneratorConfig(preset="conditional")
    model = config.model_for(shape, SIZES)
    assert (model.network, model.num_conditions, model.kind) == (network, 3, "rhvae")
    if network == "conv":
        assert (model.data_shape, model.channel_axis) == (shape, channel_axis)
    assert model.num_parameters() > 0


def test_a_class_alone_and_classes_kept_apart_are_told_nothing() -> None:
    alone = GeneratorConfig(preset="conditional")
    apart = GeneratorConfig(preset="conditional", sharing="never")
    shared = alone.model_for(SMALL, SIZES)
    assert alone.shares(3)
    assert not alone.shares(1)
    assert not apart.shares(3)
    assert alone.model_for(SMALL, (10,)) == shared.model_copy(update={"num_conditions": 0})
    assert apart.model_for(SMALL, SIZES) == shared.model_copy(update={"num_conditions": 0})


def test_another_network_than_the_presets_changes_the_network_alone() -> None:
    conv, paper = GeneratorConfig(network="conv").model_for(SMALL, SIZES), paper_model(64)
    constants = {"latent_dim", "bandwidth", "regularization", "likelihood", "num_conditions", "kind"}
    assert conv.network == "conv"
    assert {name: getattr(conv, name) for name in constants} == {
        name: getattr(paper, name) for name in constants
    }
    dense = GeneratorConfig(preset="conditional", network="mlp").model_for(SMALL, SIZES)
    assert (dense.network, dense.encoder_hidden, dense.num_conditions) == ("mlp", (400,), 3)


def test_convolutions_over_four_sides_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="1 to 3 sides") as caught:
        GeneratorConfig(network="conv").model_for((5, 6, 7, 8), SIZES)
    assert "\n" not in str(caught.value)


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
        {"sharing": "sometimes"},
        {"network": "transformer"},
        {"learning_rate": 0.0},
        {"training_batch_size": 0},
        {"validation_fraction": 1.0},
        {"precision": "float8"},
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
    for kind in ("vae", "vamp", "hvae"):
        assert SamplingConfig().sampler_for(kind) == "prior"
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
@pytest.mark.parametrize("kind", ["vae", "vamp", "hvae"])
def test_only_an_rhvae_has_geometric_samplers(sampler: str, kind: ModelKind) -> None:
    config = SamplingConfig.model_validate({"sampler": sampler})
    config.check_against("rhvae")
    with pytest.raises(InvalidInputError, match=f"sampler {sampler} needs a learned metric") as caught:
        config.check_against(kind)
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


@pytest.mark.parametrize(
    ("shape", "num_classes", "preset"),
    [
        ((16, 16, 16), 2, "conditional"),
        ((28, 28, 3), 10, "conditional"),
        ((28, 28), 1, "paper"),
        ((16, 200), 2, "conditional"),
        ((28, 28, 20, 3), 10, "conditional"),
        ((28, 28, 28), 1, "paper"),
        ((15, 64), 5, "paper"),
        ((8, 8), 10, "paper"),
        ((30,), 2, "paper"),
        ((20, 20, 20), 2, "conditional"),
        ((20, 20, 15), 2, "paper"),
    ],
)
def test_images_and_volumes_of_several_classes_share_a_model_unless_told_otherwise(
    shape: tuple[int, ...], num_classes: int, preset: str
) -> None:
    config, sizes = GeneratorConfig(), (12,) * num_classes
    chosen = config.resolved(shape, num_classes)
    assert chosen == config.model_copy(update={"preset": preset})
    assert chosen.resolved(shape, num_classes) is chosen
    assert config.model_for(shape, sizes) == chosen.model_for(shape, sizes)
    assert config.training_for(shape, sizes) == chosen.training_for(shape, sizes)
    assert GeneratorConfig(preset="paper").resolved(shape, num_classes).preset == "paper"


def test_networks_of_the_paper_s_kind_ask_for_the_paper_s_preset() -> None:
    assert GeneratorConfig(network="mlp").resolved((28, 28, 28), 10).preset == "paper"
    assert GeneratorConfig(network="conv").resolved((28, 28, 28), 10).preset == "conditional"
