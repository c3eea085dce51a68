from dataclasses import replace

import numpy as np
import pytest

from riemaug.report import summary


def test_headline_counts_everything(report):
    head = summary.headline(report)
    assert head.made == "211 synthetic images for 3 classes, made from 20 real ones."
    assert head.converged == "The sampler did not converge for 1 of 3 classes."
    assert head.copies == "0 exact copies and 1 near copy of training images among the synthetic ones."
    assert (head.converged_grade, head.copies_grade) == ("poor", "fair")


def test_headline_of_a_clean_run(report, image_class):
    head = summary.headline(replace(report, classes=(image_class,)))
    assert head.converged == "The sampler converged for the class."
    assert head.copies == "No synthetic image is a copy or a near copy of a training image."
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
    share = summary.closeness(same).close_share
    # Both quantile and share are known to 0.0034 each: five standard errors, failure under 1e-6.
    assert share == pytest.approx(0.05, abs=0.025)


def test_copies_have_a_large_close_share(image_class):
    near = replace(image_class, nearest_distances=np.zeros(10))
    assert summary.closeness(near).close_share == 1.0
    assert "more than expected" in summary.closeness_sentence(near)


def test_distances_that_are_unknown_give_no_comparison(table_class, color_class):
    assert summary.closeness(table_class).close_share is None
    assert summary.closeness(color_class).synthetic_median == 2.0
