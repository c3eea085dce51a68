"""A user's own networks: wrapped, copied, checked once with one clear line."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from riemaug.errors import InvalidInputError
from riemaug.models import RHVAE, Condition, ModelConfig, build_model
from riemaug.models.factory import KINDS

SHAPE = (4, 3)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class OwnEncoder(nn.Module):
    """Any module that maps images to a mean and a log-variance."""

    def __init__(self, latent_dim: int = 2, told: int = 0) -> None:
        super().__init__()
        self.mean = nn.Linear(12 + told, latent_dim)
        self.log_variance = nn.Linear(12 + told, latent_dim)

    def forward(self, image: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        assert image.shape[1:] == SHAPE
        flat = image.flatten(1) if features is None else torch.cat([image.flatten(1), features], 1)
        return self.mean(flat), self.log_variance(flat)


class OwnDecoder(nn.Module):
    """Any module that maps latent points to logits of the image's shape."""

    def __init__(self, latent_dim: int = 2, told: int = 0) -> None:
        super().__init__()
        self.hidden, self.logits = nn.Linear(latent_dim + told, 8), nn.Linear(8, 12)

    def forward(self, latent: Tensor, features: Tensor | None = None) -> Tensor:
        known = latent if features is None else torch.cat([latent, features], 1)
        return self.logits(torch.tanh(self.hidden(known))).reshape(-1, *SHAPE)


class OwnTrunk(nn.Module):
    """Any module that maps images to features."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, image: Tensor) -> Tensor:
        return torch.tanh(self.layer(image)).flatten(1)


class Returns(nn.Module):
    """A module that returns a fixed value, whatever it is given."""

    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value

    def forward(self, _: Tensor) -> object:
        return self.value


def config(**changes: object) -> ModelConfig:
    values: dict = {"network": "custom", "data_dim": 12, "data_shape": SHAPE, "metric_hidden": (5,)}
    return ModelConfig(**(values | changes))


def test_own_networks_train_in_every_kind_of_model() -> None:
    data = torch.rand(6, 12, generator=generator())
    for kind in KINDS:
        model = build_model(config(kind=kind), 0, OwnEncoder(), OwnDecoder())
        objective = model.objective(data, generator())
        objective.loss().backward()
        assert objective.elbo.isfinite()
        assert all(weight.grad is not None for weight in model.decoder.parameters()), kind
        assert model.decode(model.embed(data)).shape == (6, 12)


def test_they_see_images_in_the_users_own_order() -> None:
    encoder, decoder = OwnEncoder(), OwnDecoder()
    model = build_model(config(kind="vae"), 0, encoder, decoder)
    images = torch.rand(5, *SHAPE, generator=generator())
    assert torch.equal(model.embed(images.flatten(1)), encoder(images)[0])
    latent = torch.randn(5, 2, generator=generator())
    assert torch.equal(model.decode(latent), torch.sigmoid(decoder(latent)).flatten(1))


def test_each_model_gets_a_copy_of_its_own() -> None:
    encoder, decoder, trunk = OwnEncoder(), OwnDecoder(), OwnTrunk()
    given = [weight.clone() for module in (encoder, decoder, trunk) for weight in module.parameters()]
    models = [build_model(config(), seed, encoder, decoder, trunk) for seed in (0, 1)]
    with torch.no_grad():
        for weight in models[0].parameters():
            weight.add_(1.0)
    kept = [weight for module in (encoder, decoder, trunk) for weight in module.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(given, kept, strict=True))
    other = [weight for module in (models[1].encoder, models[1].decoder) for weight in module.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(other, given[: len(other)], strict=True))


def test_a_trunk_of_ones_own_feeds_the_metric() -> None:
    model = build_model(config(), 0, OwnEncoder(), OwnDecoder(), OwnTrunk())
    assert isinstance(model, RHVAE)
    assert model.metric_network.trunk.num_features == 8
    data = torch.rand(6, 12, generator=generator())
    assert model.metric_network(data).shape == (6, 2, 2)
    model.objective(data, generator()).loss().backward()
    (weight, _) = model.metric_network.trunk.parameters()
    assert weight.grad is not None
    assert float(weight.grad.abs().max()) > 0


def test_of_a_conditional_model_they_see_the_condition() -> None:
    model = build_model(config(kind="vae", num_conditions=3), 0, OwnEncoder(told=3), OwnDecoder(told=3))
    data, group = torch.rand(4, 12, generator=generator()), torch.tensor([0, 1, 2, 2])
    told = Condition(nn.functional.one_hot(group, 3).float(), group)
    other = Condition(told.features.roll(1, 1), group)
    assert model.objective(data, generator(), told).elbo.isfinite()
    assert not torch.equal(model.embed(data, told), model.embed(data, other))
    assert not torch.equal(model.decode(data[:, :2], told), model.decode(data[:, :2], other))


def refused(encoder: nn.Module | None, decoder: nn.Module | None, **options: object) -> str:
    trunk = options.pop("metric_trunk", None)
    assert trunk is None or isinstance(trunk, nn.Module)
    with pytest.raises(InvalidInputError) as caught:
        build_model(config(**options), 0, encoder, decoder, trunk)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (torch.zeros(2, 2), r"got shape (2, 2)"),
        ((torch.zeros(2, 2),), "got a tuple of shape (2, 2)"),
        ({"mean": torch.zeros(2, 2)}, "got a dict"),
        ((torch.zeros(2, 3), torch.zeros(2, 3)), "got a tuple of shape (2, 3), shape (2, 3)"),
    ],
)
def test_an_encoder_must_return_mean_and_log_variance(value: object, found: str) -> None:
    message = refused(Returns(value), OwnDecoder())
    assert message.startswith("the encoder must return")
    assert found in message


def test_a_decoder_must_return_logits_of_the_datas_shape() -> None:
    message = refused(OwnEncoder(), Returns(torch.zeros(2, 12)))
    assert "(n, ...) = (2, 4, 3), got shape (2, 12)" in message


def test_a_module_that_fails_is_named_with_what_it_was_given() -> None:
    message = refused(nn.Linear(5, 2), OwnDecoder())
    assert message.startswith("the encoder must take a batch of shape (2, 4, 3), it failed: mat1 and mat2")
    message = refused(OwnEncoder(3), OwnDecoder(4), latent_dim=3)
    assert message.startswith("the decoder must take a batch of shape (2, 3), it failed:")
    # one that takes no condition where there is one
    message = refused(OwnEncoder(told=2), nn.Linear(2, 12), num_conditions=2)
    assert "shape (2, 2) and features of shape (2, 2)" in message


def test_networks_are_complete_wanted_and_ready() -> None:
    assert "one is missing: pass encoder= and decoder=" in refused(OwnEncoder(), None)
    assert "need network='custom', the configuration has 'mlp'" in refused(
        OwnEncoder(), OwnDecoder(), network="mlp"
    )
    assert "lazy layers" in refused(nn.LazyLinear(3), OwnDecoder())
    message = refused(OwnEncoder(), OwnDecoder(), kind="vae", metric_trunk=OwnTrunk())
    assert "part of an rhvae, the model is a vae" in message
    message = refused(OwnEncoder(), OwnDecoder(), metric_trunk=nn.Linear(3, 2))
    assert "the metric trunk must return features of shape (n, width)" in message


def test_checking_leaves_the_users_modules_as_they_were() -> None:
    encoder, decoder = OwnEncoder(), nn.Sequential(OwnDecoder(), nn.BatchNorm1d(4))
    decoder.train()
    build_model(config(kind="vae"), 0, encoder, decoder)
    assert decoder.training
    batches = decoder[1].num_batches_tracked
    assert isinstance(batches, Tensor)
    assert int(batches) == 0


def test_a_model_without_networks_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="pass encoder= and decoder="):
        build_model(config(kind="vae"))


def test_the_example_of_the_documentation_runs() -> None:
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict = {}
    exec(example, names)
    assert isinstance(names["model"], RHVAE)
    objective = names["model"].objective(torch.rand(4, 64, generator=generator()), generator())
    assert objective.elbo.isfinite()
