"""What of an estimator is in its files and in the folder of a fit, and how it comes back."""

from typing import Any

import numpy as np
from jaxtyping import Shaped

from riemaug._version import __version__
from riemaug.class_model import Networks
from riemaug.config import GeneratorConfig, SamplingConfig
from riemaug.run.plan import Plan
from riemaug.serialization import FittedGenerators

GENERATOR_FIELDS = tuple(name for name in GeneratorConfig.model_fields if name != "seed")
"""The parameters that are the generators' own; their seed is the random state."""


def identity_of(plan: Plan) -> dict[str, Any]:
    """Return all that decides a fit, JSON-safe."""
    generator = plan.generator.model_dump(mode="json") | {"device": plan.device.split(":")[0]}
    return {
        "job": "Augmentor.fit",
        **generator,
        "data contents": plan.fingerprint,
        "riemaug version": __version__,
    }


def parameters_of(generators: FittedGenerators, networks: Networks) -> dict[str, Any]:
    """Return the parameters of the augmentor that fitted these generators.

    Parameters
    ----------
    generators : FittedGenerators
        As they were saved.
    networks : Networks
        The user's own, which files do not hold.
    """
    config, sampling = generators.config, generators.sampling or SamplingConfig()
    kept = {name: getattr(config, name) for name in GENERATOR_FIELDS}
    return {
        **kept,
        **vars(networks),
        "network": None if config.network == "custom" else config.network,
        "num_sides": generators.sample_format.num_sides or None,
        "sampler": sampling.sampler,
        "inverse_temperature": sampling.inverse_temperature,
        "random_state": config.seed,
    }


def labels_of(generators: FittedGenerators) -> Shaped[np.ndarray, " k"]:
    """Return the classes' labels as the user knows them."""
    values = generators.label_values
    return np.array(generators.class_names) if values is None else values
