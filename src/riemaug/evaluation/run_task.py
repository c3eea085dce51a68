"""A run that is to be done: a classifier is trained on one of the training sets with one seed, and tested."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from riemaug.errors import InvalidInputError
from riemaug.evaluation.classifiers import Classifier
from riemaug.evaluation.result_file import Key
from riemaug.evaluation.runs import Run
from riemaug.evaluation.samples import LabelledSamples
from riemaug.evaluation.scores import classification_scores
from riemaug.evaluation.set_names import WITH_CLASSIC, TrainedOn
from riemaug.evaluation.tasks import Task
from riemaug.evaluation.training_sets import Material, final_training_set, training_set
from riemaug.random import Stream


@dataclass(frozen=True, eq=False)
class RunTask(Task):
    """A run that is to be done.

    Attributes
    ----------
    classifier_name : str
    classifier : Classifier
    trained_on : str
    seed : int
    material : Material
        With a test set.
    factor : int
        Of classic augmentation.
    num_training : int
    stream : Stream
        Of the evaluation.
    """

    classifier_name: str
    classifier: Classifier
    trained_on: TrainedOn
    seed: int
    material: Material
    factor: int
    num_training: int
    stream: Stream

    @property
    def key(self) -> Key:
        """What tells the run from all others; the factor where it matters."""
        factor = (self.factor,) if self.trained_on in WITH_CLASSIC else ()
        return "run", self.material.fold, self.classifier_name, self.trained_on, self.seed, *factor

    @property
    def what(self) -> str:
        """Classifier and training set."""
        return f"{self.classifier_name} on {self.trained_on}"

    @property
    def kind(self) -> str:
        """Runs of one classifier take as long as there are training samples."""
        return self.classifier_name

    @property
    def size(self) -> float:
        """Training samples."""
        return float(self.num_training)

    def carry_out(self) -> dict[str, Any]:
        """Train and test."""
        assert self.material.test is not None
        # workers get read-only memory maps, which PyTorch warns of
        validation, test = _own_copy(self.material.validation), _own_copy(self.material.test)
        stream = self.stream.child("run", str(self.material.fold), str(self.seed))
        choice = self.material, self.factor, stream.child("classic")
        training = training_set(self.trained_on, self.material.training, *choice)
        final = final_training_set(self.trained_on, *choice)
        # not of the training set: the same first weights for all, so that runs are paired
        fit_stream = stream.child("classifier", self.classifier_name)
        with warnings.catch_warnings(), fit_stream.child("global").as_global(torch.device("cpu")):
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                fitted = self.classifier.fit(
                    _own_copy(training),
                    validation,
                    len(self.material.class_names),
                    fit_stream,
                    final=None if final is None else _own_copy(final),
                )
            except InvalidInputError as error:
                raise InvalidInputError(f"{self.what}: {error}") from error
            shares = fitted.predict_proba(test.samples)
        # of float32 samples some of scikit-learn's classifiers give rows that add up to 1 roughly only
        shares = shares / shares.sum(1, keepdims=True)
        history = fitted.history
        return Run(
            classifier=self.classifier_name,
            trained_on=self.trained_on,
            seed=self.seed,
            fold=self.material.fold,
            num_training=len(training if final is None else final),
            scores=classification_scores(shares, test.labels),
            right=shares.argmax(1) == test.labels,
            epochs=None if history is None else history.epochs,
        ).to_dict()


def _own_copy(data: LabelledSamples) -> LabelledSamples:
    return replace(data, samples=np.array(data.samples), labels=np.array(data.labels))
