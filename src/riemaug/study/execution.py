"""One run of the study: build the training set, train the classifier, test it."""

import hashlib
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from riemaug.evaluation.classifiers import FittedClassifier
from riemaug.evaluation.samples import LabelledSamples
from riemaug.evaluation.scores import classification_scores
from riemaug.random import Stream
from riemaug.run.collect import environment
from riemaug.study.age import OLD
from riemaug.study.cells import Run
from riemaug.study.datasets import StudyData, load_study_data
from riemaug.study.place import Place
from riemaug.study.reduction import reduced
from riemaug.study.settings import settings_of, study_classifier
from riemaug.study.store import Result
from riemaug.study.training_sets import training_set
from riemaug.study.transforms import transform_of


def carry_out(run: Run, place: Place) -> Result:
    """Do one run.

    Raises
    ------
    InvalidInputError
        The data set's files are missing or damaged.
    TrainingError, SamplingError
        A generator failed.
    """
    cell, started = run.cell, time.monotonic()
    data = study_data(cell.data, run.draw, place.data)
    settings = settings_of(cell)
    made = training_set(data, cell.row, cell.trained_on, run.model_seed, place)
    prepared = time.monotonic()
    classifier = study_classifier(cell, place.device)
    num_classes = len(data.class_names)
    # of the classifier alone: the same first weights whatever the training set, so that rows are paired
    stream = Stream(run.seed, ("study", "classifier", cell.classifier, data.name, str(run.draw)))
    fitted = classifier.fit(
        made.samples, data.validation, num_classes, stream, transform_of(cell.transform, cell.data)
    )
    scores = _scores(fitted, data)
    history = fitted.history
    details: dict[str, Any] = {
        "settings": settings,
        "generator": made.origin,
        "training_sha256": training_digest(made.samples),
        "num_real": len(data.train),
        "num_training": len(made.samples),
        "num_test": len(data.test),
        "epochs": None if history is None else history.epochs,
        "best_epoch": None if history is None else history.best_epoch,
        "generator_seconds": round(prepared - started, 1),
        "classifier_seconds": round(time.monotonic() - prepared, 1),
        **_surroundings(place.device),
    }
    return Result(run, scores, details)


def _scores(fitted: FittedClassifier, data: StudyData) -> dict[str, float]:
    """Return all scores on the test part; of OASIS also the balanced accuracy of its older subjects."""
    shares, labels = fitted.predict_proba(data.test.samples), data.test.labels
    scores = dict(classification_scores(shares, labels).to_dict())
    if data.ages is not None:
        old = data.ages["test"] >= OLD
        scores[f"balanced_accuracy_{OLD}"] = classification_scores(shares[old], labels[old]).balanced_accuracy
    return {name: round(value, 6) for name, value in scores.items() if value is not None}


def training_digest(samples: LabelledSamples) -> str:
    """Return a short hash of a training set: who repeats a run sees where it departs."""
    digest = hashlib.sha256(samples.samples.tobytes())
    digest.update(samples.labels.tobytes())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=2)
def study_data(name: str, draw: int, folder: Path) -> StudyData:
    """Return a data set, "mnist_balanced@20" with 20 real training samples a class."""
    base, _, size = name.partition("@")
    data = load_study_data(base, draw, folder)
    return reduced(data, int(size)) if size else data


def _surroundings(device: str) -> dict[str, Any]:
    found = {**environment(device), "date": time.strftime("%Y-%m-%d", time.gmtime())}
    if device.startswith("cuda"):
        found["device"] = torch.cuda.get_device_name(device)
    return found
