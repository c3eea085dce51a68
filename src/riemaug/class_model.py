"""The fitted generator of one class: its model, shared or its own, its metric, and drawing from it."""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from riemaug.config import SamplingConfig
from riemaug.errors import TrainingError
from riemaug.geometry import KernelMetric
from riemaug.models import RHVAE, Condition, LatentModel, ModelConfig, build_model
from riemaug.models.condition import gather_conditions
from riemaug.models.defaults import adapt_bandwidth
from riemaug.models.vamp import VAMP
from riemaug.random import Stream
from riemaug.samplers import (
    HMC,
    BlockSampler,
    MixtureSampler,
    PaperWalk,
    PriorSampler,
    RiemannianRandomWalk,
)
from riemaug.training import EpochReport, History, Trainer, TrainingConfig
from riemaug.training.augmentation import AugmentationConfig, batch_augmentation

BLOCK = 128
"""Rows pass the networks in padded blocks of this size: the bits do not depend on the batch."""

OnEpoch = Callable[[EpochReport], None]


@dataclass(frozen=True, eq=False)
class Networks:
    """A user's own networks, see `riemaug.models.custom`; None where the configuration decides."""

    encoder: nn.Module | None = None
    decoder: nn.Module | None = None
    metric_trunk: nn.Module | None = None

    def build(self, config: ModelConfig, random_state: int | Stream = 0) -> LatentModel:
        """Return a new model with copies of these networks."""
        given = {name: module for name, module in vars(self).items() if module is not None}
        return build_model(config, random_state, **given)


NO_NETWORKS = Networks()


@dataclass(frozen=True, eq=False)
class ClassModel:
    """One class's generator.

    Attributes
    ----------
    name : str
        The class.
    model : LatentModel
        In eval mode. Classes that share a model hold the same object.
    history : History
        Of the model's training.
    sources : tuple of str
        Where the class's training samples came from, in the order of the metric's centroids.
    metric : KernelMetric or None
        Made of the class's own training samples; None but for an RHVAE.
    group : int or None
        What a shared model calls this class; None for a model of the class's own.
    """

    name: str
    model: LatentModel
    history: History
    sources: tuple[str, ...]
    metric: KernelMetric | None = None
    group: int | None = None

    def condition(self, count: int) -> Condition | None:
        """Return what the model is told of `count` samples of this class; None if it is told nothing."""
        return _condition(self.model, self.group, count)

    def sampler(self, config: SamplingConfig) -> BlockSampler:
        """Return the sampler that `config` names, over this class's latent space."""
        config.check_against(self.model.config.kind)
        name = config.sampler_for(self.model.config.kind)
        metric = self.metric
        if name == "prior" or metric is None:
            return self._prior_sampler()
        if name in ("walk-paper", "walk-paper-code"):
            return PaperWalk(metric, published_sign=name == "walk-paper-code")
        kinds = {"mixture": MixtureSampler, "walk": RiemannianRandomWalk, "hmc": HMC}
        return kinds[name](metric, inverse_temperature=config.inverse_temperature)

    @torch.no_grad()
    def _prior_sampler(self) -> PriorSampler:
        dim, components = self.model.config.latent_dim, self.model.prior_components(self.condition(1))
        if components is None:
            return PriorSampler(dim)
        return PriorSampler(dim, components.mean, components.log_variance)

    def draw_stream(self, seed: int) -> Stream:
        """Return the stream of this class's draws."""
        return Stream(seed, ("draws", self.name))

    @torch.no_grad()
    def reconstruct(self, data: Float[Tensor, "n D"]) -> Float[Tensor, "n D"]:
        """Return the decoded posterior means of samples in [0, 1], float32 on the CPU, (n, D)."""
        return self.decode(self._in_padded_blocks(self.model.embed, data))

    @torch.no_grad()
    def decode(self, points: Float[Tensor, "n dim"]) -> Float[Tensor, "n D"]:
        """Return E[x|z], in [0, 1], float32 on the CPU, (n, D)."""
        return self._in_padded_blocks(self.model.decode, points.float())

    def _in_padded_blocks(
        self,
        function: Callable[[Tensor, Condition | None], Tensor],
        rows: Float[Tensor, "n inputs"],
    ) -> Float[Tensor, "n outputs"]:
        """Return `function` of the rows, computed in blocks of one shape whatever the number of rows."""
        device, condition = self.model.device, self.condition(BLOCK)
        parts = []
        for block in rows.split(BLOCK):
            padded = torch.zeros(BLOCK, rows.shape[1])
            padded[: len(block)] = block
            parts.append(function(padded.to(device), condition).cpu()[: len(block)])
        return torch.cat(parts)


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """What a model learns of one class.

    Attributes
    ----------
    name : str
        The class.
    data : Tensor (n, D)
        Scaled to [0, 1], on the device to train on.
    sources : tuple of str (n,)
    subjects : tuple of str (n,), optional
        Whose each sample is: none is held out while others of the same subject are trained on.
    """

    name: str
    data: Float[Tensor, "n D"]
    sources: tuple[str, ...]
    subjects: tuple[str, ...] | None = None


def fit_class(
    name: str,
    data: Float[Tensor, "n D"],
    sources: tuple[str, ...],
    model_config: ModelConfig,
    training_config: TrainingConfig,
    seed: int,
    state_path: Path | None = None,
    on_epoch: OnEpoch | None = None,
    networks: Networks = NO_NETWORKS,
) -> ClassModel:
    """Train a model of one class alone and build its metric with the final weights.

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
    rows = TrainingRows(name, data, sources)
    return fit_model((rows,), model_config, training_config, seed, state_path, on_epoch, networks)[0]


def fit_model(
    classes: Sequence[TrainingRows],
    model_config: ModelConfig,
    training_config: TrainingConfig,
    seed: int,
    state_path: Path | None = None,
    on_epoch: OnEpoch | None = None,
    networks: Networks = NO_NETWORKS,
    augmentation: AugmentationConfig | None = None,
) -> tuple[ClassModel, ...]:
    """Train one model on one class, or one that is told the class on several.

    The metric of each class is built from that class's samples alone, with the final weights.

    Parameters
    ----------
    classes : sequence of TrainingRows
        Of several, `model_config.num_conditions` must be their number or more: the first features are
        the one-hot class.
    state_path, on_epoch, networks
        As in `fit_class`.
    augmentation : AugmentationConfig, optional
        Transforms of the batches, of which `model_config` is prepared to be told; see
        `riemaug.training.augmentation.told_of`.

    Raises
    ------
    TrainingError
        Training diverged for good; the message names the class, where there is one.
    """
    shared = len(classes) > 1
    groups = range(len(classes)) if shared else (None,)
    stream = Stream(seed, ("fit shared",) if shared else ("fit", classes[0].name))
    data = torch.cat([rows.data for rows in classes])
    model = networks.build(model_config, stream).to(data.device)
    told = [_condition(model, group, len(rows.data)) for group, rows in zip(groups, classes, strict=True)]
    known = [part for part in told if part is not None]
    condition = gather_conditions(known) if known else None
    if isinstance(model, VAMP):
        model.start_from(data, stream.child("start").generator(data.device))
    trainer = Trainer(
        model,
        data,
        training_config,
        stream.child("epochs"),
        state_path,
        on_epoch,
        condition=condition,
        subjects=_numbered_subjects(classes),
        augmentation=batch_augmentation(augmentation, model_config),
    )
    started = time.monotonic()
    with _naming(classes):
        history = trainer.fit()
        adapt_bandwidth(model, data, condition)
        metrics = [_metric(model, rows, part) for rows, part in zip(classes, told, strict=True)]
    history.seconds = max(history.seconds, time.monotonic() - started)
    return tuple(
        ClassModel(rows.name, model, history, rows.sources, metric, group)
        for rows, metric, group in zip(classes, metrics, groups, strict=True)
    )


def _numbered_subjects(classes: Sequence[TrainingRows]) -> Int64[Tensor, " n"] | None:
    """Return a number for each sample, the same for those of one subject; None if nobody knows subjects."""
    if all(rows.subjects is None for rows in classes):
        return None
    named = [subject for rows in classes for subject in rows.subjects or (None,) * len(rows.data)]
    numbers: dict[str, int] = {}
    # whose subject is not known is one by itself
    found = [
        -1 - row if subject is None else numbers.setdefault(subject, len(numbers))
        for row, subject in enumerate(named)
    ]
    return torch.tensor(found, dtype=torch.int64)


def _condition(model: LatentModel, group: int | None, count: int) -> Condition | None:
    """Return what the model is told of `count` samples of one class: the class, and of no transform."""
    width = model.config.num_conditions
    if width == 0:
        return None
    features = torch.zeros(count, width, device=model.device)
    if group is not None:
        features[:, group] = 1.0
    return Condition(features, torch.full((count,), group or 0, device=model.device))


def _metric(model: LatentModel, rows: TrainingRows, condition: Condition | None) -> KernelMetric | None:
    """Return the metric of one class, on the CPU; TrainingError if it is not finite."""
    if not isinstance(model, RHVAE):
        return None
    # the model's own stays where the model is: `cpu` moves a metric in place
    metric = copy.deepcopy(model.build_metric(rows.data, condition)).cpu()
    if not bool(metric.kernels.isfinite().all() & metric.centroids.isfinite().all()):
        raise TrainingError(
            f"the metric of class {rows.name!r} must be finite, it is not; use a larger regularization"
        )
    return metric


@contextmanager
def _naming(classes: Sequence[TrainingRows]) -> Iterator[None]:
    """Say of which class a failed training was."""
    try:
        yield
    except TrainingError as error:
        whose = f"class {classes[0].name!r}" if len(classes) == 1 else f"the model of {len(classes)} classes"
        raise TrainingError(f"{whose}: {error}") from error
