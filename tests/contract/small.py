"""Small data and quick estimators that the tests of the contract share; not a test itself."""

import numpy as np
from sklearn.datasets import load_digits

from riemaug.augmentor import Augmentor

PER_CLASS = 12


def digits(num_classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """12 images 8 x 8 of each of the first digits, uint8 from 0 to 240."""
    bunch = load_digits()
    index = np.concatenate(
        [np.flatnonzero(bunch.target == label)[:PER_CLASS] for label in range(num_classes)]
    )
    return (bunch.images[index] * 15).astype(np.uint8), bunch.target[index]


def quick(**settings: object) -> Augmentor:
    values: dict = {"max_epochs": 3, "random_state": 0, "n_jobs": 1}
    return Augmentor(**(values | settings))
