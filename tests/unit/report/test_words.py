import math
from dataclasses import fields

import pytest

from riemaug.report.words import SAMPLERS, read_diagnostics, read_one, unmeasured, worst
from riemaug.samplers.base import Diagnostics


@pytest.mark.parametrize(
    ("name", "value", "grade"),
    [
        ("rhat", 1.01, "good"),
        ("rhat", 1.011, "fair"),
        ("rhat", 1.051, "poor"),
        ("rhat", math.inf, "poor"),
        ("ess_bulk", 400, "good"),
        ("ess_bulk", 399, "fair"),
        ("ess_tail", 99, "poor"),
        ("effective_fraction", 0.5, "good"),
        ("effective_fraction", 0.1, "fair"),
        ("effective_fraction", 0.099, "poor"),
        ("khat", 0.5, "good"),
        ("khat", 0.7, "fair"),
        ("khat", 0.71, "poor"),
        ("khat", -math.inf, "good"),
        ("flat_mass", 0.01, "good"),
        ("flat_mass", 0.2, "poor"),
        ("divergences", 0, "good"),
        ("divergences", 1, "fair"),
        ("converged", True, "good"),
        ("converged", False, "poor"),
        ("log_normalizer", 3.0, "info"),
        ("rhat", math.nan, "fair"),
    ],
)
def test_thresholds(name, value, grade):
    assert read_one(name, value, "hmc").grade == grade


@pytest.mark.parametrize(
    ("sampler", "value", "grade"),
    [
        ("mixture", 0.05, "info"),
        ("mixture", 0.001, "fair"),
        ("walk", 0.05, "poor"),
        ("walk", 0.15, "fair"),
        ("walk", 0.5, "good"),
        ("walk", 0.9, "fair"),
        ("hmc", 0.5, "fair"),
        ("hmc", 0.9, "good"),
    ],
)
def test_acceptance_depends_on_the_sampler(sampler, value, grade):
    assert read_one("acceptance", value, sampler).grade == grade


def test_every_reading_explains_itself():
    values = {"rhat": 1.2, "ess_bulk": 50.0, "khat": 0.9, "acceptance": 0.3, "evaluations": 10}
    readings = read_diagnostics(values, "walk")
    assert len(readings) == len(values)
    assert all(reading.sentence.endswith(".") for reading in readings)


def test_every_diagnostic_of_a_sampler_has_words():
    names = {field.name for field in fields(Diagnostics)} - {"message"}
    readings = read_diagnostics(dict.fromkeys(names, 1.0), "hmc")
    assert {reading.name for reading in readings} == names
    assert [reading.name for reading in readings if not reading.sentence] == []


def test_none_is_left_out_and_named_apart():
    diagnostics = {"rhat": None, "acceptance": 0.5, "message": "all well", "odd_one": 3}
    assert [reading.name for reading in read_diagnostics(diagnostics, "walk")] == ["acceptance", "odd_one"]
    assert unmeasured(diagnostics) == ("R-hat",)


def test_unknown_diagnostic_is_shown_without_a_verdict():
    reading = read_one("strange_thing", 3.2, "walk")
    assert (reading.label, reading.value, reading.grade) == ("Strange thing", "3.20", "info")


def test_paper_walks_say_what_they_are():
    assert "for comparison only" in SAMPLERS["walk-paper"]
    assert "for comparison only" in SAMPLERS["walk-paper-code"]


def test_worst_grade():
    assert worst(["good", "poor", "fair"]) == "poor"
    assert worst(["info", "good"]) == "good"
    assert worst([]) == "info"
