"""The interface of all generators that are compared."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

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
