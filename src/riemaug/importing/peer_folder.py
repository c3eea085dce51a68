"""From a model folder of pythae or pyraug to a `PeerModel`; pickled networks in it are never opened."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.importing import pyraug, pythae
from riemaug.importing.peer_model import ROUNDING, PeerModel, StoredMetric
from riemaug.importing.tensor_file import TensorTree, read_tensor_file
from riemaug.limits import read_bounded
from riemaug.models.config import ModelKind
from riemaug.serialization import file_hash

CONFIG_NAME, TENSORS_NAME, FINAL_NAME = "model_config.json", "model.pt", "final_model"
PARTS = ("encoder", "decoder", "metric")
LONGEST_CONFIG = 2**20
"""Bytes of a configuration: a page of JSON, not more."""


def peer_folder(path: Path) -> Path | None:
    """Return the folder under `path` that holds a peer's model, `path` itself or its `final_model`."""
    for folder in (path, path / FINAL_NAME):
        if (folder / CONFIG_NAME).is_file() and (folder / TENSORS_NAME).is_file():
            return folder
    return None


def read_peer_folder(path: Path) -> PeerModel:
    """Read a model folder.

    Only `model_config.json` and `model.pt` are opened, the latter by `read_tensor_file`.

    Raises
    ------
    InvalidInputError
        It is no model folder of pythae or pyraug, of a kind that is not known here, damaged, or its parts
        contradict each other.
    """
    folder = peer_folder(path)
    if folder is None:
        raise InvalidInputError(
            f"a model folder of pythae or pyraug holds {CONFIG_NAME} and {TENSORS_NAME}, {str(path)!r} does "
            f"not: give the folder that their training called {FINAL_NAME}"
        )
    config = _read_config(folder / CONFIG_NAME)
    content = read_tensor_file(folder / TENSORS_NAME)
    try:
        return _peer_model(config, content, file_hash(folder / TENSORS_NAME))
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(
            f"{CONFIG_NAME} and {TENSORS_NAME} of {str(folder)!r} must fit together, they do not "
            f"({type(error).__name__}: {error}): copy the folder again"
        ) from error


def _read_config(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_bounded(path, LONGEST_CONFIG, CONFIG_NAME))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"{CONFIG_NAME} must be JSON, {str(path)!r} is not ({error}): copy the folder again"
        ) from None
    if not isinstance(content, dict):
        raise InvalidInputError(f"{CONFIG_NAME} must be a JSON object, {str(path)!r} is not: copy it again")
    return content


def _peer_model(config: dict[str, Any], content: TensorTree, digest: str) -> PeerModel:
    state = content["model_state_dict"]
    if isinstance(state, Tensor):
        raise ValueError("model_state_dict is one tensor")
    # pyraug's configurations have no name
    library = pythae.LIBRARY if "name" in config else pyraug.LIBRARY
    kind = _kind_of(config, library)
    own = [part for part in PARTS[: 3 if kind == "rhvae" else 2] if not config[f"uses_default_{part}"]]
    is_custom = "encoder" in own or "decoder" in own
    layers = pythae.LAYERS if library == pythae.LIBRARY else pyraug.LAYERS
    likelihood, scale = "bernoulli", 1.0
    if library == pythae.LIBRARY:
        likelihood, scale = pythae.LIKELIHOODS[config["reconstruction_loss"]]
    return PeerModel(
        library=library,
        kind=kind,
        input_dim=_input_dim(config["input_dim"]),
        latent_dim=_count(config["latent_dim"]),
        likelihood=likelihood,
        likelihood_scale=scale,
        weights=_custom_weights(state) if is_custom else _renamed(state, layers, "metric" in own),
        is_custom=is_custom,
        metric=_stored_metric(config, content, state) if kind == "rhvae" else None,
        flow=_flow(config) if kind == "rhvae" else {},
        digest=digest,
    )


def _kind_of(config: dict[str, Any], library: str) -> ModelKind:
    if library == pyraug.LIBRARY:
        return "rhvae"
    if config["name"] not in pythae.KINDS:
        known = " and ".join(name.removesuffix("Config") for name in pythae.KINDS)
        raise InvalidInputError(
            f"of pythae's models {known} can be imported, the folder holds a {config['name']!r}: train one "
            "of those, or use riemaug fit"
        )
    return pythae.KINDS[config["name"]]


def _input_dim(value: Any) -> tuple[int, ...]:
    sides = tuple(value) if isinstance(value, list) else (value,)
    return tuple(_count(side) for side in sides)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{value!r} is no positive integer")
    return value


def _renamed(
    state: Mapping[str, Tensor], layers: Mapping[str, str], has_own_metric_network: bool
) -> dict[str, Tensor]:
    """Return the weights of the default networks under our names, float32; ValueError if there are others."""
    weights = {}
    for name, value in state.items():
        layer, _, which = name.rpartition(".")
        if layer.split(".")[0] not in PARTS or (layer.startswith("metric.") and has_own_metric_network):
            continue
        if layer not in layers:
            raise ValueError(f"{name} is none of the default networks' weights")
        if value.numel():  # of one latent dimension nothing is below a diagonal
            weights[f"{layers[layer]}.{which}"] = value.detach().float().contiguous()
    return weights


def _custom_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k: v.detach().contiguous() for k, v in state.items() if k.split(".")[0] in ("encoder", "decoder")}


def _flow(config: dict[str, Any]) -> dict[str, int | float]:
    """Return the constants of the flow; what the peers call beta_zero is its square root."""
    return {
        "num_leapfrog_steps": _count(config["n_lf"]),
        "leapfrog_step_size": float(config["eps_lf"]),
        "initial_inverse_temperature": float(config["beta_zero"]) ** 2,
    }


def _stored_metric(config: dict[str, Any], content: TensorTree, state: Mapping[str, Tensor]) -> StoredMetric:
    centroids, matrices = content["centroids"], content["M"]
    if not (isinstance(centroids, Tensor) and isinstance(matrices, Tensor)):
        raise ValueError("centroids and M are no tensors")
    dim = _count(config["latent_dim"])
    if centroids.shape != (len(centroids), dim) or matrices.shape != (len(centroids), dim, dim):
        raise ValueError(f"centroids {tuple(centroids.shape)} and M {tuple(matrices.shape)} for d = {dim}")
    constants = {"temperature": float(config["temperature"]), "lbd": float(config["regularization"])}
    for name, value in constants.items():  # the peers compute with those in the tensors
        stored = state[name].item()
        if abs(stored - value) > ROUNDING * abs(value):
            raise ValueError(f"{name} is {value} in the one and {stored} in the other")
    return StoredMetric(centroids, matrices, constants["temperature"], constants["lbd"])
