"""A model of one weight whose objective follows a script, to test the training loop alone."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from riemaug.models import Condition, LatentModel, ModelConfig, Objective

Script = Callable[[int], float]


class ScriptedModel(LatentModel):
    """Its n-th objective is `script(n)` whatever the weights; its gradient is `slope` for every weight.

    Counts its calls, and remembers the batches and the first weight of the encoder at each call.
    """

    def __init__(self, script: Script, slope: float = 1e-3) -> None:
        super().__init__(ModelConfig(kind="vae", data_dim=3, encoder_hidden=(2,), decoder_hidden=(2,)), 0)
        self.script, self.slope = script, slope
        self.batches: list[Tensor] = []
        self.conditions: list[Condition | None] = []
        self.seen: list[float] = []

    @property
    def calls(self) -> int:
        return len(self.batches)

    def first_weight(self) -> float:
        return float(self.encoder.mean.bias.detach()[0])

    def objective(
        self, data: Tensor, generator: torch.Generator, condition: Condition | None = None
    ) -> Objective:
        value = self.script(self.calls)
        self.batches.append(data)
        self.conditions.append(condition)
        self.seen.append(self.first_weight())
        total = torch.stack([weight.sum() for weight in self.parameters()]).sum()
        elbo = (value + self.slope * (total - total.detach())).expand(len(data))
        return Objective(elbo - 1.0, torch.full_like(elbo, -1.0), failed_steps=2)

    def log_evidence_estimate(
        self, data: Tensor, generator: torch.Generator, condition: Condition | None = None
    ) -> Tensor:
        return torch.zeros(len(data))


def from_list(values: Sequence[float]) -> Script:
    """Return the script that says `values` one by one and then repeats the last."""
    return lambda call: values[min(call, len(values) - 1)]
