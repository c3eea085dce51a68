"""What the report says of dropped copies."""

from dataclasses import replace

import pytest

from riemaug.evaluation.copying import DroppedCopies
from riemaug.report import summary
from riemaug.report.dropping import dropping_grade, dropping_of_class, dropping_of_run
from riemaug.report.html import render


def test_the_distance_of_the_laws_is_the_share_dropped(image_class):
    report = replace(image_class, dropped=DroppedCopies(200, 250, 3, 47))
    assert dropping_of_class(report) == (
        "50 of 250 draws (3 exact and 47 near copies) were dropped. So the law of this class and the "
        "sampler's own differ by about 20\u202f% in total variation."
    )


def test_missing_samples_are_counted(image_class):
    report = replace(image_class, dropped=DroppedCopies(20, 200, 0, 181))
    assert dropping_of_class(report).endswith(" 1 sample of the 20 asked for is missing.")
    assert dropping_grade(report) == "poor"


@pytest.mark.parametrize(
    ("near", "grade"), [(0, "good"), (5, "good"), (6, "fair"), (50, "fair"), (51, "poor")]
)
def test_the_grade_follows_the_share(image_class, near, grade):
    report = replace(image_class, dropped=DroppedCopies(100 - near, 100, 0, near))
    assert dropping_grade(report) == grade
    assert summary.class_grade(report, "mixture") == grade


def test_where_nothing_was_to_be_dropped_nothing_is_said(report):
    assert [dropping_grade(item) for item in report.classes] == ["info"] * 3
    assert dropping_of_run(report, "images") == ""
    assert summary.headline(report).dropped == ""
    assert "Dropped" not in render(report)


def test_a_run_without_copies_keeps_its_law(report, image_class):
    clean = replace(report, classes=(replace(image_class, dropped=DroppedCopies(200, 200, 0, 0)),))
    assert dropping_of_run(clean, "images").endswith("none among 200 draws, so the law is unchanged.")
    assert summary.headline(clean).dropped_grade == "good"


def test_a_run_tells_the_range_of_its_classes(report, image_class, table_class):
    classes = (
        replace(image_class, dropped=DroppedCopies(90, 100, 0, 10)),
        replace(table_class, dropped=DroppedCopies(90, 300, 10, 200)),
    )
    changed = replace(report, classes=classes)
    sentence = summary.headline(changed).dropped
    assert sentence.startswith("220 of 400 draws (55\u202f%) were copies of training images and were dropped")
    assert "differ by about 10\u202f% to 70\u202f% in total variation" in sentence
    page = render(changed)
    assert "Dropped<br>as copies" in page
    assert dropping_of_class(classes[1]).replace("'", "&#39;") in page
    found = {warning.sentence: warning.classes for warning in summary.warnings(changed)}
    assert found["More than half of the draws were copies and were dropped: the law is a different one."] == (
        1,
    )


def test_missing_samples_are_a_warning(report, image_class):
    short = replace(image_class, dropped=DroppedCopies(50, 500, 0, 460))
    found = {
        warning.sentence: warning.classes for warning in summary.warnings(replace(report, classes=(short,)))
    }
    (sentence,) = [
        sentence for sentence in found if sentence.startswith("There are fewer images than asked for")
    ]
    assert found[sentence] == (0,)
