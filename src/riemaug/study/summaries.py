"""Results of the study summarised: means over runs, and paired differences with intervals."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from riemaug.study.cells import SPLITS, Cell, Run, runs_of
from riemaug.study.store import Result

CONFIDENCE = 0.95
LEAST_SPREAD = 1e-9
SPLIT_OVERLAP = 84 / 290
"""Test over training subjects of the splits of OASIS."""


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
        The 95 % t interval; infinite for one pair, and for pairs that do not differ among themselves.
    p_value : float
        Of the paired t test, two-sided; NaN where the interval is infinite.
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
        See `riemaug.study.cells.runs_of`.
    """

    def __init__(self, results: Iterable[Result], metric: str = "accuracy", reading: str = "draws") -> None:
        self._values: dict[Cell, dict[tuple[int, int], float]] = defaultdict(dict)
        self.reading = reading
        for result in results:
            run = result.run
            if run == _run_of(run.cell, run.seed, reading) and metric in result.scores:
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
        overlap = SPLIT_OVERLAP if cell.data in SPLITS and self.reading == "draws" else 0.0
        return paired_difference([first[key] - second[key] for key in shared], overlap)


def paired_difference(gaps: list[float], overlap: float = 0.0) -> PairedDifference | None:
    """Return mean, interval and test of differences, None of none.

    Parameters
    ----------
    gaps : list of float
    overlap : float
        Of splits of one set of samples: test over training samples. Their differences are not independent,
        and the variance of the mean is raised by this times theirs (Nadeau and Bengio 2003, "Inference for
        the generalization error"). 0 for independent draws.
    """
    if not gaps:
        return None
    mean = float(np.mean(gaps))
    spread = float(np.std(gaps, ddof=1)) if len(gaps) > 1 else 0.0
    if spread <= LEAST_SPREAD:
        # one pair, or equal gaps by chance: nothing is known about their spread
        return PairedDifference(mean, -np.inf, np.inf, float("nan"), len(gaps))
    error = spread * (1 / len(gaps) + overlap) ** 0.5
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(gaps) - 1)) * error
    p_value = float(2 * stats.t.sf(abs(mean) / error, len(gaps) - 1))
    return PairedDifference(mean, mean - half, mean + half, p_value, len(gaps))


def adjusted(p_values: list[float]) -> list[float]:
    """Return p-values by Holm's rule for as many comparisons as there are (NaN stays, and does not count)."""
    known = sorted((value, place) for place, value in enumerate(p_values) if not np.isnan(value))
    found, largest = [float("nan")] * len(p_values), 0.0
    for rank, (value, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * value))
        found[place] = largest
    return found


def _run_of(cell: Cell, seed: int, reading: str) -> Run | None:
    """Return the run of a reading with a classifier's seed, None if there is none."""
    runs = runs_of(cell, seed + 1, reading)
    return runs[seed] if seed < len(runs) else None
