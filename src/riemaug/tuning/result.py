"""What a search found, and whether it is better than what it began from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from riemaug.errors import TrainingError
from riemaug.models.config import ModelConfig
from riemaug.training.config import TrainingConfig
from riemaug.tuning.space import Choice, SearchSpace
from riemaug.tuning.store import Trial

LEAST_GAIN = 1.0
"""The best choice is taken if it gains more than so many standard errors: it is the best of many."""


@dataclass(frozen=True, eq=False)
class TuningResult:
    """The outcome of a search.

    Attributes
    ----------
    model, training : ModelConfig, TrainingConfig
        To be used: the best choice's, or the search's own start where none is better.
    best : Trial
        Of the complete trials the one with the largest likelihood.
    is_adopted : bool
        Whether its choice is in `model` and `training`.
    gain, standard_error : float
        Mean difference from the start over the held-out samples in nats, sample by sample, and its
        standard error; NaN where the start itself failed. Being of the best of many trials and of the
        samples it was chosen by, the gain is too hopeful.
    trials : tuple of Trial
    """

    model: ModelConfig
    training: TrainingConfig
    best: Trial
    is_adopted: bool
    gain: float
    standard_error: float
    trials: tuple[Trial, ...]

    @property
    def choice(self) -> Choice:
        """The constants that are to be used, as searched."""
        return self.best.choice if self.is_adopted else self.trials[0].choice

    def describe(self) -> str:
        """Return the outcome in a sentence."""
        start, count = self.trials[0], len(self.trials) - 1
        tried = (
            f"tuning tried {count} choice{'s' * (count != 1)} on {len(self.best.evidence)} held-out samples"
        )
        if self.best is start:
            return f"{tried}: none was better than the defaults ({start.value:.2f} nats a sample)"
        found = ", ".join(f"{name} {value:.3g}" for name, value in self.best.choice.items())
        if math.isnan(self.gain):
            return f"{tried}: took {found}, as training with the defaults failed"
        gain = f"{start.value:.2f} to {self.best.value:.2f} nats a sample (+{self.gain:.2f} +- "
        gain += f"{self.standard_error:.2f})"
        if self.is_adopted:
            return f"{tried}: from {gain} with {found}"
        return f"{tried}: kept the defaults, the best was within its error ({gain})"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe account with a row for each trial."""
        rows = [
            {
                "number": trial.number,
                **trial.choice,
                "state": trial.state,
                "nats": trial.value if math.isfinite(trial.value) else None,
                "seconds": trial.seconds,
            }
            for trial in self.trials
        ]
        return {
            "objective": "mean log-likelihood of held-out samples under the law of the new ones, in nats",
            "held_out_samples": len(self.best.evidence),
            "best": self.best.number,
            "adopted": self.is_adopted,
            "gain": None if math.isnan(self.gain) else self.gain,
            "standard_error": None if math.isnan(self.standard_error) else self.standard_error,
            "choice": self.choice,
            "trials": rows,
        }


def result_of(
    trials: Sequence[Trial], space: SearchSpace, model: ModelConfig, training: TrainingConfig
) -> TuningResult:
    """Return what the trials of a search say about it.

    Raises
    ------
    TrainingError
        No trial was completed.
    """
    complete = [trial for trial in trials if trial.state == "complete"]
    if not complete:
        raise TrainingError(
            f"tuning must complete a trial, the training of all {len(trials)} diverged; "
            "look for outliers in the data or leave --tune out"
        )
    best, start = max(complete, key=lambda trial: trial.value), trials[0]
    gain, error = math.nan, math.nan
    if start.state == "complete":
        gaps = np.subtract(best.evidence, start.evidence)
        gain = float(gaps.mean())
        error = float(gaps.std(ddof=1) / math.sqrt(len(gaps))) if len(gaps) > 1 else math.inf
    is_adopted = best is not start and (math.isnan(gain) or gain > LEAST_GAIN * error)
    if is_adopted:
        model, training = space.apply(best.choice, model, training)
    return TuningResult(model, training, best, is_adopted, gain, error, tuple(trials))
