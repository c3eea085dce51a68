from dataclasses import replace

import numpy as np
import pytest

from riemaug.report import summary
from riemaug.report.closeness import closeness, closeness_sentence


def test_headline_counts_everything(report):
    head = summary.headline(report)
    assert head.made == "211 synthetic images for 3 classes, made from 20 real ones."
    assert head.converged == "The sampler did not converge for 1 of 3 classes."
    assert head.copies == (
        "0 synthetic images equal a training image, 1 is nearer to one than the model's own reconstruction "
        "of it."
    )
    assert (head.converged_grade, head.copies_grade) == ("poor", "fair")


def test_headline_of_a_clean_run(report, image_class):
    head = summary.headline(replace(report, classes=(image_class,)))
    assert head.converged == "The sampler converged for the class."
    assert head.copies == (
        "No synthetic image equals a training image, and none is nearer to one than the model's own "
        "reconstruction of it."
    )
    assert (head.converged_grade, head.copies_grade) == ("good", "good")


def test_unchecked_copying_is_not_called_clean(report, table_class):
    head = summary.headline(replace(report, classes=(table_class,)))
    assert head.copies == "Copying was not checked for 1 class."
    assert head.converged == "Whether the sampler converged was not reported."
    assert head.made.startswith("7 synthetic samples")


def test_warnings_name_the_classes(report):
    found = {warning.sentence: warning.classes for warning in summary.warnings(report)}
    assert found["The sampler did not converge: run more steps."] == (1,)
    assert found["Training ended with values that are not finite."] == (1,)
    assert any(sentence.startswith("R-hat") for sentence in found)
    assert any("near copies" in sentence for sentence in found)
    assert found[report.notes[0]] == ()


def test_exact_copies_make_a_class_a_problem(report, image_class):
    copied = replace(image_class, copies_exact=1)
    assert summary.class_grade(image_class, "mixture") == "good"
    assert summary.class_grade(copied, "mixture") == "poor"
    sentences = [warning.sentence for warning in summary.warnings(replace(report, classes=(copied,)))]
    assert any("Do not share them as synthetic" in sentence for sentence in sentences)


def test_best_epoch_at_the_end_is_told(image_class):
    grade, sentence = summary.training_problem(replace(image_class, best_epoch=60))
    assert grade == "fair"
    assert "too early" in sentence


@pytest.mark.parametrize("sampler", ["walk-paper", "walk-paper-code"])
def test_paper_walk_is_a_warning(report, image_class, sampler):
    found = summary.warnings(replace(report, classes=(image_class,), sampler=sampler, notes=()))
    assert "for comparison only" in found[-1].sentence


def test_close_share_of_fresh_samples_is_about_the_quantile(image_class, rng):
    same = replace(
        image_class, nearest_distances=rng.uniform(1, 2, 4000), real_nearest_distances=rng.uniform(1, 2, 4000)
    )
    share = closeness(same).close_share
    # Both quantile and share are known to 0.0034 each: five standard errors, failure under 1e-6.
    assert share == pytest.approx(0.05, abs=0.025)


def test_copies_have_a_large_close_share(image_class):
    near = replace(image_class, nearest_distances=np.zeros(10))
    assert closeness(near).close_share == 1.0
    assert "more than expected" in closeness_sentence(near)


def test_distances_that_are_unknown_give_no_comparison(table_class, color_class):
    assert closeness(table_class).close_share is None
    assert closeness(color_class).synthetic_median == 2.0


def test_samples_far_from_the_data_are_a_warning(report, image_class):
    real = np.full(12, 1.2)
    far = replace(image_class, nearest_distances=np.full(200, 3.0), real_nearest_distances=real)
    usual = replace(far, nearest_distances=np.full(200, 2.3))
    sentences = [
        [warning.sentence for warning in summary.warnings(replace(report, classes=(item,)))]
        for item in (far, usual)
    ]
    assert any("are unlike the data: their median distance" in sentence for sentence in sentences[0])
    assert not any("unlike the data" in sentence for sentence in sentences[1])
    assert summary.class_grade(far, "mixture") == "fair"
    assert summary.class_grade(usual, "mixture") == "good"
    assert "2.5 times the other, more than 2" in closeness_sentence(far)


@pytest.mark.parametrize(
    ("near", "distance", "poorly"), [(80, 3.0, True), (80, 0.5, False), (20, 3.0, False)]
)
def test_many_near_ones_that_are_far_away_say_that_the_model_reconstructs_poorly(
    report, image_class, near, distance, poorly
):
    item = replace(
        image_class,
        copies_near=near,
        nearest_distances=np.full(200, distance),
        real_nearest_distances=np.full(12, 1.2),
    )
    data = replace(report, classes=(item,))
    sentences = " ".join(warning.sentence for warning in summary.warnings(data))
    assert ("The model reconstructs poorly" in sentences) is poorly
    assert ("they may be near copies" in sentences) is not poorly
    assert ("the model reconstructs poorly" in summary.headline(data).copies) is poorly
