"""All measures together, in a named space: silent on held-out real digits, loud on noise and on one mode."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.naive_bayes import GaussianNB

from riemaug.errors import InvalidInputError, NotFittedError
from riemaug.evaluation.features import PCAFeatures, PixelFeatures
from riemaug.evaluation.fidelity import FidelityConfig, evaluate_fidelity, fidelity_scores

QUICK = FidelityConfig(k=3, mmd_permutations=99, classifier=GaussianNB(), folds=3)


@pytest.fixture(scope="module")
def digits() -> dict[str, np.ndarray]:
    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.images))
    images, labels = bunch.images.astype(np.uint8)[order], bunch.target[order]
    parts = {"train": slice(0, 600), "test": slice(600, 1000), "more": slice(1000, 1400)}
    return {f"{name} images": images[rows] for name, rows in parts.items()} | {
        f"{name} labels": labels[rows] for name, rows in parts.items()
    }


def test_held_out_real_data_as_synthetic_are_silent(digits) -> None:
    # each p-value is below 0.001 by chance with that probability; each share is far off its limit
    space = PCAFeatures().fit(digits["train images"])
    report = evaluate_fidelity(
        space,
        digits["test images"],
        digits["more images"],
        digits["test labels"],
        digits["more labels"],
        QUICK,
    )
    overall = report.overall
    assert overall.neighbourhoods.precision > 0.9
    assert overall.neighbourhoods.recall > 0.9
    assert abs(overall.neighbourhoods.coverage - overall.neighbourhoods.expected_coverage) < 0.08
    assert abs(overall.kid.value) < 4 * overall.kid.standard_error
    assert overall.mmd.p_value > 0.001
    assert overall.two_sample.p_value > 0.001
    assert list(report.per_class) == [str(digit) for digit in range(10)]
    assert sum(scores.neighbourhoods.num_real for scores in report.per_class.values()) == 400
    assert np.mean([scores.mmd.p_value for scores in report.per_class.values()]) > 0.1
    assert report.feature_space == space.name


def test_noise_is_far_off(digits) -> None:
    noise = np.random.default_rng(0).integers(0, 17, (200, 8, 8)).astype(np.uint8)
    space = PixelFeatures().fit(digits["train images"])
    scores = evaluate_fidelity(space, digits["test images"], noise, config=QUICK).overall
    assert scores.neighbourhoods.precision < 0.02
    assert scores.neighbourhoods.density < 0.02
    assert scores.kid.value > 10 * scores.kid.standard_error
    assert scores.mmd.p_value == 0.01
    assert scores.two_sample.auc > 0.99


def test_copies_of_one_class_lack_recall(digits) -> None:
    ones = digits["more images"][digits["more labels"] == 1]
    space = PixelFeatures().fit(digits["train images"])
    scores = evaluate_fidelity(space, digits["test images"], ones, config=QUICK).overall
    assert scores.neighbourhoods.precision > 0.8
    assert scores.neighbourhoods.recall < 0.3
    assert scores.neighbourhoods.coverage < 0.3


def test_a_class_without_synthetic_samples_is_named(digits) -> None:
    few = np.isin(digits["more labels"], [2, 5])
    report = evaluate_fidelity(
        PixelFeatures().fit(digits["train images"]),
        digits["test images"],
        digits["more images"][few],
        digits["test labels"],
        digits["more labels"][few].astype(str),
        QUICK,
    )
    assert list(report.per_class) == ["2", "5"]
    assert any(note.startswith("No synthetic samples of 0, 1, 3, 4, 6, 7, 8, 9:") for note in report.notes)
    assert any("prefer KID" in note for note in report.notes)
    assert report.per_class["2"] != report.per_class["5"]


def test_the_report_is_json_and_follows_the_seed() -> None:
    rng = np.random.default_rng(0)
    real, synthetic = rng.random((30, 4)), rng.random((25, 4))
    space = PixelFeatures().fit(real)
    labels = np.repeat(["a", "b"], [15, 15]), np.repeat(["a", "b"], [12, 13])
    reports = [evaluate_fidelity(space, real, synthetic, *labels, QUICK, seed) for seed in (0, 0, 1)]
    fields = reports[0].to_dict()
    assert json.loads(json.dumps(fields)) == fields
    assert fields["per_class"]["b"]["neighbourhoods"]["k"] == 3
    assert reports[0] == reports[1]
    assert reports[0] != reports[2]


def test_defaults_need_no_config() -> None:
    rng = np.random.default_rng(0)
    scores = fidelity_scores(rng.normal(size=(20, 3)), rng.normal(size=(20, 3)))
    assert scores.neighbourhoods.k == 5
    assert scores.two_sample.classifier.startswith("ExtraTreesClassifier")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((np.repeat(["a", "b"], [17, 3]), np.repeat(["a", "b"], 10)), "class 'b': k = 3 needs .* 4 real"),
        ((np.repeat("a", 20), np.repeat("c", 20)), "must be among the real ones, 'c' is not"),
        ((np.repeat("a", 20), None), "the synthetic ones are missing"),
        ((np.repeat("a", 19), np.repeat("a", 20)), "each real sample needs one label, got 19 for 20"),
    ],
)
def test_refusals(labels, message: str) -> None:
    rows = np.random.default_rng(0).random((20, 4))
    with pytest.raises(InvalidInputError, match=message):
        evaluate_fidelity(PixelFeatures().fit(rows), rows, rows, *labels, QUICK)


def test_the_space_must_be_fitted_before() -> None:
    rows = np.random.default_rng(0).random((20, 4))
    with pytest.raises(NotFittedError):
        evaluate_fidelity(PixelFeatures(), rows, rows)
