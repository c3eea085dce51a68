"""The whole evaluation on real digits: what noise, copies and real samples get, and what is refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from torch import nn

from riemaug.config import Amount
from riemaug.errors import InvalidInputError
from riemaug.evaluation import (
    EvaluationConfig,
    cross_validate,
    evaluate_gain,
    evaluate_samples,
    sample_checks,
)
from riemaug.evaluation.classifiers import EstimatorClassifier, classifier_named
from riemaug.evaluation.fidelity import FidelityConfig
from riemaug.evaluation.outcome import Evaluation
from riemaug.evaluation.protocol import root_stream
from riemaug.evaluation.run_task import RunTask
from riemaug.evaluation.runs import Run
from riemaug.evaluation.samples import LabelledSamples
from riemaug.evaluation.tables import markdown
from riemaug.evaluation.tasks import Progress
from riemaug.evaluation.training_sets import Material
from riemaug.random import Stream

Labelled = tuple[np.ndarray, np.ndarray]
DIGITS = 4


def digits() -> Labelled:
    """Return the images of the digits 0 to 3 in random order, (n, 8, 8)."""
    flat, target = load_digits(return_X_y=True)
    images, labels = np.asarray(flat).reshape(-1, 8, 8).astype(np.uint8), np.asarray(target)
    order = np.random.default_rng(0).permutation(np.flatnonzero(labels < DIGITS))
    return images[order], labels[order]


@pytest.fixture(scope="module")
def parts() -> list[Labelled]:
    """Four parts that share nothing."""
    images, labels = digits()
    edges = [80, 260, 480]
    return list(zip(np.split(images, edges), np.split(labels, edges), strict=True))


@pytest.fixture(scope="module")
def real(parts: list[Labelled]) -> Labelled:
    return parts[0]


@pytest.fixture(scope="module")
def held_out(parts: list[Labelled]) -> Labelled:
    """Real samples that nobody has seen."""
    return parts[1]


@pytest.fixture(scope="module")
def test(parts: list[Labelled]) -> Labelled:
    return parts[2]


def quick(**choices: object) -> EvaluationConfig:
    usual: dict[str, object] = {
        "classifiers": (GaussianNB(var_smoothing=0.1),),
        "trained_on": ("synthetic", "both"),
        "seeds": 2,
        "fidelity": False,
        "copying": False,
        "jobs": 1,
    }
    return EvaluationConfig.model_validate(usual | choices)


def noise(per_class: int) -> Labelled:
    rng = np.random.default_rng(5)
    images = rng.integers(0, 17, (DIGITS * per_class, 8, 8)).astype(np.uint8)
    return images, np.repeat(np.arange(DIGITS), per_class)


@pytest.fixture
def quick_fidelity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds become parts of a second; for what is not about the numbers."""
    config = FidelityConfig(mmd_permutations=50, classifier=GaussianNB())
    monkeypatch.setattr(sample_checks, "FidelityConfig", lambda: config)


def effects(evaluation: Evaluation) -> dict[str, str]:
    return {item.trained_on: item.effect for item in evaluation.comparisons if item.compared_with == "real"}


def test_noise_harms(real: Labelled, test: Labelled) -> None:
    found = evaluate_gain(real, noise(100), test, quick(classifiers=("logistic",), seeds=3))
    assert effects(found) == {"synthetic": "harms", "both": "harms"}
    (verdict,) = found.verdicts
    assert verdict.words.startswith("harms: -")
    assert "3 seeds, logistic" in verdict.words


@pytest.mark.usefixtures("quick_fidelity")
def test_real_samples_that_nobody_saw_are_silent(real: Labelled, held_out: Labelled, test: Labelled) -> None:
    found = evaluate_gain(real, held_out, test, quick(copying=True, fidelity=True))
    assert found.findings == ()
    assert set(effects(found).values()) <= {"helps", "no effect shown"}
    (report,) = found.fidelity
    assert report["overall"]["two_sample"]["p_value"] > 0.01
    assert report["overall"]["mmd"]["p_value"] > 0.01
    assert set(report["per_class"]) == {"0", "1", "2", "3"}
    assert report["feature_space"].startswith("PCA of the pixels")
    assert "Nothing points to copying." in markdown(found)


def test_a_sampler_that_memorises_is_caught(real: Labelled, test: Labelled) -> None:
    rows = np.random.default_rng(3).integers(0, len(real[0]), 200)
    found = evaluate_gain(real, (real[0][rows], real[1][rows]), test, quick(copying=True))
    assert any("200 of 200 synthetic samples equal a training sample" in item for item in found.findings)
    assert "equal a training sample" in markdown(found)


def test_copies_alone_do_not_help(real: Labelled, test: Labelled) -> None:
    """They hold no more than the real samples, those that stop trainings among them."""
    network = classifier_named("mlp", max_epochs=30)
    found = evaluate_gain(real, real, test, quick(trained_on=("both",), classifiers=(GaussianNB(), network)))
    bayes, perceptron = (item for item in found.comparisons if item.compared_with == "real")
    # each sample twice: the same means and variances
    assert bayes.difference.mean == 0.0
    assert perceptron.effect == "no effect shown"


def test_a_network_learns_from_all_real_samples_in_the_end(real: Labelled, test: Labelled) -> None:
    first, last = (
        LabelledSamples(real[0][rows].astype(np.float32) / 16, real[1][rows].astype(np.int64))
        for rows in (slice(0, 60), slice(60, 80))
    )
    network, seen = classifier_named("mlp", max_epochs=4), test[0].astype(np.float32) / 16
    usual = network.fit(first, last, DIGITS, Stream(0))
    repeated = network.fit(first, last, DIGITS, Stream(0), final=first)
    longer = network.fit(first, last, DIGITS, Stream(0), final=first.joined(last))
    assert usual.history is not None
    assert usual.history.best_epoch == usual.history.epochs == 4
    # the same samples for as many epochs give the same network, others another
    np.testing.assert_array_equal(usual.predict_proba(seen), repeated.predict_proba(seen))
    assert not np.array_equal(usual.predict_proba(seen), longer.predict_proba(seen))


def test_a_planted_leak_stops_the_run(real: Labelled, held_out: Labelled, test: Labelled) -> None:
    planted = np.concatenate([test[0], real[0][:1]]), np.concatenate([test[1], real[1][:1]])
    with pytest.raises(InvalidInputError, match="the real samples and the test set must share nothing, 1 of"):
        evaluate_gain(real, held_out, planted, quick())
    shown = np.concatenate([held_out[0], test[0][:2]]), np.concatenate([held_out[1], test[1][:2]])
    with pytest.raises(InvalidInputError, match="synthetic samples and the test set must share nothing, 2"):
        evaluate_gain(real, shown, test, quick())


def test_near_duplicates_stop_the_run_unless_they_are_to_be_ignored(
    real: Labelled, held_out: Labelled, test: Labelled
) -> None:
    altered = real[0][:1].copy()
    altered[0, 4, 4] ^= 1
    planted = np.concatenate([test[0], altered]), np.concatenate([test[1], real[1][:1]])
    with pytest.raises(InvalidInputError, match="near duplicate"):
        evaluate_gain(real, held_out, planted, quick())
    assert evaluate_gain(real, held_out, planted, quick(near_duplicates="ignore")).runs


def test_labels_of_any_kind_give_the_same(real: Labelled, held_out: Labelled, test: Labelled) -> None:
    names = np.array(["ant", "bee", "cat", "dog"])
    plain = evaluate_gain(real, held_out, test, quick())
    text = [(images, names[labels]) for images, labels in (real, held_out, test)]
    named = evaluate_gain(text[0], text[1], text[2], quick())
    assert [run.scores for run in plain.runs] == [run.scores for run in named.runs]
    assert named.settings["classes"] == names.tolist()


@pytest.mark.slow
def test_the_number_of_jobs_changes_nothing(real: Labelled, held_out: Labelled, test: Labelled) -> None:
    network = classifier_named("small-cnn", max_epochs=3)
    found = [
        evaluate_gain(real, held_out, test, quick(classifiers=(network,), seeds=1, copying=True, jobs=jobs))
        for jobs in (1, 2)
    ]
    documents = [json.loads(json.dumps(item.to_dict())) for item in found]
    for document in documents:
        for fields in (*document["runs"], *document["copying"]):
            del fields["seconds"]
    assert documents[0] == documents[1]


def test_seeds_differ_and_the_same_seed_repeats(real: Labelled, held_out: Labelled, test: Labelled) -> None:
    network = classifier_named("mlp", max_epochs=3)
    first, again, other = (
        evaluate_gain(real, held_out, test, quick(classifiers=(network,), seed=seed)) for seed in (0, 0, 1)
    )
    losses = [[run.scores.brier for run in item.runs] for item in (first, again, other)]
    assert losses[0] == losses[1]
    assert not set(losses[0]) & set(losses[2])
    assert len(set(losses[0])) == 6


def test_runs_of_a_seed_begin_with_the_same_weights(real: Labelled, test: Labelled) -> None:
    images, labels = real[0][:, None].astype(np.float32)[:, 0] / 16, real[1].astype(np.int64)
    training, validation = (
        LabelledSamples(images[:60], labels[:60]),
        LabelledSamples(images[60:], labels[60:]),
    )
    names = ("0", "1", "2", "3")
    material = Material(training, validation, training, validation, names, validation_was_shown=False)
    network, stream = classifier_named("mlp", max_epochs=2), root_stream(EvaluationConfig())
    results = [
        RunTask("mlp", network, name, 0, material, 5, 60, stream).carry_out()
        for name in ("real", "synthetic")
    ]
    assert results[0]["scores"] == results[1]["scores"]


class Unfit(GaussianNB):
    """Must not be trained again."""

    def fit(self, X: object, y: object, sample_weight: object = None) -> "Unfit":
        raise AssertionError("trained again")


def test_what_is_done_is_not_done_again(
    real: Labelled, held_out: Labelled, test: Labelled, tmp_path: Path
) -> None:
    own = EstimatorClassifier(GaussianNB(), "own")
    first = evaluate_gain(real, held_out, test, quick(classifiers=(own,)), folder=tmp_path)
    path = tmp_path / "runs.jsonl"
    whole = path.read_text()
    assert whole.count("\n") == len(first.runs) == 6
    path.write_text(whole + '{"key": ["run", 0, "own", "re')  # what a killed run leaves
    unfit = EstimatorClassifier(Unfit(), "own")
    again = evaluate_gain(real, held_out, test, quick(classifiers=(unfit,)), folder=tmp_path)
    assert [run.to_dict() for run in again.runs] == [run.to_dict() for run in first.runs]
    longer = evaluate_gain(real, held_out, test, quick(classifiers=(own,), seeds=3), folder=tmp_path)
    assert len(longer.runs) == 9
    assert path.read_text().startswith(whole)
    with pytest.raises(AssertionError, match="trained again"):
        evaluate_gain(real, held_out, test, quick(classifiers=(unfit,), seed=1), folder=tmp_path)
    with pytest.raises(AssertionError, match="trained again"):
        evaluate_gain(real, noise(20), test, quick(classifiers=(unfit,)), folder=tmp_path)


@pytest.mark.slow
def test_classifiers_of_the_users_own(real: Labelled, held_out: Labelled, test: Labelled) -> None:
    # dropout draws from the global generator: it must repeat and must not move it
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.5), nn.Linear(16, DIGITS))
    config = quick(classifiers=(LogisticRegression(C=0.1), network, network))
    before = torch.get_rng_state()
    first, again = (evaluate_gain(real, held_out, test, config) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert [item.classifier for item in first.verdicts] == [
        "LogisticRegression",
        "Sequential",
        "Sequential 2",
    ]
    assert [run.scores for run in first.runs] == [run.scores for run in again.runs]


def test_progress_is_told_with_the_time_left(real: Labelled, held_out: Labelled, test: Labelled) -> None:
    told: list[Progress] = []
    evaluate_gain(real, held_out, test, quick(), listener=told.append)
    assert [item.done for item in told] == list(range(7))
    assert {item.total for item in told} == {6}
    assert told[0].seconds_left is not None
    assert told[0].seconds_left > 0
    assert told[-1].seconds_left == 0.0
    assert told[-1].share == 1.0
    assert [item.share for item in told] == sorted(item.share for item in told)


def test_sets_that_do_not_agree_are_refused(real: Labelled, held_out: Labelled, test: Labelled) -> None:
    images, labels = held_out
    refused = [
        (
            (images[:, :7], labels),
            "found 8x8 in the real samples and 7x8 in the synthetic samples",
        ),
        ((images.astype(np.uint16), labels), "of one dtype"),
        ((images, labels + 1), "'4' is not"),
        ((images, labels[:-1]), "the synthetic samples: y must hold one label"),
    ]
    for synthetic, told in refused:
        with pytest.raises(InvalidInputError, match=told):
            evaluate_gain(real, synthetic, test, quick())


@pytest.mark.usefixtures("quick_fidelity")
def test_classes_that_lack_are_told(real: Labelled, held_out: Labelled, test: Labelled) -> None:
    some = held_out[1] > 1
    found = evaluate_gain(real, (held_out[0][some], held_out[1][some]), test, quick(fidelity=True))
    assert "There are no samples of class '0', '1' in the synthetic samples." in found.notes
    assert set(found.fidelity[0]["per_class"]) == {"2", "3"}
    assert any("0, 1" in note for note in found.fidelity[0]["notes"])
    one = held_out[1] == 1
    alone = evaluate_gain(real, (held_out[0][one], held_out[1][one]), test, quick(trained_on=None, seeds=1))
    assert {run.trained_on for run in alone.runs} == {"real", "both", "classic", "all"}
    assert any("two classes or more" in note for note in alone.notes)


@pytest.mark.usefixtures("quick_fidelity")
def test_small_classes_are_left_out_of_fidelity_and_named(
    real: Labelled, held_out: Labelled, test: Labelled
) -> None:
    rows = np.concatenate([np.flatnonzero(held_out[1] == 0)[:4], np.flatnonzero(held_out[1] > 0)])
    found = evaluate_samples(real, (held_out[0][rows], held_out[1][rows]), test, quick(fidelity=True))
    assert set(found.fidelity[0]["per_class"]) == {"1", "2", "3"}
    assert any("no measures of their own: 0." in note for note in found.fidelity[0]["notes"])
    assert found.runs == ()


@pytest.mark.usefixtures("quick_fidelity")
def test_without_a_test_set_the_checks_say_what_they_compare_with(real: Labelled, held_out: Labelled) -> None:
    found = evaluate_samples(real, held_out, None, quick(fidelity=True, copying=True, features="pixels"))
    assert found.fidelity[0]["compared_with"] == "real training samples"
    assert any("a copy looks perfect" in note for note in found.fidelity[0]["notes"])
    assert found.copying[0]["membership"] is None
    assert found.findings == ()


@pytest.mark.usefixtures("quick_fidelity")
def test_tables_have_no_classic_augmentation(real: Labelled, held_out: Labelled, test: Labelled) -> None:
    rows = [(images.reshape(-1, 64).astype(float), labels) for images, labels in (real, held_out, test)]
    found = evaluate_gain(rows[0], rows[1], rows[2], quick(trained_on=None, classifiers=(), fidelity=True))
    assert {run.trained_on for run in found.runs} == {"real", "synthetic", "both"}
    assert {run.classifier for run in found.runs} == {"logistic"}
    assert any("images and volumes only" in note for note in found.notes)
    assert found.fidelity[0]["feature_space"].startswith("PCA of the scaled columns")
    with pytest.raises(InvalidInputError, match="leave out --trained-on classic"):
        evaluate_gain(rows[0], rows[1], rows[2], quick(trained_on=("classic",)))


def test_classic_augmentation_is_compared(real: Labelled, held_out: Labelled, test: Labelled) -> None:
    found = evaluate_gain(real, held_out, test, quick(trained_on=None, seeds=1, classic="x5"))
    sizes = {run.trained_on: run.num_training for run in found.runs}
    assert sizes["real"] == len(real[0])
    assert sizes["classic"] == 5 * len(real[0])
    assert sizes["all"] == 5 * len(real[0]) + len(held_out[0])
    assert found.settings["training_sizes"] == [sizes]
    pairs = {(item.trained_on, item.compared_with) for item in found.comparisons}
    assert {("classic", "real"), ("all", "classic"), ("both", "classic")} <= pairs


def test_what_is_saved_tells_all(real: Labelled, held_out: Labelled, test: Labelled, tmp_path: Path) -> None:
    found = evaluate_gain(real, held_out, test, quick(copying=True))
    found.save(tmp_path)
    document = json.loads((tmp_path / "evaluation.json").read_text())
    assert document == json.loads(json.dumps(found.to_dict()))
    runs = [Run.from_dict(fields) for fields in document["runs"]]
    for run, kept in zip(found.runs, runs, strict=True):
        np.testing.assert_array_equal(run.right, kept.right)
        assert kept.right.mean() == pytest.approx(run.scores.accuracy)
    text = (tmp_path / "evaluation.md").read_text()
    assert found.verdicts[0].words in text
    assert "real + synthetic" in text


def test_the_code_of_the_page_runs() -> None:
    page = Path(__file__).parents[3] / "docs" / "evaluate.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    namespace: dict[str, object] = {"__name__": "evaluate"}
    for block in blocks:
        exec(compile(block, str(page), "exec"), namespace)


class Recorder(BaseEstimator):
    """Copies what it was shown, with a trace that nobody could miss, and remembers it."""

    shown: list[np.ndarray] = []
    seeds: list[int] = []

    def __init__(self, random_state: int | None = None) -> None:
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: np.ndarray) -> "Recorder":
        self.shown.append(X)
        assert self.random_state is not None
        self.seeds.append(self.random_state)
        self.X_, self.y_ = X, y
        return self

    def sample(self, num_samples: dict[int, int]) -> tuple[np.ndarray, np.ndarray]:
        rows = np.concatenate(
            [np.resize(np.flatnonzero(self.y_ == label), count) for label, count in num_samples.items()]
        )
        return (self.X_[rows] ^ 1).astype(self.X_.dtype), self.y_[rows]


@pytest.fixture
def recorder() -> Recorder:
    Recorder.shown, Recorder.seeds = [], []
    return Recorder()


def folds_config(**choices: object) -> EvaluationConfig:
    return quick(cv=3, seeds=1, amount=Amount(per_class=20), **choices)


def test_the_generator_is_fitted_anew_in_each_fold_and_sees_no_test_sample(
    recorder: Recorder, held_out: Labelled
) -> None:
    images, labels = held_out
    found = cross_validate(images, labels, recorder, folds_config())
    assert len(Recorder.shown) == 3
    assert len(set(Recorder.seeds)) == 3
    assert [run.fold for run in found.runs] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert not hasattr(recorder, "X_")
    tested = [sum(fold["test"]) for fold in found.settings["samples"]]
    assert sum(tested) == len(images)
    for shown, fold in zip(Recorder.shown, found.settings["samples"], strict=True):
        assert len(shown) == sum(fold["training"])
        assert len(shown) == pytest.approx(0.8 * (len(images) - sum(fold["test"])), abs=DIGITS)
    assert "3 folds x 1 seed" in found.verdicts[0].words


def test_folds_keep_subjects_and_near_duplicates_whole(recorder: Recorder, real: Labelled) -> None:
    images = np.concatenate([real[0], real[0] ^ np.uint8(1)])
    labels, subjects = np.tile(real[1], 2), np.arange(2 * len(real[0])) % 40
    # neither the leak check inside nor the subjects may find one sample on both sides
    cross_validate(images, labels, recorder, folds_config(copying=True), groups=subjects)
    subject_of = {image.tobytes(): subject for image, subject in zip(images, subjects, strict=True)}
    for shown in Recorder.shown:
        there = {subject_of[image.tobytes()] for image in shown}
        whole = sum(subject in there for subject in subjects)
        assert whole == len(shown)


def test_folds_are_resumed_without_fitting_again(
    recorder: Recorder, held_out: Labelled, tmp_path: Path
) -> None:
    first = cross_validate(*held_out, recorder, folds_config(), folder=tmp_path)
    again = cross_validate(*held_out, recorder, folds_config(), folder=tmp_path)
    assert len(Recorder.shown) == 3
    assert [run.to_dict() for run in first.runs] == [run.to_dict() for run in again.runs]
    cross_validate(*held_out, recorder, folds_config(seed=1), folder=tmp_path)
    assert len(Recorder.shown) == 6


def test_classes_too_small_for_the_folds_are_refused(recorder: Recorder, held_out: Labelled) -> None:
    rows = np.concatenate([np.flatnonzero(held_out[1] == 0)[:2], np.flatnonzero(held_out[1] > 0)])
    with pytest.raises(InvalidInputError, match="'0' has 2: use fewer folds"):
        cross_validate(held_out[0][rows], held_out[1][rows], recorder, folds_config())
