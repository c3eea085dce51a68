"""The headline, the warnings and the state of each class, in sentences."""

from dataclasses import dataclass

import numpy as np

from riemaug.report.closeness import FAR_RATIO, POOR_NEAR_SHARE, distance_grade, reconstructs_poorly
from riemaug.report.data import ClassReport, ReportData
from riemaug.report.dropping import DROPPED_FAIR, dropping_grade, dropping_of_run
from riemaug.report.formats import count, number, percent
from riemaug.report.words import MESSAGE, PAPER_WALKS, SAMPLERS, Grade, label, read_diagnostics, worst

NAMES_SHOWN = 5
_NEARER = "nearer to one than the model's own reconstruction of it"
_POORLY = (
    f" That so many are near (more than {percent(POOR_NEAR_SHARE)} of a class, and no closer than training "
    "samples are to each other) says that the model reconstructs poorly, not that it copies."
)


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


def noun(data: ReportData, many: bool = True) -> str:
    """Return `volumes` or `images` when the data are those, else `samples`."""
    if any(report.volumes is not None for report in data.classes):
        one = "volume"
    else:
        one = "image" if has_pictures(data) else "sample"
    return one + ("s" if many else "")


def has_pictures(data: ReportData) -> bool:
    """Return whether there is anything to look at: images, or slices of volumes."""
    return any(report.synthetic is not None or report.real is not None for report in data.classes)


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
    """Return the worst grade of a class: its sampler, its training, its distances, its copies."""
    grades: list[Grade] = [reading.grade for reading in read_diagnostics(report.diagnostics, sampler)]
    grades.append(training_problem(report)[0])
    grades.append(dropping_grade(report))
    grades.append(distance_grade(report))
    if report.copies_exact or report.copies_near:
        grades.append("poor" if report.copies_exact else "fair")
    return worst(grades)


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
        equal = f"{number(exact)} synthetic {noun(data, exact != 1)} {'equals' if exact == 1 else 'equal'} a "
        sentence = f"{equal}training {noun(data, False)}, {number(near)} {'is' if near == 1 else 'are'} "
        poor = any(map(reconstructs_poorly, data.classes))
        return f"{sentence}{_NEARER}.{_POORLY if poor else ''}", "poor" if exact else "fair"
    unchecked = sum(report.num_synthetic > 0 and not len(report.nearest_distances) for report in data.classes)
    if unchecked:
        return f"Copying was not checked for {count(unchecked, 'class', 'classes')}.", "fair"
    one = noun(data, False)
    return f"No synthetic {one} equals a training {one}, and none is {_NEARER}.", "good"


def warnings(data: ReportData) -> tuple[Warning, ...]:
    """Return everything to look at, the gravest first."""
    found = _convergence_warnings(data) + _diagnostic_warnings(data) + _training_warnings(data)
    found += _distance_warnings(data) + _copy_warnings(data) + _dropping_warnings(data)
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
    near = [index for index, item in enumerate(data.classes) if item.copies_near and not item.copies_exact]
    poor = tuple(index for index in near if reconstructs_poorly(data.classes[index]))
    found = []
    if exact:
        found.append(
            Warning(
                f"Some synthetic {noun(data)} equal a training one. Do not share them as synthetic.", exact
            )
        )
    if len(near) > len(poor):
        sentence = f"Some synthetic {noun(data)} are {_NEARER}: they may be near copies.{_look(data)}"
        found.append(Warning(sentence, tuple(index for index in near if index not in poor)))
    if poor:
        sentence = (
            f"The model reconstructs poorly: more than {percent(POOR_NEAR_SHARE)} of the {noun(data)} are "
            "nearer to a training one than its reconstruction, though they are no closer to the data than "
            "these are to each other. Train longer, or on more samples."
        )
        found.append(Warning(sentence, poor))
    return found


def _look(data: ReportData) -> str:
    return " Look at the pairs." if has_pictures(data) else ""


def _distance_warnings(data: ReportData) -> list[Warning]:
    far = tuple(index for index, item in enumerate(data.classes) if distance_grade(item) == "fair")
    sentence = (
        f"The synthetic {noun(data)} are unlike the data: their median distance to the nearest training one "
        f"is more than {FAR_RATIO:g} times that of the training {noun(data)} to each other."
    )
    return [Warning(sentence, far)] if far else []


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
