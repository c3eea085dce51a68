"""How a model is trained."""

from pydantic import BaseModel, ConfigDict, Field

from riemaug.models.config import LARGE_DATA_DIM

SMALL_DATA_DIM = 400


class TrainingConfig(BaseModel):
    """The paper's training, with what it leaves open decided.

    Attributes
    ----------
    learning_rate : float
        Of Adam.
    max_epochs : int
        At most so many passes over the data.
    patience : int
        Stop when the training ELBO has not improved for so many epochs.
    batch_size : int
        Full batch up to this many samples, equal batches of at most this many above. While training
        an RHVAE the metric is the batch's own, so this is part of the model's law.
    max_gradient_norm : float
        Longer gradients are scaled down to this norm. Early in training a few samples' leapfrog steps
        are unstable and their gradients huge; without a bound some classes stop dozens of nats short.
    max_rollbacks : int
        How often a diverged run may go back to its best weights with half the learning rate.
    checkpoint_seconds : float
        Write the resumable state at least this often (when a path for it is given).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    learning_rate: float = Field(default=1e-3, gt=0)
    max_epochs: int = Field(default=10_000, ge=1)
    patience: int = Field(default=20, ge=1)
    batch_size: int = Field(default=200, ge=1)
    max_gradient_norm: float = Field(default=10.0, gt=0)
    max_rollbacks: int = Field(default=10, ge=0)
    checkpoint_seconds: float = Field(default=45.0, gt=0)


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
