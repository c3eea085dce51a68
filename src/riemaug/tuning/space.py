"""What is searched: named constants with their ranges, and how a choice becomes a configuration."""

from dataclasses import dataclass
from typing import Any, TypeVar

from riemaug.errors import InvalidInputError
from riemaug.models.config import ModelConfig
from riemaug.training.config import TrainingConfig

_Config = TypeVar("_Config", ModelConfig, TrainingConfig)

Choice = dict[str, float | int]
"""A value for each searched constant."""


@dataclass(frozen=True)
class Range:
    """Values from `low` to `high`, spread evenly on a logarithmic scale; whole numbers if `is_whole`."""

    low: float | int
    high: float | int
    is_whole: bool = False

    def __contains__(self, value: object) -> bool:
        """Return whether a value is of the range."""
        return isinstance(value, int | float) and self.low <= value <= self.high


LATENT_DIM = "latent_dim"
LEARNING_RATE = "learning_rate"
LARGEST_LATENT_DIM = 16
"""Beyond, a step of an RHVAE costs many times more."""
LEARNING_RATE_FACTOR = 3.0
"""So much the learning rate may rise or fall: far smaller ones take many times the epochs."""

_METRIC = {
    "bandwidth_factor": Range(0.4, 2.5),
    "regularization": Range(1e-5, 1e-1),
}
_FLOW = {
    "num_leapfrog_steps": Range(1, 5, is_whole=True),
    "leapfrog_step_size": Range(1e-3, 3e-2),
}


@dataclass(frozen=True)
class SearchSpace:
    """Constants of the model and of its training, each with its range.

    Attributes
    ----------
    model, training : dict of str to Range
        By the names of the fields of `ModelConfig` and `TrainingConfig`.
    """

    model: dict[str, Range]
    training: dict[str, Range]

    @classmethod
    def of(
        cls,
        model: ModelConfig,
        training: TrainingConfig,
        num_samples: int,
        fixed: frozenset[str] = frozenset(),
    ) -> "SearchSpace":
        """Return the space of a kind of model.

        The likelihood is not searched: values of unlike laws cannot be compared (a Bernoulli law gives
        probabilities, a Gaussian one densities).

        Parameters
        ----------
        model, training : ModelConfig, TrainingConfig
            What the search begins from.
        num_samples : int
            Samples that one model is trained on.
        fixed : frozenset of str
            Constants the user gave; a given bandwidth fixes its factor too.

        Raises
        ------
        InvalidInputError
            Nothing is left to search, or the networks are the user's own.
        """
        if model.network == "custom":
            raise InvalidInputError(
                "--tune needs networks that riemaug builds, these are the user's own; leave --tune out"
            )
        largest = min(LARGEST_LATENT_DIM, model.data_dim, max(2, num_samples - 1))
        searched = {LATENT_DIM: Range(min(2, model.data_dim), largest, is_whole=True)}
        if model.kind == "rhvae":
            searched |= _METRIC
        if model.is_flow:
            searched |= _FLOW
        if model.kind == "vamp":
            searched["num_pseudo_inputs"] = Range(2, max(2, min(50, num_samples)), is_whole=True)
        searched = {name: values for name, values in searched.items() if name not in fixed}
        rate, factor = training.learning_rate, LEARNING_RATE_FACTOR
        trained = {LEARNING_RATE: Range(rate / factor, rate * factor)}
        trained = {name: values for name, values in trained.items() if name not in fixed}
        if not searched and not trained:
            raise InvalidInputError(
                "--tune searches what is not given, nothing is left to search; leave --tune or an option out"
            )
        return cls(searched, trained)

    def ranges(self) -> dict[str, Range]:
        """Return all ranges, those of the model first."""
        return self.model | self.training

    def apply(
        self, choice: Choice, model: ModelConfig, training: TrainingConfig
    ) -> tuple[ModelConfig, TrainingConfig]:
        """Return both configurations with the chosen values."""
        return _updated(model, choice, self.model), _updated(training, choice, self.training)

    def present(self, model: ModelConfig, training: TrainingConfig) -> Choice | None:
        """Return the values that configurations have now, None if one is outside its range."""
        values: dict[str, Any] = {name: getattr(model, name) for name in self.model}
        values |= {name: getattr(training, name) for name in self.training}
        fits = all(values[name] in span for name, span in self.ranges().items())
        return values if fits else None


def _updated(config: _Config, choice: Choice, names: dict[str, Range]) -> _Config:
    """Return a configuration with the chosen values, checked."""
    chosen = {name: choice[name] for name in names if name in choice}
    return type(config).model_validate(config.model_dump() | chosen)
