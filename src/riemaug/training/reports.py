"""What a training run tells while it goes on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochReport:
    """How an epoch went.

    Attributes
    ----------
    epoch : int
        Number of epochs done.
    elbo : float
        Of the training data, mean over the samples, in nats.
    best_elbo : float
        Best value of the monitored ELBO so far; -inf while the warm-up lasts.
    epochs_since_best : int
    seconds : float
        Since the beginning, over all sessions.
    reconstruction : float
        Mean of log p(x|z).
    failed_steps : int
        Implicit leapfrog steps that did not converge.
    validation_elbo : float or None
        Of the samples held out; None without them.
    learning_rate : float
    divergence_weight : float
        Below 1 during the warm-up.
    """

    epoch: int
    elbo: float
    best_elbo: float
    epochs_since_best: int
    seconds: float
    reconstruction: float = float("nan")
    failed_steps: int = 0
    validation_elbo: float | None = None
    learning_rate: float = float("nan")
    divergence_weight: float = 1.0

    def metrics(self) -> dict[str, float]:
        """Return the numbers that trackers plot, by name."""
        values = {
            "elbo": self.elbo,
            "reconstruction": self.reconstruction,
            "divergence": self.reconstruction - self.elbo,
            "divergence_weight": self.divergence_weight,
            "learning_rate": self.learning_rate,
            "failed_steps": float(self.failed_steps),
        }
        if self.validation_elbo is not None:
            values["validation_elbo"] = self.validation_elbo
        return values


@dataclass(frozen=True)
class RollbackReport:
    """Training diverged and goes on from its best weights.

    Attributes
    ----------
    epoch : int
        Number of epochs done.
    reason : str
    rollbacks : int
        How many there were, with this one.
    learning_rate : float
        That it goes on with.
    """

    epoch: int
    reason: str
    rollbacks: int
    learning_rate: float
