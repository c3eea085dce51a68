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

GENERATOR = GeneratorConfig(preset="conditional", network="mlp", max_epochs=2)


def fit_job(sizes: tuple[int, ...], work: Path, seed: int = 0) -> FitJob:
    random = np.random.default_rng(0)
    classes = tuple(
        ClassRows(f"class {i}", random.random((size, 3, 4)), tuple(f"{i}/{k}" for k in range(size)))
        for i, size in enumerate(sizes)
    )
    scaler = RangeScaler.fit(np.concatenate([item.rows for item in classes]))
    model, training = GENERATOR.model_for((3, 4), sizes), GENERATOR.training_for((3, 4), sizes)
    return FitJob(0, classes, WorkDir(work), scaler, model, training, seed, "cpu")


def sources(classes: tuple[ClassRows, ...]) -> list[str]:
    return [source for item in classes for source in item.sources]


@pytest.mark.parametrize("sizes", [(10, 20, 5), (5, 5), (40, 4, 40), (6,) * 9])
def test_what_is_scored_was_not_trained_on_and_nothing_else_is_left_out(tmp_path, sizes):
    shared = fit_job(sizes, tmp_path)
    whole, *alone = rehearsal_jobs(shared)
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
    whole, *alone = rehearsal_jobs(fit_job((8, 8, 8), tmp_path))
    assert (whole.fit.model.kind, whole.fit.model.num_conditions) == ("vae", 3)
    for job in alone:
        assert job.fit.model == whole.fit.model.model_copy(update={"num_conditions": 0})
        assert job.fit.training == whole.fit.training


def test_both_ways_have_as_many_steps(tmp_path):
    shared = fit_job((40, 40, 40), tmp_path)
    training = shared.training.model_copy(update={"batch_size": 20, "max_epochs": 10_000})
    jobs = rehearsal_jobs(replace(shared, training=training))
    steps = []
    for job in jobs:
        size = sum(len(item.rows) for item in job.fit.classes)
        steps.append(-(-size // 20) * job.fit.training.max_epochs)
    # 96 samples of all classes are 5 steps an epoch, 32 of one class are 2
    assert steps == [5 * REHEARSAL_EPOCHS, *[5 * REHEARSAL_EPOCHS // 2 * 2] * 3]


def test_the_split_is_the_seeds(tmp_path):
    def held_out(seed: int) -> list[str]:
        return sources(rehearsal_jobs(fit_job((9, 9), tmp_path, seed))[0].held_out)

    assert held_out(1) == held_out(1)
    assert held_out(1) != held_out(2)


def test_classes_that_are_too_small_are_not_measured(tmp_path):
    assert rehearsal_jobs(fit_job((4, 2, 3), tmp_path)) == []
    assert decision([], []).shared


@pytest.fixture
def jobs(tmp_path: Path) -> list[RehearsalJob]:
    return rehearsal_jobs(fit_job((5, 10), tmp_path))


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
