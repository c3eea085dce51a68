"""The work of a trial: models trained on a part of their samples, scored on what was held out."""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int

from riemaug.class_model import ClassModel, TrainingRows, fit_model
from riemaug.config import TEMPERED_SAMPLERS, SamplingConfig
from riemaug.errors import InvalidInputError, SamplingError, TrainingError
from riemaug.logs import stage
from riemaug.models.config import ModelConfig, ModelKind
from riemaug.random import Stream
from riemaug.samplers import MixtureSampler, PriorSampler
from riemaug.training.augmentation import AugmentationConfig
from riemaug.training.config import TrainingConfig
from riemaug.tuning.evidence import LatentLaw, law_evidence

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class HeldOutFit:
    """One model to train and to score: of one class, or of several that share it.

    Attributes
    ----------
    names : tuple of str
        The classes.
    data : ndarray (n, D)
        In [0, 1].
    labels : ndarray (n,)
        Index of each sample's class in `names`.
    held_out : ndarray (n,)
        Which samples are scored and not trained on.
    model, training, seed, device
        As for `riemaug.class_model.fit_model`.
    augmentation : AugmentationConfig, optional
    num_draws : int
        Of latent points for the score of one sample.
    sampling : SamplingConfig
        How new samples are drawn.
    subjects : tuple of str (n,), optional
        Whose each sample is: a training that validates holds subjects out whole.
    """

    names: tuple[str, ...]
    data: Float32[np.ndarray, "n D"]
    labels: Int[np.ndarray, " n"]
    held_out: Bool[np.ndarray, " n"]
    model: ModelConfig
    training: TrainingConfig
    seed: int
    device: str
    augmentation: AugmentationConfig | None
    num_draws: int
    sampling: SamplingConfig
    subjects: tuple[str, ...] | None = None


def law_of(sampling: SamplingConfig, model: ModelKind) -> SamplingConfig:
    """Return the sampler whose law, that of the draws of `sampling`, has a density that is known.

    The walk and HMC draw from pi^b as the mixture sampler does.

    Raises
    ------
    InvalidInputError
        No density is known.
    """
    name = sampling.sampler_for(model)
    if name in ("prior", "mixture"):
        return sampling
    if name not in TEMPERED_SAMPLERS:
        raise InvalidInputError(
            f"--tune scores samples by the density they are drawn from, that of --sampler {name} is not "
            "known; choose mixture, walk, hmc or prior, or leave --tune out"
        )
    return sampling.model_copy(update={"sampler": "mixture"})


def score_held_out(fit: HeldOutFit) -> Float64[np.ndarray, " m"] | None:
    """Return the log-likelihood of each held-out sample, in the order of the data; None if training failed.

    A sample's likelihood is that under the law which riemaug draws new samples of its class from.
    """
    with stage("tune"):
        try:
            items = _fitted(fit)
            evidence = np.full(len(fit.data), np.nan)
            for label, item in enumerate(items):
                rows = fit.held_out & (fit.labels == label)
                if rows.any():
                    evidence[rows] = _evidence(item, fit, torch.from_numpy(fit.data[rows]))
        except (TrainingError, SamplingError) as error:
            log.warning("a trial's choice was not trained or drawn from: %s", error)
            return None
    scored = evidence[fit.held_out]
    return scored if bool(np.isfinite(scored).all()) else None


def _fitted(fit: HeldOutFit) -> tuple[ClassModel, ...]:
    classes = []
    for label, name in enumerate(fit.names):
        chosen = np.flatnonzero(~fit.held_out & (fit.labels == label))
        data = torch.from_numpy(fit.data[chosen]).to(fit.device)
        subjects = None if fit.subjects is None else tuple(fit.subjects[row] for row in chosen)
        classes.append(TrainingRows(name, data, ("",) * len(chosen), subjects))
    return fit_model(tuple(classes), fit.model, fit.training, fit.seed, augmentation=fit.augmentation)


def _evidence(
    item: ClassModel, fit: HeldOutFit, data: Float32[torch.Tensor, "m D"]
) -> Float64[np.ndarray, " m"]:
    item.model.cpu()
    stream = Stream(fit.seed, ("tuning", item.name))
    sampler = item.sampler(law_of(fit.sampling, fit.model.kind))
    assert isinstance(sampler, MixtureSampler | PriorSampler)
    law = LatentLaw.of(sampler, stream.child("law"))
    generator = stream.child("score").generator()
    scores = law_evidence(item.model, data, law, fit.num_draws, generator, item.condition(len(data)))
    return scores.numpy()
