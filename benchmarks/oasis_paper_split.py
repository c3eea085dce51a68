"""A split of OASIS with exactly the counts of the paper's Table 1, found by exchanging subjects.

The paper gives counts, means and deviations of each part, not who is in it. From random parts, pairs of
subjects of one label change places by simulated annealing until sexes and ratings are exactly the paper's
and means and deviations of age and MMSE round to the paper's where that can be reached.
`benchmarks/study_draws.py oasis_paper` calls this.
"""

import json
import math
from importlib.resources import files

import numpy as np

from riemaug.random import Stream
from riemaug.study.oasis import LABELS, SAME_HEAD, Subjects

PARTS = ("train", "val", "test")
RATINGS = (0.0, 0.5, 1.0, 2.0)
WEIGHT_OF_COUNTS = 100.0
WEIGHT_OF_ROUNDING = 10.0
HALF_A_DIGIT = 0.05
FIRST_HEAT, LAST_HEAT, EXCHANGES = 300.0, 0.01, 200_000


def paper_split(subjects: Subjects, stream: Stream) -> np.ndarray:
    """Return the part of each subject, 0 for train, 1 for validation, 2 for test."""
    table = json.loads((files("riemaug.study") / "paper_tables.json").read_text())["table1"]
    parts = np.empty(len(subjects), dtype=np.int64)
    for label, name in enumerate(LABELS):
        rows = np.flatnonzero(subjects.labels == label)
        goals = [table[part][name] for part in PARTS]
        generator = np.random.default_rng(stream.child(name).generator_seed())
        parts[rows] = _Annealing(subjects, rows, goals, generator).run()
    return parts


class _Annealing:
    """The parts of one label, their sums, and exchanges between them."""

    def __init__(
        self, subjects: Subjects, rows: np.ndarray, goals: list[list], generator: np.random.Generator
    ) -> None:
        self.goals, self.generator = goals, generator
        ages, mmse = subjects.ages[rows].astype(float), subjects.mmse[rows].astype(float)
        known = ~np.isnan(mmse)
        score = np.where(known, mmse, 0.0)
        cdr = np.nan_to_num(subjects.cdr[rows])
        # one row a subject: number, men, ratings, sums and squares of age and of known MMSE
        self.features = np.column_stack(
            [
                np.ones(len(rows)),
                subjects.sexes[rows] == "M",
                *(cdr == rating for rating in RATINGS),
                ages,
                ages**2,
                known,
                score,
                score**2,
            ]
        )
        self.parts = np.repeat(np.arange(len(PARTS)), [goal[0] for goal in goals])
        generator.shuffle(self.parts)
        self.fixed = np.flatnonzero(np.isin(subjects.numbers[rows], SAME_HEAD))
        self._together()

    def _together(self) -> None:
        """Bring the fixed subjects into the training part, in exchange for others of it."""
        for row in self.fixed:
            others = np.setdiff1d(np.flatnonzero(self.parts == 0), self.fixed)
            self.parts[others[0]], self.parts[row] = self.parts[row], 0

    def run(self) -> np.ndarray:
        free = np.setdiff1d(np.arange(len(self.parts)), self.fixed)
        sums = [self.features[self.parts == part].sum(0) for part in range(len(PARTS))]
        costs = [self._cost(part, total) for part, total in enumerate(sums)]
        best, lowest = self.parts.copy(), sum(costs)
        for heat in np.geomspace(FIRST_HEAT, LAST_HEAT, EXCHANGES):
            one, two = self.generator.choice(free, 2)
            first, second = int(self.parts[one]), int(self.parts[two])
            if first == second:
                continue
            change = self.features[two] - self.features[one]
            new = sums[first] + change, sums[second] - change
            after = self._cost(first, new[0]), self._cost(second, new[1])
            rise = sum(after) - costs[first] - costs[second]
            if rise > 0 and self.generator.random() >= math.exp(-rise / heat):
                continue
            self.parts[one], self.parts[two] = second, first
            sums[first], sums[second] = new
            costs[first], costs[second] = after
            if sum(costs) < lowest:
                best, lowest = self.parts.copy(), sum(costs)
        return best

    def _cost(self, part: int, total: np.ndarray) -> float:
        """Return how far a part is from the paper's, in halves of the last digit printed."""
        num, men, *ratings, age, age2, tested, mmse, mmse2 = total.tolist()
        _, age_goal, (men_goal, _), mmse_goal, *rating_goals = self.goals[part]
        wrong = abs(men - men_goal) + sum(abs(a - b) for a, b in zip(ratings, rating_goals, strict=True))
        cost = WEIGHT_OF_COUNTS * wrong
        for count, first, second, goal in ((num, age, age2, age_goal), (tested, mmse, mmse2, mmse_goal)):
            mean = first / count
            # the paper's deviations of all 416 subjects are those with n, not n - 1
            deviation = math.sqrt(max(second / count - mean**2, 0.0))
            for value, wanted in ((mean, goal[0]), (deviation, goal[1])):
                off = abs(value - wanted) / HALF_A_DIGIT
                cost += off**2 + WEIGHT_OF_ROUNDING * (off > 1)
        return cost
