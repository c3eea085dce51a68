"""Model folders: tensors in safetensors, everything else in JSON, no code, with a format version."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from riemaug._version import __version__
from riemaug.atomic import atomic_write_text
from riemaug.class_model import NO_NETWORKS, ClassModel, Networks
from riemaug.config import GeneratorConfig, SamplingConfig
from riemaug.data.dataset import SampleFormat
from riemaug.data.names import check_class_names
from riemaug.data.scaling import RangeScaler
from riemaug.errors import InvalidInputError
from riemaug.limits import JSON_BYTES, read_bounded
from riemaug.serialization.card import CARD_NAME, model_card
from riemaug.serialization.generators import FittedGenerators, classes_by_model
from riemaug.serialization.labels import labels_from_json, labels_to_json
from riemaug.serialization.model import model_description, model_tensors, restore_model
from riemaug.serialization.old_formats import upgraded_description, upgraded_tensors
from riemaug.serialization.privacy import what_it_reveals
from riemaug.serialization.tensor_files import damaged, file_hash, read_tensors, write_tensors

FORMAT_VERSION = 2
WEIGHTS_NAME, DESCRIPTION_NAME = "model.safetensors", "model.json"
UNKNOWN_DATA = "unknown"
"""In place of a hash of the training data: other libraries' models keep none."""


def save_generators(folder: Path, generators: FittedGenerators) -> str:
    """Write `model.safetensors`, `model.json` and `MODEL_CARD.md`; return the hash of the tensors' file."""
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
    knows_data = generators.data_fingerprint != UNKNOWN_DATA
    reveals = what_it_reveals(generators.config.model, knows_data)
    description = {
        "format_version": FORMAT_VERSION,
        "riemaug_version": __version__,
        "tensors_sha256": digest,
        "config": generators.config.model_dump(),
        "scaler": generators.scaler.to_dict(),
        "sample_format": generators.sample_format.to_dict(),
        "label_values": None if labels is None else labels_to_json(labels),
        "label_dtype": None if labels is None else labels.dtype.str,
        "class_sizes": list(generators.class_sizes),
        "data_sha256": generators.data_fingerprint,
        "sampling": None if sampling is None else sampling.model_dump(),
        "models": [model_description(classes) for classes in models],
        "reveals": reveals,
    }
    atomic_write_text(folder / DESCRIPTION_NAME, json.dumps(description, indent=1, ensure_ascii=False) + "\n")
    card = model_card(generators, digest, reveals, knows_data, (WEIGHTS_NAME, DESCRIPTION_NAME))
    atomic_write_text(folder / CARD_NAME, card)
    return digest


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
            None if labels is None else labels_from_json(labels, description["label_dtype"]),
            tuple(int(size) for size in description["class_sizes"]),
            str(description["data_sha256"]),
            None if sampling is None else SamplingConfig(**sampling),
        )
        _check_whole(generators, sum(1 for _ in class_entries(description)))
        return generators
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise damaged(folder / DESCRIPTION_NAME, error) from error


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
    """Raise ValueError if parts of a description contradict each other, or its classes cannot be folders."""
    labels, shape = generators.label_values, generators.sample_format.model_shape
    if len(generators.class_sizes) != num_classes or (labels is not None and len(labels) != num_classes):
        raise ValueError("the classes, their sizes and their labels differ in number")
    if any(item.model.config.data_dim != math.prod(shape) for item in generators.classes):
        raise ValueError(f"the models do not make samples of shape {shape}")
    if not generators.sample_format.is_one_file and generators.sample_format.bids is None:
        check_class_names(generators.class_names)
    if generators.scaler.low.shape not in ((), shape):
        raise ValueError(f"the scaling is not one of samples of shape {shape}")


def read_description(folder: Path) -> dict[str, Any]:
    """Return the checked contents of `model.json` in the present format, the tensors' hash compared."""
    path = folder / DESCRIPTION_NAME
    if not path.is_file() or not (folder / WEIGHTS_NAME).is_file():
        raise InvalidInputError(
            f"a model folder holds {WEIGHTS_NAME} and {DESCRIPTION_NAME}, {folder} does not; "
            "make one with riemaug fit"
        )
    try:
        description = json.loads(read_bounded(path, JSON_BYTES, DESCRIPTION_NAME))
        # halves of characters, which JSON can hold, could be written to no table
        json.dumps(description, ensure_ascii=False).encode()
        version, digest = description["format_version"], description["tensors_sha256"]
        if not isinstance(version, int):
            raise ValueError("wrong types")
        if version <= FORMAT_VERSION:
            description = upgraded_description(description)
            if not all(isinstance(item["name"], str) for item, _ in class_entries(description)):
                raise ValueError("wrong types")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, error) from error
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
