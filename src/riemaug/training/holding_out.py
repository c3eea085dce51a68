"""What is held out of a training: a share of each class, and no subject on both sides."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Int64
from torch import Tensor


@dataclass(eq=False)
class HoldOut:
    """Decides for one class after the other; a subject of several classes stays where it came first."""

    _held: set[Hashable] = field(default_factory=set)
    _kept: set[Hashable] = field(default_factory=set)

    def order(
        self, count: int, wanted: int, generator: torch.Generator, subjects: Sequence[Hashable] | None = None
    ) -> tuple[Int64[Tensor, " count"], int]:
        """Return the rows of a class in random order, and how many of them, the first ones, are held out.

        Parameters
        ----------
        count : int
            Rows of the class.
        wanted : int
            How many are to be held out, less than `count`. With subjects there may be fewer, as they stay
            whole; where the smallest subject has more, that one is. None where the class has one subject.
        generator : torch.Generator
        subjects : sequence of `count`, optional
            Whose each row is; None if all are independent.
        """
        if subjects is None:
            return torch.randperm(count, generator=generator), wanted
        rows: dict[Hashable, list[int]] = {}
        for row, subject in enumerate(subjects):
            rows.setdefault(subject, []).append(row)
        names = list(rows)
        mixed = [names[i] for i in torch.randperm(len(names), generator=generator).tolist()]
        held = self._chosen(rows, mixed, wanted)
        if len(held) == len(names):
            held = []  # all were held out for other classes: better one subject twice than no such samples
        self._held.update(held)
        self._kept.update(name for name in names if name not in held)
        first = [row for name in held for row in rows[name]]
        rest = [row for name in mixed if name not in held for row in rows[name]]
        return torch.tensor(first + rest, dtype=torch.int64), len(first)

    def _chosen(
        self, rows: dict[Hashable, list[int]], mixed: Sequence[Hashable], wanted: int
    ) -> list[Hashable]:
        held = [name for name in mixed if name in self._held]
        free = [name for name in mixed if name not in self._held and name not in self._kept]
        number = sum(len(rows[name]) for name in held)
        for name in free:
            if number + len(rows[name]) <= wanted:
                held.append(name)
                number += len(rows[name])
        if not held and free and wanted and len(rows) > 1:
            held = [min(free, key=lambda name: len(rows[name]))]
        return held
