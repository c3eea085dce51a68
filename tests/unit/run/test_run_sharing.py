"""The rehearsal that decides whether classes share one model: its split, its rule, its files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from riemaug.config import GeneratorConfig
from riemaug.data import RangeScaler
from riemaug.errors import TrainingError
from riemaug.run.fitting import ClassRows, FitJob
from riemaug.run.sharing import (
    MEASURED_CLASSES,
    REHEARSAL_EPOCHS,
    RehearsalJob,
    Sharing,
    decision,
    keep_decision,
    kept_decision,
    rehearsal_jobs,
    run_rehearsal,
)
from riemaug.run.workdir import WorkDir

GENERATOR = GeneratorConfig(preset="conditional", network="mlp")
QUICK = GENERATOR.model_copy(update={"max_epochs": 2})


def fit_jobs(
    sizes: tuple[int, ...], work: Path, seed: int = 0, generator: GeneratorConfig = QUICK
) -> tuple[FitJob, list[FitJob]]:
    """Return the real fits, of all classes in one model and of each in its own."""
    random = np.random.default_rng(0)
    classes = tuple(
        ClassRows(f"class {i}", random.random((size, 3, 4)), tuple(f"{i}/{k}" for k in range(size)))
        for i, size in enumerate(sizes)
    )
    scaler = RangeScaler.fit(np.concatenate([item.rows for item in classes]))
    model, training = generator.model_for((3, 4), sizes), generator.training_for((3, 4), sizes)
    shared = FitJob(0, classes, WorkDir(work), scaler, model, training, seed, "cpu")
    model = model.model_copy(update={"num_conditions": 0})
    trainings = [generator.training_for((3, 4), (size,)) for size in sizes]
    return shared, [
        replace(shared, index=index, classes=(item,), model=model, training=training)
        for index, (item, training) in enumerate(zip(classes, trainings, strict=True))
    ]


def steps_of(jobs: list[RehearsalJob]) -> list[int]:
    """Return for how many steps each model is rehearsed."""
    steps = []
    for job in jobs:
        size, training = sum(len(item.rows) for item in job.fit.classes), job.fit.training
        assert training.patience >= training.max_epochs
        steps.append(-(-size // training.batch_size) * training.max_epochs)
    return steps


def sources(classes: tuple[ClassRows, ...]) -> list[str]:
    return [source for item in classes for source in item.sources]


@pytest.mark.parametrize("sizes", [(10, 20, 5), (5, 5), (40, 4, 40), (6,) * 9])
def test_what_is_scored_was_not_trained_on_and_nothing_else_is_left_out(tmp_path, sizes):
    shared, separate = fit_jobs(sizes, tmp_path)
    whole, *alone = rehearsal_jobs(shared, separate)
    assert len(alone) == min(MEASURED_CLASSES, sum(size >= 5 for size in sizes))
    everything, held_out = set(sources(shared.classes)), sources(whole.held_out)
    assert set(sources(whole.fit.classes)) == everything - set(held_out)
    assert [job.held_out[0].name for job in alone] == [item.name for item in whole.held_out]
    for job in alone:
        (own,) = job.fit.classes
        original = next(item for item in shared.classes if item.name == own.name)
        assert sorted([*own.sources, *job.held_out[0].sources]) == sorted(original.sources)
        assert len(job.held_out[0].rows) == max(1, round(0.2 * len(original.rows)))
        rows = dict(zip(original.sources, original.rows, strict=True))
        for source, row in zip(own.sources, own.rows, strict=True):
            assert np.array_equal(rows[source], row)


def test_both_ways_are_rehearsed_with_the_same_networks(tmp_path):
    whole, *alone = rehearsal_jobs(*fit_jobs((8, 8, 8), tmp_path))
    assert (whole.fit.model.kind, whole.fit.model.num_conditions) == ("vae", 3)
    for job in alone:
        assert job.fit.model == whole.fit.model.model_copy(update={"num_conditions": 0})
        assert job.fit.training == whole.fit.training


@pytest.mark.parametrize("sizes", [(40, 40, 40), (100,) * 10, (30,) * 20, (300, 20, 20)])
def test_both_ways_have_as_many_steps(tmp_path, sizes):
    whole, *alone = steps_of(rehearsal_jobs(*fit_jobs(sizes, tmp_path, generator=GENERATOR)))
    left = sum(sizes) - sum(sorted(round(0.2 * size) for size in sizes)[-MEASURED_CLASSES:])
    assert whole >= REHEARSAL_EPOCHS * -(-left // 100)
    # epochs are whole: one of the largest class has three steps
    assert all(whole - 2 <= steps <= whole for steps in alone)


def test_neither_way_is_rehearsed_for_longer_than_it_is_fitted(tmp_path):
    shared, separate = fit_jobs((1000,) * 10, tmp_path, generator=GENERATOR)
    whole, *alone = steps_of(rehearsal_jobs(shared, separate))
    # 50 epochs of 92 steps, where the real fit has 50 of 100; 400 epochs of 8 steps, where it has 400 of 10
    assert (whole, alone) == (50 * 92, [400 * 8] * 4)


def test_a_number_of_epochs_that_the_user_gave_is_that_of_each_model(tmp_path):
    given = GENERATOR.model_copy(update={"max_epochs": 30})
    jobs = rehearsal_jobs(*fit_jobs((100,) * 10, tmp_path, generator=given))
    assert [job.fit.training.max_epochs for job in jobs] == [30] * 5


def test_the_split_is_the_seeds(tmp_path):
    def held_out(seed: int) -> list[str]:
        return sources(rehearsal_jobs(*fit_jobs((9, 9), tmp_path, seed))[0].held_out)

    assert held_out(1) == held_out(1)
    assert held_out(1) != held_out(2)


def test_classes_that_are_too_small_are_not_measured(tmp_path):
    assert rehearsal_jobs(*fit_jobs((4, 2, 3), tmp_path)) == []
    assert decision([], []).shared


@pytest.fixture
def jobs(tmp_path: Path) -> list[RehearsalJob]:
    return rehearsal_jobs(*fit_jobs((5, 10), tmp_path))


@pytest.mark.parametrize(
    ("scores", "shared", "means"),
    [
        ([[-1.0, -2.0, -3.0], [-3.0], [-4.0, -5.0]], True, (-2.0, -4.0)),
        ([[-5.0, -5.0, -2.0], [-3.0], [-3.0, -3.0]], False, (-4.0, -3.0)),
        ([[-3.0, -3.0, -3.0], [-3.0], [-3.0, -3.0]], True, (-3.0, -3.0)),
        ([None, [-3.0], [-3.0, -3.0]], False, (None, -3.0)),
        ([[-3.0, -3.0, -3.0], None, [1.0, 1.0]], True, (-3.0, None)),
        ([None, None, [1.0, 1.0]], True, (None, None)),
    ],
)
def test_the_larger_mean_decides_and_what_cannot_be_trained_loses(jobs, scores, shared, means):
    found = decision(jobs, scores)
    assert (found.shared, (found.shared_nats, found.separate_nats)) == (shared, means)
    assert (found.num_held_out, found.measured_classes) == (3, ("class 0", "class 1"))
    assert "\n" not in found.reason


def test_a_rehearsal_scores_every_held_out_sample_and_is_not_done_twice(jobs, monkeypatch):
    scores = run_rehearsal(jobs[0])
    assert scores is not None
    assert len(scores) == 3
    assert np.isfinite(scores).all()

    def never(*arguments: object) -> None:
        raise AssertionError

    monkeypatch.setattr("riemaug.run.sharing.run_fit_job", never)
    assert run_rehearsal(jobs[0]) == scores


def test_a_training_that_fails_is_an_answer(jobs, monkeypatch):
    def diverge(job: FitJob) -> None:
        raise TrainingError("it diverged")

    monkeypatch.setattr("riemaug.run.sharing.run_fit_job", diverge)
    assert run_rehearsal(jobs[1]) is None


def test_a_decision_is_kept(tmp_path):
    work, sharing = WorkDir(tmp_path), Sharing(False, "because", -2.0, None, 7, ("a", "b"))
    assert kept_decision(work) is None
    keep_decision(work, sharing)
    assert kept_decision(work) == sharing


def test_no_subject_is_both_trained_on_and_scored(tmp_path):
    shared, separate = fit_jobs((12, 12, 12), tmp_path)
    # of the first two classes each subject has three samples, all of the last one are of one subject
    whose = [
        tuple(f"s{i // 3}" for i in range(12)),
        tuple(f"s{2 + i // 3}" for i in range(12)),
        ("alone",) * 12,
    ]
    classes = tuple(replace(item, subjects=own) for item, own in zip(shared.classes, whose, strict=True))
    shared = replace(shared, classes=classes)
    separate = [replace(job, classes=(item,)) for job, item in zip(separate, classes, strict=True)]
    whole, *alone = rehearsal_jobs(shared, separate)
    assert 1 <= len(whole.held_out) == len(alone)
    assert {item.name for item in whole.held_out} <= {"class 0", "class 1"}
    trained = {subject for item in whole.fit.classes for subject in item.subjects}
    assert not trained & {subject for item in whole.held_out for subject in item.subjects}
    for job in alone:
        assert len(job.held_out[0].rows) == 3
        assert not {*job.fit.classes[0].subjects} & {*job.held_out[0].subjects}


def test_a_subject_of_a_class_that_is_not_measured_is_not_scored(tmp_path):
    shared, separate = fit_jobs((12, 4), tmp_path)  # the second is too small to be measured
    whose = [tuple(f"s{i // 3}" for i in range(12)), ("s0", "s1", "s2", "t")]
    classes = tuple(replace(item, subjects=own) for item, own in zip(shared.classes, whose, strict=True))
    whole, *_ = rehearsal_jobs(replace(shared, classes=classes), separate)
    assert {subject for item in whole.held_out for subject in item.subjects} == {"s3"}
    assert len(whole.fit.classes[1].rows) == 4
