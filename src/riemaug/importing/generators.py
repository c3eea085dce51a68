"""From peers' models, one a class, to fitted generators that are saved and sampled as any of ours."""

import copy
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from riemaug.class_model import NO_NETWORKS, ClassModel, Networks
from riemaug.config import GeneratorConfig
from riemaug.data import check_class_names
from riemaug.errors import InvalidInputError
from riemaug.geometry import KernelMetric
from riemaug.importing.layout import OutputLayout, output_layout
from riemaug.importing.peer_folder import read_peer_folder
from riemaug.importing.peer_model import PeerModel
from riemaug.models import RHVAE, LatentModel, ModelConfig
from riemaug.serialization import UNKNOWN_DATA, FittedGenerators
from riemaug.training import History


def import_models(
    folders: Mapping[str, str | Path],
    output: str = "arrays",
    shape: tuple[int, ...] | None = None,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> FittedGenerators:
    """Return the models that pythae or pyraug saved, as generators of the classes.

    Encoder, decoder and stored metric are theirs, number for number. The weights of an RHVAE's metric
    network are taken over too, but ours bounds what that network gives out: a metric built anew from data
    would differ from the stored one.

    Parameters
    ----------
    folders : mapping of str to path
        Class name to model folder, of VAEs or of RHVAEs of one shape of samples.
    output : "arrays" or "png"
        What sampling is to write: one npz of float32 in [0, 1], or 8-bit images.
    shape : tuple of int, optional
        Shape of one sample, channels first, where the folder does not tell it.
    encoder, decoder : nn.Module, optional
        For folders saved with networks of one's own, which are in pickled files that are never opened:
        modules as `riemaug.models.custom` wants them, with weights of the same names; these are filled
        from the folder.

    Raises
    ------
    InvalidInputError
        A folder cannot be read, is of another kind, or its networks are missing or do not fit.
    """
    return generators_of(read_peers(folders), output, shape, Networks(encoder, decoder))


def read_peers(folders: Mapping[str, str | Path]) -> dict[str, PeerModel]:
    """Return what the folders hold, by class; raises as `import_models` does."""
    check_class_names(folders)
    if not folders:
        raise InvalidInputError("there must be a model to import, none was given: name a folder")
    return {name: read_peer_folder(Path(folder)) for name, folder in sorted(folders.items())}


def generators_of(
    peers: Mapping[str, PeerModel],
    output: str = "arrays",
    shape: tuple[int, ...] | None = None,
    given: Networks = NO_NETWORKS,
) -> FittedGenerators:
    """Return the generators of models that were read; raises as `import_models` does."""
    first = next(iter(peers.values()))
    _check_alike(peers)
    if shape is None and len({peer.input_dim for peer in peers.values()}) > 1:
        told = ", ".join(f"{name}: {peer.input_dim}" for name, peer in peers.items())
        raise InvalidInputError(
            f"models imported together must have samples of one shape, got {told}: say which, with --shape "
            "or shape="
        )
    layout = output_layout(first.input_dim, output, shape)
    classes = tuple(_class_model(name, peer, layout, given) for name, peer in peers.items())
    return FittedGenerators(
        classes=classes,
        config=_generator_config(classes),
        scaler=layout.scaler,
        sample_format=layout.sample_format,
        label_values=np.array(list(peers)) if output == "arrays" else None,
        class_sizes=tuple(len(item.sources) for item in classes),
        data_fingerprint=UNKNOWN_DATA,
    )


def _check_alike(peers: Mapping[str, PeerModel]) -> None:
    """Refuse models that do not make samples of one kind, in one way."""
    rules = {
        "kind": {name: peer.kind for name, peer in peers.items()},
        "number of values a sample": {name: math.prod(peer.input_dim) for name, peer in peers.items()},
        "choice of networks": {name: "own" if peer.is_custom else "default" for name, peer in peers.items()},
    }
    for rule, found in rules.items():
        if len(set(found.values())) > 1:
            told = ", ".join(f"{name}: {value}" for name, value in found.items())
            raise InvalidInputError(
                f"models imported together must have one {rule}, got {told}: import each alone"
            )


def _class_model(name: str, peer: PeerModel, layout: OutputLayout, given: Networks) -> ClassModel:
    try:
        config = _model_config(peer, layout)
    except ValidationError as error:
        fault = error.errors()[0]
        raise InvalidInputError(
            f"class {name!r}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}, got {fault['input']!r}"
        ) from None
    model = _custom_model(name, peer, config, layout, given) if peer.is_custom else None
    if model is None:
        if given.encoder is not None or given.decoder is not None:
            raise InvalidInputError(
                f"class {name!r}: encoder= and decoder= are for folders with networks of their user's own, "
                "this one has the default ones: leave them out"
            )
        model = _default_model(name, peer, config, layout)
    model.eval()
    history = History(stop_reason=f"imported from {peer.library}")
    if peer.metric is None or not isinstance(model, RHVAE):
        return ClassModel(name, model, history, ())
    metric = KernelMetric(
        peer.metric.centroids.double(),
        peer.metric.factors(),
        peer.metric.bandwidth,
        peer.metric.regularization,
    )
    model.metric = metric
    sources = tuple(f"centroid {index}" for index in range(metric.num_centroids))
    return ClassModel(name, model, history, sources, metric)


def _model_config(peer: PeerModel, layout: OutputLayout) -> ModelConfig:
    """Return the configuration; the widths of the default networks are those of their weights."""
    shape = layout.sample_format.sample_shape
    chosen = {
        "kind": peer.kind,
        "data_dim": math.prod(shape),
        "latent_dim": peer.latent_dim,
        "data_shape": shape,
        "likelihood": peer.likelihood,
        "likelihood_scale": peer.likelihood_scale,
        **peer.flow,
    }
    if peer.metric is not None:
        chosen |= {"bandwidth": peer.metric.bandwidth, "regularization": peer.metric.regularization}
    if peer.is_custom:
        return ModelConfig(network="custom", **chosen)
    layers = {
        "encoder_hidden": "encoder.trunk.hidden.0",
        "decoder_hidden": "decoder.hidden.0",
        "metric_hidden": "metric_network.trunk.hidden.0",
    }
    for name, layer in layers.items():
        if f"{layer}.bias" in peer.weights:
            chosen[name] = (len(peer.weights[f"{layer}.bias"]),)
    return ModelConfig(**chosen)


def _default_model(name: str, peer: PeerModel, config: ModelConfig, layout: OutputLayout) -> LatentModel:
    weights = layout.reordered(peer.weights)
    has_metric_network = any(key.startswith("metric_network.") for key in weights)
    _check_sides(name, weights, config)
    count = sum(value.numel() for value in weights.values())
    # compared before anything is built: a tampered configuration must not ask for absurd memory
    if (peer.kind == "vae" or has_metric_network) and config.num_parameters() != count:
        raise _unfit(name, f"{count} weights for networks of {config.num_parameters()}")
    model = NO_NETWORKS.build(config)
    try:
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise _unfit(name, " ".join(str(error).split())) from None
    # with a metric network of the user's own the stored metric is all that is taken over
    missing = [key for key in missing if has_metric_network or not key.startswith("metric_network.")]
    if missing or unexpected:
        raise _unfit(name, f"missing {missing}, unexpected {unexpected}")
    return model


def _check_sides(name: str, weights: dict[str, Tensor], config: ModelConfig) -> None:
    """Refuse a configuration whose sizes are not those of the weights, before networks of these are built."""
    sides = {
        "encoder.trunk.hidden.0.weight": (1, config.data_dim),
        "encoder.mean.bias": (0, config.latent_dim),
    }
    for key, (axis, side) in sides.items():
        found = tuple(weights[key].shape) if key in weights else ()
        if found[axis : axis + 1] != (side,):
            raise _unfit(name, f"{key} of shape {found} for {side}")


def _custom_model(
    name: str, peer: PeerModel, config: ModelConfig, layout: OutputLayout, given: Networks
) -> LatentModel:
    if given.encoder is None or given.decoder is None:
        raise InvalidInputError(
            f"class {name!r} was saved with networks of its user's own, which are pickled code that is never "
            "opened: import it in Python by riemaug.importing.import_models with encoder= and decoder="
        )
    if layout.order is not None:
        raise InvalidInputError(
            f"class {name!r} has networks of its user's own, whose channels cannot be moved: write arrays"
        )
    filled = {}
    for part, module in (("encoder", given.encoder), ("decoder", given.decoder)):
        prefix = f"{part}."
        weights = {k.removeprefix(prefix): v for k, v in peer.weights.items() if k.startswith(prefix)}
        filled[part] = copy.deepcopy(module)
        try:
            filled[part].load_state_dict(weights, strict=True)
        except RuntimeError as error:
            raise _unfit(name, " ".join(str(error).split())) from None
    with torch.no_grad():
        return Networks(**filled).build(config)


def _unfit(name: str, found: str) -> InvalidInputError:
    return InvalidInputError(
        f"the networks of class {name!r} must have the weights that its folder holds, they do not ({found}): "
        "copy the folder again, or give the networks that it was saved with"
    )


def _generator_config(classes: tuple[ClassModel, ...]) -> GeneratorConfig:
    """Return what the models have in common, as if they had been fitted."""
    first = classes[0].model.config
    common = {}
    names = ["latent_dim", *(["bandwidth", "regularization"] if first.kind == "rhvae" else [])]
    for name in names:
        values = {getattr(item.model.config, name) for item in classes}
        common[name] = values.pop() if len(values) == 1 else None
    if (common.get("regularization") or 0.0) > 1.0:  # none that a fit would take
        common["regularization"] = None
    return GeneratorConfig(
        preset="paper",
        sharing="never",
        model=first.kind,
        network=first.network,
        likelihood=first.likelihood,
        device="cpu",
        **common,
    )
