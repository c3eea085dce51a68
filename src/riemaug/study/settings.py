"""What decides a run beside its cell, draw and seeds: kept with each result, compared before it counts."""

from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from typing import Any

from riemaug.baselines.batch_transforms import AffineElastic, MixUp
from riemaug.errors import InvalidInputError
from riemaug.evaluation.classifiers import Classifier, NetworkClassifier, classifier_named
from riemaug.study.cells import Cell, parse_row
from riemaug.study.learning_rates import oasis_training
from riemaug.study.store import Result
from riemaug.study.transforms import transform_of

PROTOCOL = 1
"""Raised whenever the same run would give another result: data sets, generators, classifiers, draws."""


def study_classifier(cell: Cell, device: str = "cpu") -> Classifier:
    """Return the classifier of a cell with the paper's settings: on OASIS other patience and steps."""
    settings = oasis_training(cell.classifier) if cell.data.startswith("oasis") else {}
    return classifier_named(cell.classifier, device, **settings)


@cache
def settings_of(cell: Cell) -> dict[str, Any]:
    """Return the settings of a cell's runs as JSON types.

    Raises
    ------
    InvalidInputError
        A choice is missing that must be made first; see `oasis_training` and `transform_of`.
    """
    classifier, transform = study_classifier(cell), transform_of(cell.transform, cell.data)
    row = parse_row(cell.row)
    strengths = asdict(transform) if isinstance(transform, AffineElastic | MixUp) else None
    return {
        "protocol": PROTOCOL,
        "classifier": asdict(classifier.training) if isinstance(classifier, NetworkClassifier) else {},
        "transform": strengths,
        "generator": {"model": row.model, "law": row.law, "amount": row.amount} if row.law else None,
    }


def current(results: Iterable[Result]) -> list[Result]:
    """Return the results that today's settings would give again; others are neither shown nor counted."""
    return [result for result in results if _is_current(result)]


def _is_current(result: Result) -> bool:
    try:
        return result.details.get("settings") == settings_of(result.run.cell)
    except InvalidInputError:
        return False  # of a cell that is no longer, or whose choices were taken back
