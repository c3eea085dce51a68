from dataclasses import replace

import numpy as np
import pytest
from tests.report_records import evaluation, verdict

from riemaug.report.judgement import judgement_view, points


def only(view):
    (finding,) = view.verdicts
    return finding


@pytest.mark.parametrize(
    ("made", "grade", "label", "words"),
    [
        (verdict(0.023, 0.008, 0.039), "good", "helps", "make the classifier better: +2.3 points"),
        (verdict(-0.02, -0.03, -0.01), "poor", "harms", "make the classifier worse: −2.0 points"),
        (verdict(0.01, -0.01, 0.03), "info", "no effect shown", "less than about 2.0 points"),
        (verdict(0.01, 0.005, 0.03, changed=3), "info", "no effect shown", "It is not shown"),
        (
            verdict(0.01, reason="an interval needs 2 seeds or more"),
            "info",
            "no verdict",
            "There is no verdict: an interval needs 2 seeds or more. Measured: +1.0 points",
        ),
    ],
)
def test_a_verdict_in_words(made, grade, label, words):
    finding = only(judgement_view(evaluation(made), "images"))
    assert (finding.grade, finding.label) == (grade, label)
    assert words in finding.sentence
    assert "“real + synthetic” against “real”" in finding.sentence


def test_no_effect_never_reads_as_one():
    for low, high in ((-0.01, 0.03), (-0.03, 0.0)):
        sentence = only(judgement_view(evaluation(verdict(0.0, low, high)), "images")).sentence
        assert "better" not in sentence
        assert "worse" not in sentence


def test_the_bars_lie_where_the_numbers_are():
    shown = (verdict(0.02, 0.01, 0.03), verdict(-0.02, -0.04, 0.0), verdict(0.01, reason="one seed"))
    first, second, third = judgement_view(evaluation(*shown), "images").gains
    scale = (first.mean - first.zero) / 0.02
    assert scale > 0
    assert first.left == pytest.approx(first.zero + 0.01 * scale, abs=0.1)
    assert first.left + first.width == pytest.approx(first.zero + 0.03 * scale, abs=0.1)
    assert second.left == pytest.approx(second.zero - 0.04 * scale, abs=0.1)
    assert second.left > 0
    assert first.left + first.width < 100
    assert third.width < 0
    assert third.interval == "one seed"


@pytest.mark.parametrize(
    ("share", "text"), [(0.0123, "+1.2"), (-0.0123, "−1.2"), (-0.0004, "−0.04"), (0.0, "+0.0")]
)
def test_points_keep_their_sign(share, text):
    assert points(share) == text


def test_fidelity_diversity_and_copying_are_graded():
    view = judgement_view(evaluation(), "images")
    grades = {item.name: item.grade for part in (view.fidelity, view.diversity) for item in part}
    assert grades == {
        "Precision": "good",
        "Told apart": "fair",
        "KID": "info",
        "Coverage": "fair",
        "Recall": "poor",
    }
    assert [(item.name, item.grade) for item in view.copying] == [
        ("Exact copies", "poor"),
        ("Near one real sample only", "fair"),
        ("Finding", "poor"),
    ]
    assert view.copying[1].label == "3 of 211"


def test_parts_that_were_not_asked_for_are_empty():
    view = judgement_view(evaluation(runs=(), comparisons=(), fidelity=(), copying=()), "images")
    assert (view.verdicts, view.gains, view.scores, view.fidelity, view.copying) == ((), (), (), (), ())
    assert (view.measures, view.copies) == (None, None)


def test_what_cannot_be_graded_is_not():
    made = evaluation()
    made.fidelity[0]["overall"]["neighbourhoods"]["precision"] = float("nan")
    assert judgement_view(made, "images").fidelity[0].grade == "info"
    assert np.isnan(made.fidelity[0]["overall"]["neighbourhoods"]["precision"])


def test_of_folds_it_is_said_which_one_and_copies_are_counted_in_all():
    made = evaluation()
    measured, counted = made.fidelity[0], made.copying[0]
    folds = replace(made, fidelity=(measured | {"overall": None}, measured), copying=(counted, counted))
    view = judgement_view(folds, "images")
    assert view.fold == "Of fold 2 of 2; evaluation.md has the measures of all."
    assert view.copying[1].label == "6 of 422"
    assert "All 2 folds together." in view.copying[1].sentence
    assert judgement_view(made, "images").fold == ""


def test_too_few_samples_are_the_reason_that_is_told():
    made = evaluation()
    few = made.fidelity[0] | {"overall": None, "num_synthetic": 4, "num_real": 90, "notes": ["A note."]}
    view = judgement_view(replace(made, fidelity=(few,)), "images")
    assert view.unmeasured == (
        "The evaluation had too few samples for it: 4 synthetic and 90 real samples. A note."
    )
    assert "--no-fidelity" in judgement_view(replace(made, fidelity=()), "images").unmeasured
    assert judgement_view(made, "images").unmeasured == ""
