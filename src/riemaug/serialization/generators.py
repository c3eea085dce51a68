"""All that a fit learned, as one object."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from riemaug.class_model import ClassModel
from riemaug.config import GeneratorConfig, SamplingConfig
from riemaug.data.dataset import SampleFormat
from riemaug.data.scaling import RangeScaler


@dataclass(frozen=True, eq=False)
class FittedGenerators:
    """All that `fit` learned: a generator a class, and how to go from data to [0, 1] and back.

    Attributes
    ----------
    classes : tuple of ClassModel
        Those that share a model stand side by side.
    config : GeneratorConfig
    scaler : RangeScaler
    sample_format : SampleFormat
    label_values : ndarray or None
        For arrays: the label of each class as the user stored it.
    class_sizes : tuple of int
        Training samples of each class.
    data_fingerprint : str
        Hash of the training data.
    sampling : SamplingConfig, optional
        What the estimator that was saved drew with; None where that is said at each call.
    """

    classes: tuple[ClassModel, ...]
    config: GeneratorConfig
    scaler: RangeScaler
    sample_format: SampleFormat
    label_values: np.ndarray | None
    class_sizes: tuple[int, ...]
    data_fingerprint: str
    sampling: SamplingConfig | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in order."""
        return tuple(item.name for item in self.classes)


def classes_by_model(classes: Sequence[ClassModel]) -> list[tuple[ClassModel, ...]]:
    """Return the classes in their order, those of one model together."""
    return [tuple(part) for _, part in itertools.groupby(classes, key=lambda item: id(item.model))]
