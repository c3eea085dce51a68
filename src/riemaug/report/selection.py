"""Which classes of a run with very many are shown in full, so that the report stays small."""

from collections.abc import Sequence

from riemaug.report.data import ClassReport
from riemaug.report.summary import class_grade

MOST_IN_FULL = 40
"""Classes with a section of their own, at most: one of images takes some 70 kB and 0.1 s."""
_URGENCY = {"poor": 0, "fair": 1}


def classes_in_full(classes: Sequence[ClassReport], sampler: str) -> frozenset[int]:
    """Return the numbers of the classes that are shown in full: those that need a look before all others.

    Pictures, maps and columns play no part, so that they need not be read before.

    Parameters
    ----------
    classes : sequence of ClassReport
    sampler : str
        Its name decides how diagnostics are judged.

    Returns
    -------
    frozenset of int
        All where there are at most 40; else 40, the worst grades first and of equal ones the first in order.
    """
    if len(classes) <= MOST_IN_FULL:
        return frozenset(range(len(classes)))
    urgency = [_URGENCY.get(class_grade(report, sampler), len(_URGENCY)) for report in classes]
    return frozenset(sorted(range(len(classes)), key=urgency.__getitem__)[:MOST_IN_FULL])
