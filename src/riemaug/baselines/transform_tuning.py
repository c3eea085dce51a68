"""Strengths of affine + elastic transforms, chosen by real validation samples."""

from dataclasses import dataclass, replace

import numpy as np

from riemaug.baselines.batch_transforms import AffineElastic
from riemaug.errors import InvalidInputError
from riemaug.evaluation.classifiers import Classifier, classifier_named, layout_of
from riemaug.evaluation.samples import LabelledSamples
from riemaug.random import Stream

CANDIDATES = (
    AffineElastic(),
    AffineElastic(rotation=0.0, shift=0.0, scale=0.0, shear=0.0, amplitude=0.0),
    AffineElastic(rotation=5.0, shift=0.03, scale=0.05, shear=4.0, amplitude=0.4),
    AffineElastic(rotation=15.0, shift=0.1, scale=0.15, shear=12.0, amplitude=1.2),
    AffineElastic(amplitude=0.0),
    AffineElastic(rotation=0.0, shift=0.0, scale=0.0, shear=0.0),
    AffineElastic(amplitude=1.6, spacing=9),
    AffineElastic(rotation=20.0, shift=0.12, scale=0.2, shear=15.0, amplitude=0.8),
    AffineElastic(rotation=25.0, shift=0.15, scale=0.25, shear=20.0, amplitude=1.2),
)
"""Strengths that are tried, for sides of 28 pixels, the likeliest first; the second is no transform."""
REFERENCE_SIDE = 28
"""Pixels of the shortest side; elastic displacements grow with it."""
_LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class TunedTransform:
    """The outcome of a search.

    Attributes
    ----------
    transform : AffineElastic
        That of the smallest loss.
    candidates : tuple of AffineElastic
        What was tried.
    losses : tuple of float
        Mean cross-entropy of the validation samples for each, in nats.
    """

    transform: AffineElastic
    candidates: tuple[AffineElastic, ...]
    losses: tuple[float, ...]


def tune_affine_elastic(
    training: LabelledSamples,
    validation: LabelledSamples,
    num_classes: int,
    stream: Stream,
    classifier: Classifier | None = None,
    num_trials: int = len(CANDIDATES),
) -> TunedTransform:
    """Choose the strengths of affine + elastic transforms.

    A classifier is trained with each of the first `num_trials` of `CANDIDATES`, from the same first weights
    and in the same batches; the smallest validation loss wins.

    Parameters
    ----------
    training, validation : LabelledSamples
        Real images or volumes; never those that the classifier is tested on.
    num_classes : int
    stream : Stream
    classifier : Classifier, optional
        A network; by default the small CNN.
    num_trials : int

    Raises
    ------
    InvalidInputError
        Samples that are no images or volumes, a classifier that takes no transforms, or more trials than
        candidates.
    """
    if not 1 <= num_trials <= len(CANDIDATES):
        raise InvalidInputError(f"the number of trials must be from 1 to {len(CANDIDATES)}, got {num_trials}")
    judge = classifier or classifier_named("small-cnn")
    own = training.shape, training.num_sides
    tried = tuple(fitting(candidate, *own) for candidate in CANDIDATES[:num_trials])
    losses = []
    for transform in tried:
        fitted = judge.fit(training, validation, num_classes, stream, transform)
        shares = fitted.predict_proba(validation.samples)[np.arange(len(validation)), validation.labels]
        losses.append(float(-np.log(np.maximum(shares, _LEAST_PROBABILITY)).mean()))
    return TunedTransform(tried[int(np.argmin(losses))], tried, tuple(losses))


def fitting(transform: AffineElastic, shape: tuple[int, ...], num_sides: int = 0) -> AffineElastic:
    """Return a transform of images with sides of 28 pixels as one that bends larger or smaller ones alike.

    Parameters
    ----------
    transform : AffineElastic
    shape : tuple of int
        Of a sample.
    num_sides : int
        See `LabelledSamples.num_sides`.

    Raises
    ------
    InvalidInputError
        Samples that are no images or volumes.
    """
    layout = layout_of(shape, num_sides)
    if layout is None or len(layout.sides) not in (2, 3):
        raise InvalidInputError(
            f"affine and elastic transforms need images or volumes, got samples of shape {shape}: leave them "
            "out"
        )
    factor = min(layout.sides) / REFERENCE_SIDE
    spacing = max(1, round(factor * transform.spacing))
    return replace(transform, amplitude=factor * transform.amplitude, spacing=spacing)
