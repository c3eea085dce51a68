"""New samples for an estimator: so many of each class, without copies of the training data if asked."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, Shaped
from numpy.typing import ArrayLike

from riemaug.config import SamplingConfig
from riemaug.data import restore_samples
from riemaug.errors import InvalidInputError
from riemaug.estimator_input import array_of_labels, array_of_samples
from riemaug.estimator_warnings import CopiesWarning, SamplerConvergenceWarning
from riemaug.parallel import one_thread
from riemaug.run.comparison import TrainingComparison
from riemaug.run.drawing import Drawing
from riemaug.samplers import Diagnostics
from riemaug.serialization import FittedGenerators

_DECODED_AT_ONCE = 1024
_OF_THE_CALLER = 4
"""Calls from a warning here up to the line that called `Augmentor.sample`."""


def counts_of(num_samples: int | Mapping[Any, int], classes: Shaped[np.ndarray, " k"]) -> list[int]:
    """Return how many samples each class gets.

    Parameters
    ----------
    num_samples : int or mapping
        So many for each class, or for each label named.
    classes : ndarray (k,)
        The labels.

    Raises
    ------
    InvalidInputError
        An unknown label, or a number that is no amount.
    """
    labels = classes.tolist()
    wanted = dict(num_samples) if isinstance(num_samples, Mapping) else dict.fromkeys(labels, num_samples)
    unknown = [label for label in wanted if label not in labels]
    if unknown:
        known = ", ".join(map(str, labels[:10]))
        raise InvalidInputError(f"samples can be drawn of classes seen in fit ({known}), got {unknown[0]!r}")
    counts = [wanted.get(label, 0) for label in labels]
    if not all(isinstance(count, Real) and count >= 0 and count % 1 == 0 for count in counts):
        raise InvalidInputError(f"numbers of samples must be integers of 0 or more, got {num_samples!r}")
    return [int(count) for count in counts]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The training data, among which copies are looked for.

    Attributes
    ----------
    samples : ndarray (n, ...)
    labels : ndarray (n,)
        Index of each one's class.
    """

    samples: Shaped[np.ndarray, "n *shape"]
    labels: Int64[np.ndarray, " n"]

    @classmethod
    def of(
        cls, X: ArrayLike, y: ArrayLike, fitted: FittedGenerators, classes: Shaped[np.ndarray, " k"]
    ) -> "TrainingSet":
        """Return the training data as `fit` was given it; InvalidInputError if it cannot be that."""
        samples, labels = array_of_samples(X), array_of_labels(y).reshape(-1)
        shape = fitted.sample_format.model_shape
        fits = samples.shape[1:] == shape and len(samples) == len(labels)
        if not fits or not np.isin(labels, classes).all():
            raise InvalidInputError(
                f"drop_copies must be the training data, (X, y) with samples of shape {shape} and labels of"
                f" the classes, got arrays of shapes {samples.shape} and {labels.shape}: give those of fit"
            )
        order = np.argsort(classes)
        return cls(samples, order[np.searchsorted(classes, labels, sorter=order)].astype(np.int64))


@dataclass(frozen=True, eq=False)
class DrawnClass:
    """The new samples of a class.

    Attributes
    ----------
    samples : ndarray (m, ...)
    diagnostics : Diagnostics or None
        What is known of their draws; None where none were asked for.
    """

    samples: Shaped[np.ndarray, "m ..."]
    diagnostics: Diagnostics | None


def drawn_classes(
    fitted: FittedGenerators, counts: Sequence[int], config: SamplingConfig, training: TrainingSet | None
) -> list[DrawnClass]:
    """Return the new samples of each class, in the shape, dtype and range of the training data.

    Warns of a class whose draws have not converged, as `SamplerConvergenceWarning`.

    Parameters
    ----------
    fitted : FittedGenerators
    counts : sequence of int
        Samples of each class.
    config : SamplingConfig
    training : TrainingSet, optional
        Samples that are copies of some of it are left out and others drawn in their place. If too many are,
        fewer come back, with a `CopiesWarning`.

    Raises
    ------
    SamplingError
    """
    fmt = fitted.sample_format
    drawn = []
    with one_thread():
        for index, count in enumerate(counts):
            unit, diagnostics = _drawn(fitted, index, count, config, training)
            samples = restore_samples(unit.reshape(-1, *fmt.model_shape), fitted.scaler, fmt)
            drawn.append(DrawnClass(samples, diagnostics))
    return drawn


def _drawn(
    fitted: FittedGenerators,
    index: int,
    count: int,
    config: SamplingConfig,
    training: TrainingSet | None,
) -> tuple[Float32[np.ndarray, "m D"], Diagnostics | None]:
    """Return samples of one class in [0, 1], flat, and what is known of their draws."""
    item, comparison = fitted.classes[index], None
    if training is not None:
        comparison = TrainingComparison(training.samples, training.labels, fitted.scaler, item, index)
    drawing = Drawing(item, config, count, comparison, drop=training is not None)
    width = math.prod(fitted.sample_format.model_shape)
    pieces = drawing.pieces(_DECODED_AT_ONCE)
    parts = [np.empty((0, width), np.float32), *(piece.unit for piece in pieces)]
    if drawing.position.kept < count:
        warnings.warn(
            f"class {item.name!r} has {drawing.position.kept} samples instead of {count}: the other draws"
            " were copies of training samples",
            CopiesWarning,
            stacklevel=_OF_THE_CALLER,
        )
    if not count:
        return np.concatenate(parts), None
    diagnostics = drawing.diagnostics([drawing.finish()])
    if diagnostics.converged is False:
        warnings.warn(
            f"class {item.name!r}: {diagnostics.message}",
            SamplerConvergenceWarning,
            stacklevel=_OF_THE_CALLER,
        )
    return np.concatenate(parts), diagnostics
