"""Over which processes a batch is spread: here over none but this one."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from riemaug.models.base import LatentModel, Objective
from riemaug.training.batches import Samples


@runtime_checkable
class Processes(Protocol):
    """The processes that train one model together, each on some rows of every batch."""

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and tells of progress."""
        ...

    def objective(self, batch: Samples, generator: torch.Generator) -> Objective:
        """Return the objective of this process's rows of a batch."""
        ...

    def share(self, objective: Objective, batch: Samples) -> float:
        """Return the factor of the mean loss of this process's rows, so that the gradient is the batch's."""
        ...

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of `values` over the processes, the same in each."""
        ...


class OneProcess:
    """One process that trains alone.

    Parameters
    ----------
    model : LatentModel
    """

    is_first = True

    def __init__(self, model: LatentModel) -> None:
        self.model = model

    def objective(self, batch: Samples, generator: torch.Generator) -> Objective:
        """Return the objective of the batch."""
        return self.model.objective(batch.rows, generator, batch.condition)

    def share(self, objective: Objective, batch: Samples) -> float:
        """Return 1."""
        return 1.0

    def total(self, values: Tensor) -> Tensor:
        """Return the values themselves."""
        return values
