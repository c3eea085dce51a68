"""Epochs without the flow, and a learning rate that falls towards the end."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from riemaug.models import RHVAE, LatentModel, ModelConfig, Objective, build_model
from riemaug.random import Stream
from riemaug.training import Trainer, TrainingConfig

SIZES: dict = {"data_dim": 5, "encoder_hidden": (6,), "decoder_hidden": (6,), "metric_hidden": (4,)}


def rows() -> Tensor:
    return torch.rand(12, 5, generator=torch.Generator().manual_seed(2))


def new_model(kind: str = "rhvae") -> LatentModel:
    return build_model(ModelConfig(kind=kind, **SIZES), 0)  # type: ignore[arg-type]


def settings(**changes: object) -> TrainingConfig:
    values: dict = {"max_epochs": 10, "patience": 10, "batch_size": 6, "plain_share": 0.6, "decay_share": 0.5}
    return TrainingConfig(**(values | changes))


@pytest.mark.parametrize("kind", ["rhvae", "hvae"])
def test_the_first_epochs_are_those_of_a_plain_vae(kind: str) -> None:
    model = new_model(kind)
    trainer = Trainer(model, rows(), settings(max_epochs=6, plain_share=0.99), Stream(0))
    seen = []
    objective = model.objective

    def note(*arguments: object) -> Objective:
        seen.append(model.follows_flow)
        return objective(*arguments)  # type: ignore[arg-type]

    model.objective = note  # type: ignore[method-assign]
    history = trainer.fit()
    assert seen == [False] * 10 + [True] * 2
    assert history.best_epoch == 5
    vae = Trainer(new_model("vae"), rows(), settings(max_epochs=6, plain_share=0.0), Stream(0)).fit()
    assert history.elbo[:5] == vae.elbo[:5]
    assert history.elbo[5] != vae.elbo[5]
    assert model.follows_flow


def test_without_the_flow_the_metric_network_stays_as_it_was() -> None:
    model, fresh = new_model(), new_model()
    assert isinstance(model, RHVAE)
    assert isinstance(fresh, RHVAE)
    model.follows_flow = False
    model.objective(rows(), torch.Generator().manual_seed(0)).loss().backward()
    assert all(weight.grad is None for weight in model.metric_network.parameters())
    model.follows_flow = True
    model.objective(rows(), torch.Generator().manual_seed(0)).loss().backward()
    assert all(weight.grad is not None for weight in model.metric_network.parameters())


def test_the_rate_falls_in_a_straight_line_to_a_fiftieth() -> None:
    config = settings(max_epochs=100, decay_share=0.5)
    factors = [config.rate_factor(epoch) for epoch in range(100)]
    assert factors[:50] == [1.0] * 50
    assert factors[99] == pytest.approx(0.02)
    assert factors[74] == pytest.approx(0.02 + 0.98 * 25 / 50)
    gaps = [a - b for a, b in zip(factors[51:-1], factors[52:], strict=True)]
    assert gaps == pytest.approx([gaps[0]] * len(gaps))
    assert [settings(decay_share=0.0).rate_factor(epoch) for epoch in (0, 9)] == [1.0, 1.0]


def test_the_steps_shrink_with_the_rate() -> None:
    model = new_model("vae")
    trainer = Trainer(model, rows(), settings(learning_rate=0.01), Stream(0))
    rates = []
    step = trainer.optimization.adam.step
    trainer.optimization.adam.step = lambda: (
        rates.append(trainer.optimization.adam.param_groups[0]["lr"]),
        step(),
    )
    trainer.fit()
    wanted = [0.01 * settings().rate_factor(epoch) for epoch in range(10) for _ in range(2)]
    assert rates == pytest.approx(wanted)


@pytest.mark.parametrize("stop", [3, 6, 8])
def test_a_resumed_training_ends_with_the_same_bits(stop: int, tmp_path: Path) -> None:
    whole = new_model()
    Trainer(whole, rows(), settings(), Stream(0)).fit()
    path, first = tmp_path / "state.safetensors", new_model()

    def interrupt(report: object) -> None:
        if report.epoch == stop:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trainer(first, rows(), settings(), Stream(0), path, interrupt).fit()
    again = new_model()
    Trainer(again, rows(), settings(), Stream(0), path).fit()
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_falling_rate_is_part_of_what_a_training_is() -> None:
    assert "max_epochs" in settings().law()
    assert "max_epochs" not in settings(plain_share=0.0, decay_share=0.0).law()
