"""Classifiers that judge training sets: networks and scikit-learn estimators under one interface."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64
from sklearn.base import BaseEstimator, clone
from torch import Tensor, nn

from riemaug.errors import InvalidInputError
from riemaug.evaluation.networks import DenseNet, PaperCNN, Perceptron, SmallCNN
from riemaug.evaluation.samples import LabelledSamples
from riemaug.evaluation.training import (
    BatchTransform,
    ClassifierHistory,
    ClassifierTraining,
    fit_classifier,
    predict_log_probabilities,
    repeat_training,
)
from riemaug.models.conditional import channel_axis_of
from riemaug.models.convolutional import ImageLayout
from riemaug.random import Stream

BuildNetwork = Callable[[tuple[int, ...], int, Stream], nn.Module]
"""Makes a network from the shape of a sample (channels first), the number of classes and a stream."""


class FittedClassifier(ABC):
    """A trained classifier."""

    @property
    def history(self) -> ClassifierHistory | None:
        """How the training of a network went; None for other classifiers."""
        return None

    @abstractmethod
    def predict_proba(self, samples: Float32[np.ndarray, "n *shape"]) -> Float64[np.ndarray, "n classes"]:
        """Return the probability of each class, (n, classes), rows of sum 1."""


class Classifier(ABC):
    """What is trained on each training set; holds settings only, so it can be used again and again."""

    @property
    @abstractmethod
    def name(self) -> str:
        """How reports call the classifier."""

    @abstractmethod
    def fit(
        self,
        training: LabelledSamples,
        validation: LabelledSamples,
        num_classes: int,
        stream: Stream,
        transform: BatchTransform | None = None,
        final: LabelledSamples | None = None,
    ) -> FittedClassifier:
        """Return the classifier trained on some samples.

        Parameters
        ----------
        training : LabelledSamples
        validation : LabelledSamples
            Real samples that decide when to stop; those that need none leave them alone.
        num_classes : int
            More than the training samples show, if these lack a class.
        stream : Stream
            All randomness of the training.
        transform : callable, optional
            Changes each training batch at random.
        final : LabelledSamples, optional
            What is trained on in the end, anew and for as long as was best on `training`: most often
            `training` with the validation samples. By default the training on `training` is the last one.

        Raises
        ------
        InvalidInputError
            The classifier cannot be trained on such samples, or takes no transforms.
        """


class NetworkClassifier(Classifier):
    """A network trained by `fit_classifier`.

    Parameters
    ----------
    build : callable
        Makes the network; see `BuildNetwork`.
    name : str
    training : ClassifierTraining, optional
    device : str or torch.device
    """

    def __init__(
        self,
        build: BuildNetwork,
        name: str,
        training: ClassifierTraining | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.build = build
        self._name = name
        self.training = training or ClassifierTraining()
        self.device = torch.device(device)

    @property
    def name(self) -> str:
        """How reports call the classifier."""
        return self._name

    def fit(
        self,
        training: LabelledSamples,
        validation: LabelledSamples,
        num_classes: int,
        stream: Stream,
        transform: BatchTransform | None = None,
        final: LabelledSamples | None = None,
    ) -> "FittedNetwork":
        """Train a new network, with `final` a second one. See `Classifier.fit`."""
        layout = layout_of(training.shape, training.num_sides)
        model = self._new_network(training, layout, num_classes, stream)
        history = fit_classifier(
            model,
            *self._tensors(training, layout),
            stream,
            self.training,
            self._tensors(validation, layout),
            transform,
        )
        if final is not None:
            model = self._new_network(final, layout, num_classes, stream)
            tensors = self._tensors(final, layout)
            repeat_training(model, *tensors, stream, history.best_epoch, self.training, transform)
        return FittedNetwork(model, layout, history)

    def _new_network(
        self, data: LabelledSamples, layout: ImageLayout | None, num_classes: int, stream: Stream
    ) -> nn.Module:
        shape = tuple(as_images(data.samples[:1], layout).shape[1:])
        # PyTorch's own types do not know that modules take a memory format
        model: Any = self.build(shape, num_classes, stream).to(self.device)
        # convolutions of images are a third faster so on a CPU (benchmarks/classifiers.py)
        return model.to(memory_format=torch.channels_last) if len(shape) == 3 else model

    def _tensors(self, data: LabelledSamples, layout: ImageLayout | None) -> tuple[Tensor, Tensor]:
        images = as_images(data.samples, layout).to(self.device)
        return images, torch.from_numpy(data.labels).to(self.device)


@dataclass(frozen=True, eq=False)
class FittedNetwork(FittedClassifier):
    """A trained network; `layout` is None for tables."""

    model: nn.Module
    layout: ImageLayout | None
    training_history: ClassifierHistory

    @property
    def history(self) -> ClassifierHistory:
        """How the training went."""
        return self.training_history

    def predict_proba(self, samples: Float32[np.ndarray, "n *shape"]) -> Float64[np.ndarray, "n classes"]:
        """Return the probability of each class. See `FittedClassifier.predict_proba`."""
        device = next(self.model.parameters()).device
        logs = predict_log_probabilities(self.model, as_images(samples, self.layout).to(device))
        return torch.softmax(logs.double(), -1).cpu().numpy()


class EstimatorClassifier(Classifier):
    """A scikit-learn classifier on the samples' values, one row a sample.

    Parameters
    ----------
    estimator : scikit-learn classifier
        With `predict_proba`; it is cloned for each training, and given a seed where it takes one.
    name : str, optional
        By default the estimator's class.
    """

    def __init__(self, estimator: BaseEstimator, name: str | None = None) -> None:
        if not hasattr(estimator, "predict_proba"):
            raise InvalidInputError(
                f"a classifier must have predict_proba, {type(estimator).__name__} has none: wrap it in "
                "CalibratedClassifierCV, or choose another"
            )
        self.estimator = estimator
        self._name = name or type(estimator).__name__

    @property
    def name(self) -> str:
        """How reports call the classifier."""
        return self._name

    def fit(
        self,
        training: LabelledSamples,
        validation: LabelledSamples,
        num_classes: int,
        stream: Stream,
        transform: BatchTransform | None = None,
        final: LabelledSamples | None = None,
    ) -> "FittedEstimator":
        """Train a clone, on `final` if it is given; validation decides nothing. See `Classifier.fit`."""
        if transform is not None:
            raise InvalidInputError(
                f"transforms of batches need a network, {self.name} is none: choose small-cnn, cnn, mlp or "
                "densenet"
            )
        model: Any = clone(self.estimator)
        seeds = {
            name: stream.child(name).generator_seed() % 2**31
            for name in model.get_params()
            if name == "random_state" or name.endswith("__random_state")
        }
        model.set_params(**seeds)
        training = training if final is None else final
        model.fit(training.samples.reshape(len(training), -1), training.labels)
        return FittedEstimator(model, num_classes)


@dataclass(frozen=True, eq=False)
class FittedEstimator(FittedClassifier):
    """A trained scikit-learn classifier; classes it never saw have probability 0."""

    model: Any
    num_classes: int

    def predict_proba(self, samples: Float32[np.ndarray, "n *shape"]) -> Float64[np.ndarray, "n classes"]:
        """Return the probability of each class. See `FittedClassifier.predict_proba`."""
        known = self.model.predict_proba(samples.reshape(len(samples), -1))
        shares = np.zeros((len(samples), self.num_classes))
        shares[:, self.model.classes_] = known
        return shares


PATIENCE = {"densenet": 50, "mlp": 50, "cnn": 50, "small-cnn": 10}
"""Epochs without a lower validation loss before a training stops. The paper's classifiers: its 50."""
_NETWORKS: dict[str, BuildNetwork] = {
    "densenet": DenseNet,
    "mlp": Perceptron,
    "cnn": PaperCNN,
    "small-cnn": SmallCNN,
}
CLASSIFIERS = (*_NETWORKS, "logistic", "boosted-trees")
"""Names that `classifier_named` knows."""


def classifier_named(name: str, device: torch.device | str = "cpu", **training: Any) -> Classifier:
    """Return one of the built-in classifiers.

    Parameters
    ----------
    name : str
        "densenet", "mlp" and "cnn" are the paper's, "small-cnn" takes minutes where these take hours;
        "logistic" and "boosted-trees" are scikit-learn's on the values.
    device : str or torch.device
        Of a network.
    **training
        Fields of `ClassifierTraining` that differ from the name's own.

    Raises
    ------
    InvalidInputError
        The name is unknown.
    """
    if name in _NETWORKS:
        own = ClassifierTraining(max_epochs=1000, patience=PATIENCE[name])
        return NetworkClassifier(_NETWORKS[name], name, replace(own, **training), device)
    if name == "logistic":
        return EstimatorClassifier(_logistic(), name)
    if name == "boosted-trees":
        from sklearn.ensemble import HistGradientBoostingClassifier

        # early stopping would split off synthetic samples and call them validation
        trees: Any = HistGradientBoostingClassifier
        return EstimatorClassifier(trees(early_stopping=False), name)
    raise InvalidInputError(f"a classifier is one of {', '.join(CLASSIFIERS)}, got {name!r}")


def as_classifier(classifier: "str | Classifier | BaseEstimator | nn.Module") -> Classifier:
    """Return a name, a classifier, a scikit-learn estimator or a network as a classifier.

    A network takes samples with the channels first, (n, C, *sides), tables as (n, D), and returns logits;
    each training starts from a copy of it with the weights it has.

    Raises
    ------
    InvalidInputError
        It is none of these.
    """
    if isinstance(classifier, str):
        return classifier_named(classifier)
    if isinstance(classifier, Classifier):
        return classifier
    if isinstance(classifier, nn.Module):
        module = classifier
        name = type(module).__name__
        return NetworkClassifier(lambda shape, num_classes, stream: copy.deepcopy(module), name)
    if isinstance(classifier, BaseEstimator):
        return EstimatorClassifier(classifier)
    raise InvalidInputError(
        f"a classifier must be a name, a Classifier, a scikit-learn classifier or an nn.Module, got "
        f"{type(classifier).__name__}"
    )


def layout_of(shape: tuple[int, ...], num_sides: int = 0) -> ImageLayout | None:
    """Return how samples of a shape are signals, images or volumes; None for rows of a table.

    Parameters
    ----------
    shape : tuple of int
        Of one sample.
    num_sides : int
        See `LabelledSamples.num_sides`.
    """
    return ImageLayout(shape, channel_axis_of(shape, num_sides)) if len(shape) > 1 else None


def as_images(samples: Float32[np.ndarray, "n *shape"], layout: ImageLayout | None) -> Tensor:
    """Return samples as a tensor with the channels first, (n, C, *sides); rows of tables as they are."""
    rows = torch.from_numpy(np.ascontiguousarray(samples)).reshape(len(samples), -1)
    return rows if layout is None else layout.to_image(rows)


def _logistic() -> BaseEstimator:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
