"""Number and names of a table's columns, as scikit-learn's estimators remember them."""

from typing import Any

import numpy as np

from riemaug.data import SampleFormat
from riemaug.estimator_input import is_frame

FEATURES = ("n_features_in_", "feature_names_in_")
"""The attributes; of samples that are no tables there are none."""


def features_of(X: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the attributes of the samples that a model was fitted to.

    Parameters
    ----------
    X : array-like or DataFrame (n, ...)
    shape : tuple of int
        Of one sample as it is modelled.
    """
    if is_frame(X):
        return _of_columns(X.columns.tolist())
    return {"n_features_in_": shape[0]} if len(shape) == 1 else {}


def features_of_format(fmt: SampleFormat) -> dict[str, Any]:
    """Return the attributes of the samples that a saved model was fitted to."""
    if fmt.table is not None:
        return _of_columns(list(fmt.table.plan.names))
    return {"n_features_in_": fmt.shape[0]} if fmt.kind == "arrays" and len(fmt.shape) == 1 else {}


def _of_columns(names: list[Any]) -> dict[str, Any]:
    number = {"n_features_in_": len(names)}
    if not all(isinstance(name, str) for name in names):
        return number
    return number | {"feature_names_in_": np.array(names, dtype=object)}
