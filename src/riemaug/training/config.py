"""How a model is trained."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from riemaug.models.config import LARGE_DATA_DIM

SMALL_DATA_DIM = 400
LAST_RATE = 0.02
"""What is left of the learning rate at the end, where it falls."""

Monitor = Literal["training", "validation"]
PrecisionName = Literal["float32", "bfloat16", "float16"]


class TrainingConfig(BaseModel):
    """The paper's training, with what it leaves open decided.

    Attributes
    ----------
    learning_rate : float
        Of Adam.
    max_epochs : int
        At most so many passes over the data.
    patience : int
        Stop when the monitored ELBO has not improved for so many epochs.
    batch_size : int
        Full batch up to this many samples, equal batches of at most this many above. While training
        an RHVAE the metric is the batch's own, so this is part of the model's law.
    max_gradient_norm : float
        Longer gradients are scaled down to this norm. Early in training a few samples' leapfrog steps
        are unstable and their gradients huge; the usual norm is some dozens, which must not be cut.
    max_rollbacks : int
        How often a diverged run may go back to its best weights with half the learning rate.
    checkpoint_seconds : float
        Write the resumable state at least this often (when a path for it is given).
    monitor : "training" or "validation"
        Whose ELBO decides when to stop and which weights are kept: that of the training data (the
        paper's rule) or that of samples held out of it.
    validation_fraction : float
        Share of each class that is held out for "validation"; the model never trains on it.
    validation_draws : int
        Evidence estimates for each held-out sample and epoch.
    warmup_epochs : int
        For so many epochs the weight of the divergence rises from 0 to 1; none of them is ever the best
        one. 0 for none.
    plain_share : float
        Share of `max_epochs`, at the beginning, in which a model with a flow is trained without it, as a
        plain VAE, at a fraction of the cost. None of these epochs is ever the best one.
    decay_share : float
        Share of `max_epochs`, at the end, over which the learning rate falls in a straight line to
        `LAST_RATE` of itself.
    precision : "float32", "bfloat16" or "float16"
        What the networks' products are computed in while training; weights stay float32, geometry and
        flow float64. "float16" needs CUDA and scales the loss.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    learning_rate: float = Field(default=1e-3, gt=0)
    max_epochs: int = Field(default=10_000, ge=1)
    patience: int = Field(default=20, ge=1)
    batch_size: int = Field(default=200, ge=1)
    max_gradient_norm: float = Field(default=100.0, gt=0)
    max_rollbacks: int = Field(default=10, ge=0)
    checkpoint_seconds: float = Field(default=45.0, gt=0)
    monitor: Monitor = "training"
    validation_fraction: float = Field(default=0.2, gt=0, lt=1)
    validation_draws: int = Field(default=4, ge=1)
    warmup_epochs: int = Field(default=0, ge=0)
    plain_share: float = Field(default=0.0, ge=0, lt=1)
    decay_share: float = Field(default=0.0, ge=0, le=1)
    precision: PrecisionName = "float32"

    @model_validator(mode="after")
    def _warmup_ends(self) -> "TrainingConfig":
        if self.warmup_epochs >= self.max_epochs:
            raise ValueError(
                f"warmup_epochs must be below max_epochs ({self.max_epochs}), got {self.warmup_epochs}"
            )
        return self

    def divergence_weight(self, epoch: int) -> float:
        """Return what the divergence counts in the loss of an epoch (from 0)."""
        return min(1.0, epoch / self.warmup_epochs) if self.warmup_epochs else 1.0

    @property
    def plain_epochs(self) -> int:
        """Number of epochs, at the beginning, without the flow."""
        return int(self.plain_share * self.max_epochs)

    @property
    def uncounted_epochs(self) -> int:
        """Number of epochs, at the beginning, that cannot be the best: their objective is another one."""
        return max(self.warmup_epochs, self.plain_epochs)

    def rate_factor(self, epoch: int) -> float:
        """Return what the learning rate of an epoch (from 0) is multiplied by."""
        if self.decay_share == 0:
            return 1.0
        left = (self.max_epochs - 1 - epoch) / max(1.0, self.decay_share * self.max_epochs)
        return LAST_RATE + (1.0 - LAST_RATE) * min(max(left, 0.0), 1.0)

    def law(self) -> dict:
        """Return the settings that weights trained so far depend on, JSON-safe.

        The others (when to stop, how often to save) may change when a training is resumed.
        """
        free = {"max_epochs", "patience", "max_rollbacks", "checkpoint_seconds"}
        if self.plain_share or self.decay_share:
            free.remove("max_epochs")
        return self.model_dump(mode="json", exclude=free)


def paper_training(data_dim: int) -> TrainingConfig:
    """Return the paper's settings (section 5.1, Appendix D) for data of `data_dim` features.

    Below `SMALL_DATA_DIM`, less than the paper has, patience is longer: so few features make an ELBO whose
    noise hides its growth over 20 epochs, and training would stop before the latent space is used.
    """
    if data_dim < SMALL_DATA_DIM:
        return TrainingConfig(patience=150)
    if data_dim < LARGE_DATA_DIM:
        return TrainingConfig()
    return TrainingConfig(learning_rate=1e-4, patience=50)
