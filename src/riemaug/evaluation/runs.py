"""One run: a classifier trained on one of the training sets with one seed, and tested."""

import base64
import json
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from sklearn.exceptions import ConvergenceWarning

from riemaug.errors import InvalidInputError
from riemaug.evaluation.classifiers import Classifier
from riemaug.evaluation.result_file import Key
from riemaug.evaluation.samples import LabelledSamples
from riemaug.evaluation.scores import ClassificationScores, classification_scores
from riemaug.evaluation.settings import WITH_CLASSIC, TrainedOn
from riemaug.evaluation.tasks import Task
from riemaug.evaluation.training_sets import Material, final_training_set, training_set
from riemaug.random import Stream


@dataclass(frozen=True, eq=False)
class Run:
    """What a run gave.

    Attributes
    ----------
    classifier : str
    trained_on : str
    seed : int
        Number of the run among those of the classifier on the training set, from 0.
    fold : int
        From 1; 0 where there are no folds.
    num_training : int
    scores : ClassificationScores
        On the test set.
    right : ndarray (n,) of bool
        Which test samples are given their class.
    epochs : int or None
        Of a network's training.
    seconds : float
    """

    classifier: str
    trained_on: TrainedOn
    seed: int
    fold: int
    num_training: int
    scores: ClassificationScores
    right: Bool[np.ndarray, " n"]
    epochs: int | None = None
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `right` as bits in base64, the first sample's the highest of a byte."""
        return {
            "classifier": self.classifier,
            "trained_on": self.trained_on,
            "seed": self.seed,
            "fold": self.fold,
            "num_training": self.num_training,
            "scores": self.scores.to_dict(),
            "num_test": len(self.right),
            "right": base64.b64encode(np.packbits(self.right).tobytes()).decode(),
            "epochs": self.epochs,
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Run":
        """Return the run that `to_dict` described; KeyError, TypeError or ValueError if it is none."""
        plain = {name: fields[name] for name in ("classifier", "trained_on", "seed", "fold", "num_training")}
        bits, num_test = np.frombuffer(base64.b64decode(fields["right"]), np.uint8), int(fields["num_test"])
        if not 0 <= num_test <= 8 * len(bits):
            raise ValueError(f"num_test is {num_test}")
        return cls(
            **plain,
            scores=ClassificationScores(**fields["scores"]),
            right=np.unpackbits(bits, count=num_test).astype(bool),
            epochs=fields["epochs"],
            seconds=fields["seconds"],
        )


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


def runs_of(results: list[dict[str, Any]]) -> tuple[Run, ...]:
    """Return the runs that some results describe.

    Raises
    ------
    InvalidInputError
        One describes none.
    """
    try:
        return tuple(Run.from_dict(fields) for fields in results)
    except (KeyError, TypeError, ValueError) as error:
        shown = json.dumps(results)[:200]
        raise InvalidInputError(
            f"results must be those of runs, they are not ({error}): {shown}: remove runs.jsonl"
        ) from None
