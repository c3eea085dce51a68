"""The labels of a user's arrays as JSON, and back."""

from typing import Any

import numpy as np

MAX_LABEL_BYTES = 2**16
"""Most bytes a label may take: the width of a text dtype is a number in a file of unknown origin."""


def labels_to_json(labels: np.ndarray) -> list[Any]:
    """Return the labels as JSON holds them."""
    # bytes are no JSON; each byte is one character of Latin-1
    return [value.decode("latin-1") if isinstance(value, bytes) else value for value in labels.tolist()]


def labels_from_json(values: list[Any], dtype_name: str) -> np.ndarray:
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
