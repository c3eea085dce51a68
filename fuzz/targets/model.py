"""Model folders: model.json and model.safetensors."""

import hashlib
import json
from functools import cache, lru_cache

import numpy as np
import torch

from fuzz import scratch
from fuzz.editing import as_json, edited
from riemaug.class_model import Networks, fit_class
from riemaug.config import GeneratorConfig
from riemaug.data import RangeScaler
from riemaug.data.dataset import SampleFormat
from riemaug.models import RHVAE, LatentModel, ModelConfig
from riemaug.random import Stream
from riemaug.serialization import (
    DESCRIPTION_NAME,
    WEIGHTS_NAME,
    FittedGenerators,
    load_generators,
    save_generators,
)
from riemaug.training import TrainingConfig

SHAPE = (2, 2)


class _KeptNetworks(Networks):
    """Builds the networks of a configuration once, and gives the same again: loading fills them anyway."""

    def build(self, config: ModelConfig, random_state: int | Stream = 0) -> LatentModel:
        """Return the model of a configuration."""
        model = _built(config.model_dump_json())
        if isinstance(model, RHVAE):  # what was loaded into it before
            model.metric = None
            model.group_metrics.clear()
        return model


@lru_cache(maxsize=64)
def _built(config: str) -> LatentModel:
    return Networks().build(ModelConfig.model_validate_json(config))


def target(data: bytes) -> None:
    """Load a folder whose description, or by an odd first byte its tensors, the bytes are or change."""
    folder, kind, content = scratch.folder("model"), data[:1], data[1:]
    description, tensors = _saved()
    if kind == b"\1":
        # the tensors are others, and their hash is told as it is
        told = json.loads(description) | {"tensors_sha256": hashlib.sha256(content).hexdigest()}
        description, tensors = json.dumps(told).encode(), content
    elif kind == b"\2":
        description = content
    else:
        description = as_json(json.loads(description), content)
    (folder / DESCRIPTION_NAME).write_bytes(description)
    (folder / WEIGHTS_NAME).write_bytes(tensors)
    generators = load_generators(folder, networks=_KeptNetworks())
    for item in generators.classes:
        assert item.model.config.data_dim == int(np.prod(generators.sample_format.model_shape))


@cache
def _saved() -> tuple[bytes, bytes]:
    """Return both files of a model of one class that was hardly trained."""
    folder = scratch.folder("model-as-saved")
    rows = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    config = ModelConfig(
        data_dim=4, latent_dim=2, encoder_hidden=(3,), decoder_hidden=(3,), metric_hidden=(3,)
    )
    classes = tuple(
        fit_class(
            name,
            rows,
            tuple(f"{name}/{row}.png" for row in range(3)),
            config,
            TrainingConfig(max_epochs=2),
            0,
        )
        for name in ("cat",)
    )
    generators = FittedGenerators(
        classes,
        GeneratorConfig(latent_dim=2),
        RangeScaler(np.array(0.0), np.array(255.0), "uint8"),
        SampleFormat("folder", SHAPE, "uint8", ".png", None, grey_as_rgb=False),
        None,
        (3,),
        "abc",
    )
    save_generators(folder, generators)
    return (folder / DESCRIPTION_NAME).read_bytes(), (folder / WEIGHTS_NAME).read_bytes()


def seeds() -> dict[str, bytes]:
    """Return the files as they are, and edits of the first, middle and last places."""
    description, tensors = _saved()
    edits = {f"edit-{place:03d}": bytes([0, place, 0, 200, place % 32]) for place in range(0, 120, 10)}
    assert edited(json.loads(description), b"\0\0\0\0") != json.loads(description)
    return {"tensors": b"\1" + tensors, "description": b"\2" + description, "nothing": b"\0", **edits}
