"""Model folders: tensors in safetensors, everything else in JSON, no code, with a format version."""

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from riemaug._version import __version__
from riemaug.atomic import atomic_path, atomic_write_text
from riemaug.class_model import NO_NETWORKS, ClassModel, Networks
from riemaug.config import GeneratorConfig, SamplingConfig
from riemaug.data.dataset import SampleFormat
from riemaug.data.scaling import RangeScaler
from riemaug.errors import InvalidInputError
from riemaug.geometry import KernelMetric
from riemaug.models import RHVAE, LatentModel, ModelConfig, ModelKind
from riemaug.models.rhvae import STORED_METRICS
from riemaug.old_formats import upgraded_description, upgraded_tensors
from riemaug.training import History

FORMAT_VERSION = 2
MAX_LABEL_BYTES = 2**16
"""Most bytes a label may take: the width of a text dtype is a number in a file of unknown origin."""
WEIGHTS_NAME, DESCRIPTION_NAME = "model.safetensors", "model.json"
UNKNOWN_DATA = "unknown"
"""In place of a hash of the training data: other libraries' models keep none."""


@dataclass(frozen=True, eq=False)
class FittedGenerators:
    """All that `fit` learned: a generator a class, and how to go from data to [0, 1] and back.

    Attributes
    ----------
    classes : tuple of ClassModel
        Those that share a model stand side by side.
    config : GeneratorConfig
    scaler : RangeScaler
    sample_format : SampleFormat
    label_values : ndarray or None
        For arrays: the label of each class as the user stored it.
    class_sizes : tuple of int
        Training samples of each class.
    data_fingerprint : str
        Hash of the training data.
    sampling : SamplingConfig, optional
        What the estimator that was saved drew with; None where that is said at each call.
    """

    classes: tuple[ClassModel, ...]
    config: GeneratorConfig
    scaler: RangeScaler
    sample_format: SampleFormat
    label_values: np.ndarray | None
    class_sizes: tuple[int, ...]
    data_fingerprint: str
    sampling: SamplingConfig | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in order."""
        return tuple(item.name for item in self.classes)


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
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(
            "a model's description and tensors must fit together, these do not "
            f"({_first_line(error)}); fit it anew"
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


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors to a safetensors file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode  # as the user's umask has it; safetensors makes files private
        save_file(tensors, temporary)
        temporary.chmod(mode)


def save_generators(folder: Path, generators: FittedGenerators) -> str:
    """Write `model.safetensors` and `model.json`; return the hash of the tensors' file."""
    folder.mkdir(parents=True, exist_ok=True)
    models = classes_by_model(generators.classes)
    tensors = {
        f"{index}.{key}": value
        for index, classes in enumerate(models)
        for key, value in model_tensors(classes).items()
    }
    write_tensors(folder / WEIGHTS_NAME, tensors)
    digest = file_hash(folder / WEIGHTS_NAME)
    labels, sampling = generators.label_values, generators.sampling
    description = {
        "format_version": FORMAT_VERSION,
        "riemaug_version": __version__,
        "tensors_sha256": digest,
        "config": generators.config.model_dump(),
        "scaler": generators.scaler.to_dict(),
        "sample_format": generators.sample_format.to_dict(),
        "label_values": None if labels is None else _labels_to_json(labels),
        "label_dtype": None if labels is None else labels.dtype.str,
        "class_sizes": list(generators.class_sizes),
        "data_sha256": generators.data_fingerprint,
        "sampling": None if sampling is None else sampling.model_dump(),
        "models": [model_description(classes) for classes in models],
        "reveals": _what_it_reveals(generators.config.model, generators.data_fingerprint != UNKNOWN_DATA),
    }
    atomic_write_text(folder / DESCRIPTION_NAME, json.dumps(description, indent=1, ensure_ascii=False) + "\n")
    return digest


def classes_by_model(classes: Sequence[ClassModel]) -> list[tuple[ClassModel, ...]]:
    """Return the classes in their order, those of one model together."""
    return [tuple(part) for _, part in itertools.groupby(classes, key=lambda item: id(item.model))]


def load_generators(
    folder: Path, only_class: str | None = None, networks: Networks = NO_NETWORKS
) -> FittedGenerators:
    """Read a model folder; with `only_class`, that class alone and no model that is not its own.

    Raises
    ------
    InvalidInputError
        No model there, a later format, a damaged or tampered file.
    """
    description = read_description(folder)
    try:
        classes = tuple(
            item
            for index, entry in enumerate(description["models"])
            if only_class is None or only_class in _class_names(entry)
            for item in _read_model(folder, index, description, networks)
            if only_class is None or item.name == only_class
        )
        labels, sampling = description["label_values"], description.get("sampling")
        generators = FittedGenerators(
            classes,
            GeneratorConfig(**description["config"]),
            RangeScaler.from_dict(description["scaler"]),
            SampleFormat.from_dict(description["sample_format"]),
            None if labels is None else _labels_from_json(labels, description["label_dtype"]),
            tuple(int(size) for size in description["class_sizes"]),
            str(description["data_sha256"]),
            None if sampling is None else SamplingConfig(**sampling),
        )
        _check_whole(generators, sum(1 for _ in class_entries(description)))
        return generators
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise _damaged(folder / DESCRIPTION_NAME, error) from error


def class_entries(description: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each class of a description with the model that is its own or shared."""
    for entry in description["models"]:
        for item in entry["classes"]:
            yield item, entry


def _class_names(entry: dict[str, Any]) -> list[str]:
    return [item["name"] for item in entry["classes"]]


def _read_model(
    folder: Path, index: int, description: dict[str, Any], networks: Networks
) -> tuple[ClassModel, ...]:
    tensors = read_tensors(folder / WEIGHTS_NAME, f"{index}.")
    return restore_model(
        description["models"][index], upgraded_tensors(tensors, description["format_version"]), networks
    )


def _check_whole(generators: FittedGenerators, num_classes: int) -> None:
    """Raise ValueError if the parts of a description contradict each other."""
    labels, shape = generators.label_values, generators.sample_format.model_shape
    if len(generators.class_sizes) != num_classes or (labels is not None and len(labels) != num_classes):
        raise ValueError("the classes, their sizes and their labels differ in number")
    if any(item.model.config.data_dim != math.prod(shape) for item in generators.classes):
        raise ValueError(f"the models do not make samples of shape {shape}")
    if generators.scaler.low.shape not in ((), shape):
        raise ValueError(f"the scaling is not one of samples of shape {shape}")


def _labels_to_json(labels: np.ndarray) -> list[Any]:
    # bytes are no JSON; each byte is one character of Latin-1
    return [value.decode("latin-1") if isinstance(value, bytes) else value for value in labels.tolist()]


def _labels_from_json(values: list[Any], dtype_name: str) -> np.ndarray:
    """Return the labels as the user stored them; ValueError or TypeError if they cannot be."""
    dtype = np.dtype(dtype_name)
    if dtype.kind not in "biufUS" or dtype.itemsize > MAX_LABEL_BYTES:
        raise ValueError(f"labels of kind {dtype_name}")
    if dtype.kind == "S":
        values = [value.encode("latin-1") for value in values]
    labels = np.array(values, dtype=dtype)
    if labels.ndim != 1:
        raise ValueError("labels are no list")
    return labels


def read_description(folder: Path) -> dict[str, Any]:
    """Return the checked contents of `model.json` in the present format, the tensors' hash compared."""
    path = folder / DESCRIPTION_NAME
    if not path.is_file() or not (folder / WEIGHTS_NAME).is_file():
        raise InvalidInputError(
            f"a model folder holds {WEIGHTS_NAME} and {DESCRIPTION_NAME}, {folder} does not; "
            "make one with riemaug fit"
        )
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        version, digest = description["format_version"], description["tensors_sha256"]
        if not isinstance(version, int):
            raise ValueError("wrong types")
        if version <= FORMAT_VERSION:
            description = upgraded_description(description)
            if not all(isinstance(item["name"], str) for item, _ in class_entries(description)):
                raise ValueError("wrong types")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, error) from error
    if version > FORMAT_VERSION:
        raise InvalidInputError(
            f"this riemaug reads model format {FORMAT_VERSION}, {path} has {version}; install a newer riemaug"
        )
    if file_hash(folder / WEIGHTS_NAME) != digest:
        raise InvalidInputError(
            f"a model's tensors must match the hash in {DESCRIPTION_NAME}, {folder / WEIGHTS_NAME} does not: "
            "the file is damaged or was changed; copy the model again or refit"
        )
    return description


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_tensors(path: Path, prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, without it; InvalidInputError if damaged."""
    try:
        with safe_open(path, "pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            return {name[len(prefix) :]: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InvalidInputError:
    return InvalidInputError(
        f"a model file must be whole, {path} is damaged ({_first_line(error)}); copy it again or refit"
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _finite(history: dict[str, Any]) -> dict[str, Any]:
    """Return the history with numbers JSON can hold: null stands for what is not finite."""

    def told(value: Any) -> Any:
        if isinstance(value, list):
            return [told(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {name: told(value) for name, value in history.items()}


def _what_it_reveals(kind: ModelKind, knows_data: bool) -> str:
    """Return what whoever gets the model learns of its training samples."""
    if not knows_data:
        holds = "holds the encodings of its training samples (one centroid each)"
        what = holds if kind == "rhvae" else "was trained elsewhere"
        return (
            f"This model {what}, no names of files; its decoder can reproduce samples close to those that it "
            "was trained on."
        )
    text = (
        "This model holds the encodings of its training samples (one centroid each) and their file names; "
        "its decoder can reproduce samples close to them."
    )
    if kind == "rhvae":
        return text
    text = "This model holds the file names of its training samples; its decoder can reproduce samples close "
    return text + ("to them, and its pseudo-inputs began as some of them." if kind == "vamp" else "to them.")
