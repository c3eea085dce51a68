"""The training set of a row: real samples, new ones, or both."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from riemaug.errors import InvalidInputError, SamplingError
from riemaug.evaluation.samples import LabelledSamples
from riemaug.random import Stream
from riemaug.study.cells import Row, parse_row
from riemaug.study.datasets import StudyData
from riemaug.study.fits import fitted_generator
from riemaug.study.place import Place


@dataclass(frozen=True)
class TrainingSet:
    """What a classifier is trained on.

    Attributes
    ----------
    samples : LabelledSamples
    origin : dict
        Of the generator; see `riemaug.study.fits.Fitted`. Empty where nothing was trained.
    """

    samples: LabelledSamples
    origin: dict[str, Any] = field(default_factory=dict)


def training_set(data: StudyData, row: str, trained_on: str, seed: int, place: Place) -> TrainingSet:
    """Return what a classifier is trained on.

    Parameters
    ----------
    data : StudyData
    row : str
        See `riemaug.study.cells.parse_row`.
    trained_on : "real", "both" or "synthetic"
    seed : int
        Of the generator and its draws.
    place : Place

    Raises
    ------
    InvalidInputError
        A row that does not go with `trained_on`.
    SamplingError
        New samples that are not finite.
    """
    chosen = parse_row(row)
    if (trained_on == "real") != (row == "raw"):
        raise InvalidInputError(
            f"row raw is trained on real samples, the others on both or synthetic, got {row} on {trained_on}"
        )
    if trained_on == "real":
        return TrainingSet(data.train)
    made = new_samples(data, chosen, seed, place)
    if trained_on == "synthetic":
        return made
    return TrainingSet(data.train.joined(made.samples), made.origin)


def new_samples(data: StudyData, row: Row, seed: int, place: Place) -> TrainingSet:
    """Return the new samples of a row alone; the same whatever else the study does."""
    num_classes = len(data.class_names)
    stream = Stream(seed, ("study", "draws", row.name, data.name, str(data.draw)))
    if row.law == "classic":
        from riemaug.baselines.classic import ClassicAugmentation

        method = ClassicAugmentation(row.amount)
        counts: Sequence[int] = method.counts_for(data.train.counts(num_classes))
        return TrainingSet(method.fit(data.train, num_classes, stream.child("fit")).sample(counts, stream))
    fitted = fitted_generator(data, row, seed, place)
    made = fitted.generator.sample([row.amount] * num_classes, stream)
    if not np.isfinite(made.samples).all():
        raise SamplingError(f"new samples must be finite, row {row.name} of {data.name} has others")
    return TrainingSet(made, fitted.origin)
