"""Settings of the classifiers on OASIS: the paper's patience, and learning rates chosen once on `raw`."""

import json
from functools import cache
from importlib import resources
from typing import Any

from riemaug.errors import InvalidInputError

RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""The paper's candidates."""
PATIENCE = {"mlp": 20, "cnn": 20, "densenet": 10}
FILE = "oasis_learning_rates.json"


def oasis_training(classifier: str) -> dict[str, Any]:
    """Return the fields of `ClassifierTraining` that a classifier has on OASIS.

    The learning rate is the one with the best mean balanced accuracy on the validation part over five runs
    of `raw`, as `benchmarks/oasis_learning_rates.py` found it.

    Raises
    ------
    InvalidInputError
        The rate of a classifier was not searched.
    """
    if classifier not in _rates():
        raise InvalidInputError(
            f"on OASIS the learning rate is chosen first, that of {classifier} is not: run "
            f"benchmarks/oasis_learning_rates.py --classifiers {classifier}"
        )
    return {"patience": PATIENCE[classifier], "learning_rate": _rates()[classifier]}


@cache
def _rates() -> dict[str, float]:
    text = resources.files("riemaug.study").joinpath(FILE).read_text(encoding="utf-8")
    return {name: float(found["learning_rate"]) for name, found in json.loads(text)["classifiers"].items()}
