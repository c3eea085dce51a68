"""What a run gave: a classifier trained on one of the training sets with one seed, and tested."""

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from riemaug.errors import InvalidInputError
from riemaug.evaluation.scores import ClassificationScores
from riemaug.evaluation.set_names import TrainedOn


@dataclass(frozen=True, eq=False)
class Run:
    """What a run gave.

    Attributes
    ----------
    classifier : str
    trained_on : str
    seed : int
        Number of the run among those of the classifier on the training set, from 0.
    fold : int
        From 1; 0 where there are no folds.
    num_training : int
    scores : ClassificationScores
        On the test set.
    right : ndarray (n,) of bool
        Which test samples are given their class.
    epochs : int or None
        Of a network's training.
    seconds : float
    """

    classifier: str
    trained_on: TrainedOn
    seed: int
    fold: int
    num_training: int
    scores: ClassificationScores
    right: Bool[np.ndarray, " n"]
    epochs: int | None = None
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `right` as bits in base64, the first sample's the highest of a byte."""
        return {
            "classifier": self.classifier,
            "trained_on": self.trained_on,
            "seed": self.seed,
            "fold": self.fold,
            "num_training": self.num_training,
            "scores": self.scores.to_dict(),
            "num_test": len(self.right),
            "right": base64.b64encode(np.packbits(self.right).tobytes()).decode(),
            "epochs": self.epochs,
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Run":
        """Return the run that `to_dict` described; KeyError, TypeError or ValueError if it is none."""
        plain = {name: fields[name] for name in ("classifier", "trained_on", "seed", "fold", "num_training")}
        bits, num_test = np.frombuffer(base64.b64decode(fields["right"]), np.uint8), int(fields["num_test"])
        if not 0 <= num_test <= 8 * len(bits):
            raise ValueError(f"num_test is {num_test}")
        return cls(
            **plain,
            scores=ClassificationScores(**fields["scores"]),
            right=np.unpackbits(bits, count=num_test).astype(bool),
            epochs=fields["epochs"],
            seconds=fields["seconds"],
        )


def runs_of(results: list[dict[str, Any]]) -> tuple[Run, ...]:
    """Return the runs that some results describe.

    Raises
    ------
    InvalidInputError
        One describes none.
    """
    try:
        return tuple(Run.from_dict(fields) for fields in results)
    except (KeyError, TypeError, ValueError) as error:
        shown = json.dumps(results)[:200]
        raise InvalidInputError(
            f"results must be those of runs, they are not ({error}): {shown}: remove runs.jsonl"
        ) from None
