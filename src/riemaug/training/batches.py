"""The samples of a training run with what is known of them: batches, and a part held out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.models.condition import Condition
from riemaug.random import Stream
from riemaug.training.holding_out import held_out_subjects


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows of data, the condition of each where the model takes one, and whose they are.

    Attributes
    ----------
    rows : Tensor (n, D)
        In [0, 1].
    condition : Condition of n samples, or None
    subjects : Tensor (n,), optional
        Equal numbers for samples of one subject; None if all are independent.
    """

    rows: Float[Tensor, "n D"]
    condition: Condition | None = None
    subjects: Int[Tensor, " n"] | None = None

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.rows)

    def take(self, index: Int[Tensor, " m"]) -> "Samples":
        """Return some of the samples."""
        condition = None if self.condition is None else self.condition[index]
        subjects = None if self.subjects is None else self.subjects[index.to(self.subjects.device)]
        return Samples(self.rows[index], condition, subjects)

    def groups(self) -> "list[Samples]":
        """Return the samples of each class apart; all together where there are no classes."""
        if self.condition is None:
            return [self]
        group = self.condition.group
        return [self.take(torch.nonzero(group == value)[:, 0]) for value in group.unique()]


@runtime_checkable
class Augmentation(Protocol):
    """Changes a batch before each step, for instance turns its images, and tells how in the condition."""

    def __call__(
        self, data: Tensor, condition: Condition | None, generator: torch.Generator
    ) -> tuple[Tensor, Condition | None]:
        """Return the new rows, as many as before, and their condition."""
        ...

    def untransformed(
        self, count: int, condition: Condition | None = None, device: torch.device | str = "cpu"
    ) -> Condition:
        """Return what the model is told of `count` samples that are not changed."""
        ...


def batches(samples: Samples, batch_size: int, generator: torch.Generator) -> "Iterator[Samples]":
    """Yield the whole data, or, above `batch_size`, a random split into equal batches of at most so many."""
    count = num_batches(len(samples), batch_size)
    if count == 1:
        yield samples
        return
    order = torch.randperm(len(samples), generator=generator, device=samples.rows.device)
    for part in order.tensor_split(count):
        yield samples.take(part)


def num_batches(num_samples: int, batch_size: int) -> int:
    """Return the number of batches of an epoch."""
    return -(-num_samples // batch_size)


def untransformed(samples: Samples, augmentation: Augmentation) -> Samples:
    """Return the samples with what a model trained with an augmentation is told of them as they are."""
    rows = samples.rows
    return Samples(rows, augmentation.untransformed(len(rows), samples.condition, rows.device))


def hold_out(samples: Samples, fraction: float, stream: Stream) -> tuple[Samples, Samples]:
    """Split off a share of each class at random; all samples of a subject go to the same part.

    Returns
    -------
    training, held_out : Samples
        Both in the order of the data.

    Raises
    ------
    InvalidInputError
        A part would be empty.
    """
    held = _held_out(samples, fraction, stream)
    if not held.any():
        whole = "" if samples.subjects is None else ", whose subjects stay whole,"
        raise InvalidInputError(
            f"validation needs samples to hold out, {fraction:g} of {len(samples)} in"
            f" {_num_classes(samples)} classes{whole} gives none; use monitor training or a larger"
            " validation_fraction"
        )
    device = samples.rows.device
    kept = torch.nonzero(~held)[:, 0].to(device)
    return samples.take(kept), samples.take(torch.nonzero(held)[:, 0].to(device))


def _held_out(samples: Samples, fraction: float, stream: Stream) -> Bool[Tensor, " n"]:
    group = torch.zeros(len(samples), dtype=torch.int64)
    if samples.condition is not None:
        group = samples.condition.group.cpu()
    if samples.subjects is not None:
        subjects = samples.subjects.cpu().numpy()
        return torch.from_numpy(held_out_subjects(group.numpy(), fraction, stream, subjects))
    # on the CPU, so that the split is the same on every device
    generator, held = stream.generator(), torch.zeros(len(samples), dtype=torch.bool)
    for value in group.unique():
        members = torch.nonzero(group == value)[:, 0]
        number = min(round(fraction * len(members)), len(members) - 1)
        held[members[torch.randperm(len(members), generator=generator)[:number]]] = True
    return held


def _num_classes(samples: Samples) -> int:
    return 1 if samples.condition is None else len(samples.condition.group.unique())
