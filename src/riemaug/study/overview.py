"""How much of the study is done, and what the rest costs."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from riemaug.study.cells import Cell, all_cells, runs_of, select
from riemaug.study.costs import Costs
from riemaug.study.settings import current
from riemaug.study.store import ResultStore


@dataclass(frozen=True)
class OverviewLine:
    """A cell, or all cells of a data set and classifier.

    Attributes
    ----------
    name : str
    done, wanted : int
        Runs.
    seconds_left : float
        Of the runs that are left, on one core.
    """

    name: str
    done: int
    wanted: int
    seconds_left: float


def overview(store: Path, patterns: Sequence[str] | None, count: int, reading: str) -> list[OverviewLine]:
    """Return a line for each data set and classifier, or for each cell that a pattern names."""
    results = current(ResultStore(store).results())
    known, costs = {result.run for result in results}, Costs(results)
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell in all_cells() if patterns is None else select(patterns):
        groups[f"{cell.data}/{cell.classifier}" if patterns is None else cell.key].append(cell)
    lines = []
    for name, cells in groups.items():
        runs = [run for cell in cells for run in runs_of(cell, count, reading)]
        left = [run for run in runs if run not in known]
        lines.append(OverviewLine(name, len(runs) - len(left), len(runs), costs.seconds(left)))
    return lines
