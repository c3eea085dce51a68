"""The search itself: the same trials whatever interrupts it or works on it; what it refuses."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from riemaug.config import SamplingConfig
from riemaug.errors import InvalidInputError
from riemaug.models import ModelConfig
from riemaug.random import Stream
from riemaug.training import TrainingConfig
from riemaug.tuning import Trial, TuningConfig, TuningProblem, TuningProgress, search, tune
from riemaug.tuning.fits import HeldOutFit, score_held_out
from riemaug.tuning.proposals import propose
from riemaug.tuning.space import Range

HIDDEN = {"encoder_hidden": (12,), "decoder_hidden": (12,), "metric_hidden": (12,)}


def problem(
    kind: str = "vae", shared: bool = False, num_classes: int = 2, **changes: object
) -> TuningProblem:
    bunch = load_digits(n_class=num_classes)
    rows = np.concatenate([np.flatnonzero(bunch.target == label)[:15] for label in range(num_classes)])
    values = {
        "data": (bunch.images[rows].reshape(len(rows), -1) / 16).astype(np.float32),
        "labels": bunch.target[rows],
        "class_names": tuple(f"digit {label}" for label in range(num_classes)),
        "model": ModelConfig(
            kind=kind,
            data_dim=64,
            bandwidth_factor=1.0 if kind == "rhvae" else None,
            num_conditions=num_classes if shared else 0,
            **HIDDEN,
        ),
        "training": TrainingConfig(max_epochs=15, patience=15),
        "shared": shared,
    }
    return TuningProblem(**(values | changes))


def without_seconds(trials: tuple[Trial, ...]) -> list[tuple]:
    return [(t.number, t.choice, t.state, t.round_means, t.evidence) for t in trials]


# whole searches


@pytest.mark.parametrize("kind", ["vae", pytest.param("rhvae", marks=pytest.mark.slow)])
def test_a_search_scores_every_held_out_sample_and_keeps_the_best(kind: str) -> None:
    heard: list[TuningProgress] = []
    # in more than four dimensions the laws of a metric take seconds each
    fixed = frozenset({"latent_dim"} if kind == "rhvae" else ())
    found = tune(problem(kind, fixed=fixed), TuningConfig(num_trials=3), on_progress=heard.append)
    assert [trial.number for trial in found.trials] == [0, 1, 2, 3]
    assert found.trials[0].choice["learning_rate"] == 1e-3
    assert all(len(trial.evidence) == 6 for trial in found.trials)
    assert found.best.value == max(trial.value for trial in found.trials)
    assert len({tuple(trial.choice.values()) for trial in found.trials}) == 4
    assert [(told.trial, told.fits_done, told.fits_total) for told in heard[:4]] == [
        (0, 0, 2),
        (0, 1, 2),
        (0, 2, 2),
        (1, 0, 2),
    ]
    assert math.isnan(heard[2].seconds_left)
    assert heard[-1].seconds_left == 0
    assert heard[-1].start == found.trials[0].value


def test_classes_that_share_a_model_are_scored_together() -> None:
    found = tune(problem("rhvae", shared=True, fixed=frozenset({"latent_dim"})), TuningConfig(num_trials=1))
    assert [len(trial.evidence) for trial in found.trials] == [6, 6]
    assert all(trial.round_means == [np.mean(trial.evidence)] for trial in found.trials)


@pytest.mark.slow
def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tune(problem(), TuningConfig(num_trials=7))
    path = tmp_path / "trials.json"
    real, calls = search.score_held_out, 0

    def stops(fit: HeldOutFit) -> object:
        nonlocal calls
        calls += 1
        if calls == 12:  # in the middle of trial 5
            raise KeyboardInterrupt
        return real(fit)

    monkeypatch.setattr(search, "score_held_out", stops)
    with pytest.raises(KeyboardInterrupt):
        tune(problem(), TuningConfig(num_trials=7), path)
    assert '"number": 4' in path.read_text()
    assert '"number": 5' not in path.read_text()
    resumed = tune(problem(), TuningConfig(num_trials=7), path)
    assert without_seconds(resumed.trials) == without_seconds(whole.trials)
    assert calls == 12 + 2 * 3
    # nothing is left to do, and more trials only add to them
    assert without_seconds(tune(problem(), TuningConfig(num_trials=7), path).trials) == without_seconds(
        whole.trials
    )
    longer = tune(problem(), TuningConfig(num_trials=8), path)
    assert without_seconds(longer.trials[:8]) == without_seconds(whole.trials)
    with pytest.raises(InvalidInputError, match="same data and options"):
        tune(problem(), TuningConfig(num_trials=7, seed=1), path)


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing() -> None:
    searched = problem("rhvae", num_classes=6, fixed=frozenset({"latent_dim"}))
    alone = tune(searched, TuningConfig(num_trials=6))
    together = tune(searched, TuningConfig(num_trials=6), num_jobs=2)
    assert without_seconds(together.trials) == without_seconds(alone.trials)


# what happens to trials, with made-up scores


def scripted(
    monkeypatch: pytest.MonkeyPatch, score: Callable[[HeldOutFit], float | None]
) -> list[HeldOutFit]:
    seen: list[HeldOutFit] = []

    def instead(fit: HeldOutFit) -> np.ndarray | None:
        seen.append(fit)
        value = score(fit)
        return None if value is None else np.full(int(fit.held_out.sum()), value)

    monkeypatch.setattr(search, "score_held_out", instead)
    return seen


def test_the_search_finds_a_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    # best at d = 9, learning rate 4e-4
    def score(fit: HeldOutFit) -> float:
        away = math.log(fit.model.latent_dim / 9) ** 2 + math.log(fit.training.learning_rate / 4e-4) ** 2
        return -away

    scripted(monkeypatch, score)
    found = tune(problem(), TuningConfig(num_trials=40))
    assert found.is_adopted
    assert found.best.value > -0.1
    # the start, d = 2 and 1e-3, is at -3.1
    assert found.gain > 3.0


def test_hopeless_trials_are_given_up_after_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = scripted(monkeypatch, lambda fit: -abs(math.log(fit.training.learning_rate / 1e-3)))
    found = tune(problem(num_classes=6), TuningConfig(num_trials=12))
    states = [trial.state for trial in found.trials]
    assert states[:4] == ["complete"] * 4
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert pruned
    assert all(len(trial.round_means) == 1 and len(trial.evidence) == 4 * 3 for trial in pruned)
    assert len(seen) == 6 * states.count("complete") + 4 * len(pruned)
    assert found.best.state == "complete"


def test_trials_whose_training_fails_are_kept_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = scripted(
        monkeypatch, lambda fit: None if fit.model.latent_dim > 4 else -1.0 / fit.model.latent_dim
    )
    found = tune(problem(), TuningConfig(num_trials=10))
    failed = [trial for trial in found.trials if trial.state == "failed"]
    assert failed
    assert all(trial.value == -math.inf and trial.choice["latent_dim"] > 4 for trial in failed)
    assert found.best.choice["latent_dim"] <= 4
    assert len(seen) == 2 * len(found.trials)


def test_a_time_limit_lets_one_choice_be_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, lambda fit: -1.0)
    assert len(tune(problem(), TuningConfig(num_trials=9, seconds=1e-9)).trials) == 2


def test_of_many_classes_ten_stand_for_all_and_none_has_one_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = scripted(monkeypatch, lambda fit: -1.0)
    labels = np.concatenate([np.repeat(np.arange(24), 5), [24]])
    data = np.zeros((len(labels), 64), np.float32)
    names = tuple(f"class {label}" for label in range(25))
    tune(problem(data=data, labels=labels, class_names=names), TuningConfig(num_trials=1))
    assert len(seen) == 2 * search.MOST_CLASSES
    assert {fit.names[0] for fit in seen} <= set(names[:24])
    assert all(fit.held_out.sum() == 1 and len(fit.data) == 5 for fit in seen)


def test_what_is_fixed_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = scripted(monkeypatch, lambda fit: -1.0)
    tune(problem(fixed=frozenset({"latent_dim"})), TuningConfig(num_trials=4))
    assert {fit.model.latent_dim for fit in seen} == {2}
    assert len({fit.training.learning_rate for fit in seen}) == 5


def test_each_class_is_fitted_by_its_own_training(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = scripted(monkeypatch, lambda fit: -1.0)
    own = tuple(TrainingConfig(max_epochs=epochs, patience=epochs) for epochs in (5, 9))
    tune(problem(separate_trainings=own), TuningConfig(num_trials=1))
    assert [(fit.training.max_epochs, fit.training.patience) for fit in seen] == [(5, 5), (9, 9)] * 2
    first, last = seen[0].training.learning_rate, seen[-1].training.learning_rate
    assert first == seen[1].training.learning_rate != last == seen[2].training.learning_rate


def test_a_search_for_another_law_is_another_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = scripted(monkeypatch, lambda fit: -1.0)
    path, sampling = tmp_path / "trials.json", SamplingConfig(inverse_temperature=2.0, seed=3)
    tune(problem("rhvae", sampling=sampling), TuningConfig(num_trials=1), path)
    assert {fit.sampling for fit in seen} == {sampling}
    seen.clear()
    other_seed = SamplingConfig(inverse_temperature=2.0)
    tune(problem("rhvae", sampling=other_seed), TuningConfig(num_trials=1), path)
    assert seen == []
    with pytest.raises(InvalidInputError, match="same data and options"):
        tune(problem("rhvae"), TuningConfig(num_trials=1), path)


def test_samples_are_scored_under_the_law_they_are_drawn_from() -> None:
    data = problem().data[:15]

    def scores(**sampling: object) -> np.ndarray:
        fit = HeldOutFit(
            ("digit 0",),
            data,
            np.zeros(15, np.int64),
            np.arange(15) < 4,
            problem("rhvae").model,
            TrainingConfig(max_epochs=3, patience=3),
            0,
            "cpu",
            None,
            60,
            SamplingConfig.model_validate(sampling),
        )
        found = score_held_out(fit)
        assert found is not None
        return found

    default = scores()
    # the walk and HMC have the law of the mixture sampler
    assert np.array_equal(scores(sampler="walk"), default)
    assert np.array_equal(scores(sampler="hmc"), default)
    assert not np.allclose(scores(inverse_temperature=2.0), default)
    assert not np.allclose(scores(sampler="prior"), default)


@pytest.mark.parametrize("sampler", ["walk-paper", "walk-paper-code"])
def test_a_law_without_a_density_is_refused(sampler: str) -> None:
    sampling = SamplingConfig.model_validate({"sampler": sampler})
    with pytest.raises(InvalidInputError, match=f"that of --sampler {sampler} is not known"):
        tune(problem("rhvae", sampling=sampling), TuningConfig(num_trials=1))


# proposals


def test_a_proposal_depends_on_the_trials_and_the_stream_alone() -> None:
    ranges = {"a": Range(1e-3, 1.0), "b": Range(1, 9, is_whole=True)}
    trials = [
        Trial(0, {}, "complete", [-9.0], [-9.0], 0.0),
        Trial(1, {"a": 0.5, "b": 3}, "complete", [-4.0, -3.0], [-3.0], 0.0),
        Trial(2, {"a": 0.01, "b": 3}, "pruned", [-7.0], [-7.0], 0.0),
    ]
    first = propose(ranges, trials, Stream(1))
    # a failed trial teaches nothing, and how long trials took does not matter
    failed = Trial(3, {"a": 0.2, "b": 1}, "failed", [], [], 9.0)
    assert propose(ranges, [*trials, failed], Stream(1)).choice == first.choice
    assert propose(ranges, trials, Stream(2)).choice != first.choice
    assert first.choice["a"] in ranges["a"]
    assert isinstance(first.choice["b"], int)


def test_without_optuna_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InvalidInputError, match=r"pip install 'riemaug\[tune\]'"):
        propose({"a": Range(1e-3, 1.0)}, [], Stream(1))
