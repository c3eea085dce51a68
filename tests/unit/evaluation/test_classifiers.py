"""The small classifier learns, and does so the same way each time."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from riemaug.evaluation.networks import SmallCNN
from riemaug.evaluation.training import (
    ClassifierTraining,
    accuracy,
    fit_classifier,
    predict_log_probabilities,
)
from riemaug.random import Stream


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    bunch = load_digits()
    images = torch.from_numpy((bunch.images / 16).astype(np.float32)).unsqueeze(1)
    return images, torch.from_numpy(bunch.target.astype(np.int64))


def trained(images: Tensor, labels: Tensor, seed: int, **settings: float) -> SmallCNN:
    model = SmallCNN(tuple(images.shape[1:]), int(labels.max()) + 1, Stream(seed))
    fit_classifier(model, images, labels, Stream(seed), ClassifierTraining(**settings))
    return model


def test_digits_are_learned(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits
    model = trained(images[:600], labels[:600], 0, max_epochs=20)
    assert accuracy(model, images[1000:], labels[1000:]) > 0.9
    assert not model.training
    log_probabilities = predict_log_probabilities(model, images[1000:])
    assert torch.allclose(log_probabilities.exp().sum(1), torch.ones(797), atol=1e-5)


def test_a_seed_decides_all(digits: tuple[Tensor, Tensor]) -> None:
    images, labels = digits[0][:120], digits[1][:120]
    torch.manual_seed(4)
    before = torch.get_rng_state()
    first = trained(images, labels, 0, max_epochs=3)
    again = trained(images, labels, 0, max_epochs=3)
    other = trained(images, labels, 1, max_epochs=3)
    assert torch.equal(torch.get_rng_state(), before)
    predictions = [predict_log_probabilities(model, images) for model in (first, again, other)]
    assert torch.equal(predictions[0], predictions[1])
    assert not torch.equal(predictions[0], predictions[2])


@pytest.mark.parametrize("shape", [(9, 7), (4, 4), (5, 12)])
def test_odd_sizes_are_taken(shape: tuple[int, int]) -> None:
    images = torch.rand(40, 1, *shape, generator=torch.Generator().manual_seed(0))
    labels = (images[:, 0, 1, 1] > 0.5).long()
    model = trained(images, labels, 0, max_epochs=2)
    assert predict_log_probabilities(model, images).shape == (40, 2)


def test_the_weights_of_the_best_epoch_are_kept(digits: tuple[Tensor, Tensor]) -> None:
    # labels by chance cannot be learned: the loss on held-back images rises, and training stops early
    images = digits[0][:200]
    labels = torch.randint(0, 10, (200,), generator=torch.Generator().manual_seed(0))
    epochs = []

    class Counting(SmallCNN):
        def train(self, mode: bool = True) -> "Counting":
            epochs.append(mode)
            return super().train(mode)

    def fitted(model: SmallCNN, **settings: float) -> Tensor:
        fit_classifier(model, images, labels, Stream(3), ClassifierTraining(learning_rate=1e-2, **settings))
        return predict_log_probabilities(model, images)

    stopped = fitted(Counting((1, 8, 8), 10, Stream(3)), max_epochs=40, patience=3)
    num_epochs = sum(epochs)
    assert 4 <= num_epochs < 40
    # stopping three epochs earlier gives the same weights: the last three were no better
    assert torch.equal(fitted(SmallCNN((1, 8, 8), 10, Stream(3)), max_epochs=num_epochs - 3), stopped)
    # and one more epoch back gives others
    assert not torch.equal(fitted(SmallCNN((1, 8, 8), 10, Stream(3)), max_epochs=num_epochs - 4), stopped)
