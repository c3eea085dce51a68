"""What a run will cost: from the runs that are done, else from rates measured once on one core."""

import math
from collections import defaultdict
from collections.abc import Iterable
from statistics import median

from riemaug.study.cells import Cell, Run, parse_row
from riemaug.study.store import Result

CLASSES = {"oasis_paper": 2, "oasis_stratified": 2}
REAL = {"oasis_paper": 290, "oasis_stratified": 290}
"""Real training samples of a data set, 400 where nothing is said; "@20" are 20 for each of ten classes."""

SECONDS_A_SAMPLE = {"small-cnn": 0.012, "mlp": 0.02, "cnn": 0.05, "densenet": 0.4}
"""One core, a whole training divided by its training samples, 28 x 28; other sizes go with the pixels."""
OASIS_TIMES = {"small-cnn": 47.0, "mlp": 30.0, "cnn": 47.0, "densenet": 47.0}
FIT_SECONDS = {"": 0.5, "vae": 25.0, "vamp": 40.0, "rhvae": 100.0, "conditional": 70.0}
OASIS_FIT_TIMES = 60.0


def num_training(cell: Cell) -> int:
    """Return about how many samples a cell's classifier is trained on."""
    base, _, size = cell.data.partition("@")
    classes = CLASSES.get(base, 10)
    real = int(size) * classes if size else REAL.get(base, 400)
    row = parse_row(cell.row)
    if row.name == "raw":
        return real
    if row.law == "classic":
        return real * row.amount
    return classes * row.amount + (real if cell.trained_on == "both" else 0)


GPU_TIMES = 20.0
"""How much faster a GPU is taken to be, before one run there is done."""
GROWTH = 0.8
"""Time grows with this power of the training samples: with more of them fewer epochs are needed."""


class Costs:
    """Seconds that runs take.

    Parameters
    ----------
    results : iterable of Result
        Runs that are done.
    device : str
        Where runs are to be done: only times of the same kind of device count.
    """

    def __init__(self, results: Iterable[Result] = (), device: str = "cpu") -> None:
        self._is_cpu = device == "cpu"
        spent: dict[tuple[bool, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for result in results:
            cell, details = result.run.cell, result.details
            same_kind = (details.get("device", "cpu") == "cpu") == self._is_cpu
            if same_kind and details.get("classifier_seconds") and details.get("num_training"):
                known = spent[_is_large(cell), cell.classifier]
                known[int(details["num_training"])].append(float(details["classifier_seconds"]))
        self._spent = {
            key: {size: median(values) for size, values in sizes.items()} for key, sizes in spent.items()
        }

    def classifier_seconds(self, cell: Cell) -> float:
        """Return about how long training and testing the classifier takes."""
        size, known = num_training(cell), self._spent.get((_is_large(cell), cell.classifier))
        if known:
            nearest = min(known, key=lambda other: abs(math.log(size / other)))
            return known[nearest] * (size / nearest) ** GROWTH
        rate = SECONDS_A_SAMPLE.get(cell.classifier, 0.01) / (1.0 if self._is_cpu else GPU_TIMES)
        return rate * size * (OASIS_TIMES.get(cell.classifier, 47.0) if _is_large(cell) else 1.0)

    def fit_seconds(self, run: Run) -> float:
        """Return about how long fitting the run's generator takes."""
        times = OASIS_FIT_TIMES if _is_large(run.cell) else 1.0
        if self._is_cpu:
            return FIT_SECONDS[parse_row(run.cell.row).model] * times
        # small networks gain nothing, those of large images much
        return FIT_SECONDS[parse_row(run.cell.row).model] * (times / GPU_TIMES if times > 1 else 1.0)

    def seconds(self, runs: Iterable[Run]) -> float:
        """Return about how long runs take on one core, each generator fitted once."""
        fits: dict[tuple, float] = {}
        total = 0.0
        for run in runs:
            total += self.classifier_seconds(run.cell)
            fits[fit_key(run)] = self.fit_seconds(run)
        return total + sum(fits.values())


def _is_large(cell: Cell) -> bool:
    return cell.data.startswith("oasis")


def fit_key(run: Run) -> tuple[str, int, int, str]:
    """Return what tells one fitted generator from another: data set, draw, seed, kind of model."""
    return run.cell.data, run.draw, run.model_seed, parse_row(run.cell.row).model
