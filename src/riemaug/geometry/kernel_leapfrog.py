"""The generalised leapfrog on kernel cometrics as differentiable operations, compiled; the CPU only."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from riemaug.geometry.engine import compiled_kernels, is_plain_array

LARGEST_DIM = 16
"""Above, products with tables of moments are the better way."""
MOST_KERNELS = 2000
"""Metrics of more kernels are looked at near the row alone, or by products."""
NEARNESS = 1e-6
"""A reverse step that ends so close, relative to the scale, has come back."""


def can_compile_leapfrog(centroids: Float[Tensor, "N dim"]) -> bool:
    """Return whether compiled code can take kernels of these centroids."""
    few = centroids.shape[1] <= LARGEST_DIM and len(centroids) <= MOST_KERNELS
    return few and is_plain_array(centroids, single=True) and compiled_kernels() is not None


@dataclass(frozen=True, eq=False)
class PackedKernels:
    """Kernels of one or several metrics side by side, and which of them each row of a batch sees.

    Attributes
    ----------
    centroids : Tensor (d, N), float64
    kernels : Tensor (d (d + 1) / 2, N), float64
        Entries (i, j <= i) of the M_i, row by row.
    first, last : ndarray (n,), int64
        Row p sees the kernels first[p] ... last[p] - 1.
    bandwidth, regularization : float
        T and lambda.
    """

    centroids: Float[Tensor, "dim N"]
    kernels: Float[Tensor, "entries N"]
    first: Int[np.ndarray, " n"]
    last: Int[np.ndarray, " n"]
    bandwidth: float
    regularization: float

    @cached_property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """`first`, `last`, and the tensors as arrays."""
        return self.first, self.last, self.centroids.detach().numpy(), self.kernels.detach().numpy()

    @cached_property
    def scratch(self) -> Any:
        """Arrays that the compiled code writes to on its way to the next position, and back."""
        from riemaug.geometry.compiled_adjoint import adjoint_scratch_of
        from riemaug.geometry.compiled_leapfrog import scratch_of

        sides = len(self.centroids), *self.kernels.shape
        return scratch_of(*sides), adjoint_scratch_of(*sides)

    @classmethod
    def of(
        cls,
        centroids: Float[Tensor, "N dim"],
        factors: Float[Tensor, "N dim dim"],
        bandwidth: float,
        regularization: float,
        num_rows: int,
        groups: tuple[Int[Tensor, " N"], Int[Tensor, " n"]] | None = None,
    ) -> "PackedKernels":
        """Return kernels of centroids and lower-triangular factors L_i, float64 on the CPU.

        Parameters
        ----------
        centroids : Tensor (N, d)
        factors : Tensor (N, d, d)
        bandwidth, regularization : float
        num_rows : int
            n.
        groups : (Tensor (N,), Tensor (n,)), optional
            The group of each kernel and of each row; by default all rows see all kernels.
        """
        count, dim = centroids.shape
        if groups is None:
            first, last = np.zeros(num_rows, np.int64), np.full(num_rows, count)
        else:
            order = groups[0].argsort(stable=True)
            centroids, factors = centroids[order], factors[order]
            of_kernels, of_rows = groups[0][order].numpy(), groups[1].numpy()
            first = np.searchsorted(of_kernels, of_rows, "left")
            last = np.searchsorted(of_kernels, of_rows, "right")
        lower = torch.tril_indices(dim, dim)
        entries = lower[0] * dim + lower[1]
        kernels = (factors @ factors.mT).flatten(1).T.index_select(0, entries)
        return cls(centroids.T.contiguous(), kernels, first, last, bandwidth, regularization)


@dataclass(frozen=True)
class Stage:
    """Which position of a path a row is at: how the momentum is scaled there, and whether it is an end.

    Attributes
    ----------
    step_size : float
    factor : float
        The momentum is multiplied by it at this position.
    is_start, is_end : bool
    tolerance : float
        Largest relative residual of the implicit equations.
    check_reversal : bool
        Whether a step also fails where it cannot be undone.
    max_iterations : int
    """

    step_size: float
    factor: float
    is_start: bool
    is_end: bool
    tolerance: float
    check_reversal: bool = False
    max_iterations: int = 30


@dataclass(frozen=True, eq=False)
class Advance:
    """What `advance` made of a batch.

    Attributes
    ----------
    position : Tensor (n, d)
        The next position; at the end the same one.
    carried : Tensor (n, d)
        The momentum on the way there; of a row whose step failed, and at the end, the momentum here.
    terms : Tensor (n,)
        -1/2 log det C(z) at the start, + 1/2 log det C(z) - 1/2 rho^T C(z) rho at the end.
    failed : ndarray (n,), bool
        Whether the step to the next position failed.
    """

    position: Float[Tensor, "n dim"]
    carried: Float[Tensor, "n dim"]
    terms: Float[Tensor, " n"]
    failed: Bool[np.ndarray, " n"]


class _Advance(torch.autograd.Function):
    """One visit of all rows, by `compiled_leapfrog.advance` and `compiled_adjoint.retreat`."""

    @staticmethod
    def forward(
        ctx: Any,
        position: Tensor,
        carried: Tensor,
        score: Tensor,
        centroids: Tensor,
        kernels: Tensor,
        packed: PackedKernels,
        stage: Stage,
        held: np.ndarray,
        failed: np.ndarray,
    ) -> tuple[Tensor, Tensor, Tensor]:
        from riemaug.geometry.compiled_leapfrog import advance

        (num, dim), entries = position.shape, len(kernels)
        given = [array.detach().contiguous().numpy() for array in (position, carried, score)]
        ground = packed.arrays
        moved, pushed, rho = (np.empty((num, dim)) for _ in range(3))
        terms = np.empty(num)
        memory = np.empty((num, entries)), np.empty((num, dim, entries)), np.empty((num, 2, dim, dim))
        advance(
            *given, held, *ground, packed.bandwidth**-2, packed.regularization, 0.5 * stage.step_size,
            stage.factor, stage.tolerance, stage.max_iterations,
            NEARNESS if stage.check_reversal else 0.0, stage.is_start, stage.is_end,
            moved, pushed, rho, terms, failed, *memory, *packed.scratch[0],
        )  # fmt: skip
        ctx.packed, ctx.stage = packed, stage
        ctx.arrays = given[:2], held, ground, (moved, pushed, rho, failed), memory
        return torch.from_numpy(moved), torch.from_numpy(pushed), torch.from_numpy(terms)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        from riemaug.geometry.compiled_adjoint import retreat

        given, held, ground, made, memory = ctx.arrays
        packed, stage = ctx.packed, ctx.stage
        bars = [gradient.contiguous().numpy() for gradient in grad_outputs]
        outs = [np.empty_like(given[0]) for _ in range(3)]
        outs += [np.zeros_like(array) for array in ground[2:]]
        retreat(
            *given, held, *ground, packed.bandwidth**-2, packed.regularization, 0.5 * stage.step_size,
            stage.factor, stage.is_start, stage.is_end, *made, *memory, *bars, *outs,
            *packed.scratch[1],
        )  # fmt: skip
        return *(torch.from_numpy(out) for out in outs), None, None, None, None


def advance(
    packed: PackedKernels,
    stage: Stage,
    position: Float[Tensor, "n dim"],
    carried: Float[Tensor, "n dim"],
    score: Float[Tensor, "n dim"],
    held: Bool[np.ndarray, " n"],
) -> Advance:
    """Finish the step that led to each position and begin the next one.

    Parameters
    ----------
    packed : PackedKernels
    stage : Stage
    position : Tensor (n, d), float64
    carried : Tensor (n, d), float64
        Standard normal noise at the start, of which the momentum is made; later that of the last `Advance`.
    score : Tensor (n, d), float64
        Gradient of log p(x|z) there.
    held : ndarray (n,), bool
        Rows whose last step failed.

    Returns
    -------
    Advance
        Differentiable in all tensors but the noise.
    """
    failed = np.zeros(len(position), np.bool_)
    outputs: Any = _Advance.apply(
        position, carried, score, packed.centroids, packed.kernels, packed, stage, held, failed
    )
    moved, pushed, terms = outputs
    return Advance(moved, pushed, terms, failed)
