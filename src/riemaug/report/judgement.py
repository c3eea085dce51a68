"""What `riemaug evaluate` found, in plain words and as bars: gain, fidelity, diversity, copying."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from riemaug.evaluation.outcome import Evaluation
from riemaug.evaluation.set_names import described
from riemaug.evaluation.tables import TextTable, copying_table, fidelity_table, score_table
from riemaug.evaluation.verdict import Verdict
from riemaug.report.formats import MINUS, count, number, percent
from riemaug.report.words import Grade

_GRADES: dict[str, Grade] = {
    "helps": "good",
    "harms": "poor",
    "no effect shown": "info",
    "no verdict": "info",
}
TOLD_APART_FAIR, TOLD_APART_POOR = 0.75, 0.95
"""AUC of a classifier that tells real from synthetic samples: at 0.5 it guesses."""
COVERAGE_GOOD, COVERAGE_FAIR = 0.9, 0.5
"""Shares of the coverage that new real samples of the same law would have."""
PRECISION_GOOD, PRECISION_FAIR = 0.9, 0.6


@dataclass(frozen=True)
class Finding:
    """One thing that was found: what it is called, a grade, a short label of it, and a sentence."""

    name: str
    grade: Grade
    label: str
    sentence: str


@dataclass(frozen=True)
class GainRow:
    """One comparison of two training sets, with its interval as a bar.

    Parameters
    ----------
    classifier, comparison, difference, interval : str
        Cells as text.
    grade : {"good", "fair", "poor", "info"}
    label : str
        The verdict in words.
    left, width, mean, zero : float
        Places on a bar from 0 to 100; width is negative where there is no interval.
    """

    classifier: str
    comparison: str
    difference: str
    interval: str
    grade: Grade
    label: str
    left: float
    width: float
    mean: float
    zero: float


@dataclass(frozen=True)
class JudgementView:
    """An evaluation, ready for the template.

    Parameters
    ----------
    verdicts : tuple of Finding
        One a classifier.
    gains : tuple of GainRow
    scores : tuple of (str, TextTable)
        For each classifier.
    basis : str
        What the numbers rest on.
    fidelity, diversity, copying : tuple of Finding
    unmeasured : str
        Why there is nothing of fidelity and diversity; empty where there is.
    fold : str
        Of which fold these two are; empty without folds.
    measures, copies : TextTable or None
    notes : tuple of str
    """

    verdicts: tuple[Finding, ...]
    gains: tuple[GainRow, ...]
    scores: tuple[tuple[str, TextTable], ...]
    basis: str
    fidelity: tuple[Finding, ...]
    diversity: tuple[Finding, ...]
    copying: tuple[Finding, ...]
    unmeasured: str
    fold: str
    measures: TextTable | None
    copies: TextTable | None
    notes: tuple[str, ...]


def judgement_view(evaluation: Evaluation, nouns: str) -> JudgementView:
    """Return an evaluation in plain words.

    Parameters
    ----------
    evaluation : Evaluation
    nouns : str
        What the samples are called: "images".
    """
    classic = evaluation.settings["classic"]
    with_overall = [report for report in evaluation.fidelity if report["overall"] is not None]
    first = with_overall[0] if with_overall else None
    return JudgementView(
        verdicts=tuple(_verdict(verdict, classic, nouns) for verdict in evaluation.verdicts),
        gains=tuple(_gain_rows(evaluation.comparisons, classic)),
        scores=tuple((name, score_table(evaluation, name)) for name in _classifiers(evaluation)),
        basis=_basis(evaluation),
        fidelity=() if first is None else tuple(_fidelity(first, nouns)),
        diversity=() if first is None else tuple(_diversity(first, nouns)),
        copying=tuple(_copying(evaluation, nouns)),
        unmeasured="" if first else _why_unmeasured(evaluation),
        fold="" if first is None else _fold_of(first, evaluation),
        measures=None if first is None else fidelity_table(first),
        copies=copying_table(evaluation.copying) if evaluation.copying else None,
        notes=evaluation.notes,
    )


def _why_unmeasured(evaluation: Evaluation) -> str:
    """Return the evaluation's own reason for the lack of measures."""
    if not evaluation.fidelity:
        return "The evaluation was made without it (--no-fidelity)."
    report = evaluation.fidelity[0]
    sizes = f"{number(report['num_synthetic'])} synthetic and {number(report['num_real'])} real samples"
    return " ".join([f"The evaluation had too few samples for it: {sizes}.", *report["notes"]])


def _fold_of(report: dict, evaluation: Evaluation) -> str:
    """Return which fold a report is of, in a sentence; empty where there are no folds."""
    folds = len(evaluation.fidelity)
    if folds < 2:
        return ""
    place = next(number for number, other in enumerate(evaluation.fidelity, 1) if other is report)
    return f"Of fold {place} of {folds}; evaluation.md has the measures of all."


def _classifiers(evaluation: Evaluation) -> list[str]:
    return list(evaluation.settings["classifiers"]) if evaluation.runs else []


def points(share: float) -> str:
    """Return a difference of shares in percentage points, with its sign; small ones with two digits."""
    digits = 1 if abs(share) >= 5e-4 or share == 0 else 2
    return f"{100 * share:+.{digits}f}".replace("-", MINUS)


def _verdict(verdict: Verdict, classic: str, nouns: str) -> Finding:
    gap, effect = verdict.difference, verdict.effect
    sets = f"“{described(verdict.trained_on, classic)}” against “{described(verdict.compared_with, classic)}”"
    change = f"{points(gap.mean)} points of balanced accuracy"
    seeds = count(verdict.num_seeds, "training")
    basis = f"{count(verdict.num_folds, 'fold')}, {seeds} each" if verdict.num_folds else f"{seeds} each"
    if gap.low is None or gap.high is None:
        text = f"There is no verdict: {gap.reason}. Measured: {change} ({sets}, {basis})."
        return Finding(verdict.classifier, _GRADES[effect], effect, text)
    interval = f"95 % interval {points(gap.low)} to {points(gap.high)}"
    measured = f"{change} ({interval}; {sets}, {basis})"
    text = {
        "helps": f"These synthetic {nouns} make the classifier better: {measured}.",
        "harms": f"These synthetic {nouns} make the classifier worse: {measured}.",
        "no effect shown": f"It is not shown that these {nouns} change the classifier: {measured}. A change "
        f"of less than about {50 * (gap.high - gap.low):.1f} points could not have been seen.",
    }[effect]
    return Finding(verdict.classifier, _GRADES[effect], effect, text)


def _gain_rows(comparisons: tuple[Verdict, ...], classic: str) -> Iterator[GainRow]:
    ends = [0.0]
    for verdict in comparisons:
        gap = verdict.difference
        ends += [value for value in (gap.mean, gap.low, gap.high) if value is not None]
    low, high = min(ends), max(ends)
    margin = 0.06 * (high - low) or 0.01

    def place(value: float) -> float:
        return round(100 * (value - low + margin) / (high - low + 2 * margin), 2)

    for verdict in comparisons:
        gap = verdict.difference
        told = gap.low is not None and gap.high is not None
        left = place(gap.low) if gap.low is not None else 0.0
        yield GainRow(
            classifier=verdict.classifier,
            comparison=f"{described(verdict.trained_on, classic)} vs. "
            f"{described(verdict.compared_with, classic)}",
            difference=points(gap.mean),
            interval=f"{points(gap.low or 0.0)} to {points(gap.high or 0.0)}" if told else gap.reason,
            grade=_GRADES[verdict.effect],
            label=verdict.effect,
            left=left,
            width=round(place(gap.high) - left, 2) if gap.high is not None else -1.0,
            mean=place(gap.mean),
            zero=place(0.0),
        )


def _basis(evaluation: Evaluation) -> str:
    settings = evaluation.settings
    sums = {name: sum(sizes) for name, sizes in settings["samples"][0].items()}
    how = (
        f"cross-validation in {settings['folds']} folds (numbers of the first)"
        if settings["folds"]
        else "one held-out test set"
    )
    tested = f"{number(sums['test'])} held-out real ones to test on" if "test" in sums else "no test set"
    return (
        f"{number(sums['training'] + sums['validation'])} real and {number(sums['synthetic'])} synthetic "
        f"samples to learn from, {tested}; {how}; {count(settings['seeds'], 'training')} of each classifier "
        f"on each set; riemaug {settings['riemaug_version']}."
    )


def _fidelity(report: dict, nouns: str) -> Iterator[Finding]:
    near, two = report["overall"]["neighbourhoods"], report["overall"]["two_sample"]
    share = float(near["precision"])
    grade = _at_least(share, PRECISION_GOOD, PRECISION_FAIR)
    yield Finding(
        "Precision",
        grade,
        percent(share),
        f"Share of the synthetic {nouns} that lie where real ones lie. The rest is unlike any real one. "
        f"Good from {percent(PRECISION_GOOD)}, a problem under {percent(PRECISION_FAIR)}.",
    )
    auc = float(two["auc"])
    grade = "good" if auc <= TOLD_APART_FAIR else "fair" if auc <= TOLD_APART_POOR else "poor"
    yield Finding(
        "Told apart",
        grade,
        f"AUC {auc:.2f}",
        f"How well a classifier tells real from synthetic {nouns}: 0.5 is guessing, 1 is always right. "
        f"Good up to {TOLD_APART_FAIR:g}, a problem above {TOLD_APART_POOR:g}.",
    )
    kid = report["overall"]["kid"]
    yield Finding(
        "KID",
        "info",
        f"{number(float(kid['value']))} ± {number(float(kid['standard_error']), 1)}",
        "Distance of the two laws in the feature space; 0 if they are the same. Only to compare samplers and "
        "models on the same data.",
    )


def _diversity(report: dict, nouns: str) -> Iterator[Finding]:
    near = report["overall"]["neighbourhoods"]
    coverage, expected = float(near["coverage"]), float(near["expected_coverage"])
    yield Finding(
        "Coverage",
        _at_least(coverage / max(expected, 1e-9), COVERAGE_GOOD, COVERAGE_FAIR),
        percent(coverage),
        f"Share of the real {nouns} that have a synthetic one nearby; {percent(expected)} would be expected "
        f"of samples of the same law. Good from {percent(COVERAGE_GOOD)} of that, a problem under "
        f"{percent(COVERAGE_FAIR)} of it.",
    )
    yield Finding(
        "Recall",
        _at_least(float(near["recall"]), COVERAGE_GOOD, COVERAGE_FAIR),
        percent(float(near["recall"])),
        f"Share of the real {nouns} that lie where synthetic ones lie. Low: some kinds of real {nouns} are "
        f"never made. Good from {percent(COVERAGE_GOOD)}, a problem under {percent(COVERAGE_FAIR)}.",
    )


def _copying(evaluation: Evaluation, nouns: str) -> Iterator[Finding]:
    if evaluation.copying:
        exact, near, made, expected, others = (
            sum(report[name] for report in evaluation.copying)
            for name in ("num_exact", "num_near", "num_synthetic", "num_near_reference", "num_reference")
        )
        folds = len(evaluation.copying)
        over = f" All {folds} folds together." if folds > 1 else ""
        yield Finding(
            "Exact copies",
            "poor" if exact else "good",
            f"{number(exact)} of {number(made)}",
            f"Synthetic {nouns} that equal a real one value by value.{over}",
        )
        yield Finding(
            "Near one real sample only",
            "fair" if near else "good",
            f"{number(near)} of {number(made)}",
            f"Synthetic {nouns} less than a third as far from one real one as from any other, whatever the "
            f"model reconstructs; among {nouns} that are known to be no copies there are {number(expected)} "
            f"of {number(others)}.{over}",
        )
    for sentence in evaluation.findings:
        yield Finding("Finding", "poor", "", sentence)


def _at_least(value: float, good: float, fair: float) -> Grade:
    if not np.isfinite(value):
        return "info"
    return "good" if value >= good else "fair" if value >= fair else "poor"
