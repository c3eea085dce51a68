"""Strengths are chosen by validation loss."""

import math

import numpy as np
import pytest

from riemaug.baselines.batch_transforms import AffineElastic
from riemaug.baselines.transform_tuning import CANDIDATES, fitting, tune_affine_elastic
from riemaug.errors import InvalidInputError
from riemaug.evaluation.classifiers import Classifier, FittedClassifier, classifier_named
from riemaug.evaluation.samples import LabelledSamples
from riemaug.evaluation.training import BatchTransform
from riemaug.random import Stream


class Sure(FittedClassifier):
    """Gives the first class a fixed probability."""

    def __init__(self, probability: float) -> None:
        self.probability = probability

    def predict_proba(self, samples: np.ndarray) -> np.ndarray:
        return np.tile([self.probability, 1.0 - self.probability], (len(samples), 1))


class Scripted(Classifier):
    """Likes each transform as much as the script says, and notes what it was given."""

    def __init__(self, *probabilities: float) -> None:
        self.probabilities = list(probabilities)
        self.streams: list[Stream] = []
        self.seen: list[BatchTransform | None] = []

    @property
    def name(self) -> str:
        return "scripted"

    def fit(
        self,
        training: LabelledSamples,
        validation: LabelledSamples,
        num_classes: int,
        stream: Stream,
        transform: BatchTransform | None = None,
        final: LabelledSamples | None = None,
    ) -> Sure:
        self.streams.append(stream)
        self.seen.append(transform)
        return Sure(self.probabilities[len(self.seen) - 1])


def of_first_class(shape: tuple[int, ...]) -> LabelledSamples:
    return LabelledSamples(np.zeros((4, *shape), np.float32), np.zeros(4, np.int64))


def test_the_smallest_validation_loss_wins() -> None:
    judge, data = Scripted(0.5, 0.9, 0.0), of_first_class((28, 28))
    tuned = tune_affine_elastic(data, data, 2, Stream(3), judge, num_trials=3)
    assert tuned.transform == CANDIDATES[1]
    assert tuned.candidates == CANDIDATES[:3] == tuple(judge.seen)
    assert tuned.losses == pytest.approx((-math.log(0.5), -math.log(0.9), -math.log(1e-12)))
    assert judge.streams == [Stream(3)] * 3


def test_a_network_is_judged_by_its_own_validation_loss(digits: LabelledSamples) -> None:
    judge = classifier_named("small-cnn", max_epochs=3)
    tuned = tune_affine_elastic(digits, digits, 3, Stream(0), judge, num_trials=2)
    assert tuned.transform == tuned.candidates[int(np.argmin(tuned.losses))]
    fitted = judge.fit(digits, digits, 3, Stream(0), tuned.candidates[0])
    assert fitted.history is not None
    assert tuned.losses[0] == pytest.approx(fitted.history.best_loss, rel=1e-4)


def test_candidates_differ_and_include_no_transform() -> None:
    assert len(set(CANDIDATES)) == len(CANDIDATES)
    assert AffineElastic(rotation=0.0, shift=0.0, scale=0.0, shear=0.0, amplitude=0.0) in CANDIDATES[:2]


def test_larger_images_are_bent_by_more_pixels() -> None:
    larger = fitting(AffineElastic(amplitude=0.8, spacing=7), (56, 70))
    assert (larger.amplitude, larger.spacing, larger.rotation) == (1.6, 14, AffineElastic().rotation)
    assert fitting(AffineElastic(spacing=7), (3, 8, 8)).spacing == 2


def test_what_cannot_be_tuned_is_refused() -> None:
    images, rows = of_first_class((8, 8)), of_first_class((8,))
    for number in (0, len(CANDIDATES) + 1):
        with pytest.raises(InvalidInputError, match="number of trials must be from 1 to"):
            tune_affine_elastic(images, images, 2, Stream(0), Scripted(), num_trials=number)
    with pytest.raises(InvalidInputError, match="need images or volumes, got samples of shape \\(8,\\)"):
        tune_affine_elastic(rows, rows, 2, Stream(0), Scripted())
    with pytest.raises(InvalidInputError, match="transforms of batches need a network"):
        tune_affine_elastic(images, images, 2, Stream(0), classifier_named("logistic"))
