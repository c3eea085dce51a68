"""Feature spaces in which real and synthetic samples are compared.

A space is fitted on real training samples alone, and then maps all samples in the same way: what is judged
has no part in it. A sample's features do not depend on those beside it, so a copy has the features of its
original to the last bit.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Shaped
from sklearn.decomposition import PCA
from torch import nn

from riemaug.errors import InvalidInputError, NotFittedError
from riemaug.evaluation.networks import SmallCNN
from riemaug.evaluation.pairwise import check_finite
from riemaug.evaluation.training import ClassifierTraining, fit_classifier
from riemaug.random import Stream, as_stream

BLOCK = 256
"""Samples pass a space in full blocks of this size: the bits of their features do not depend on the batch."""

Encoder = Callable[[Any], Any]


class FeatureSpace(ABC):
    """A map from samples to feature vectors, fitted on real training samples."""

    @property
    @abstractmethod
    def name(self) -> str:
        """How reports call the space."""

    @abstractmethod
    def fit(
        self, samples: Shaped[np.ndarray, "n *shape"], labels: Shaped[np.ndarray, " n"] | None = None
    ) -> "FeatureSpace":
        """Fit the space on real training samples, and return it.

        Parameters
        ----------
        samples : ndarray (n, ...)
            bool, integers or finite floats.
        labels : ndarray (n,), optional
            Needed by spaces that come from a classifier.

        Raises
        ------
        InvalidInputError
            The space cannot be fitted on such samples.
        """

    @abstractmethod
    def transform(self, samples: Shaped[np.ndarray, "n *shape"]) -> Float32[np.ndarray, "n D"]:
        """Return the features of any samples, (n, D).

        Raises
        ------
        NotFittedError
            `fit` was not called.
        InvalidInputError
            Samples of another shape than those of `fit`, or values that are not finite.
        """


class PixelFeatures(FeatureSpace):
    """The values themselves, by one linear map that takes the training samples' range to [0, 1].

    Values beyond that range stay beyond it.

    Attributes
    ----------
    low_, span_ : float
    shape_ : tuple of int
        Of one sample.
    """

    @property
    def name(self) -> str:
        """How reports call the space."""
        return "pixels"

    def fit(
        self, samples: Shaped[np.ndarray, "n *shape"], labels: Shaped[np.ndarray, " n"] | None = None
    ) -> "PixelFeatures":
        """Learn the range; the labels play no part. Raises as `FeatureSpace.fit`."""
        _check_numbers(samples)
        low, high = float(samples.min()), float(samples.max())
        self.low_, self.span_, self.shape_ = low, (high - low) or 1.0, samples.shape[1:]
        return self

    def transform(self, samples: Shaped[np.ndarray, "n *shape"]) -> Float32[np.ndarray, "n D"]:
        """Return the scaled values as rows, (n, D). Raises as `FeatureSpace.transform`."""
        _check_fitted(self, "shape_")
        _check_shape(samples, self.shape_)
        return _in_blocks(samples, lambda block: (block.astype(np.float64) - self.low_) / self.span_)


class PCAFeatures(FeatureSpace):
    """Principal components of the scaled values.

    Parameters
    ----------
    components : int or float
        Their number (int), or the share of the training samples' variance that they must hold (float
        between 0 and 1).

    Attributes
    ----------
    pixels_ : PixelFeatures
    mean_, axes_ : ndarray (D,), (c, D)
    """

    def __init__(self, components: int | float = 0.95) -> None:
        self.components = components

    @property
    def name(self) -> str:
        """How reports call the space; with the number of components once it is fitted."""
        _check_fitted(self, "axes_")
        return f"PCA of the pixels, {len(self.axes_)} components"

    def fit(
        self, samples: Shaped[np.ndarray, "n *shape"], labels: Shaped[np.ndarray, " n"] | None = None
    ) -> "PCAFeatures":
        """Find the components; the labels play no part. Raises as `FeatureSpace.fit`."""
        pixels = PixelFeatures().fit(samples)
        rows = pixels.transform(samples)
        self._check_components(min(rows.shape))
        if np.ptp(rows, axis=0).max() == 0:
            raise InvalidInputError(
                "PCA needs training samples that differ, all are the same: use PixelFeatures"
            )
        analysis = PCA(self.components, svd_solver="full").fit(rows)
        self.pixels_ = pixels
        self.mean_, self.axes_ = (
            np.asarray(analysis.mean_, np.float64),
            np.asarray(analysis.components_, np.float64),
        )
        return self

    def transform(self, samples: Shaped[np.ndarray, "n *shape"]) -> Float32[np.ndarray, "n D"]:
        """Return the coordinates along the components, (n, c). Raises as `FeatureSpace.transform`."""
        _check_fitted(self, "axes_")
        return _in_blocks(self.pixels_.transform(samples), lambda block: (block - self.mean_) @ self.axes_.T)

    def _check_components(self, most: int) -> None:
        whole = isinstance(self.components, int | np.integer)
        if not (1 <= self.components <= most if whole else 0.0 < self.components < 1.0):
            raise InvalidInputError(
                f"components must be an integer from 1 to {most} (samples or values, whichever are fewer) or "
                f"a share of the variance between 0 and 1, got {self.components}: leave it at 0.95"
            )


class ClassifierFeatures(FeatureSpace):
    """What the last layer of a small convolutional classifier sees, trained on the real training samples.

    Parameters
    ----------
    training : ClassifierTraining, optional
    random_state : int or Stream

    Attributes
    ----------
    pixels_ : PixelFeatures
    model_ : SmallCNN
    """

    def __init__(self, training: ClassifierTraining | None = None, random_state: int | Stream = 0) -> None:
        self.training = training
        self.random_state = random_state

    @property
    def name(self) -> str:
        """How reports call the space."""
        return "penultimate layer of SmallCNN, trained on the real training samples"

    def fit(
        self, samples: Shaped[np.ndarray, "n *shape"], labels: Shaped[np.ndarray, " n"] | None = None
    ) -> "ClassifierFeatures":
        """Train the classifier. Raises as `FeatureSpace.fit`; labels of two classes or more are needed."""
        pixels = PixelFeatures().fit(samples)
        height, width = _grey_size(samples.shape[1:])
        if labels is None or len(np.unique(labels)) < 2 or len(labels) < 4:
            found = "none" if labels is None else f"{len(np.unique(labels))} in {len(labels)} samples"
            raise InvalidInputError(
                "a classifier's features need labels of two classes or more and four samples, got "
                f"{found}: pass labels, or use PCAFeatures"
            )
        classes, numbers = np.unique(labels, return_inverse=True)
        stream = as_stream(self.random_state).child("classifier features")
        model = SmallCNN((1, height, width), len(classes), stream)
        images = torch.from_numpy(pixels.transform(samples)).reshape(-1, 1, height, width)
        fit_classifier(model, images, torch.from_numpy(numbers.astype(np.int64)), stream, self.training)
        self.pixels_, self.model_ = pixels, model
        return self

    @torch.no_grad()
    def transform(self, samples: Shaped[np.ndarray, "n *shape"]) -> Float32[np.ndarray, "n D"]:
        """Return the features, (n, D). Raises as `FeatureSpace.transform`."""
        _check_fitted(self, "model_")
        height, width = _grey_size(self.pixels_.shape_)

        def features(block: np.ndarray) -> np.ndarray:
            return self.model_.features(torch.from_numpy(block).reshape(-1, 1, height, width)).numpy()

        return _in_blocks(self.pixels_.transform(samples), features)


class EncoderFeatures(FeatureSpace):
    """A user's own encoder; nothing is fitted but the samples' shape.

    Parameters
    ----------
    encoder : nn.Module or callable
        A module is copied, put into evaluation mode, and gets a float32 tensor (b, ...) on its own device;
        any other callable gets an array (b, ...) as it is. Both get the samples' own values, not scaled,
        and return one vector (or array) of features for each.
    name : str
        How reports call the space.

    Attributes
    ----------
    encoder_ : callable
    shape_ : tuple of int
    """

    def __init__(self, encoder: nn.Module | Encoder, name: str) -> None:
        self.encoder = encoder
        self._name = name

    @property
    def name(self) -> str:
        """How reports call the space."""
        return self._name

    def fit(
        self, samples: Shaped[np.ndarray, "n *shape"], labels: Shaped[np.ndarray, " n"] | None = None
    ) -> "EncoderFeatures":
        """Keep the encoder and try it on some samples. Raises as `FeatureSpace.fit`."""
        _check_numbers(samples)
        module = self.encoder
        self.encoder_ = _module_on_arrays(module) if isinstance(module, nn.Module) else module
        self.shape_ = samples.shape[1:]
        self.transform(samples[:2])
        return self

    def transform(self, samples: Shaped[np.ndarray, "n *shape"]) -> Float32[np.ndarray, "n D"]:
        """Return the encoder's features, (n, D). Raises as `FeatureSpace.transform`, or if they are none."""
        _check_fitted(self, "shape_")
        _check_shape(samples, self.shape_)
        rows = _in_blocks(samples, self._encoded)
        check_finite(rows, f"features of the encoder {self.name!r}")
        return rows

    def _encoded(self, block: np.ndarray) -> np.ndarray:
        features = np.asarray(self.encoder_(block))
        if features.ndim == 0 or len(features) != len(block) or features.dtype.kind not in "biuf":
            raise InvalidInputError(
                f"the encoder {self.name!r} must return one vector of numbers for each of {len(block)} "
                f"samples, got shape {features.shape} of {features.dtype}: return an array (n, width)"
            )
        return features


def _module_on_arrays(module: nn.Module) -> Encoder:
    """Return a copy of the module, in evaluation mode, as a function of arrays."""
    kept = copy.deepcopy(module).eval()
    device = next((tensor.device for tensor in kept.parameters()), torch.device("cpu"))

    @torch.no_grad()
    def encoded(block: np.ndarray) -> np.ndarray:
        return kept(torch.from_numpy(block.astype(np.float32)).to(device)).cpu().numpy()

    return encoded


def _in_blocks(
    samples: Shaped[np.ndarray, "n ..."], function: Callable[[np.ndarray], np.ndarray]
) -> Float32[np.ndarray, "n D"]:
    """Return `function` of the samples, block by block, as float32 rows."""
    parts = []
    # one block even of no samples: it tells the width
    for start in range(0, max(len(samples), 1), BLOCK):
        block = samples[start : start + BLOCK]
        filled = np.zeros((BLOCK, *samples.shape[1:]), samples.dtype)
        filled[: len(block)] = block
        filled[len(block) :] = block[:1] if len(block) else 0  # not zeros: an encoder may divide by a norm
        parts.append(function(filled).reshape(BLOCK, -1)[: len(block)].astype(np.float32))
    return np.concatenate(parts)


def _check_fitted(space: FeatureSpace, attribute: str) -> None:
    if attribute not in vars(space):
        raise NotFittedError(
            f"{type(space).__name__} must be fitted before it is used: call fit(samples) with real training "
            "samples"
        )


def _check_numbers(samples: Shaped[np.ndarray, "n ..."]) -> None:
    if samples.dtype.kind not in "biuf":
        raise InvalidInputError(f"samples must be real numbers, got {samples.dtype}: convert them first")
    if samples.size == 0:
        raise InvalidInputError(f"samples must not be empty, got shape {samples.shape}: pass some")
    if samples.dtype.kind == "f":
        check_finite(samples, "samples")


def _check_shape(samples: Shaped[np.ndarray, "n ..."], shape: tuple[int, ...]) -> None:
    if samples.shape[1:] != shape:
        raise InvalidInputError(
            f"samples must have the shape {shape} of those that the feature space was fitted on, got "
            f"{samples.shape[1:]}: bring them to one size"
        )
    if samples.size:
        _check_numbers(samples)


def _grey_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return height and width of grey images, a last axis of one channel left out."""
    size = shape[:2] if len(shape) == 3 and shape[2] == 1 else shape
    if len(size) != 2 or min(size) < 4:
        raise InvalidInputError(
            f"a classifier's features need grey images of 4 x 4 or more, got samples of shape {shape}: use "
            "PCAFeatures, or EncoderFeatures with a network of your own"
        )
    return size[0], size[1]
