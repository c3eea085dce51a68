"""The training loop: when it stops, what it keeps, how it survives numbers that are not finite."""

import math
from pathlib import Path

import pytest
import torch
from scripted import Script, ScriptedModel, from_list
from torch import Tensor

from riemaug.errors import TrainingError
from riemaug.models import Condition, ModelConfig, Objective, build_model
from riemaug.random import Stream
from riemaug.training import EpochReport, Trainer, TrainingConfig, paper_training


def rows(num: int = 6) -> Tensor:
    return torch.rand(num, 3, generator=torch.Generator().manual_seed(0))


def scripted_trainer(
    script: Script, num: int = 6, slope: float = 1e-3, **settings: object
) -> tuple[ScriptedModel, Trainer]:
    model = ScriptedModel(script, slope)
    values: dict = {"max_epochs": 50, "patience": 5}
    return model, Trainer(model, rows(num), TrainingConfig(**(values | settings)), Stream(1))


# stopping


def test_a_flat_objective_stops_after_the_patience() -> None:
    model, trainer = scripted_trainer(lambda call: -7.0, patience=5)
    history = trainer.fit()
    # the first epoch is the best, five more are not better
    assert history.num_epochs == model.calls == 6
    assert (history.best_epoch, history.best_elbo) == (0, -7.0)
    assert history.stop_reason == "no better training ELBO for 5 epochs"
    assert history.elbo == [-7.0] * 6
    assert history.reconstruction == [-8.0] * 6
    assert history.failed_steps == [2] * 6
    assert history.seconds > 0


def test_patience_counts_from_the_last_best() -> None:
    _, trainer = scripted_trainer(from_list([-9, -8, -8.5, -8.4, -7, -7.5]), patience=4)
    history = trainer.fit()
    assert history.best_epoch == 4
    assert history.num_epochs == 9


@pytest.mark.parametrize("epochs", [1, 2, 17])
def test_max_epochs_is_the_number_of_epochs(epochs: int) -> None:
    model, trainer = scripted_trainer(float, max_epochs=epochs)
    history = trainer.fit()
    assert history.num_epochs == model.calls == epochs
    assert history.stop_reason == f"reached max_epochs = {epochs}"
    assert history.best_epoch == epochs - 1


def test_logging_does_not_change_when_it_stops(tmp_path: Path) -> None:
    for path in (None, tmp_path / "state.safetensors"):
        model = ScriptedModel(lambda call: 1.0)
        trainer = Trainer(model, rows(), TrainingConfig(patience=3), Stream(0), path, lambda report: None)
        assert trainer.fit().num_epochs == 4


# best weights


def test_the_weights_that_gave_the_best_objective_are_restored() -> None:
    model, trainer = scripted_trainer(from_list([-5, -4, -3, -6, -7]), patience=3, slope=1.0)
    history = trainer.fit()
    assert history.best_epoch == 2
    assert model.first_weight() == model.seen[2]
    assert len(set(model.seen)) == history.num_epochs == 6
    assert not model.training


def test_with_batches_the_weights_that_the_best_epoch_began_with_are_restored() -> None:
    # two batches an epoch: epoch means -5, -2, -6
    script = from_list([-5, -5, -2, -2, -6, -6])
    model, trainer = scripted_trainer(script, num=8, patience=1, slope=1.0, batch_size=4)
    history = trainer.fit()
    assert history.best_epoch == 1
    # calls 0 and 1 belong to the first epoch, so the second began with what call 2 saw
    assert model.first_weight() == model.seen[2]
    assert len(set(model.seen)) == 6


def test_training_improves_a_real_model() -> None:
    config = ModelConfig(data_dim=3, encoder_hidden=(8,), decoder_hidden=(8,), metric_hidden=(8,))
    data = (rows(20) > 0.5).float()
    model = build_model(config, 0)
    history = Trainer(model, data, TrainingConfig(learning_rate=1e-2, max_epochs=80), Stream(0)).fit()
    assert history.best_elbo > history.elbo[0] + 0.05
    assert history.best_elbo == max(history.elbo)
    again = model.objective(data, Stream(0).block(history.best_epoch).generator()).elbo
    assert float(again.detach()) == pytest.approx(history.best_elbo, abs=1e-5)


# steps and batches


def test_gradient_clipping_bounds_the_gradient() -> None:
    norms = []

    class Watched(ScriptedModel):
        def objective(
            self, data: Tensor, generator: torch.Generator, condition: Condition | None = None
        ) -> Objective:
            if self.calls:
                norms.append(torch.stack([w.grad.norm() for w in self.parameters() if w.grad is not None]))
            return super().objective(data, generator, condition)

    for slope, expected in ((1e3, 2.0), (1e-3, None)):
        norms.clear()
        model = Watched(lambda call: 0.0, slope)
        config = TrainingConfig(max_epochs=3, patience=9, max_gradient_norm=2.0)
        Trainer(model, rows(), config, Stream(0)).fit()
        plain = slope * math.sqrt(sum(weight.numel() for weight in model.parameters()))
        # the gradients of the last step are still there when the next objective is asked for
        assert [float(parts.norm()) for parts in norms] == pytest.approx([expected or plain] * 2, rel=1e-4)


def test_the_update_goes_uphill_by_the_learning_rate() -> None:
    model, trainer = scripted_trainer(float, slope=5.0, max_epochs=2, learning_rate=0.01)
    trainer.fit()
    # Adam's first step is the learning rate in the direction of the gradient
    assert model.seen[1] - model.seen[0] == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize(("num", "batch_size", "sizes"), [(10, 4, [4, 3, 3]), (9, 4, [3, 3, 3]), (8, 8, [8])])
def test_batches_are_equal_and_cover_the_data_once(num: int, batch_size: int, sizes: list[int]) -> None:
    model, trainer = scripted_trainer(lambda call: 0.0, num=num, batch_size=batch_size, max_epochs=3)
    trainer.fit()
    per_epoch = len(sizes)
    orders = []
    for epoch in range(3):
        batches = model.batches[epoch * per_epoch : (epoch + 1) * per_epoch]
        assert [len(batch) for batch in batches] == sizes
        seen = torch.cat(batches)
        assert torch.equal(seen.sort(0).values, rows(num).sort(0).values)
        orders.append(seen)
    if per_epoch > 1:
        assert not torch.equal(orders[0], orders[1])
    else:
        assert torch.equal(orders[0], rows(num))


def test_the_objective_of_an_epoch_is_the_mean_over_samples_not_batches() -> None:
    model, trainer = scripted_trainer(
        from_list([1.0, 2.0, 6.0]), num=10, batch_size=4, max_epochs=1, patience=9
    )
    history = trainer.fit()
    assert history.elbo == pytest.approx([(4 * 1.0 + 3 * 2.0 + 3 * 6.0) / 10])
    assert history.reconstruction == pytest.approx([history.elbo[0] - 1.0])
    assert history.failed_steps == [6]
    assert model.calls == 3


def test_noise_and_batches_come_from_the_stream_alone() -> None:
    torch.manual_seed(2)
    before = torch.get_rng_state()
    results = []
    for seed in (0, 0, 1):
        model = build_model(ModelConfig(data_dim=3, encoder_hidden=(4,), metric_hidden=(4,)), 0)
        config = TrainingConfig(max_epochs=5, batch_size=4)
        results.append(Trainer(model, rows(7), config, Stream(seed)).fit().elbo)
    assert torch.equal(torch.get_rng_state(), before)
    assert results[0] == results[1] != results[2]


def test_the_callback_hears_every_epoch_and_changes_nothing() -> None:
    told: list[EpochReport] = []

    def meddle(report: EpochReport) -> None:
        told.append(report)
        torch.manual_seed(len(told))
        torch.randn(3)

    state = torch.get_rng_state()
    histories = []
    for callback in (None, meddle):
        model = build_model(ModelConfig(data_dim=3, encoder_hidden=(4,), metric_hidden=(4,)), 0)
        trainer = Trainer(
            model, rows(), TrainingConfig(max_epochs=6, patience=2), Stream(0), on_epoch=callback
        )
        histories.append(trainer.fit().elbo)
    torch.set_rng_state(state)
    assert histories[0] == histories[1]
    assert [report.epoch for report in told] == list(range(1, len(histories[1]) + 1))
    assert [report.elbo for report in told] == histories[1]
    for index, report in enumerate(told):
        assert report.best_elbo == max(histories[1][: index + 1])
        assert report.epochs_since_best == index - histories[1].index(report.best_elbo)


# objectives that are not finite


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_bad_objective_goes_back_to_the_best_weights_with_half_the_rate(bad: float) -> None:
    script = from_list([-5, -3, -4, bad, -2, -1])
    model, trainer = scripted_trainer(script, slope=1.0, max_epochs=5, learning_rate=0.01)
    history = trainer.fit()
    assert history.rollbacks == 1
    assert trainer.learning_rate == 0.005
    assert history.elbo == [-5, -3, -4, -2, -1]
    # the call after the bad one sees the weights of the best one, and the next step is half as long
    assert model.seen[4] == model.seen[1]
    assert model.seen[5] - model.seen[4] == pytest.approx(0.005, rel=1e-3)


def test_a_gradient_that_is_not_finite_is_no_step_either() -> None:
    model, trainer = scripted_trainer(float, max_epochs=4)
    plain = model.objective

    def spoilt(data: Tensor, generator: torch.Generator, condition: Condition | None = None) -> Objective:
        objective = plain(data, generator)
        if model.calls == 3:
            objective.log_likelihood.register_hook(lambda gradient: gradient * math.nan)
        return objective

    model.objective = spoilt
    history = trainer.fit()
    assert history.rollbacks == 1
    assert history.elbo == [0.0, 1.0, 3.0, 4.0]
    assert all(weight.isfinite().all() for weight in model.parameters())


def test_a_bad_first_epoch_goes_back_to_the_initial_weights() -> None:
    model, trainer = scripted_trainer(from_list([1.0, math.nan, 2.0]), num=8, batch_size=4, max_epochs=1)
    initial = model.first_weight()
    trainer.fit()
    # batch 0 moved the weights, batch 1 was bad, call 2 begins anew
    assert model.seen[1] != initial
    assert model.seen[2] == initial


def test_each_attempt_draws_other_noise() -> None:
    draws: list[Tensor] = []

    class Watched(ScriptedModel):
        def objective(
            self, data: Tensor, generator: torch.Generator, condition: Condition | None = None
        ) -> Objective:
            draws.append(torch.rand(2, generator=generator))
            return super().objective(data, generator, condition)

    model = Watched(from_list([1.0, math.nan, 2.0, 3.0]))
    Trainer(model, rows(), TrainingConfig(max_epochs=3), Stream(0)).fit()
    assert len({tuple(draw.tolist()) for draw in draws}) == len(draws) == 4


def test_training_that_never_is_finite_ends_with_one_line() -> None:
    model, trainer = scripted_trainer(lambda call: math.nan, max_rollbacks=4)
    with pytest.raises(TrainingError, match="must stay finite, it did not 5 times") as caught:
        trainer.fit()
    assert "\n" not in str(caught.value)
    assert model.calls == 5
    assert trainer.learning_rate == 1e-3 / 2**4


# settings


def test_the_papers_settings_and_longer_patience_below_its_sizes() -> None:
    tiny, small, large = (paper_training(data_dim) for data_dim in (64, 784, 208 * 176))
    assert (small.learning_rate, small.patience, small.max_epochs) == (1e-3, 20, 10_000)
    assert (large.learning_rate, large.patience) == (1e-4, 50)
    assert tiny == small.model_copy(update={"patience": tiny.patience})
    assert tiny.patience > small.patience
    assert small.batch_size == large.batch_size == 200
