"""Model folders of earlier formats, brought to the present one as they are read."""

from typing import Any

from torch import Tensor

_RENAMED_IN_2 = {
    "network.encoder.hidden.": "network.encoder.trunk.hidden.",
    "network.metric_network.hidden.": "network.metric_network.trunk.hidden.",
    "metric.": "0.metric.",
}
"""How names of tensors began in format 1, and how they begin since."""


def upgraded_description(description: dict[str, Any]) -> dict[str, Any]:
    """Return a description of format 1 or 2 as one of format 2.

    Format 1 had a model in each class; since format 2 a model lists the classes that share it.

    Raises
    ------
    KeyError, TypeError
        It is none of that format.
    """
    if description["format_version"] != 1:
        return description
    kept = {name: value for name, value in description.items() if name != "classes"}
    models = [
        {
            "model": entry["model"],
            "history": entry["history"],
            "classes": [{"name": entry["name"], "group": None, "sources": entry["sources"]}],
        }
        for entry in description["classes"]
    ]
    return {**kept, "models": models}


def upgraded_tensors(tensors: dict[str, Tensor], version: int) -> dict[str, Tensor]:
    """Return the tensors of one model of format `version` under the names of format 2."""
    if version != 1:
        return tensors
    return {_renamed(name): tensor for name, tensor in tensors.items()}


def _renamed(name: str) -> str:
    for before, now in _RENAMED_IN_2.items():
        if name.startswith(before):
            return now + name[len(before) :]
    return name
