"""What is worked out before anything is written: trainings, their time, what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from riemaug.config import GeneratorConfig, SamplingConfig
from riemaug.data.arrays import dataset_of_arrays
from riemaug.errors import InvalidInputError
from riemaug.models.conditional import SMALL_IMAGE_STEPS, VOLUME_STEPS
from riemaug.run.choices import check_validation
from riemaug.run.plan import Plan, plan_for
from riemaug.run.progress import ProgressFile
from riemaug.run.reporting import training_notes
from riemaug.run.stages import Stages
from riemaug.run.workdir import WorkDir
from riemaug.training import History, TrainingConfig
from riemaug.tuning import TuningConfig, TuningProblem, TuningResult


def plan_of(sizes: tuple[int, ...], shape: tuple[int, ...] = (4, 4), b: float = 1.0, **chosen: Any) -> Plan:
    rows = np.random.default_rng(0).random((sum(sizes), *shape))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    generator = GeneratorConfig.model_validate({"device": "cpu", **chosen})
    sampling = SamplingConfig(inverse_temperature=b)
    return plan_for(dataset_of_arrays(rows, labels), generator, sampling, (0,) * len(sizes), 1)


CONDITIONAL: dict[str, Any] = {"preset": "conditional", "network": "mlp"}


# how long each training is


def test_a_class_alone_is_trained_for_as_many_steps_as_all_together():
    plan = plan_of((100, 250, 50), **CONDITIONAL)
    steps = plan.training.max_epochs * 4
    assert [own.max_epochs for own in plan.separate_trainings] == [steps, -(-steps // 3), steps]
    for own in plan.separate_trainings:
        assert own.patience == own.max_epochs
        assert own.learning_rate == plan.training.learning_rate


def test_the_users_numbers_are_those_of_each_class():
    plan = plan_of((100, 250), max_epochs=7, patience=3, **CONDITIONAL)
    assert {(own.max_epochs, own.patience) for own in plan.separate_trainings} == {(7, 3)}
    paper = plan_of((100, 250), preset="paper")
    assert set(paper.separate_trainings) == {paper.training}


def test_separate_models_are_tuned_by_the_trainings_they_will_have(tmp_path, monkeypatch):
    asked: list[TuningProblem] = []

    def search(problem: TuningProblem, config: TuningConfig, *others: object) -> TuningResult:
        asked.append(problem)
        raise KeyboardInterrupt

    monkeypatch.setattr("riemaug.run.stages.search_constants", search)
    plan = plan_of((30, 60, 120), b=2.0, tune=1, **CONDITIONAL)
    stages = Stages(plan, WorkDir(tmp_path))
    nothing_before: list[ProgressFile] = []
    for shared in (False, True):
        with pytest.raises(KeyboardInterrupt):
            stages._tuned(shared, nothing_before, None)
    fits = stages.fit_jobs(shared=False)
    apart, together = asked
    assert [apart.training_of([label]) for label in range(3)] == [fit.training for fit in fits]
    assert together.training_of([0, 1, 2]) == plan.training
    assert (apart.model.num_conditions, together.model.num_conditions) == (0, 3)
    assert apart.sampling == together.sampling == SamplingConfig(inverse_temperature=2.0)


def test_separate_models_are_estimated_by_the_trainings_they_will_have(monkeypatch):
    monkeypatch.setattr("riemaug.run.estimate.matrix_rate", lambda: 1e10)
    apart = plan_of((100,) * 10, sharing="never", **CONDITIONAL).estimate.seconds
    alone = plan_of((100,), **CONDITIONAL).estimate.seconds
    assert apart == pytest.approx(10 * alone)
    # as long as it is open which way is taken both are told, and both are rehearsed before
    together = plan_of((100,) * 10, sharing="always", **CONDITIONAL).estimate.seconds
    is_open = plan_of((100,) * 10, **CONDITIONAL).estimate
    assert together < is_open.seconds < apart
    assert apart < is_open.seconds + is_open.more_seconds_apart < 2 * apart


def test_a_rehearsal_of_more_and_larger_classes_takes_longer(monkeypatch):
    monkeypatch.setattr("riemaug.run.estimate.matrix_rate", lambda: 1e10)

    def spent(sizes: tuple[int, ...]) -> float:
        times = [
            plan_of(sizes, sharing=name, **CONDITIONAL).estimate.seconds for name in ("measured", "always")
        ]
        return times[0] - times[1]

    assert spent((4, 4)) == pytest.approx(0, abs=0.2)  # too small to be measured
    assert 0.5 < spent((20, 20)) < spent((20, 20, 20, 20)) < spent((90, 90, 90, 90))


@pytest.mark.parametrize(
    ("chosen", "is_fixed", "as_planned"),
    [
        ({}, False, False),
        (CONDITIONAL, True, True),
        (CONDITIONAL | {"max_epochs": 9}, True, False),
        (CONDITIONAL | {"patience": 9}, False, False),
    ],
)
def test_only_some_trainings_stop_by_themselves(chosen, is_fixed, as_planned):
    plan = plan_of((20, 20), **chosen)
    assert (plan.has_fixed_length, plan.ends_as_planned) == (is_fixed, as_planned)


def test_once_it_is_decided_the_plan_is_that_of_the_models_there_are():
    plan = plan_of((100, 250, 50), **CONDITIONAL)
    assert plan.decided(shared=True) is plan
    apart = plan.decided(shared=False)
    assert (apart.shares, apart.model) == (False, plan.separate_model)
    assert apart.training == plan.separate_trainings[1]
    assert apart.separate_trainings == plan.separate_trainings


def test_an_end_that_was_planned_is_no_cause_for_a_note():
    history = History()
    history.stop_reason = "reached max_epochs = 500"
    (note,) = training_notes([("class a", history)], is_planned_end=False)
    assert "reached max_epochs = 500" in note
    assert training_notes([("class a", history)], is_planned_end=True) == ()


def test_very_many_models_share_one_note():
    history = History()
    history.stop_reason = "reached max_epochs = 5"
    odd = History()
    odd.stop_reason = "reached max_epochs = 7"
    named = [(f"class {number}", history) for number in range(41)]
    assert len(training_notes(named[:40], is_planned_end=False)) == 40
    first, last = training_notes([*named, ("class odd", odd)], is_planned_end=False)
    assert first.startswith("Training of each of 41 models (class 0, class 1, class 2 and 38 more) reached")
    assert last == "Training of class odd reached max_epochs = 7; its ELBO may still have grown."


# choices


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"sharing": "never"}, "--sharing never is of --preset conditional"),
        ({"sharing": "always", "preset": "paper"}, "--sharing always is of --preset conditional"),
        ({"bandwidth": 1.0, "model": "vae"}, "--bandwidth is of the metric of --model rhvae, model vae"),
        ({"regularization": 0.1, "model": "hvae"}, "--regularization is of the metric"),
        ({"regularization": 0.1, "model": "vamp", **CONDITIONAL}, "--regularization is of the metric"),
        ({"precision": "float16"}, "--precision float16 needs a CUDA device"),
        ({"validation_fraction": 0.01}, "0.01 of the 8 samples of class '0' is none: use 0.08 or more"),
    ],
)
def test_what_would_do_nothing_is_refused(chosen, words):
    with pytest.raises(InvalidInputError) as refused:
        plan_of((8, 9), **chosen)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_table_has_nothing_to_turn():
    with pytest.raises(InvalidInputError, match="images and volumes, DATA has a table of 5 columns"):
        plan_of((8, 8), (5,), augment_training=True)


@pytest.mark.parametrize(("shape", "network", "is_told"), [((9,), "conv", True), ((3, 3), "conv", False)])
def test_convolutions_over_columns_are_told_of(shape, network, is_told):
    notes = plan_of((8, 8), shape, network=network).notes
    assert any("slides over its columns" in note for note in notes) == is_told
    assert not any("slides over" in note for note in plan_of((8, 8), shape).notes)


def validation(fraction: float) -> TrainingConfig:
    return TrainingConfig(monitor="validation", validation_fraction=fraction)


def test_one_class_that_gives_samples_is_enough_for_a_shared_model():
    check_validation(validation(0.1), "ab", (2, 9), shared=True)
    with pytest.raises(InvalidInputError, match="2 samples of class 'a'"):
        check_validation(validation(0.1), "ab", (2, 9), shared=False)
    with pytest.raises(InvalidInputError, match="4 samples of class 'b'"):
        check_validation(validation(0.1), "ab", (2, 4), shared=True)


def test_a_class_of_one_subject_cannot_be_validated():
    check_validation(validation(0.2), "ab", (9, 9), shared=True, num_subjects=(1, 3))
    for shared, subjects in ((False, (3, 1)), (True, (1, 1))):
        with pytest.raises(InvalidInputError, match="whole subjects apart, class '[ab]' has one"):
            check_validation(validation(0.2), "ab", (9, 9), shared=shared, num_subjects=subjects)


@pytest.mark.parametrize("size", [2, 3, 5, 8, 9, 17, 100, 999])
def test_the_share_that_is_advised_is_enough(size):
    with pytest.raises(InvalidInputError) as refused:
        check_validation(validation(1e-4), "a", (size,), shared=False)
    advised = float(str(refused.value).split("use ")[1].split(" or more")[0])
    check_validation(validation(advised), "a", (size,), shared=False)


def test_the_parts_that_are_trained_on_before_the_fit_must_be_enough_too():
    # 0.07 of 8 are 1, of the 6 that a rehearsal or a trial leaves 0
    plan_of((8, 8), validation_fraction=0.07)
    with pytest.raises(InvalidInputError, match="6 samples of class '0' that a rehearsal trains on"):
        plan_of((8, 8), validation_fraction=0.07, **CONDITIONAL)
    with pytest.raises(InvalidInputError, match="6 samples of class '0' that a trial of --tune trains on"):
        plan_of((8, 8), validation_fraction=0.07, tune=1)
    plan_of((8, 8), validation_fraction=0.1, tune=1, **CONDITIONAL)


@pytest.mark.parametrize(
    ("kind", "shape", "channel_axis"),
    [
        ("volumes", (16, 16, 3), None),
        ("stacks", (3, 16, 16), None),
        ("npy", (16, 16, 3), None),
        ("folder", (16, 16, 3), 2),
        ("arrays", (16, 16, 3), 2),
    ],
)
def test_the_format_says_whether_a_short_axis_holds_channels(kind, shape, channel_axis):
    samples = np.random.default_rng(0).random((8, *shape)).astype(np.float32)
    data = dataset_of_arrays(samples, np.repeat([0, 1], 4))
    data = replace(data, format=replace(data.format, kind=kind))
    chosen = GeneratorConfig(preset="conditional", sharing="always", augment_training=True)
    plan = plan_for(data, chosen, SamplingConfig(), (2, 2), 1)
    assert (plan.model.channel_axis, plan.model.data_shape) == (channel_axis, shape)
    is_volume = channel_axis is None
    steps = VOLUME_STEPS if is_volume else SMALL_IMAGE_STEPS  # one batch an epoch
    assert plan.model.dense_decoder != is_volume
    assert plan.training.max_epochs == steps
    assert plan.separate_trainings[0].max_epochs == plan.training.max_epochs
    by_itself = GeneratorConfig().resolved(shape, 2, data.format.num_sides)
    assert by_itself.preset == ("paper" if is_volume else "conditional")
