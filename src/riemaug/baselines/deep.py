"""Generators that learn a latent space: this package's own models with each of their laws."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from riemaug.augmentor import Augmentor
from riemaug.baselines.base import FittedSampleGenerator, SampleGenerator
from riemaug.errors import InvalidInputError
from riemaug.evaluation.samples import LabelledSamples
from riemaug.random import Stream

SAMPLER_LAWS = ("prior", "mixture", "walk", "walk-paper", "walk-paper-code", "hmc")
MODELS = ("vae", "vamp", "rhvae", "conditional")


class DeepGenerator(SampleGenerator):
    """A model of the paper's protocol, or the conditional preset, with a law of new latent points.

    Parameters
    ----------
    model : "vae", "vamp", "rhvae" or "conditional"
        The first three: one model a class, d = 2, the paper's networks and constants.
    law : str
        A sampler of `riemaug.Augmentor`.
    num_jobs : int
        Classes trained at once; changes no sample.
    device : str
    **options
        Further options of `Augmentor`, such as max_epochs.
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

    def fit(self, training: LabelledSamples, num_classes: int, stream: Stream) -> "FittedDeepGenerator":
        """Train the models. See `SampleGenerator.fit`."""
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
            **self.options,
        ).fit(training.samples, training.labels)
        return FittedDeepGenerator(augmentor, training, self.model, self.law)

    def fitted_from(self, augmentor: Augmentor, training: LabelledSamples) -> "FittedDeepGenerator":
        """Return the generator with models that were trained and saved before."""
        return FittedDeepGenerator(augmentor, training, self.model, self.law)


@dataclass(frozen=True, eq=False)
class FittedDeepGenerator(FittedSampleGenerator):
    """Trained models with a law.

    Attributes
    ----------
    augmentor : Augmentor
        Fitted.
    training : LabelledSamples
    model, law : str
    """

    augmentor: Augmentor
    training: LabelledSamples
    model: str
    law: str

    def with_law(self, law: str) -> "FittedDeepGenerator":
        """Return the same models with another law."""
        _check_law(self.model, law)
        return FittedDeepGenerator(self.augmentor, self.training, self.model, law)

    def sample(self, counts: Sequence[int], stream: Stream) -> LabelledSamples:
        """Draw and decode new samples. See `FittedSampleGenerator.sample`."""
        sampler = None if self.model in ("vae", "vamp") else self.law
        self.augmentor.set_params(sampler=sampler)
        wanted = {label: counts[label] for label in self.augmentor.classes_.tolist()}
        samples, labels = self.augmentor.sample(wanted, random_state=stream.generator_seed())
        return LabelledSamples(samples.astype(np.float32), labels.astype(np.int64))


def _check_law(model: str, law: str) -> None:
    if law not in SAMPLER_LAWS:
        raise InvalidInputError(f"a law is one of {', '.join(SAMPLER_LAWS)}, got {law!r}")
    if law != "prior" and model in ("vae", "vamp"):
        raise InvalidInputError(
            f"law {law} needs a learned metric, model {model} has none: use prior, or model rhvae"
        )
