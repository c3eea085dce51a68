"""What a user chooses: the generator (preset, model, its constants), the sampler, the amount."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from riemaug.models.config import ModelConfig, ModelKind, paper_model
from riemaug.training.config import TrainingConfig, paper_training

SamplerName = Literal["mixture", "walk", "walk-paper", "walk-paper-code", "hmc", "prior"]
GEOMETRIC_SAMPLERS = ("mixture", "walk", "walk-paper", "walk-paper-code", "hmc")
TEMPERED_SAMPLERS = ("mixture", "walk", "hmc")
"""Those whose law is pi^b for any b."""


class GeneratorConfig(BaseModel):
    """How one model a class is built and trained; what is None is the preset's.

    Attributes
    ----------
    preset : "paper"
        One perceptron model a class, d = 2: networks and constants of the paper's Tables 4 and 5.
    model : "rhvae" or "vae"
    latent_dim, bandwidth, regularization, likelihood, max_epochs
        Override the preset. A likelihood of None is Bernoulli for arrays of two or more axes a sample
        (images, volumes) and Gaussian for tables.
    seed : int
        Seed of weights, noise and draws.
    device : str
        "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:1".
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    preset: Literal["paper"] = "paper"
    model: ModelKind = "rhvae"
    latent_dim: int | None = Field(default=None, ge=1, le=512)
    bandwidth: float | None = Field(default=None, gt=0)
    regularization: float | None = Field(default=None, gt=0, le=1)
    likelihood: Literal["bernoulli", "gaussian"] | None = None
    max_epochs: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)
    device: str = "auto"

    def model_for(self, data_dim: int, is_table: bool) -> ModelConfig:
        """Return the model of one class for samples of `data_dim` features."""
        chosen = {
            "latent_dim": self.latent_dim,
            "bandwidth": self.bandwidth,
            "regularization": self.regularization,
            "likelihood": self.likelihood or ("gaussian" if is_table else None),
        }
        preset = paper_model(data_dim, self.model)
        return preset.model_copy(update={k: v for k, v in chosen.items() if v is not None})

    def training_for(self, data_dim: int) -> TrainingConfig:
        """Return how a model for samples of `data_dim` features is trained."""
        preset = paper_training(data_dim)
        return (
            preset if self.max_epochs is None else preset.model_copy(update={"max_epochs": self.max_epochs})
        )


class SamplingConfig(BaseModel):
    """Which law new latent points are drawn from.

    Attributes
    ----------
    sampler : str, optional
        "mixture" (default for an RHVAE), "walk", "hmc", "prior" (default for a VAE), or, for comparison,
        "walk-paper" and "walk-paper-code".
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
        from riemaug.errors import InvalidInputError

        name = self.sampler_for(model)
        if model == "vae" and name in GEOMETRIC_SAMPLERS:
            raise InvalidInputError(
                f"sampler {name} needs a learned metric, a plain VAE has none; "
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
