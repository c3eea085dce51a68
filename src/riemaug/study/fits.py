"""Fitted generators of the study, kept on the disk so that all rows of a model share one fit."""

import hashlib
import json
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from riemaug._version import __version__
from riemaug.augmentor import Augmentor
from riemaug.baselines.base import FittedSampleGenerator
from riemaug.baselines.deep import DeepGenerator, FittedDeepGenerator
from riemaug.errors import InvalidInputError
from riemaug.random import Stream
from riemaug.run.lock import waiting_lock
from riemaug.study.cells import Row
from riemaug.study.datasets import StudyData
from riemaug.study.place import Place
from riemaug.study.settings import PROTOCOL


@dataclass(frozen=True)
class Fitted:
    """A generator and what made it.

    Attributes
    ----------
    generator : FittedSampleGenerator
    origin : dict
        Of a trained one: hash of its weights, epochs and best ELBO of each model, device; JSON-safe.
    """

    generator: FittedSampleGenerator
    origin: dict[str, Any]


def fitted_generator(data: StudyData, row: Row, seed: int, place: Place) -> Fitted:
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

        return Fitted(Smote().fit(data.train, num_classes, stream), {})
    generator = DeepGenerator(row.model, row.law, device=place.device)
    if place.cache is None:
        made = generator.fit(data.train, num_classes, stream)
    else:
        folder = place.cache / fit_name(data, row.model, seed, place.device)
        folder.parent.mkdir(parents=True, exist_ok=True)
        # one process fits, the others that need the same generator wait for it
        with waiting_lock(folder.with_suffix(".lock")):
            made = _kept(folder, generator, data, stream)
    return Fitted(made, _origin(made.augmentor, place.device))


def fit_name(data: StudyData, model: str, seed: int, device: str) -> str:
    """Return what a fit is kept under: it names all that decides it, the samples by their digest."""
    digest = hashlib.sha256(data.train.samples.tobytes() + data.train.labels.tobytes())
    digest.update(json.dumps([PROTOCOL, __version__, torch.__version__, device]).encode())
    return f"{data.name}-draw{data.draw}-seed{seed}-{model}-{digest.hexdigest()[:10]}"


def _kept(folder: Path, generator: DeepGenerator, data: StudyData, stream: Stream) -> FittedDeepGenerator:
    """Return the generator in a folder; fit it and put it there if need be."""
    work = folder.with_name(f"{folder.name}.unfinished")
    if (folder / "model.json").is_file():
        shutil.rmtree(work, ignore_errors=True)  # of a process that was killed while it removed it
        try:
            return generator.fitted_from(Augmentor.load(folder), data.train)
        except InvalidInputError:
            # damaged, such as by a copy that was cut off: out of the way, and fitted anew
            folder.rename(folder.with_name(f"{folder.name}.damaged-{secrets.token_hex(3)}"))
    fitted = _fitted_in(work, generator, data, stream)
    fitted.augmentor.save(folder)
    shutil.rmtree(work)
    return fitted


def _fitted_in(work: Path, generator: DeepGenerator, data: StudyData, stream: Stream) -> FittedDeepGenerator:
    """Return the fitted generator; a fit that was stopped goes on, or begins anew if nothing can be used."""
    begun = work.is_dir()
    try:
        return generator.fit(data.train, len(data.class_names), stream, work)
    except InvalidInputError:
        if not begun:
            raise
        shutil.rmtree(work)
        return generator.fit(data.train, len(data.class_names), stream, work)


def _origin(augmentor: Augmentor, device: str) -> dict[str, Any]:
    classes = augmentor.generators_.classes
    digest = hashlib.sha256()
    for item in classes:
        for name, tensor in sorted(item.model.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return {
        "weights_sha256": digest.hexdigest()[:16],
        "epochs": [item.history.num_epochs for item in classes],
        "best_elbo": [round(item.history.best_elbo, 3) for item in classes],
        "rollbacks": sum(item.history.rollbacks for item in classes),
        "device": device,
    }
