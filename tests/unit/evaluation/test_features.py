"""Feature spaces: fitted on training samples alone, the same for a sample whatever lies beside it."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn

from riemaug.errors import InvalidInputError, NotFittedError
from riemaug.evaluation.features import (
    BLOCK,
    ClassifierFeatures,
    EncoderFeatures,
    FeatureSpace,
    PCAFeatures,
    PixelFeatures,
)
from riemaug.evaluation.networks import SmallCNN
from riemaug.evaluation.training import ClassifierTraining
from riemaug.random import Stream

FEW_EPOCHS = ClassifierTraining(max_epochs=2)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    bunch = load_digits()
    return bunch.images.astype(np.uint8)[:600], bunch.target[:600]


def encoder() -> nn.Module:
    layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 7), nn.Dropout(0.5))
    generator = torch.Generator().manual_seed(0)
    for tensor in layers.parameters():
        nn.init.normal_(tensor, generator=generator)
    return layers


def spaces() -> list[FeatureSpace]:
    return [
        PixelFeatures(),
        PCAFeatures(10),
        ClassifierFeatures(FEW_EPOCHS),
        EncoderFeatures(encoder(), "my network"),
        EncoderFeatures(lambda block: block.mean(1), "column means"),
    ]


@pytest.mark.parametrize("space", spaces(), ids=lambda space: type(space).__name__)
def test_a_sample_does_not_depend_on_those_beside_it(space: FeatureSpace, digits) -> None:
    images, labels = digits
    with pytest.raises(NotFittedError, match="must be fitted before"):
        space.transform(images)
    assert space.fit(images[:300], labels[:300]) is space
    whole = space.transform(images)
    assert whole.dtype == np.float32
    assert whole.shape[0] == 600
    for rows in (slice(0, 1), slice(5, 17), slice(BLOCK - 1, BLOCK + 1)):
        assert np.array_equal(space.transform(images[rows]), whole[rows])
    assert space.transform(images[:0]).shape == (0, whole.shape[1])
    assert isinstance(space.name, str)


@pytest.mark.parametrize("space", spaces(), ids=lambda space: type(space).__name__)
def test_bad_samples_are_refused(space: FeatureSpace, digits) -> None:
    images, labels = digits
    space.fit(images[:100], labels[:100])
    with pytest.raises(InvalidInputError, match=r"must have the shape \(8, 8\)"):
        space.transform(images[:, :7])
    with pytest.raises(InvalidInputError, match="samples must be finite"):
        space.transform(np.full((2, 8, 8), np.nan))
    with pytest.raises(InvalidInputError, match="must not be empty"):
        space.fit(images[:0], labels[:0])
    with pytest.raises(InvalidInputError, match="must be real numbers"):
        space.fit(images.astype(str), labels)


def test_pixels_take_the_training_range_to_the_unit_interval() -> None:
    space = PixelFeatures().fit(np.array([[[2.0, 4.0]], [[6.0, 3.0]]]))
    rows = space.transform(np.array([[[2.0, 6.0]], [[0.0, 10.0]]]))
    assert np.array_equal(rows, np.array([[0.0, 1.0], [-0.5, 2.0]], np.float32))
    assert space.name == "pixels"
    # of a constant set, and of boolean masks
    assert np.array_equal(PixelFeatures().fit(np.ones((2, 3))).transform(np.full((1, 3), 1.5)), [[0.5] * 3])
    masks = np.array([[True, False]])
    assert np.array_equal(PixelFeatures().fit(masks).transform(masks), [[1.0, 0.0]])


@pytest.mark.parametrize("components", [5, 0.8])
def test_principal_components_are_those_of_the_training_samples(components: float, digits) -> None:
    images, _ = digits
    rows = images.reshape(600, -1) / 16
    space = PCAFeatures(components).fit(images[:300])
    reference = PCA(components, svd_solver="full").fit(rows[:300])
    found, expected = space.transform(images), reference.transform(rows)
    assert found.shape == expected.shape
    assert np.allclose(np.abs(found), np.abs(expected), atol=1e-4)
    assert space.name == f"PCA of the pixels, {expected.shape[1]} components"


@pytest.mark.parametrize("components", [0, 65, -0.5, 0.0, 1.0, 1.5])
def test_impossible_numbers_of_components(components: float, digits) -> None:
    with pytest.raises(InvalidInputError, match=f"an integer from 1 to 64 .* got {components}"):
        PCAFeatures(components).fit(digits[0])


def test_components_of_samples_that_are_all_the_same() -> None:
    with pytest.raises(InvalidInputError, match="PCA needs training samples that differ"):
        PCAFeatures().fit(np.ones((5, 4, 4)))


def test_a_classifiers_features_lead_to_its_logits(digits) -> None:
    model = SmallCNN((1, 8, 8), 3, Stream(0)).eval()
    images = torch.from_numpy(digits[0][:5] / 16).float().unsqueeze(1)
    with torch.no_grad():
        assert torch.equal(model.layers[-1](model.features(images)), model(images))


def test_a_classifiers_features_follow_the_seed_and_take_names_as_labels(digits) -> None:
    images, labels = digits[0][:200], digits[1][:200].astype(str)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    found = [ClassifierFeatures(FEW_EPOCHS, seed).fit(images, labels).transform(images) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    with_channel = ClassifierFeatures(FEW_EPOCHS).fit(images[..., None], labels).transform(images[..., None])
    assert np.array_equal(with_channel, found[0])


def test_what_a_classifier_cannot_be_trained_on(digits) -> None:
    images, labels = digits
    for given in (None, np.zeros(600, int)):
        with pytest.raises(InvalidInputError, match="need labels of two classes"):
            ClassifierFeatures().fit(images, given)
    with pytest.raises(
        InvalidInputError, match=r"grey images of 4 x 4 or more, got samples of shape \(64,\)"
    ):
        ClassifierFeatures().fit(images.reshape(600, 64), labels)


def test_a_users_module_is_copied_and_gets_the_values_as_they_are(digits) -> None:
    images, _ = digits
    module = encoder().train()
    space = EncoderFeatures(module, "my network").fit(images)
    expected = module[1](torch.from_numpy(images[:4]).float().flatten(1)).detach().numpy()
    assert np.allclose(space.transform(images[:4]), expected, atol=1e-4)
    assert module.training
    nn.init.zeros_(module[1].weight)
    assert np.allclose(space.transform(images[:4]), expected, atol=1e-4)
    assert space.name == "my network"


def test_maps_of_features_become_rows(digits) -> None:
    space = EncoderFeatures(lambda block: np.stack([block, block], 1), "twice").fit(digits[0])
    assert space.transform(digits[0][:3]).shape == (3, 128)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda block: block[:1], "must return one vector of numbers for each of 256 samples, got shape"),
        (lambda block: 3.0, "must return one vector"),
        (lambda block: block.astype(str), "must return one vector"),
        (lambda block: block / 0.0, "features of the encoder 'bad' must be finite"),
    ],
)
def test_encoders_that_return_something_else(function, message: str, digits) -> None:
    with np.errstate(all="ignore"), pytest.raises(InvalidInputError, match=message):
        EncoderFeatures(function, "bad").fit(digits[0])
