"""What a user chooses: the generator (preset, model, its constants), the sampler, the amount."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from riemaug.errors import InvalidInputError
from riemaug.models.conditional import (
    channel_axis_of,
    conditional_model,
    conditional_training,
    sides_of,
)
from riemaug.models.config import (
    LEAST_BANDWIDTH,
    LEAST_REGULARIZATION,
    MOST_BANDWIDTH,
    LikelihoodName,
    ModelConfig,
    ModelKind,
    NetworkKind,
    conv_model,
    paper_model,
)
from riemaug.models.defaults import default_likelihood, default_regularization
from riemaug.training.augmentation import AugmentationConfig, patient, told_of
from riemaug.training.config import PrecisionName, TrainingConfig, paper_training

Config = TypeVar("Config", bound=BaseModel)
SamplerName = Literal["mixture", "walk", "walk-paper", "walk-paper-code", "hmc", "prior"]
GEOMETRIC_SAMPLERS = ("mixture", "walk", "walk-paper", "walk-paper-code", "hmc")
TEMPERED_SAMPLERS = ("mixture", "walk", "hmc")
"""Those whose law is pi^b for any b."""

Sharing = Literal["measured", "always", "never"]
LEAST_SHARED_SIDE = 16
"""Images and volumes with no shorter side are learned by the preset "conditional" unless told otherwise."""
_NETWORK_FIELDS = (
    "channel_axis",
    "conv_channels",
    "dense_decoder",
    "encoder_hidden",
    "decoder_hidden",
    "metric_hidden",
)


class GeneratorConfig(BaseModel):
    """How models are built and trained; what is None is the preset's.

    Attributes
    ----------
    preset : "auto", "paper" or "conditional"
        "auto": "conditional" for images and volumes of several classes, 16 or more along each side, else
        "paper".
        "paper": one perceptron model a class, d = 2: networks and constants of the paper's Tables 4 and 5.
        "conditional": one model of all classes, which is told the class; convolutions for images and
        volumes; the metric of a class is made of that class's samples alone.
    sharing : "measured", "always" or "never"
        Of "conditional": whether the classes share one model. "measured" rehearses both ways on a part of
        the data and keeps the one whose models explain the rest better; see `riemaug.run.sharing`.
    model : "rhvae", "hvae", "vae" or "vamp"
    network : "mlp" or "conv"; "custom" for networks that are given beside the configuration
    latent_dim, bandwidth, regularization, likelihood
        Override the preset. A likelihood of None is Bernoulli for arrays of two or more axes a sample
        (images, volumes) and Gaussian for tables, with "conditional" Bernoulli for tables of zeros and
        ones, too; see `riemaug.models.defaults`.
    max_epochs, learning_rate, patience, warmup_epochs, precision
        Override the preset; see `riemaug.training.TrainingConfig`.
    training_batch_size : int
        Samples in one step of training at most.
    validation_fraction : float
        Share of each class that is kept apart while training, to stop by; None stops by the training ELBO.
    augment_training : bool
        Transform images and volumes at random while training, told to the networks; see
        `riemaug.training.augmentation`.
    tune : int, optional
        Search the constants that are not given in so many trials; see `riemaug.tuning`.
    tune_time : float, optional
        Seconds after which no new trial begins.
    seed : int
        Seed of weights, noise and draws.
    device : str
        "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:1".
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    preset: Literal["auto", "paper", "conditional"] = "auto"
    sharing: Sharing = "measured"
    model: ModelKind = "rhvae"
    network: NetworkKind | None = None
    latent_dim: int | None = Field(default=None, ge=1, le=512)
    bandwidth: float | None = Field(default=None, ge=LEAST_BANDWIDTH, le=MOST_BANDWIDTH)
    regularization: float | None = Field(default=None, ge=LEAST_REGULARIZATION, le=1)
    likelihood: LikelihoodName | None = None
    max_epochs: int | None = Field(default=None, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)
    patience: int | None = Field(default=None, ge=1)
    training_batch_size: int | None = Field(default=None, ge=1)
    validation_fraction: float | None = Field(default=None, gt=0, lt=1)
    warmup_epochs: int | None = Field(default=None, ge=0)
    precision: PrecisionName | None = None
    augment_training: bool = False
    tune: int | None = Field(default=None, ge=1)
    tune_time: float | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0)
    device: str = "auto"

    @model_validator(mode="after")
    def _time_is_that_of_a_search(self) -> "GeneratorConfig":
        if self.tune_time is not None and self.tune is None:
            raise ValueError("--tune-time limits a search, there is none: give --tune N too")
        return self

    def model_for(
        self,
        shape: tuple[int, ...],
        class_sizes: tuple[int, ...],
        is_binary: bool = False,
        num_sides: int = 0,
    ) -> ModelConfig:
        """Return the model for samples of `shape`: of all classes, or of each one; see `shares`.

        Parameters
        ----------
        shape, class_sizes : tuple of int
        is_binary : bool
            No feature has more than two values.
        num_sides : int
            See `riemaug.models.conditional.channel_axis_of`.

        Raises
        ------
        InvalidInputError
            The choices do not go together, or not with the samples.
        """
        if self.preset == "auto":
            decided = self.resolved(shape, len(class_sizes), num_sides)
            return decided.model_for(shape, class_sizes, is_binary, num_sides)
        channel_axis = channel_axis_of(shape, num_sides)
        chosen = {
            "kind": self.model,
            "latent_dim": self.latent_dim,
            "bandwidth": self.bandwidth,
            "regularization": self.regularization,
            "likelihood": self.likelihood or self._likelihood_for(shape, is_binary),
        }
        with _in_one_line():
            preset = self._preset_model(shape, channel_axis, class_sizes)
            model = _with(preset, {**chosen, **self._network_of(preset, shape, channel_axis)})
        model = model.model_copy(update=self._adapted(model))
        if self.augmentation is None:
            return model
        return told_of(model, self.augmentation, shape, channel_axis)

    def training_for(
        self, shape: tuple[int, ...], class_sizes: tuple[int, ...], num_sides: int = 0
    ) -> TrainingConfig:
        """Return how the model of `model_for` is trained; of models of one class the largest class's."""
        if self.preset == "auto":
            decided = self.resolved(shape, len(class_sizes), num_sides)
            return decided.training_for(shape, class_sizes, num_sides)
        if self.preset == "conditional":
            shares = self.shares(len(class_sizes))
            sizes = class_sizes if shares else (max(class_sizes),)
            preset = conditional_training(shape, channel_axis_of(shape, num_sides), sizes)
        else:
            preset = paper_training(math.prod(shape))
        chosen = {
            "max_epochs": self.max_epochs,
            "learning_rate": self.learning_rate,
            "patience": self.patience,
            "batch_size": self.training_batch_size,
            "monitor": None if self.validation_fraction is None else "validation",
            "validation_fraction": self.validation_fraction,
            "warmup_epochs": self.warmup_epochs,
            "precision": self.precision,
        }
        if self.augmentation is not None:
            preset = patient(preset)
        with _in_one_line():
            return _with(preset, chosen)

    @property
    def augmentation(self) -> AugmentationConfig | None:
        """The random transforms of the training, None for none."""
        return AugmentationConfig() if self.augment_training else None

    def resolved(self, shape: tuple[int, ...], num_classes: int, num_sides: int = 0) -> "GeneratorConfig":
        """Return the same with "auto" decided for samples of a shape; see docs/models.md for why so."""
        if self.preset != "auto":
            return self
        sides = sides_of(shape, num_sides)
        suits = len(sides) in (2, 3) and min(sides) >= LEAST_SHARED_SIDE and num_classes > 1
        preset = "conditional" if suits and self.network in (None, "conv") else "paper"
        return self.model_copy(update={"preset": preset})

    def shares(self, num_classes: int) -> bool:
        """Return whether all classes are to share one model, as far as the choices alone decide it."""
        return self.preset == "conditional" and self.sharing != "never" and num_classes > 1

    def _adapted(self, model: ModelConfig) -> dict[str, Any]:
        """Return the constants of the metric that other choices bring with them."""
        changes: dict[str, Any] = {}
        if self.bandwidth is not None:
            changes["bandwidth_factor"] = None
        if self.regularization is None and self.preset != "paper":
            changes["regularization"] = default_regularization(model.latent_dim, model.regularization)
        return changes

    def _likelihood_for(self, shape: tuple[int, ...], is_binary: bool) -> LikelihoodName:
        if self.preset == "paper":
            return "gaussian" if len(shape) == 1 else "bernoulli"
        return default_likelihood(len(shape) == 1, is_binary)

    def _preset_model(
        self, shape: tuple[int, ...], channel_axis: int | None, class_sizes: tuple[int, ...]
    ) -> ModelConfig:
        if self.preset == "paper":
            return paper_model(math.prod(shape), self.model)
        sharing = len(class_sizes) if self.shares(len(class_sizes)) else 1
        return conditional_model(shape, channel_axis, sharing, class_sizes)

    def _network_of(
        self, preset: ModelConfig, shape: tuple[int, ...], channel_axis: int | None
    ) -> dict[str, Any]:
        """Return what a network other than the preset's changes."""
        if self.network is None or (self.network == preset.network and not preset.dense_decoder):
            return {}
        source = conv_model(shape, channel_axis) if self.network == "conv" else paper_model(math.prod(shape))
        return {name: getattr(source, name) for name in _NETWORK_FIELDS} | {
            "network": self.network,
            "data_shape": shape,
        }


def _with(preset: Config, chosen: dict[str, Any]) -> Config:
    """Return the preset with what was chosen; ValidationError if that cannot be."""
    given = {name: value for name, value in chosen.items() if value is not None}
    return preset.model_validate(preset.model_dump() | given)


@contextmanager
def _in_one_line() -> Iterator[None]:
    """Tell choices that do not go together, or not with the data, as one line."""
    try:
        yield
    except ValidationError as error:
        fault = error.errors()[0]
        where = "".join(f"{part}: " for part in fault["loc"])
        raise InvalidInputError(where + fault["msg"].removeprefix("Value error, ")) from None


class SamplingConfig(BaseModel):
    """Which law new latent points are drawn from.

    Attributes
    ----------
    sampler : str, optional
        "mixture" (default for an RHVAE), "walk", "hmc", "prior" (the model's own; default for the others),
        or, for comparison, "walk-paper" and "walk-paper-code".
    inverse_temperature : float
        b > 0: draws follow pi^b; 1 is the paper's Eq. 3, larger stays closer to the data.
    seed : int
        Seed of the draws.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sampler: SamplerName | None = None
    inverse_temperature: float = Field(default=1.0, gt=0)
    seed: int = Field(default=0, ge=0)

    def sampler_for(self, model: ModelKind) -> SamplerName:
        """Return the sampler's name for a kind of model."""
        return self.sampler or ("mixture" if model == "rhvae" else "prior")

    def check_against(self, model: ModelKind) -> None:
        """Raise InvalidInputError if the sampler needs a metric that is missing or is given a b it lacks."""
        name = self.sampler_for(model)
        if model != "rhvae" and name in GEOMETRIC_SAMPLERS:
            kind = "a plain VAE" if model == "vae" else f"model {model}"
            raise InvalidInputError(
                f"sampler {name} needs a learned metric, {kind} has none; "
                "choose --model rhvae or --sampler prior"
            )
        if name not in TEMPERED_SAMPLERS and self.inverse_temperature != 1.0:
            raise InvalidInputError(
                f"sampler {name} has no inverse temperature, got {self.inverse_temperature:g}; "
                "choose --sampler mixture, walk or hmc, or leave it at 1"
            )


class Amount(BaseModel):
    """How many new samples a class gets; exactly one of the three.

    Attributes
    ----------
    per_class : int, optional
        So many new ones for each class.
    factor : float, optional
        Real and new together are this many times the class's size.
    balance : bool
        Real and new together are as many as the largest class has.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    per_class: int | None = Field(default=None, ge=1)
    factor: float | None = Field(default=None, gt=1)
    balance: bool = False

    @model_validator(mode="after")
    def _exactly_one(self) -> "Amount":
        given = [self.per_class is not None, self.factor is not None, self.balance]
        if sum(given) > 1:
            raise ValueError("give one of --per-class, --factor and --balance, not several")
        return self

    def counts(self, class_sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the number of new samples of each class; without a choice, as many as there are."""
        if self.per_class is not None:
            return tuple(self.per_class for _ in class_sizes)
        if self.balance:
            return tuple(max(class_sizes) - size for size in class_sizes)
        factor = self.factor or 2.0
        return tuple(round(factor * size) - size for size in class_sizes)
