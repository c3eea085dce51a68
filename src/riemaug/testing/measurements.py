"""How the checks measure and what they say: an invariant holds if each of its measurements is small."""

import copy
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy
import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.geometry import KernelMetric, Metric
from riemaug.samplers.base import in_double

Probe = TypeVar("Probe")

DIFFERENCE_STEP = 1e-5


@dataclass(frozen=True)
class Measurement:
    """One number that must be at most `tolerance` (0 where `error` counts violations); NaN is too large."""

    what: str
    error: float
    tolerance: float = 0.0


Measurements = Iterator[Measurement]


def verify(invariants: Mapping[str, Callable[[Probe], Iterable[Measurement]]], probe: Probe) -> None:
    """Measure each invariant on the probe.

    Raises
    ------
    AssertionError
        The first measurement above its tolerance, or any other exception, under the invariant's name.
    """
    for name, measure in invariants.items():
        try:
            large = next((found for found in measure(probe) if not found.error <= found.tolerance), None)
        except Exception as error:
            line = (str(error).splitlines() or [""])[0]
            raise AssertionError(f"{name}: it raised {type(error).__name__}: {line}") from error
        if large is not None:
            raise AssertionError(
                f"{name}: {large.what} (error {large.error:.3g}, tolerance {large.tolerance:.3g})"
            )


def relative_gap(actual: Tensor, expected: Tensor, floor: Tensor | None = None) -> float:
    """Return the largest gap of any row, relative to that row's largest expected entry.

    A millionth of the largest row's, or of `floor` (one number a row), is added to what rows are
    measured against, so that rounding beside a vanishing entry does not count.
    """
    if actual.shape != expected.shape:
        return float("inf")
    if expected.numel() == 0:
        return 0.0
    gap, size = row_size(actual - expected), row_size(expected)
    scale = size + 1e-6 * (size.max() if floor is None else size.max() + floor)
    return float(torch.where(gap == 0, 0.0, gap / scale).max())


def row_size(value: Tensor) -> Float[Tensor, " n"]:
    """Return the largest absolute entry of each row, (n,)."""
    return value.detach().reshape(len(value), -1).abs().amax(1)


def absolute_gap(actual: Tensor, expected: Tensor) -> float:
    """Return the largest absolute difference; infinite if the shapes differ."""
    if actual.shape != expected.shape:
        return float("inf")
    return float((actual - expected).abs().max()) if expected.numel() else 0.0


def count_not_finite(value: Tensor) -> float:
    """Return the number of entries that are NaN or infinite."""
    return float((~value.isfinite()).sum())


def row_derivative(
    function: Callable[[Tensor], Tensor], points: Float[Tensor, "n dim"]
) -> Float[Tensor, "n *out dim"] | None:
    """Return the derivative of row i of the function's value in row i of the points, by autograd.

    None where the value carries no graph: it is constant, or made of what autograd cannot follow.
    """
    position = points.detach().clone().requires_grad_()
    with torch.enable_grad():
        value = function(position)
    if not value.requires_grad:
        return None
    columns = []
    for entries in value.reshape(len(points), -1).unbind(1):
        (slope,) = torch.autograd.grad(entries.sum(), position, retain_graph=True, allow_unused=True)
        columns.append(torch.zeros_like(position) if slope is None else slope)
    return torch.stack(columns, 1).reshape(*value.shape, points.shape[1])


def row_differences(
    function: Callable[[Tensor], Tensor], points: Float[Tensor, "n dim"]
) -> Float[Tensor, "n *out dim"]:
    """Return the same derivative by central differences of step `DIFFERENCE_STEP`."""
    shifts = DIFFERENCE_STEP * torch.eye(points.shape[1], dtype=points.dtype, device=points.device)
    with torch.no_grad():
        slopes = [
            (function(points + shift) - function(points - shift)) / (2 * DIFFERENCE_STEP) for shift in shifts
        ]
    return torch.stack(slopes, -1)


def batches(rows: Float[Tensor, "n dim"]) -> dict[str, Tensor]:
    """Return the rows under several batch dimensions, all but the last with every row."""
    return {
        "one point without batch dimension": rows[0],
        "one row of many": rows[None],
        "a column": rows[:, None],
        "an empty batch": rows[:0],
    }


class GlobalRandomness:
    """Tells whether a piece of code touched the global generator of NumPy or PyTorch.

    A context: within it the generators are in a state that no other code would seed them with, and
    afterwards they are put back as they were. `touched` counts those that had moved. Python's own
    generator is not watched: run-time type checkers draw from it.
    """

    _SEED = 1_836_311_903

    def __enter__(self) -> "GlobalRandomness":
        self.touched = 0
        self._numpy, self._torch = numpy.random.get_state(), torch.get_rng_state()  # noqa: NPY002
        numpy.random.seed(self._SEED)  # noqa: NPY002 - the global one is what is watched
        torch.default_generator.manual_seed(self._SEED)
        self._watched = _global_states()
        return self

    def __exit__(self, *_: object) -> None:
        now = _global_states()
        self.touched = sum(then != value for then, value in zip(self._watched, now, strict=True))
        numpy.random.set_state(self._numpy)  # noqa: NPY002
        torch.set_rng_state(self._torch)


def _global_states() -> tuple[str, list[int]]:
    """Return the states of the global generators of NumPy and PyTorch as plain values."""
    with numpy.printoptions(threshold=sys.maxsize):
        return str(numpy.random.get_state()), torch.get_rng_state().tolist()  # noqa: NPY002


def double_copy(metric: Metric) -> Metric:
    """Return a copy of the metric in float64; the original is left as it is."""
    # a kernel metric is made anew: what it derives from its tensors is then float64 throughout
    return in_double(metric) if type(metric) is KernelMetric else copy.deepcopy(metric).double()
