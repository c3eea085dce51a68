"""The headline, the warnings and the state of each class, in sentences."""

from dataclasses import dataclass

import numpy as np

from riemaug.report.data import ClassReport, ReportData
from riemaug.report.dropping import DROPPED_FAIR, dropping_grade, dropping_of_run
from riemaug.report.formats import count, number, percent
from riemaug.report.words import MESSAGE, PAPER_WALKS, SAMPLERS, Grade, label, read_diagnostics, worst

NAMES_SHOWN = 5
CLOSE_QUANTILE = 0.05


@dataclass(frozen=True)
class Warning:
    """One thing to look at: a sentence, and the numbers of the classes it is about."""

    sentence: str
    classes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Headline:
    """The report in a few sentences.

    Parameters
    ----------
    made, sampler, converged, copies, dropped : str
        What was made and how, and whether it can be trusted; the last is empty where copies were not to be
        dropped.
    converged_grade, copies_grade, dropped_grade : {"good", "fair", "poor", "info"}
        The grades of the last three.
    """

    made: str
    sampler: str
    converged: str
    converged_grade: Grade
    copies: str
    copies_grade: Grade
    dropped: str = ""
    dropped_grade: Grade = "info"


@dataclass(frozen=True)
class Closeness:
    """Distances to the nearest training sample: synthetic ones against training ones (leave-one-out).

    Parameters
    ----------
    synthetic_median, real_median : float or None
        None where there are no finite distances.
    close_share : float or None
        Share of the synthetic samples that lie closer to a training sample than 95 % of the training samples
        lie to each other; about 0.05 for fresh samples of the same law.
    """

    synthetic_median: float | None
    real_median: float | None
    close_share: float | None


def noun(data: ReportData, many: bool = True) -> str:
    """Return `images` when the data are images, else `samples`."""
    images = any(report.synthetic is not None or report.real is not None for report in data.classes)
    return ("image" if images else "sample") + ("s" if many else "")


def training_problem(report: ClassReport) -> tuple[Grade, str]:
    """Return what the curves say about training: a grade and a sentence, empty when nothing is wrong."""
    curves = [np.asarray(curve) for curve in report.curves.values() if len(curve)]
    if not curves:
        return "info", ""
    if not all(np.isfinite(curve[-1]) for curve in curves):
        return "poor", "training ended with values that are not finite"
    epochs = max(len(curve) for curve in curves)
    if epochs > 1 and report.best_epoch is not None and report.best_epoch >= epochs:
        return "fair", "the last epoch was the best one: training may have stopped too early"
    return "good", ""


def class_grade(report: ClassReport, sampler: str) -> Grade:
    """Return the worst grade of a class: its sampler, its training, its copies, what was dropped."""
    grades: list[Grade] = [reading.grade for reading in read_diagnostics(report.diagnostics, sampler)]
    grades.append(training_problem(report)[0])
    grades.append(dropping_grade(report))
    if report.copies_exact or report.copies_near:
        grades.append("poor" if report.copies_exact else "fair")
    return worst(grades)


def closeness(report: ClassReport) -> Closeness:
    """Return how close the synthetic samples lie to the training ones; only finite distances count."""
    synthetic = report.nearest_distances[np.isfinite(report.nearest_distances)]
    real = report.real_nearest_distances[np.isfinite(report.real_nearest_distances)]
    share = None
    if len(synthetic) and len(real):
        share = float(np.mean(synthetic < np.quantile(real, CLOSE_QUANTILE)))
    return Closeness(
        float(np.median(synthetic)) if len(synthetic) else None,
        float(np.median(real)) if len(real) else None,
        share,
    )


def closeness_sentence(report: ClassReport) -> str:
    """Return the comparison of the two sets of distances in words."""
    close = closeness(report)
    if close.close_share is None:
        return "The distances do not allow a comparison."
    medians = f"{number(close.synthetic_median)} for synthetic ones, {number(close.real_median)} among"
    sentence = (
        f"Median distance to the nearest training sample: {medians} the training samples themselves. "
        f"{percent(close.close_share)} of the synthetic ones lie closer to a training sample than 95 % of "
        "the training samples do to each other; about 5 % would be expected of new real samples."
    )
    if close.close_share > 4 * CLOSE_QUANTILE:
        sentence += (
            " That is more than expected: either the samples are near copies, or they are smoother than real "
            "ones (smooth pictures lie close to everything). Look at the pairs to tell which."
        )
    return sentence


def headline(data: ReportData) -> Headline:
    """Return the report in a few sentences."""
    real = sum(report.num_real for report in data.classes)
    made = sum(report.num_synthetic for report in data.classes)
    converged, converged_grade = _converged(data)
    copies, copies_grade = _copies(data)
    return Headline(
        made=f"{count(made, f'synthetic {noun(data, False)}')} for "
        f"{count(len(data.classes), 'class', 'classes')}, made from {number(real)} real "
        f"{'one' if real == 1 else 'ones'}.",
        sampler=SAMPLERS.get(data.sampler, ""),
        converged=converged,
        converged_grade=converged_grade,
        copies=copies,
        copies_grade=copies_grade,
        dropped=dropping_of_run(data, noun(data)),
        dropped_grade=worst([dropping_grade(report) for report in data.classes]),
    )


def _converged(data: ReportData) -> tuple[str, Grade]:
    total = len(data.classes)
    flags = [_reported(report) for report in data.classes]
    passed, failed = flags.count(True), flags.count(False)
    if not passed and not failed:
        return "Whether the sampler converged was not reported.", "info"
    if failed:
        return f"The sampler did not converge for {failed:,} of {count(total, 'class', 'classes')}.", "poor"
    if passed < total:
        return (
            f"The sampler converged for {passed:,} of {total:,} classes; the others did not report.",
            "fair",
        )
    return "The sampler converged for " + ("the class." if total == 1 else f"all {total:,} classes."), "good"


def _reported(report: ClassReport) -> bool | None:
    """Return whether the sampler says that it converged; None when it says nothing."""
    flag = report.diagnostics.get("converged")
    return None if flag is None else bool(flag)


def _copies(data: ReportData) -> tuple[str, Grade]:
    exact = sum(report.copies_exact for report in data.classes)
    near = sum(report.copies_near for report in data.classes)
    if exact or near:
        sentence = (
            f"{count(exact, 'exact copy', 'exact copies')} and {count(near, 'near copy', 'near copies')} of "
        )
        return f"{sentence}training {noun(data)} among the synthetic ones.", "poor" if exact else "fair"
    unchecked = sum(report.num_synthetic > 0 and not len(report.nearest_distances) for report in data.classes)
    if unchecked:
        return f"Copying was not checked for {count(unchecked, 'class', 'classes')}.", "fair"
    return (
        f"No synthetic {noun(data, False)} is a copy or a near copy of a training {noun(data, False)}.",
        "good",
    )


def warnings(data: ReportData) -> tuple[Warning, ...]:
    """Return everything to look at, the gravest first."""
    found = _convergence_warnings(data) + _diagnostic_warnings(data) + _training_warnings(data)
    found += _copy_warnings(data) + _dropping_warnings(data)
    if data.sampler in PAPER_WALKS:
        found.append(Warning(f"Sampler “{data.sampler}”: {SAMPLERS[data.sampler]}."))
    return tuple(found + [Warning(note) for note in data.notes])


def _convergence_warnings(data: ReportData) -> list[Warning]:
    by_message: dict[str, list[int]] = {}
    for index, report in enumerate(data.classes):
        if _reported(report) is False:
            by_message.setdefault(str(report.diagnostics.get(MESSAGE) or ""), []).append(index)
    return [
        Warning(
            "The sampler did not converge" + (f": {message.rstrip('.')}." if message else "."), tuple(classes)
        )
        for message, classes in by_message.items()
    ]


def _diagnostic_warnings(data: ReportData) -> list[Warning]:
    by_name: dict[str, list[int]] = {}
    sentences: dict[str, str] = {}
    for index, report in enumerate(data.classes):
        for reading in read_diagnostics(report.diagnostics, data.sampler):
            if reading.grade == "poor" and reading.name != "converged":
                by_name.setdefault(reading.name, []).append(index)
                sentences[reading.name] = reading.sentence
    return [Warning(f"{label(name)}: {sentences[name]}", tuple(by_name[name])) for name in by_name]


def _training_warnings(data: ReportData) -> list[Warning]:
    by_problem: dict[str, list[int]] = {}
    for index, report in enumerate(data.classes):
        _, problem = training_problem(report)
        if problem:
            by_problem.setdefault(problem, []).append(index)
    return [
        Warning(f"{problem[0].upper()}{problem[1:]}.", tuple(by_problem[problem])) for problem in by_problem
    ]


def _copy_warnings(data: ReportData) -> list[Warning]:
    exact = tuple(index for index, report in enumerate(data.classes) if report.copies_exact)
    near = tuple(
        index for index, report in enumerate(data.classes) if report.copies_near and not report.copies_exact
    )
    found = []
    if exact:
        found.append(
            Warning(
                f"Some synthetic {noun(data)} equal a training one. Do not share them as synthetic.", exact
            )
        )
    if near:
        found.append(
            Warning(
                f"Some synthetic {noun(data)} are near copies of a training one. Look at the pairs.", near
            )
        )
    return found


def _dropping_warnings(data: ReportData) -> list[Warning]:
    told = [(index, item.dropped) for index, item in enumerate(data.classes) if item.dropped is not None]
    short = tuple(index for index, dropped in told if dropped.missing)
    far = tuple(index for index, dropped in told if dropped.share > DROPPED_FAIR and not dropped.missing)
    found = []
    if short:
        sentence = (
            f"There are fewer {noun(data)} than asked for: most draws were copies and were dropped, and the "
            "number of draws is limited. Train longer or on more samples, or leave --drop-copies out."
        )
        found.append(Warning(sentence, short))
    if far:
        sentence = "More than half of the draws were copies and were dropped: the law is a different one."
        found.append(Warning(sentence, far))
    return found
