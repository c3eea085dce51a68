"""The fitted generator of one class: model, metric, training history, and drawing from it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.config import SamplingConfig
from riemaug.errors import TrainingError
from riemaug.geometry import KernelMetric
from riemaug.models import RHVAE, LatentModel, ModelConfig, build_model
from riemaug.random import Stream
from riemaug.samplers import (
    HMC,
    MixtureSampler,
    PaperWalk,
    PriorSampler,
    RiemannianRandomWalk,
    Sampler,
)
from riemaug.training import EpochReport, History, Trainer, TrainingConfig

BLOCK = 128
"""Rows pass the networks in padded blocks of this size: the bits do not depend on the batch."""


@dataclass(frozen=True, eq=False)
class ClassModel:
    """One class's generator.

    Attributes
    ----------
    name : str
        The class.
    model : LatentModel
        In eval mode; an RHVAE has its metric.
    history : History
    sources : tuple of str
        Where the training samples came from, in the order of the metric's centroids.
    """

    name: str
    model: LatentModel
    history: History
    sources: tuple[str, ...]

    @property
    def metric(self) -> KernelMetric | None:
        """The learned metric, or None for a plain VAE."""
        return self.model.metric if isinstance(self.model, RHVAE) else None

    def sampler(self, config: SamplingConfig) -> Sampler:
        """Return the sampler that `config` names, over this class's latent space."""
        config.check_against(self.model.config.kind)
        name = config.sampler_for(self.model.config.kind)
        metric = self.metric
        if name == "prior" or metric is None:
            return PriorSampler(self.model.config.latent_dim)
        if name in ("walk-paper", "walk-paper-code"):
            return PaperWalk(metric, published_sign=name == "walk-paper-code")
        kinds = {"mixture": MixtureSampler, "walk": RiemannianRandomWalk, "hmc": HMC}
        return kinds[name](metric, inverse_temperature=config.inverse_temperature)

    def draw_stream(self, seed: int) -> Stream:
        """Return the stream of this class's draws."""
        return Stream(seed, ("draws", self.name))

    @torch.no_grad()
    def reconstruct(self, data: Float[Tensor, "n D"]) -> Float[Tensor, "n D"]:
        """Return the decoded posterior means of samples in [0, 1], float32 on the CPU, (n, D)."""
        return self.decode(_in_padded_blocks(self.model.embed, data, self.model.device))

    @torch.no_grad()
    def decode(self, points: Float[Tensor, "n dim"]) -> Float[Tensor, "n D"]:
        """Return E[x|z], in [0, 1], float32 on the CPU, (n, D)."""
        return _in_padded_blocks(self.model.decode, points.float(), self.model.device)


def _in_padded_blocks(
    function: Callable[[Tensor], Tensor], rows: Float[Tensor, "n inputs"], device: torch.device
) -> Float[Tensor, "n outputs"]:
    """Return `function` of the rows, computed in blocks of one shape whatever the number of rows."""
    padded = torch.zeros(BLOCK, rows.shape[1])
    parts = [function(padded.to(device)).cpu()[:0]]
    for block in rows.split(BLOCK):
        padded = torch.zeros(BLOCK, rows.shape[1])
        padded[: len(block)] = block
        parts.append(function(padded.to(device)).cpu()[: len(block)])
    return torch.cat(parts)


def fit_class(
    name: str,
    data: Float[Tensor, "n D"],
    sources: tuple[str, ...],
    model_config: ModelConfig,
    training_config: TrainingConfig,
    seed: int,
    state_path: Path | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
) -> ClassModel:
    """Train one class's model and build its metric with the final weights.

    Parameters
    ----------
    name : str
        The class; part of the random stream, so a class trains alike whatever other classes there are.
    data : Tensor (n, D)
        Scaled to [0, 1], on the device to train on.
    sources : tuple of str (n,)
    state_path : Path, optional
        Where to keep the resumable training state.

    Raises
    ------
    TrainingError
        Training diverged for good; the message names the class.
    """
    stream = Stream(seed, ("fit", name))
    model = build_model(model_config, stream).to(data.device)
    trainer = Trainer(model, data, training_config, stream.child("epochs"), state_path, on_epoch)
    started = time.monotonic()
    try:
        history = trainer.fit()
    except TrainingError as error:
        raise TrainingError(f"class {name!r}: {error}") from error
    if isinstance(model, RHVAE):
        metric = model.build_metric(data).cpu()
        if not bool(metric.kernels.isfinite().all() & metric.centroids.isfinite().all()):
            raise TrainingError(
                f"class {name!r}: the learned metric must be finite, it is not; use a larger regularization"
            )
    history.seconds = max(history.seconds, time.monotonic() - started)
    return ClassModel(name, model, history, sources)
