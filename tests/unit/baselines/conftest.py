"""Three digits of 8 x 8 pixels, and one short fit of each model for all tests."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from sklearn.datasets import load_digits

from riemaug.baselines.deep import DeepGenerator, FittedDeepGenerator
from riemaug.evaluation.samples import LabelledSamples
from riemaug.parallel import one_thread
from riemaug.random import Stream

NUM_CLASSES = 3


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="session")
def digits() -> LabelledSamples:
    """20, 15 and 12 samples of the digits 0, 1 and 2, in [0, 1]."""
    bunch = load_digits(n_class=NUM_CLASSES)
    samples, labels = (bunch.images / 16).astype(np.float32), bunch.target.astype(np.int64)
    rows = [np.flatnonzero(labels == label)[:size] for label, size in enumerate((20, 15, 12))]
    return LabelledSamples(samples, labels).take(np.sort(np.concatenate(rows)))


@pytest.fixture(scope="session")
def fitted_model(digits: LabelledSamples) -> Callable[[str], FittedDeepGenerator]:
    """Models by name, each fitted once."""
    found: dict[str, FittedDeepGenerator] = {}

    def fitted(model: str) -> FittedDeepGenerator:
        if model not in found:
            generator = DeepGenerator(model, "prior", max_epochs=20)
            found[model] = generator.fit(digits, NUM_CLASSES, Stream(0, ("fit",)))
        return found[model]

    return fitted
