"""One model, and the classes that share it, as tensors and JSON; and back."""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from riemaug.class_model import NO_NETWORKS, ClassModel, Networks
from riemaug.errors import InvalidInputError
from riemaug.geometry import KernelMetric
from riemaug.models import RHVAE, LatentModel, ModelConfig
from riemaug.models.rhvae import STORED_METRICS
from riemaug.serialization.tensor_files import first_line
from riemaug.training import History


def model_tensors(classes: Sequence[ClassModel]) -> dict[str, Tensor]:
    """Return the tensors of one model and of the classes that share it: weights once, a metric each."""
    state = classes[0].model.state_dict()
    # a model holds the metrics too, for its evidence estimates; they are written class by class
    weights = {k: v.cpu() for k, v in state.items() if not k.startswith(STORED_METRICS)}
    if classes[0].model.config.network == "custom":  # which may use one weight in two places
        weights = {k: v.clone() for k, v in weights.items()}
    tensors = {f"network.{k}": v for k, v in weights.items()}
    for position, item in enumerate(classes):
        if item.metric is not None:
            tensors[f"{position}.metric.centroids"] = item.metric.centroids
            tensors[f"{position}.metric.factors"] = item.metric.factors
    return {k: v.contiguous() for k, v in tensors.items()}


def model_description(classes: Sequence[ClassModel]) -> dict[str, Any]:
    """Return the JSON part of one model and of the classes that share it."""
    return {
        "model": classes[0].model.config.model_dump(),
        "history": _finite(classes[0].history.to_dict()),
        "classes": [
            {"name": item.name, "group": item.group, "sources": list(item.sources)} for item in classes
        ],
    }


def restore_model(
    description: dict[str, Any], tensors: dict[str, Tensor], networks: Networks = NO_NETWORKS
) -> tuple[ClassModel, ...]:
    """Return the classes that `model_description` and `model_tensors` describe.

    Parameters
    ----------
    networks : Networks
        The user's own, where the model was fitted with such.

    Raises
    ------
    InvalidInputError
        The description and the tensors do not fit together, or the networks are not those.
    """
    try:
        config = ModelConfig(**description["model"])
        weights = {k[8:]: v for k, v in tensors.items() if k.startswith("network.")}
        model = _restore_network(config, weights, networks)
        history = History.from_dict(description["history"])
        entries = description["classes"]
        groups = [_checked_group(entry["group"], config, len(entries)) for entry in entries]
        if len(set(groups)) != len(entries):
            raise ValueError("two classes are one group")
        return tuple(
            _restore_class(entry, group, model, history, position, tensors)
            for position, (entry, group) in enumerate(zip(entries, groups, strict=True))
        )
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(
            "a model's description and tensors must fit together, these do not "
            f"({first_line(error)}); fit it anew"
        ) from error


def _restore_network(config: ModelConfig, weights: dict[str, Tensor], networks: Networks) -> LatentModel:
    """Return the model with these weights, in eval mode; ValueError or RuntimeError if they do not fit."""
    # compared before anything is built: a tampered description must not ask for absurd memory
    if config.network != "custom" and config.num_parameters() != sum(v.numel() for v in weights.values()):
        raise ValueError("the number of weights differs")
    if not all(v.isfinite().all() for v in weights.values()):
        raise ValueError("the weights are not finite")
    if config.network == "custom" and networks.encoder is None:
        raise InvalidInputError(
            "this model was fitted with networks of your own, which are not in its files: load it with "
            "Augmentor.load(folder, encoder=..., decoder=...)"
        )
    model = networks.build(config)
    model.load_state_dict(weights, strict=True)
    return model.eval()


def _checked_group(group: Any, config: ModelConfig, num_classes: int) -> int | None:
    """Return what a model calls one of its classes; ValueError if that can be none of its groups."""
    if group is None and num_classes == 1:
        return None
    if not isinstance(group, int) or isinstance(group, bool) or not 0 <= group < config.num_conditions:
        raise ValueError(f"the model has no group {group!r}")
    return group


def _restore_class(
    entry: dict[str, Any],
    group: int | None,
    model: LatentModel,
    history: History,
    position: int,
    tensors: dict[str, Tensor],
) -> ClassModel:
    sources, metric = tuple(str(source) for source in entry["sources"]), None
    if isinstance(model, RHVAE):
        metric = _restore_metric(model.config, tensors, position, len(sources))
        if model.config.num_conditions:
            model.group_metrics[str(group or 0)] = metric
        else:
            model.metric = metric
    return ClassModel(str(entry["name"]), model, history, sources, metric, group)


def _restore_metric(
    config: ModelConfig, tensors: dict[str, Tensor], position: int, num_sources: int
) -> KernelMetric:
    """Return the stored metric; ValueError if it is not one of this model, or not finite."""
    centroids, factors = (tensors[f"{position}.metric.{name}"] for name in ("centroids", "factors"))
    shapes = [(num_sources, config.latent_dim), (num_sources, config.latent_dim, config.latent_dim)]
    if [tuple(centroids.shape), tuple(factors.shape)] != shapes:
        raise ValueError("the shape of the metric differs")
    if not (centroids.is_floating_point() and centroids.dtype == factors.dtype):
        raise ValueError("the metric holds no real numbers of one kind")
    if not (centroids.isfinite().all() and factors.isfinite().all()):
        raise ValueError("the metric is not finite")
    return KernelMetric(centroids, factors, config.bandwidth, config.regularization)


def _finite(history: dict[str, Any]) -> dict[str, Any]:
    """Return the history with numbers JSON can hold: null stands for what is not finite."""

    def told(value: Any) -> Any:
        if isinstance(value, list):
            return [told(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {name: told(value) for name, value in history.items()}
