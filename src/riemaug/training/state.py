"""The resumable state of a training run, and its file."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from riemaug.atomic import atomic_path
from riemaug.errors import InvalidInputError
from riemaug.training.weights import changing_tensors

STATE_FORMAT = 2


@dataclass
class History:
    """What happened in training, one entry an epoch, and how it ended.

    Attributes
    ----------
    elbo, reconstruction : list of float
        Of the training data, mean over the samples, in nats.
    failed_steps : list of int
        Implicit leapfrog steps that did not converge.
    best_epoch : int
        Index of the epoch whose weights are kept: those before its update gave the best training ELBO, or
        those after it the best validation ELBO. -1 before the first that counts.
    best_elbo : float
        That best value of the monitored ELBO.
    rollbacks : int
        How often training diverged and went back.
    stop_reason : str
        Why it ended; empty while it runs.
    seconds : float
        Time spent, over all sessions.
    validation : list of float
        ELBO of the samples held out, one entry an epoch; empty without them. Of an epoch that cannot be the
        best it is that of the plain VAE, and may be not finite.
    rollback_epochs : list of int
        How many epochs were done at each rollback.
    start_elbo : float, optional
        ELBO of the first batch, before any step.
    """

    elbo: list[float] = field(default_factory=list)
    reconstruction: list[float] = field(default_factory=list)
    failed_steps: list[int] = field(default_factory=list)
    best_epoch: int = -1
    best_elbo: float = float("-inf")
    rollbacks: int = 0
    stop_reason: str = ""
    seconds: float = 0.0
    validation: list[float] = field(default_factory=list)
    rollback_epochs: list[int] = field(default_factory=list)
    start_elbo: float | None = None

    @property
    def num_epochs(self) -> int:
        """Number of epochs done."""
        return len(self.elbo)

    @property
    def epochs_since_best(self) -> int:
        """Number of epochs after the best one; all of them before there is one."""
        return self.num_epochs - 1 - self.best_epoch

    @property
    def epochs_without_gain(self) -> int:
        """Number of epochs after the best one, or after the last rollback if that came later."""
        return self.num_epochs - max([self.best_epoch + 1, *self.rollback_epochs[-1:]])

    def ends_below(self, floor: float, num_epochs: int) -> bool:
        """Return whether the last epochs, all after the last rollback, have a training ELBO below `floor`."""
        last = self.elbo[max([0, *self.rollback_epochs[-1:]]) :][-num_epochs:]
        return len(last) == num_epochs and max(last) < floor

    def is_worse_than_first(self, num_epochs: int, uncounted_epochs: int) -> bool:
        """Return whether the last epochs all have a smaller training ELBO than the first one that counts.

        Neither those that cannot be the best nor those before the last rollback count, and there must have
        been a better one.
        """
        since = max([uncounted_epochs, *self.rollback_epochs[-1:]])
        last = self.elbo[since:][-num_epochs:]
        if len(last) < num_epochs or self.best_epoch <= uncounted_epochs:
            return False
        return max(last) < self.elbo[uncounted_epochs]

    def to_dict(self) -> dict:
        """Return a JSON-safe mapping."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "History":
        """Return the history that `to_dict` described.

        None among the numbers of a list is NaN; as the best ELBO it says that there is none yet.
        """
        known = {name: value for name, value in values.items() if (name, value) != ("best_elbo", None)}
        return cls(**{name: _with_nan(value) for name, value in known.items()})


def _with_nan(value: object) -> Any:
    return [math.nan if item is None else item for item in value] if isinstance(value, list) else value


@dataclass
class TrainingState:
    """All that the loop carries from one epoch to the next.

    The noise of epoch e comes from the stream's block e, so no generator state is kept.

    Attributes
    ----------
    weights, best_weights, optimizer : dict of str to Tensor
    learning_rate : float
    history : History
    law : dict
        The settings that the weights depend on, `TrainingConfig.law`.
    loss_scale : dict
        Of float16, `Precision.state`.
    """

    weights: dict[str, Tensor]
    best_weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    learning_rate: float
    history: History
    law: dict = field(default_factory=dict)
    loss_scale: dict = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the state to a safetensors file, whole or not at all."""
        tensors = {f"weights.{k}": v for k, v in self.weights.items()}
        tensors |= {f"best.{k}": v for k, v in self.best_weights.items()}
        tensors |= {f"optimizer.{k}": v for k, v in self.optimizer.items()}
        header = {
            "format": STATE_FORMAT,
            "learning_rate": self.learning_rate,
            "history": self.history.to_dict(),
            "law": self.law,
            "loss_scale": self.loss_scale,
        }
        with atomic_path(path) as temporary:
            save_file(
                {k: v.contiguous() for k, v in tensors.items()}, temporary, {"riemaug": json.dumps(header)}
            )

    @classmethod
    def load(cls, path: Path) -> "TrainingState":
        """Read a state written by `save`; InvalidInputError if the file is damaged or of another format."""
        parts: dict[str, dict[str, Tensor]] = {"weights": {}, "best": {}, "optimizer": {}}
        try:
            with safe_open(path, "pt") as file:
                header = json.loads((file.metadata() or {})["riemaug"])
                for key in file.keys():  # noqa: SIM118
                    part, _, name = key.partition(".")
                    parts[part][name] = file.get_tensor(key)
            if header["format"] != STATE_FORMAT:
                raise ValueError(f"format {header['format']}, this riemaug reads {STATE_FORMAT}")
            return cls(
                parts["weights"],
                parts["best"],
                parts["optimizer"],
                float(header["learning_rate"]),
                History.from_dict(header["history"]),
                dict(header["law"]),
                dict(header["loss_scale"]),
            )
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise unusable_state(path, error) from error

    def check_fits(self, module: torch.nn.Module, law: dict, path: Path) -> None:
        """Raise InvalidInputError if this is no training of `module` under the settings `law`."""
        expected = {name: tensor.shape for name, tensor in changing_tensors(module).items()}
        for weights in (self.weights, self.best_weights):
            if {name: weight.shape for name, weight in weights.items()} != expected:
                raise unusable_state(path, "its weights are those of another model")
        for key, moment in self.optimizer.items():
            kind, _, name = key.partition(".")
            if name not in expected or moment.shape not in (expected[name], torch.Size([])):
                raise unusable_state(path, f"its optimizer state {kind!r} is that of another model")
        changed = sorted(name for name in law if self.law.get(name) != law[name])
        if changed:
            raise unusable_state(path, f"it was trained with another {', '.join(changed)}")


def unusable_state(path: Path, reason: object) -> InvalidInputError:
    """Return the error that tells why the training state in `path` cannot be used."""
    text = " ".join(str(reason).split()) or type(reason).__name__
    return InvalidInputError(
        f"a training state must be whole and of the same model, {path} is not ({text}); "
        "delete it to train anew"
    )
