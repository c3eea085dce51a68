"""Model configurations: the paper's tables, counts of weights, what is refused."""

import pytest
from pydantic import ValidationError

from riemaug.models import ModelConfig, build_model, paper_model
from riemaug.models.config import LARGE_DATA_DIM, LikelihoodName, ModelKind


def test_small_data_take_the_mnist_column_of_tables_4_and_5() -> None:
    config = paper_model(784)
    assert (config.encoder_hidden, config.decoder_hidden, config.metric_hidden) == ((400,), (400,), (400,))
    assert (config.latent_dim, config.num_leapfrog_steps, config.leapfrog_step_size) == (2, 3, 1e-2)
    assert (config.bandwidth, config.regularization) == (0.8, 1e-3)
    assert config.initial_inverse_temperature == pytest.approx(0.3**2)
    assert (config.kind, config.likelihood, config.data_dim) == ("rhvae", "bernoulli", 784)


def test_large_data_take_the_oasis_column() -> None:
    config = paper_model(208 * 176)
    assert config.encoder_hidden == (1000, 400)
    assert config.decoder_hidden == (400, 1000)
    assert config.metric_hidden == (400,)
    assert (config.latent_dim, config.num_leapfrog_steps, config.leapfrog_step_size) == (2, 3, 1e-3)
    assert (config.bandwidth, config.regularization) == (0.8, 1e-2)
    assert config.initial_inverse_temperature == pytest.approx(0.3**2)


def test_the_columns_meet_at_the_stated_size() -> None:
    assert len(paper_model(LARGE_DATA_DIM - 1).encoder_hidden) == 1
    assert len(paper_model(LARGE_DATA_DIM, "vae").encoder_hidden) == 2
    assert paper_model(5, "vae").kind == "vae"


@pytest.mark.parametrize("kind", ["vae", "vamp", "hvae", "rhvae"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian-learned"])
@pytest.mark.parametrize("latent_dim", [1, 2, 5])
@pytest.mark.parametrize("hidden", [(7,), (11, 6), (5, 4, 3)])
def test_the_number_of_parameters_is_that_of_the_built_model(
    kind: ModelKind, likelihood: LikelihoodName, latent_dim: int, hidden: tuple[int, ...]
) -> None:
    config = ModelConfig(
        kind=kind,
        likelihood=likelihood,
        data_dim=13,
        latent_dim=latent_dim,
        encoder_hidden=hidden,
        decoder_hidden=hidden[::-1],
        metric_hidden=hidden,
    )
    built = sum(weight.numel() for weight in build_model(config).parameters())
    assert config.num_parameters() == built


def test_absurd_sizes_are_counted_without_building() -> None:
    assert ModelConfig(data_dim=10**9).num_parameters() > 10**11


@pytest.mark.parametrize(
    "changes",
    [
        {"data_dim": 0},
        {"latent_dim": 0},
        {"latent_dim": 513},
        {"encoder_hidden": ()},
        {"decoder_hidden": (4, 0)},
        {"metric_hidden": (-1,)},
        {"bandwidth": 0.0},
        {"bandwidth": float("inf")},
        {"regularization": float("nan")},
        {"likelihood": "poisson"},
        {"likelihood_scale": 0.0},
        {"num_leapfrog_steps": -1},
        {"leapfrog_step_size": -0.1},
        {"initial_inverse_temperature": 0.0},
        {"initial_inverse_temperature": 1.1},
        {"unknown": 1},
    ],
)
def test_impossible_values_are_refused(changes: dict) -> None:
    with pytest.raises(ValidationError):
        ModelConfig(**({"data_dim": 3} | changes))


def test_configurations_cannot_be_changed() -> None:
    config = paper_model(784)
    with pytest.raises(ValidationError):
        config.latent_dim = 3
