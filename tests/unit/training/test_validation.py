"""Monitoring samples that are held out: the split, the score, what is kept, and going on after a stop."""

import math

import pytest
import torch
from scripted import ScriptedModel, from_list
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.models import RHVAE, Condition, ModelConfig, build_model, class_condition
from riemaug.models.convolutional import ImageLayout
from riemaug.random import Stream
from riemaug.training import EpochReport, Trainer, TrainingConfig
from riemaug.training.augmentation import AugmentationConfig, BatchAugmentation
from riemaug.training.batches import Samples, hold_out
from riemaug.training.precision import Precision
from riemaug.training.processes import OneProcess
from riemaug.training.validation import HeldOut


def rows(num: int, width: int = 3) -> Tensor:
    return torch.rand(num, width, generator=torch.Generator().manual_seed(0))


def labelled(*counts: int) -> Samples:
    """Samples whose first feature is their row, so that they can be told apart."""
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])
    data = rows(len(labels))
    data[:, 0] = torch.arange(len(labels)) / 1000.0
    return Samples(data, class_condition(labels, len(counts)))


def test_the_split_takes_its_share_of_each_class_and_covers_the_data_once() -> None:
    training, held = hold_out(labelled(20, 10, 5), 0.2, Stream(0))
    assert held.condition is not None
    assert held.condition.group.bincount().tolist() == [4, 2, 1]
    order = torch.cat([training.rows[:, 0], held.rows[:, 0]]).sort().values
    assert torch.equal(order, labelled(20, 10, 5).rows[:, 0])
    for part in (training, held):
        assert part.condition is not None
        # condition and rows stay together, in the order of the data
        assert torch.equal(part.rows[:, 0], part.rows[:, 0].sort().values)
        assert torch.equal(part.condition.features.argmax(1), part.condition.group)
        assert (part.rows[part.condition.group == 2][:, 0] >= 0.03).all()


def test_the_split_depends_on_the_seed_alone() -> None:
    samples = labelled(30, 30)
    first, again, other = (hold_out(samples, 0.3, Stream(seed))[1].rows for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_no_class_is_held_out_whole_and_nothing_to_hold_out_is_an_error() -> None:
    training, held = hold_out(labelled(2, 20), 0.9, Stream(0))
    assert training.condition is not None
    assert training.condition.group.bincount().tolist() == [1, 2]
    assert len(held) == 19
    with pytest.raises(InvalidInputError, match="gives none; use monitor training") as caught:
        hold_out(labelled(1, 1, 1), 0.5, Stream(0))
    assert "\n" not in str(caught.value)


class ValidatedModel(ScriptedModel):
    """Its held-out estimate is a script, too: the n-th score of all held-out rows."""

    def __init__(self, script, held_out, slope: float = 1.0) -> None:
        super().__init__(script, slope)
        self.held_out = held_out
        self.scored: list[float] = []
        self.scored_rows: list[Tensor] = []

    def log_evidence_estimate(
        self, data: Tensor, generator: torch.Generator, condition: Condition | None = None
    ) -> Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        value = self.held_out(len(self.scored))
        self.scored.append(self.first_weight())
        self.scored_rows.append(data)
        return torch.full((len(data),), float(value))


def validated(script, held_out, **settings: object) -> tuple[ValidatedModel, Trainer]:
    model = ValidatedModel(script, held_out)
    values: dict = {"monitor": "validation", "validation_draws": 1, "max_epochs": 50, "patience": 2}
    return model, Trainer(model, rows(10), TrainingConfig(**(values | settings)), Stream(1))


@pytest.mark.parametrize("batch_size", [200, 4])
def test_the_best_validation_elbo_decides_when_to_stop_and_what_is_kept(batch_size: int) -> None:
    # the training ELBO only grows
    model, trainer = validated(float, from_list([-9, -5, -6, -7]), batch_size=batch_size)
    history = trainer.fit()
    assert history.validation == [-9, -5, -6, -7]
    assert (history.best_epoch, history.best_elbo, history.num_epochs) == (1, -5, 4)
    assert history.stop_reason == "no better validation ELBO for 2 epochs"
    assert model.first_weight() == model.scored[1]
    assert len(set(model.scored)) == 4
    assert not model.training


def test_held_out_samples_are_never_trained_on() -> None:
    model, trainer = validated(float, lambda call: -1.0, max_epochs=3)
    trainer.fit()
    assert {len(batch) for batch in model.batches} == {8}
    held = {tuple(row) for batch in model.scored_rows for row in batch.tolist()}
    assert len(held) == 2
    assert held.isdisjoint(tuple(row) for batch in model.batches for row in batch.tolist())


def test_a_held_out_score_that_is_not_finite_is_a_divergence() -> None:
    model, trainer = validated(float, from_list([-9, -5, math.nan, -6, -7]))
    history = trainer.fit()
    assert history.rollbacks == 1
    assert history.rollback_epochs == [2]
    assert history.validation == [-9, -5, -6, -7]
    # after the rollback training goes on from the weights scored best
    assert model.seen[3] == model.scored[1]


def test_epochs_that_cannot_be_the_best_are_scored_without_metric_and_flow() -> None:
    model = build_model(ModelConfig(data_dim=3, encoder_hidden=(6,), metric_hidden=(4,)), 0)
    assert isinstance(model, RHVAE)
    seen: list[bool] = []

    def watched(report: EpochReport) -> None:
        seen.append(model.metric is not None)

    settings = TrainingConfig(monitor="validation", max_epochs=5, plain_share=0.4, warmup_epochs=3)
    trainer = Trainer(model, rows(10), settings, Stream(0), on_epoch=watched)
    history = trainer.fit()
    assert seen == [False, False, False, True, True]
    assert len(history.validation) == 5
    assert all(map(math.isfinite, history.validation))
    assert trainer.held_out is not None
    precision, stream = Precision("float32", torch.device("cpu")), trainer.held_out.stream
    plain = trainer.held_out.score(model, precision, plain=True)
    with torch.no_grad():
        generator, held = stream.generator(), trainer.held_out.samples.rows
        draws = [model.plain_evidence_estimate(held, generator) for _ in range(settings.validation_draws)]
    assert plain == pytest.approx(float(torch.stack(draws).mean()), abs=1e-6)


def test_a_score_that_is_not_finite_is_no_divergence_where_it_decides_nothing() -> None:
    model, trainer = validated(float, from_list([-5, -4]), warmup_epochs=3, max_epochs=5)
    scores = from_list([-9, math.nan, math.nan])

    def plain(data: Tensor, generator: torch.Generator, condition: Condition | None = None) -> Tensor:
        plain_scored.append(model.first_weight())
        return torch.full((len(data),), float(scores(len(plain_scored) - 1)))

    plain_scored: list[float] = []
    model.plain_evidence_estimate = plain
    kept = []
    trainer.on_epoch = lambda report: kept.append(float(trainer.best.kept["encoder.mean.bias"][0]))
    history = trainer.fit()
    assert history.rollbacks == 0
    assert str(history.validation) == "[-9.0, nan, nan, -5.0, -4.0]"
    # weights without a score are not kept either
    assert kept[:3] == [plain_scored[0]] * 3
    assert history.best_epoch == 4


def test_of_several_processes_the_first_scores_for_all() -> None:
    class Other(OneProcess):
        is_first = False

    histories = []
    for kind in (OneProcess, Other):
        model = ValidatedModel(float, from_list([-2, -1]))
        config = TrainingConfig(monitor="validation", validation_draws=1, max_epochs=2)
        histories.append(Trainer(model, rows(10), config, Stream(1), processes=kind(model)).fit())
        assert len(model.scored) == (2 if kind is OneProcess else 0)
    # what the others add to the sum over the processes is nothing
    assert [history.validation for history in histories] == [[-2, -1], [0, 0]]


def test_the_score_is_the_mean_of_the_estimates_under_the_metric_of_the_training_part() -> None:
    model = build_model(ModelConfig(data_dim=3, encoder_hidden=(6,), metric_hidden=(4,)), 0)
    assert isinstance(model, RHVAE)
    training, held = Samples(rows(12)), Samples(rows(15)[12:])
    score = HeldOut(training, held, 3, Stream(5)).score(model, Precision("float32", torch.device("cpu")))
    with torch.no_grad():
        model.build_metric(training.rows)
        generator = Stream(5).generator()
        draws = [model.log_evidence_estimate(held.rows, generator) for _ in range(3)]
    assert score == pytest.approx(float(torch.stack(draws).mean()), abs=1e-6)
    assert model.metric is not None
    assert len(model.metric.centroids) == 12


def test_a_conditional_model_is_scored_class_by_class() -> None:
    config = ModelConfig(data_dim=3, encoder_hidden=(6,), metric_hidden=(4,), num_conditions=2)
    model = build_model(config, 0)
    samples = labelled(10, 6)
    settings = TrainingConfig(monitor="validation", max_epochs=4, batch_size=5)
    history = Trainer(model, samples.rows, settings, Stream(0), condition=samples.condition).fit()
    assert len(history.validation) == 4
    assert all(map(math.isfinite, history.validation))
    assert history.best_elbo == max(history.validation)
    assert isinstance(model, RHVAE)
    assert [len(model.metric_of_group(group).centroids) for group in (0, 1)] == [8, 5]


def test_an_augmented_model_is_scored_on_samples_as_they_are() -> None:
    augmentation = BatchAugmentation(AugmentationConfig(), ImageLayout((4, 4), None))
    config = ModelConfig(data_dim=16, encoder_hidden=(6,), num_conditions=augmentation.num_parameters)
    seen: list[Tensor] = []

    class Watched(type(build_model(config, 0))):
        def log_evidence_estimate(self, data, generator, condition=None):
            seen.append(condition.features)
            return super().log_evidence_estimate(data, generator, condition)

    settings = TrainingConfig(monitor="validation", max_epochs=2, validation_draws=1)
    model = Watched(config, 0)
    Trainer(model, rows(10, 16), settings, Stream(0), augmentation=augmentation).fit()
    assert [tuple(features.shape) for features in seen] == [(2, augmentation.num_parameters)] * 2
    assert all((features == 0).all() for features in seen)
