"""The trials of a search and their file, from which a search that was stopped goes on."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from riemaug.atomic import atomic_write_text
from riemaug.errors import InvalidInputError
from riemaug.tuning.space import Choice

STORE_FORMAT = 1
TrialState = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Trial:
    """One choice and what came of it.

    Attributes
    ----------
    number : int
        0 is the configuration that the search began from.
    choice : dict
        Of trial 0 the values it had, empty where they are outside the space.
    state : "complete", "pruned" or "failed"
        Pruned: clearly worse than others after part of the fits. Failed: its training diverged.
    round_means : list of float
        Mean log-likelihood of the samples scored so far, after each round of fits.
    evidence : list of float
        Of each held-out sample, in nats; of those scored before pruning.
    seconds : float
    """

    number: int
    choice: Choice
    state: TrialState
    round_means: list[float]
    evidence: list[float]
    seconds: float

    @property
    def value(self) -> float:
        """Mean log-likelihood over the held-out samples; -inf of a failed trial."""
        return self.round_means[-1] if self.round_means else float("-inf")


class TrialStore:
    """Trials in one JSON file, written anew, whole, after each.

    Parameters
    ----------
    path : Path or None
        None keeps them in memory alone.
    key : dict
        All that decides the trials' outcome, JSON-safe: a file of another search is refused.
    """

    def __init__(self, path: Path | None, key: dict[str, Any]) -> None:
        self.path, self.key = path, key
        self.trials: list[Trial] = []
        if path is not None and path.exists():
            self.trials = self._load(path)

    def add(self, trial: Trial) -> None:
        """Keep a finished trial."""
        self.trials.append(trial)
        if self.path is not None:
            content = {
                "format": STORE_FORMAT,
                "key": self.key,
                "trials": [asdict(trial) for trial in self.trials],
            }
            atomic_write_text(self.path, json.dumps(content) + "\n")

    def _load(self, path: Path) -> list[Trial]:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != STORE_FORMAT:
                raise ValueError(f"format {content['format']}, this riemaug reads {STORE_FORMAT}")
            found, trials = content["key"], [Trial(**entry) for entry in content["trials"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidInputError(
                f"the trials of a search must be readable, {path} is not ({error}); delete it to search anew"
            ) from error
        if found != self.key:
            raise InvalidInputError(
                f"a search can only be continued with the same data and options, {path} holds another one's "
                "trials; delete it to search anew"
            )
        return trials
