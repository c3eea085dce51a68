"""SMOTE: new samples on the lines between a sample and its nearest neighbours of the same class."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from riemaug.baselines.base import (
    FittedSampleGenerator,
    SampleGenerator,
    checked_counts,
    grouped_by_class,
)
from riemaug.errors import InvalidInputError
from riemaug.evaluation.samples import LabelledSamples
from riemaug.random import Stream

NUM_NEIGHBORS = 5
"""Of the original method; a smaller class has as many as it has other samples."""


class Smote(SampleGenerator):
    """SMOTE on the samples' values, by imbalanced-learn (the extra `smote`).

    Chawla et al. 2002, "SMOTE: synthetic minority over-sampling technique". There it fills up small classes;
    here it makes any number of new samples of each class.

    Parameters
    ----------
    num_neighbors : int
        Neighbours of a sample that it may be joined with, at least 1.
    """

    def __init__(self, num_neighbors: int = NUM_NEIGHBORS) -> None:
        self.num_neighbors = num_neighbors

    @property
    def name(self) -> str:
        """How reports call the generator."""
        return "SMOTE"

    def fit(self, training: LabelledSamples, num_classes: int, stream: Stream) -> "FittedSmote":
        """Keep the training samples; nothing is learned. See `SampleGenerator.fit`.

        Raises
        ------
        InvalidInputError
            imbalanced-learn is not installed, fewer than one neighbour, or a class with a single sample.
        """
        require_smote()
        if self.num_neighbors < 1:
            raise InvalidInputError(f"SMOTE needs 1 neighbour or more, got {self.num_neighbors}")
        for label, size in enumerate(training.counts(num_classes)):
            if size == 1:
                raise InvalidInputError(
                    f"SMOTE joins samples of a class and needs 2 or more, class {label} has 1: leave it out"
                )
        return FittedSmote(training, num_classes, self.num_neighbors)


@dataclass(frozen=True, eq=False)
class FittedSmote(FittedSampleGenerator):
    """The real samples that are joined."""

    training: LabelledSamples
    num_classes: int
    num_neighbors: int

    def sample(self, counts: Sequence[int], stream: Stream) -> LabelledSamples:
        """Return points between neighbours. See `FittedSampleGenerator.sample`."""
        wanted = checked_counts(counts, self.training.counts(self.num_classes))
        parts = []
        for label, count in enumerate(wanted):
            own = self.training.of_class(label)
            rows = own.reshape(len(own), math.prod(self.training.shape))
            made = interpolated(rows, count, stream.child("class", str(label)), self.num_neighbors)
            parts.append(made.reshape(count, *self.training.shape))
        return grouped_by_class(parts, self.training.num_sides)


def interpolated(
    points: Float[np.ndarray, "n D"], count: int, stream: Stream, num_neighbors: int = NUM_NEIGHBORS
) -> Float[np.ndarray, "m D"]:
    """Return new points, each between a point and one of its nearest neighbours, in the points' dtype.

    Parameters
    ----------
    points : ndarray (n, D)
        Of one class, at least 2 (any number if `count` is 0).
    count : int
    stream : Stream
    num_neighbors : int
        At least 1; at most n - 1 are used.

    Raises
    ------
    InvalidInputError
        imbalanced-learn is not installed, or fewer than two points.
    """
    smote_class = require_smote()
    if count == 0:
        return points[:0]
    if len(points) < 2:
        raise InvalidInputError(f"SMOTE joins samples of a class and needs 2 or more, got {len(points)}")
    smote = smote_class(
        sampling_strategy={0: len(points) + count},
        k_neighbors=min(num_neighbors, len(points) - 1),
        random_state=stream.generator_seed(),
    )
    # it takes no single class: one row stands for another class, of which nothing is made
    labels = np.zeros(len(points) + 1, dtype=np.int64)
    labels[-1] = 1
    with warnings.catch_warnings():
        # that the class becomes larger than the largest one is what is wanted here
        warnings.filterwarnings("ignore", message="After over-sampling", category=UserWarning)
        resampled, _ = smote.fit_resample(np.concatenate([points, points[:1]]), labels)
    return resampled[len(points) + 1 :]


def require_smote() -> Any:
    """Return imbalanced-learn's SMOTE.

    Raises
    ------
    InvalidInputError
        It is not installed.
    """
    try:
        from imblearn.over_sampling import SMOTE
    except ImportError:
        raise InvalidInputError(
            "SMOTE needs the package imbalanced-learn, it is not installed: pip install 'riemaug[smote]'"
        ) from None
    return SMOTE
