"""Model folders of pythae: model_config.json and the archive of tensors that torch.save wrote."""

import io
import json
from functools import cache
from pathlib import Path

import torch

from fuzz import scratch
from fuzz.editing import as_json
from riemaug.importing import import_models
from riemaug.importing.peer_folder import CONFIG_NAME, TENSORS_NAME
from riemaug.importing.tensor_file import read_tensor_file

SAVED = Path(__file__).parents[2] / "tests" / "fixtures" / "peers" / "pythae_rhvae"
"""A folder that pythae wrote."""


def target(data: bytes) -> None:
    """Read the bytes as an archive, or import a folder whose configuration they are or change."""
    kind, content = data[:1], data[1:]
    if kind == b"\1":
        path = scratch.folder("imported-tensors") / "x.pt"
        path.write_bytes(content)
        assert all(isinstance(name, str) for name in read_tensor_file(path))
        return
    folder = scratch.folder("imported")
    if not (folder / TENSORS_NAME).exists():
        (folder / TENSORS_NAME).symlink_to(SAVED / TENSORS_NAME)
    (folder / CONFIG_NAME).write_bytes(as_json(_config(), content))
    assert import_models({"cat": folder}).class_names == ("cat",)


@cache
def _config() -> dict:
    return json.loads((SAVED / CONFIG_NAME).read_text())


def seeds() -> dict[str, bytes]:
    """Return the configuration, edits of it, and small archives."""
    found = {"config": b"\0" + json.dumps(_config()).encode()}
    for name, content in (
        ("tensors", {"centroids": torch.zeros(2, 2), "model_state_dict": {"a": torch.ones(3)}}),
        ("integers", {"a": torch.arange(3)}),
        ("not-finite", {"a": torch.tensor([float("nan")])}),
        ("view", {"a": torch.zeros(1).expand(1000)}),
    ):
        file = io.BytesIO()
        torch.save(content, file)
        found[name] = b"\1" + file.getvalue()
    return found | {f"edit-{place}": bytes([0, place, 0, 200, place]) for place in range(14)}
