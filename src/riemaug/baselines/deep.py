"""Generators that learn a latent space: this package's own models with each of their laws."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from riemaug.augmentor import Augmentor
from riemaug.baselines.base import (
    FittedSampleGenerator,
    SampleGenerator,
    checked_counts,
    grouped_by_class,
)
from riemaug.baselines.latent_laws import LatentLaw, SamplerLaw, encoded_law
from riemaug.class_model import ClassModel
from riemaug.config import SamplingConfig
from riemaug.data import restore_samples
from riemaug.errors import InvalidInputError
from riemaug.evaluation.samples import LabelledSamples
from riemaug.parallel import one_thread
from riemaug.random import Stream

SAMPLER_LAWS = ("prior", "mixture", "walk", "walk-paper", "walk-paper-code", "hmc")
ENCODED_LAWS = ("latent-gaussian-mixture", "latent-smote", "posterior-precision")
LAWS = (*SAMPLER_LAWS, *ENCODED_LAWS)
MODELS = ("vae", "vamp", "rhvae", "conditional")
_WITH_LEARNED_METRIC = ("rhvae", "conditional")


class DeepGenerator(SampleGenerator):
    """A model of the paper's protocol, or the conditional preset, with a law of new latent points.

    Parameters
    ----------
    model : "vae", "vamp", "rhvae" or "conditional"
        The first three: one model a class, d = 2, the paper's networks and constants.
    law : str
        A sampler of `riemaug.Augmentor`: "prior" (the model's own), or with a learned metric "mixture",
        "walk", "walk-paper", "walk-paper-code" or "hmc". Or what is made of the encoded training samples:
        "latent-gaussian-mixture", "latent-smote" (needs the extra `smote`) and, without a learned metric,
        "posterior-precision"; see `riemaug.baselines.latent_laws`.
    num_jobs : int
        Classes trained at once; changes no sample.
    device : str
    **options
        Further options of `Augmentor`, such as max_epochs.

    Raises
    ------
    InvalidInputError
        A model or law that there is not, or two that do not go together.
    """

    def __init__(self, model: str, law: str, num_jobs: int = 1, device: str = "cpu", **options: Any) -> None:
        self.model, self.law = model, law
        self.num_jobs, self.device, self.options = num_jobs, device, options
        if model not in MODELS:
            raise InvalidInputError(f"a model is one of {', '.join(MODELS)}, got {model!r}")
        _check_law(model, law)

    @property
    def name(self) -> str:
        """How reports call the generator."""
        return f"{self.model}, {self.law}"

    def fit(
        self, training: LabelledSamples, num_classes: int, stream: Stream, folder: Path | None = None
    ) -> "FittedDeepGenerator":
        """Train the models. See `SampleGenerator.fit`; with a folder, as `riemaug.Augmentor.fit_in`."""
        kind = (
            {"preset": "conditional"}
            if self.model == "conditional"
            else {"preset": "paper", "model": self.model}
        )
        augmentor = Augmentor(
            **kind,
            random_state=stream.generator_seed(),
            n_jobs=self.num_jobs,
            device=self.device,
            num_sides=training.num_sides if training.num_sides in (2, 3) else None,
            **self.options,
        )
        if folder is None:
            augmentor.fit(training.samples, training.labels)
        else:
            augmentor.fit_in(folder, training.samples, training.labels)
        return FittedDeepGenerator(augmentor, training, self.model, self.law)

    def fitted_from(self, augmentor: Augmentor, training: LabelledSamples) -> "FittedDeepGenerator":
        """Return the generator with models that were trained and saved before.

        Parameters
        ----------
        augmentor : Augmentor
            Fitted on `training`, labelled by class numbers.
        training : LabelledSamples
        """
        return FittedDeepGenerator(augmentor, training, self.model, self.law)


@dataclass(frozen=True, eq=False)
class FittedDeepGenerator(FittedSampleGenerator):
    """Trained models with a law.

    Attributes
    ----------
    augmentor : Augmentor
        Fitted; it is not changed.
    training : LabelledSamples
    model, law : str
    """

    augmentor: Augmentor
    training: LabelledSamples
    model: str
    law: str

    def with_law(self, law: str) -> "FittedDeepGenerator":
        """Return the same models with another law.

        Raises
        ------
        InvalidInputError
            A law that there is not, or that the model lacks.
        """
        _check_law(self.model, law)
        return replace(self, law=law)

    def sample(self, counts: Sequence[int], stream: Stream) -> LabelledSamples:
        """Draw and decode new samples. See `FittedSampleGenerator.sample`.

        By the laws that are samplers these are the samples of `augmentor.sample` with the stream's seed.
        """
        wanted = checked_counts(counts, self.training.counts(len(counts)))
        seed = stream.generator_seed()
        parts = [np.empty((0, *self.training.shape), np.float32)] * len(wanted)
        with one_thread():
            for label, item in zip(self._labels(), self.augmentor.generators_.classes, strict=True):
                if wanted[label]:
                    parts[label] = self._of_class(item, label, wanted[label], seed)
        return grouped_by_class(parts, self.training.num_sides)

    def latent_law(self, label: int) -> LatentLaw:
        """Return the law that latent points of a class are drawn from.

        Raises
        ------
        InvalidInputError
            The models were fitted without this class.
        """
        labels = self._labels()
        if label not in labels:
            raise InvalidInputError(f"laws are known of the classes {labels}, got {label}")
        item = self.augmentor.generators_.classes[labels.index(label)]
        if self.law in SAMPLER_LAWS:
            chosen = {"sampler": self.law, "inverse_temperature": self.augmentor.inverse_temperature}
            return SamplerLaw(item.sampler(SamplingConfig.model_validate(chosen)))
        rows = self.augmentor.scaler_.transform(self.training.of_class(label))
        data = torch.from_numpy(rows.reshape(len(rows), -1))
        # of the fit alone: all draws of one fit are of one law
        return encoded_law(self.law, item, data, Stream(self.augmentor.random_state_, ("law", item.name)))

    def _of_class(self, item: ClassModel, label: int, count: int, seed: int) -> np.ndarray:
        fitted = self.augmentor.generators_
        points = self.latent_law(label).draw(count, item.draw_stream(seed))
        unit = item.decode(points).numpy().reshape(count, *fitted.sample_format.model_shape)
        return restore_samples(unit, fitted.scaler, fitted.sample_format)

    def _labels(self) -> list[int]:
        """Return the class number of each fitted class."""
        return [int(label) for label in self.augmentor.classes_]


def _check_law(model: str, law: str) -> None:
    if law not in LAWS:
        raise InvalidInputError(f"a law is one of {', '.join(LAWS)}, got {law!r}")
    learned = model in _WITH_LEARNED_METRIC
    if law in SAMPLER_LAWS and law != "prior" and not learned:
        raise InvalidInputError(
            f"law {law} needs a learned metric, model {model} has none: use prior, or model rhvae"
        )
    if law == "posterior-precision" and learned:
        raise InvalidInputError(
            f"law {law} is for models without a learned metric, model {model} has one: use mixture, or model "
            "vae"
        )
