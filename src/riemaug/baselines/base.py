"""The interface of all generators that are compared."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from numbers import Integral

import numpy as np
from jaxtyping import Float32

from riemaug.errors import InvalidInputError
from riemaug.evaluation.samples import LabelledSamples
from riemaug.random import Stream


class FittedSampleGenerator(ABC):
    """A generator that has seen its training samples."""

    @abstractmethod
    def sample(self, counts: Sequence[int], stream: Stream) -> LabelledSamples:
        """Return new samples, grouped by class.

        Parameters
        ----------
        counts : sequence of int
            How many of each class, by the classes' numbers.
        stream : Stream
            The same stream gives the same samples, another one others.

        Raises
        ------
        InvalidInputError
            Counts that are no numbers of samples, or of a class without training samples.
        SamplingError
            No samples could be drawn.
        """


class SampleGenerator(ABC):
    """How new samples are made; holds settings only."""

    @property
    @abstractmethod
    def name(self) -> str:
        """How reports call the generator."""

    @abstractmethod
    def fit(self, training: LabelledSamples, num_classes: int, stream: Stream) -> FittedSampleGenerator:
        """Return the generator, fitted on some samples.

        Parameters
        ----------
        training : LabelledSamples
            Scaled to [0, 1].
        num_classes : int
        stream : Stream
            All randomness of the fit.

        Raises
        ------
        InvalidInputError
            Samples that the generator cannot take.
        TrainingError
            A model could not be trained.
        """


def checked_counts(counts: Sequence[int], class_sizes: Sequence[int]) -> list[int]:
    """Return how many samples to make of each class, as many numbers as there are classes.

    Parameters
    ----------
    counts : sequence of int
        What was asked for.
    class_sizes : sequence of int
        Training samples of each class.

    Raises
    ------
    InvalidInputError
        Not one integer of 0 or more for each class, or samples of a class that has no training samples.
    """
    whole = [count for count in counts if isinstance(count, Integral) and count >= 0]
    if not len(whole) == len(counts) == len(class_sizes):
        raise InvalidInputError(
            f"counts must be {len(class_sizes)} integers of 0 or more, one for each class, got {list(counts)}"
        )
    for label, (count, size) in enumerate(zip(counts, class_sizes, strict=True)):
        if count and not size:
            raise InvalidInputError(
                f"new samples need training samples of their class, class {label} has none and {count} were "
                "asked for: ask for 0"
            )
    return [int(count) for count in counts]


def grouped_by_class(parts: Sequence[Float32[np.ndarray, "_ *shape"]], num_sides: int = 0) -> LabelledSamples:
    """Return the samples of all classes, given by class number, as labelled samples.

    Parameters
    ----------
    parts : sequence of ndarray (m, ...)
    num_sides : int
        See `LabelledSamples.num_sides`.
    """
    sizes = [len(part) for part in parts]
    labels = np.repeat(np.arange(len(parts), dtype=np.int64), sizes)
    return LabelledSamples(np.concatenate(list(parts)), labels, num_sides)
