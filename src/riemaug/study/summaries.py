"""Results of the study summarised: means over runs, and paired differences with intervals."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from riemaug.study.cells import Cell
from riemaug.study.store import Result

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """Runs of one cell.

    Attributes
    ----------
    mean, deviation : float
        In %; the deviation between runs is NaN for one run.
    count : int
    """

    mean: float
    deviation: float
    count: int


@dataclass(frozen=True)
class PairedDifference:
    """How much higher one cell scores than another, in runs that share draw and seed.

    Attributes
    ----------
    mean : float
        In percentage points.
    low, high : float
        The 95 % t interval; infinite for one pair.
    p_value : float
        Of the paired t test, two-sided; NaN for one pair.
    count : int
        Pairs.
    """

    mean: float
    low: float
    high: float
    p_value: float
    count: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


class Scores:
    """All results by cell, of one reading of "run".

    Parameters
    ----------
    results : iterable of Result
    metric : str
        Which score.
    reading : "draws" or "paper"
        Keep the runs whose draw goes with the seed, or those of draw 0.
    """

    def __init__(self, results: Iterable[Result], metric: str = "accuracy", reading: str = "draws") -> None:
        self._values: dict[Cell, dict[tuple[int, int], float]] = defaultdict(dict)
        one_draw = reading == "paper"
        for result in results:
            run = result.run
            own = run.draw == 0 if one_draw or run.cell.data == "oasis_paper" else run.draw == run.seed
            if own and metric in result.scores:
                self._values[run.cell][run.draw, run.seed] = 100.0 * result.scores[metric]

    def __contains__(self, cell: Cell) -> bool:
        return cell in self._values

    def summary(self, cell: Cell) -> Summary | None:
        """Return mean and spread of a cell's runs, None if there are none."""
        values = list(self._values[cell].values()) if cell in self._values else []
        if not values:
            return None
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
        return Summary(float(np.mean(values)), spread, len(values))

    def difference(self, cell: Cell, reference: Cell) -> PairedDifference | None:
        """Return how much higher `cell` scores than `reference`, None if they share no run."""
        first, second = self._values.get(cell, {}), self._values.get(reference, {})
        shared = sorted(first.keys() & second.keys())
        return paired_difference([first[key] - second[key] for key in shared])


def paired_difference(gaps: list[float]) -> PairedDifference | None:
    """Return mean, interval and test of differences, None of none."""
    if not gaps:
        return None
    mean = float(np.mean(gaps))
    if len(gaps) == 1:
        return PairedDifference(mean, -np.inf, np.inf, float("nan"), 1)
    error = float(np.std(gaps, ddof=1)) / len(gaps) ** 0.5
    if error == 0.0:
        return PairedDifference(mean, mean, mean, 1.0 if mean == 0.0 else 0.0, len(gaps))
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(gaps) - 1)) * error
    p_value = float(2 * stats.t.sf(abs(mean) / error, len(gaps) - 1))
    return PairedDifference(mean, mean - half, mean + half, p_value, len(gaps))
