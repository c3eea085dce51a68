"""From runs to verdicts: which training sets are compared, sample by sample."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Int64

from riemaug.evaluation.runs import Run
from riemaug.evaluation.set_names import TrainedOn
from riemaug.evaluation.verdict import Difference, Verdict, folds_difference, held_out_difference

COMPARED: tuple[tuple[TrainedOn, TrainedOn], ...] = (
    ("both", "real"),
    ("synthetic", "real"),
    ("classic", "real"),
    ("all", "real"),
    ("all", "classic"),
    ("both", "classic"),
)
HEADLINES: tuple[tuple[TrainedOn, TrainedOn], ...] = (
    ("both", "real"),
    ("all", "classic"),
    ("synthetic", "real"),
)
"""What the verdict on the synthetic samples is about: the first of these whose sets were trained on."""

TestLabels = Mapping[int, Int64[np.ndarray, " n"]]
"""Classes of the test samples of each fold; of fold 0 where there are no folds."""


def compare_all(
    runs: Iterable[Run], labels: TestLabels, classifiers: Sequence[str], num_seeds: int
) -> tuple[Verdict, ...]:
    """Return the comparisons of all training sets that were trained on, for each classifier.

    Parameters
    ----------
    runs : iterable of Run
    labels : mapping of int to ndarray
    classifiers : sequence of str
    num_seeds : int
    """
    cells: dict[tuple[str, str], dict[tuple[int, int], Run]] = {}
    for run in runs:
        cells.setdefault((run.classifier, run.trained_on), {})[run.fold, run.seed] = run
    num_folds = 0 if set(labels) == {0} else len(labels)
    return tuple(
        Verdict(
            classifier,
            new,
            old,
            _difference(cells[classifier, new], cells[classifier, old], labels, num_seeds),
            num_seeds,
            num_folds,
        )
        for classifier in classifiers
        for new, old in COMPARED
        if (classifier, new) in cells and (classifier, old) in cells
    )


def headlines(comparisons: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Return the one comparison of each classifier that tells whether synthetic samples help."""
    found: dict[str, Verdict] = {}
    for pair in HEADLINES:
        for verdict in comparisons:
            if (verdict.trained_on, verdict.compared_with) == pair:
                found.setdefault(verdict.classifier, verdict)
    return tuple(found.values())


def _difference(
    new: Mapping[tuple[int, int], Run],
    old: Mapping[tuple[int, int], Run],
    labels: TestLabels,
    num_seeds: int,
) -> Difference:
    gaps = {
        fold: np.stack(
            [
                new[fold, seed].right.astype(np.int64) - old[fold, seed].right.astype(np.int64)
                for seed in range(num_seeds)
            ]
        )
        for fold in labels
    }
    if set(labels) == {0}:
        return held_out_difference(gaps[0], labels[0])
    of_folds = [
        np.mean(
            [
                new[fold, seed].scores.balanced_accuracy - old[fold, seed].scores.balanced_accuracy
                for seed in range(num_seeds)
            ]
        )
        for fold in labels
    ]
    return folds_difference(
        np.array(of_folds, np.float64),
        np.concatenate([gaps[fold].mean(0) for fold in labels]),
        np.concatenate([labels[fold] for fold in labels]),
        sum(int((gaps[fold] != 0).any(0).sum()) for fold in labels),
    )
