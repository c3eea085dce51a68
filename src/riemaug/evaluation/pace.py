"""How long an evaluation will take, before it begins: a short training of each classifier tells."""

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from riemaug.evaluation.classifiers import Classifier, NetworkClassifier
from riemaug.evaluation.samples import LabelledSamples
from riemaug.evaluation.tasks import Pace
from riemaug.evaluation.training_sets import Material
from riemaug.parallel import one_thread
from riemaug.random import Stream

MOST_PROBED = 256
EPOCHS_BEYOND_PATIENCE = 12
"""Epochs to the best one, as a rule of thumb; the patience comes on top."""
SECONDS_PER_PAIR = {"fidelity": 4e-6, "copying": 1e-6}
"""Of the checks, for each pair of samples; the cost of a pair depends little on their size."""


def guessed_pace(classifiers: Mapping[str, Classifier], material: Material, stream: Stream) -> Pace:
    """Return the pace of the runs by a training of one epoch, and that of the checks by experience.

    Parameters
    ----------
    classifiers : mapping of str to Classifier
    material : Material
    stream : Stream
    """
    rates = {
        name: _seconds_per_sample(classifier, material, stream.child(name))
        for name, classifier in classifiers.items()
    }
    return Pace(SECONDS_PER_PAIR | rates)


def _seconds_per_sample(classifier: Classifier, material: Material, stream: Stream) -> float:
    probed, epochs = classifier, 1
    if isinstance(classifier, NetworkClassifier):
        training = classifier.training
        epochs = min(training.max_epochs, training.patience + EPOCHS_BEYOND_PATIENCE)
        if material.validation_was_shown:
            epochs += min(training.max_epochs, EPOCHS_BEYOND_PATIENCE)  # trained anew on all real samples
        probed = NetworkClassifier(
            classifier.build, classifier.name, replace(training, max_epochs=1), classifier.device
        )
    samples = _some(material.training)
    with one_thread():
        _seconds(probed, samples, material, stream)  # the first one also loads libraries
        return epochs * _seconds(probed, samples, material, stream) / len(samples)


def _some(data: LabelledSamples) -> LabelledSamples:
    """Return up to `MOST_PROBED` samples, spread over all classes."""
    return data.take(np.linspace(0, len(data) - 1, min(len(data), MOST_PROBED)).astype(int))


def _seconds(classifier: Classifier, samples: LabelledSamples, material: Material, stream: Stream) -> float:
    started = time.perf_counter()
    classifier.fit(samples, _some(material.validation), len(material.class_names), stream)
    return time.perf_counter() - started
