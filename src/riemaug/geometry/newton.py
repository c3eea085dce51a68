"""Newton's method on many small systems of equations at once, each of them on its own."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug import linalg
from riemaug._typing import Flag, Matrix, Point

Equation = Callable[..., tuple[Tensor, Tensor]]
"""Maps guesses (rows, n) and context (rows, ...) to residuals (rows, n) and Jacobians (rows, n, n)."""

NEWTON_GAIN = 0.9
"""A Newton step must shrink the residual to this share, or something else is tried in its place."""

FEW_ROWS = 256
"""Up to so many rows an iteration costs its number of operations: rows that are done may stay in."""


@dataclass(frozen=True)
class Root:
    """What Newton's method found.

    Attributes
    ----------
    value : Tensor (..., n)
        The root; the start point where none was found.
    solved : Tensor (...), bool
        Whether the residual is below the tolerance.
    slope : Tensor (..., n, n)
        The residual's Jacobian at the root; the identity where none was found.
    """

    value: Point
    solved: Flag
    slope: Matrix

    def corrected(self, residual: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the root as a differentiable function of what `residual` depends on, (..., n).

        One more Newton step whose Jacobian counts as a constant: its first derivatives, in forward and
        reverse mode, are those of the implicit function theorem. Without gradients the root itself.
        """
        if not torch.is_grad_enabled():
            return self.value
        gap = residual(self.value)
        solve = linalg.solve_constant if gap.requires_grad else linalg.solve_general
        return self.value - solve(self.slope, gap)


@dataclass(frozen=True)
class _Iterate:
    """Guesses with their residuals, Jacobians, and largest residual in units of what is allowed."""

    root: Float[Tensor, "rows n"]
    gap: Float[Tensor, "rows n"]
    slope: Float[Tensor, "rows n n"]
    error: Float[Tensor, " rows"]

    def take(self, rows: Tensor) -> "_Iterate":
        return _Iterate(self.root[rows], self.gap[rows], self.slope[rows], self.error[rows])

    def put(self, rows: Tensor, part: "_Iterate") -> "_Iterate":
        return _Iterate(
            self.root.index_copy(0, rows, part.root),
            self.gap.index_copy(0, rows, part.gap),
            self.slope.index_copy(0, rows, part.slope),
            self.error.index_copy(0, rows, part.error),
        )


@dataclass(frozen=True)
class RootSolver:
    """Newton's method; where its step does not shrink the residual, shorter ones, then x <- x - residual(x).

    No row depends on another one: a row that is solved stays as it is, one that is no longer finite is
    given up, and once half of many rows are done the others go on alone.

    Parameters
    ----------
    tolerance : float, optional
        Largest residual in units of `scale`; by default 1e-10 in float64 and 2e-6 in float32.
    max_iterations : int
    halvings : int
        How often a Newton step is halved before the plain step is taken; a row in which nothing shrinks
        the residual is then given up. With 0 the plain step is taken whatever it does: the equations of
        an implicit step are contractions, for which it is right.
    """

    tolerance: float | None = None
    max_iterations: int = 30
    halvings: int = 0

    @torch.no_grad()
    def find(
        self, equation: Equation, start: Point, context: Sequence[Tensor], scale: Point | None = None
    ) -> Root:
        """Return the roots near `start` as constants; see `Root.corrected` for their derivatives.

        Parameters
        ----------
        equation : Equation
        start : Tensor (..., n)
        context : sequence of Tensor (..., any)
            What else the equation of a row depends on; passed to `equation` after the guess.
        scale : Tensor (..., n), optional
            Size of each unknown; by default 1 + max |start|.
        """
        batch = start.shape[:-1]
        begin = _rows(start, batch)
        tensors = [_rows(tensor, batch) for tensor in context]
        size = 1.0 + begin.abs().amax(-1, keepdim=True) if scale is None else _rows(scale, batch)
        tolerance = default_tolerance(start) if self.tolerance is None else self.tolerance
        system = _System(equation, self.halvings, tensors, tolerance * size)
        found = system.iterate(system.evaluate(begin), self.max_iterations)
        solved = found.error <= 1.0
        root, slope = found.root, found.slope
        if not bool(solved.all()):
            identity = torch.eye(start.shape[-1], dtype=start.dtype, device=start.device)
            root = torch.where(solved[:, None], root, begin)
            slope = torch.where(solved[:, None, None], slope, identity)
        return Root(
            root.reshape(start.shape), solved.reshape(batch), slope.reshape(*start.shape, start.shape[-1])
        )


def default_tolerance(like: Tensor) -> float:
    """Return the relative residual that the precision of `like` allows for."""
    return 1e-10 if like.dtype == torch.float64 else 2e-6


def _rows(tensor: Tensor, batch: Sequence[int]) -> Tensor:
    plain = tensor.detach()
    return plain if len(batch) == 1 else plain.reshape(math.prod(batch), *tensor.shape[len(batch) :])


@dataclass(frozen=True)
class _System:
    """The equations of some rows: their context and the residuals that are allowed."""

    equation: Equation
    halvings: int
    context: Sequence[Tensor]
    allowed: Tensor

    def take(self, rows: Tensor) -> "_System":
        return _System(self.equation, self.halvings, [c[rows] for c in self.context], self.allowed[rows])

    def evaluate(self, guess: Tensor) -> _Iterate:
        gap, slope = self.equation(guess, *self.context)
        return _Iterate(guess, gap, slope, (gap.abs() / self.allowed).amax(-1))

    def iterate(self, now: _Iterate, budget: int) -> _Iterate:
        """Improve the rows that need it until none does or `budget` iterations are spent."""
        for left in range(budget, 0, -1):
            active = now.error > 1.0  # false for NaN: such a row is given up
            count = int(active.sum())
            if count == 0:
                break
            if 2 * count <= len(active) and len(active) > FEW_ROWS:
                rows = active.nonzero()[:, 0]
                return now.put(rows, self.take(rows).iterate(now.take(rows), left))
            now = self.advance(now, None if count == len(active) else active)
        return now

    def advance(self, now: _Iterate, active: Tensor | None) -> _Iterate:
        """Take one step in the active rows (None: in all)."""
        step = linalg.solve_general(now.slope, now.gap)
        if active is not None:
            step = torch.where(active[:, None], step, 0.0)
        guess = self.evaluate(now.root - step)
        is_worse = ~(guess.error <= NEWTON_GAIN * now.error)
        worse = (is_worse if active is None else is_worse & active).nonzero()[:, 0]
        if len(worse) == 0:
            return guess
        return guess.put(worse, self.take(worse).shorten(now.take(worse), step[worse], self.halvings))

    def shorten(self, now: _Iterate, step: Tensor, halvings: int) -> _Iterate:
        """Take the longest of the halved steps that shrinks the residual, or the plain step.

        With halvings, rows in which that is not shorter either are given up.
        """
        if halvings == 0:
            plain = self.evaluate(now.root - now.gap)
            if self.halvings == 0:
                return plain
            return replace(plain, error=torch.where(plain.error < now.error, plain.error, math.nan))
        guess = self.evaluate(now.root - 0.5 * step)
        worse = (~(guess.error < now.error)).nonzero()[:, 0]
        if len(worse) == 0:
            return guess
        shorter = self.take(worse).shorten(now.take(worse), 0.5 * step[worse], halvings - 1)
        return guess.put(worse, shorter)
