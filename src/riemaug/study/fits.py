"""Fitted generators of the study, kept on the disk so that all rows of a model share one fit."""

from pathlib import Path

from riemaug.augmentor import Augmentor
from riemaug.baselines.base import FittedSampleGenerator
from riemaug.baselines.deep import DeepGenerator, FittedDeepGenerator
from riemaug.random import Stream
from riemaug.run.lock import waiting_lock
from riemaug.study.cells import Row
from riemaug.study.datasets import StudyData
from riemaug.study.place import Place


def fitted_generator(data: StudyData, row: Row, seed: int, place: Place) -> FittedSampleGenerator:
    """Return the generator of a row, fitted on the real training samples.

    Raises
    ------
    TrainingError
        A class could not be trained.
    """
    num_classes = len(data.class_names)
    stream = Stream(seed, ("study", "fit", row.model, data.name, str(data.draw)))
    if row.law == "smote":
        from riemaug.baselines.smote import Smote

        return Smote().fit(data.train, num_classes, stream)
    generator = DeepGenerator(row.model, row.law, device=place.device)
    if place.cache is None:
        return generator.fit(data.train, num_classes, stream)
    folder = place.cache / f"{data.name}-draw{data.draw}-seed{seed}-{row.model}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    # one process fits, the others that need the same generator wait for it
    with waiting_lock(folder.with_suffix(".lock")):
        return _kept(folder, generator, data, stream)


def _kept(folder: Path, generator: DeepGenerator, data: StudyData, stream: Stream) -> FittedDeepGenerator:
    """Return the generator in a folder; fit it and put it there if need be."""
    if (folder / "model.json").is_file():
        return generator.fitted_from(Augmentor.load(folder), data.train)
    fitted = generator.fit(data.train, len(data.class_names), stream)
    fitted.augmentor.save(folder)
    return fitted
