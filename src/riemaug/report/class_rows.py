"""Each class as one row of a table: counts, grade, distances, copies, convergence."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from riemaug.report import formats, summary, words
from riemaug.report.closeness import Closeness, closeness
from riemaug.report.data import ClassReport, ReportData
from riemaug.report.selection import classes_in_full


@dataclass(frozen=True)
class ClassRow:
    """What is told of every class, shown in full or not.

    Parameters
    ----------
    index : int
        Of the class in the report.
    data : ClassReport
    is_in_full : bool
        The class has a section of its own.
    grade : {"good", "fair", "poor", "info"}
    readings : tuple of Reading
        Of the sampler.
    epochs, elbo, seconds : int, float, float, or None
        None where unknown; the ELBO is that of the epoch that was kept.
    """

    index: int
    data: ClassReport
    is_in_full: bool
    grade: words.Grade
    readings: tuple[words.Reading, ...]
    epochs: int | None
    elbo: float | None
    seconds: float | None

    @property
    def anchor(self) -> str:
        """Where links to the class lead: its section, or else its row."""
        return f"class-{self.index}" if self.is_in_full else f"row-{self.index}"

    @property
    def checked(self) -> bool:
        """Whether the samples were compared with the training data."""
        return len(self.data.nearest_distances) > 0 or self.data.num_synthetic == 0

    @property
    def shown(self) -> Mapping[str, str]:
        """Value of each diagnostic as text; a dash for all that were not measured."""
        return defaultdict(lambda: formats.DASH, {reading.name: reading.value for reading in self.readings})

    @property
    def closeness(self) -> Closeness:
        """Distances of the samples to the training data, beside those among these."""
        return closeness(self.data)


def class_rows(data: ReportData) -> tuple[ClassRow, ...]:
    """Return a row for each class, in their order."""
    in_full = classes_in_full(data.classes, data.sampler)
    return tuple(
        _row(report, index, index in in_full, data.sampler) for index, report in enumerate(data.classes)
    )


def _row(report: ClassReport, index: int, is_in_full: bool, sampler: str) -> ClassRow:
    elbo = np.asarray(report.curves.get("elbo", ()), dtype=float)
    best = len(elbo) if report.best_epoch is None else min(report.best_epoch, len(elbo))
    return ClassRow(
        index=index,
        data=report,
        is_in_full=is_in_full,
        grade=summary.class_grade(report, sampler),
        readings=words.read_diagnostics(report.diagnostics, sampler),
        epochs=max((len(curve) for curve in report.curves.values()), default=None),
        elbo=float(elbo[best - 1]) if len(elbo) else None,
        seconds=float(sum(report.seconds.values())) if report.seconds else None,
    )
