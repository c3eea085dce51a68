"""What is searched for each kind of model, and how a choice becomes a configuration."""

import pytest
from pydantic import ValidationError

from riemaug.errors import InvalidInputError
from riemaug.models import ModelConfig
from riemaug.training import TrainingConfig
from riemaug.tuning.space import Range, SearchSpace

TRAINING = TrainingConfig()
RHVAE_NAMES = {
    "latent_dim",
    "bandwidth_factor",
    "regularization",
    "num_leapfrog_steps",
    "leapfrog_step_size",
    "learning_rate",
}


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("rhvae", RHVAE_NAMES),
        ("hvae", RHVAE_NAMES - {"bandwidth_factor", "regularization"}),
        ("vamp", {"latent_dim", "num_pseudo_inputs", "learning_rate"}),
        ("vae", {"latent_dim", "learning_rate"}),
    ],
)
def test_each_kind_has_its_own_constants(kind: str, names: set[str]) -> None:
    space = SearchSpace.of(ModelConfig(kind=kind, data_dim=784), TRAINING, 32)
    assert set(space.ranges()) == names


def test_the_latent_dimension_is_bounded_by_data_and_samples() -> None:
    def largest(data_dim: int, num_samples: int) -> float:
        return SearchSpace.of(ModelConfig(data_dim=data_dim), TRAINING, num_samples).model["latent_dim"].high

    assert largest(784, 400) == 16
    assert largest(784, 12) == 11
    assert largest(5, 400) == 5
    assert largest(1, 400) == 1


def test_what_the_user_gave_is_not_searched() -> None:
    config = ModelConfig(data_dim=784)
    space = SearchSpace.of(
        config, TRAINING, 32, frozenset({"latent_dim", "learning_rate", "bandwidth_factor"})
    )
    assert set(space.ranges()) == RHVAE_NAMES - {"latent_dim", "learning_rate", "bandwidth_factor"}


def test_the_users_own_networks_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="--tune needs networks that riemaug builds"):
        SearchSpace.of(ModelConfig(data_dim=4, network="custom"), TRAINING, 32)


def test_nothing_left_to_search_is_refused() -> None:
    given = frozenset({"latent_dim", "learning_rate"})
    with pytest.raises(InvalidInputError, match="nothing is left to search"):
        SearchSpace.of(ModelConfig(kind="vae", data_dim=4), TRAINING, 32, given)


def test_a_choice_reaches_both_configurations_and_is_checked() -> None:
    model, training = ModelConfig(data_dim=784, bandwidth_factor=1.0), TrainingConfig(patience=7)
    space = SearchSpace.of(model, training, 32)
    choice = {name: values.low for name, values in space.ranges().items()}
    new_model, new_training = space.apply(choice, model, training)
    assert new_model == model.model_copy(
        update={
            "latent_dim": 2,
            "bandwidth_factor": 0.4,
            "regularization": 1e-5,
            "num_leapfrog_steps": 1,
            "leapfrog_step_size": 1e-3,
        }
    )
    assert new_training == training.model_copy(update={"learning_rate": training.learning_rate / 3})
    with pytest.raises(ValidationError):
        space.apply(choice | {"latent_dim": 0}, model, training)


def test_the_present_values_are_a_choice_only_inside_their_ranges() -> None:
    model, training = ModelConfig(data_dim=784, bandwidth_factor=1.0), TrainingConfig()
    space = SearchSpace.of(model, training, 32)
    present = space.present(model, training)
    assert present is not None
    assert set(present) == RHVAE_NAMES
    assert space.apply(present, model, training) == (model, training)
    # the paper's bandwidth is no multiple of the gap
    assert space.present(ModelConfig(data_dim=784), training) is None


def test_a_range_contains_its_ends() -> None:
    values = Range(1e-3, 1e-1)
    assert 1e-3 in values
    assert 1e-1 in values
    assert 0.2 not in values
    assert None not in values
