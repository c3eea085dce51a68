"""Products of two kernels: normals midway between pairs of centroids, chosen without an N x N table.

w_i w_j = exp(-|c_i - c_j|^2 / (2 T^2)) exp(-|z - (c_i + c_j) / 2|^2 / (T^2 / 2)), so the pair (i, j) is a
normal of variance T^2 / 4 with weight proportional to t_i t_j exp(-|c_i - c_j|^2 / (2 T^2)).
"""

import math
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemaug.geometry import KernelMetric
from riemaug.geometry.engine import CompiledPairOfSums, can_compile
from riemaug.geometry.neighbours import truncation_radius

LEFT_OUT = 1e-5
"""Neighbours that are left out weigh at most this share of a row."""

_ROWS_AT_ONCE = 256
_LEAST_NEIGHBOURS = 1000


@runtime_checkable
class PairTable(Protocol):
    """Rows of pair weights by first member."""

    def row_sums(self) -> Float[Tensor, " N"]:
        """Return the total weight of each row, (N,)."""
        ...

    def partners(self, first: Int[Tensor, " n"], uniform: Float[Tensor, " n"]) -> Int[Tensor, " n"]:
        """Return the second members, drawn by weight with the uniform numbers in [0, 1)."""
        ...


class DensePairs:
    """Pair weights (p_i . q_j) exp(-|c_i - c_j|^2 / (2 T^2)); all rows are looked at whole.

    Parameters
    ----------
    metric : KernelMetric
    left, right : Tensor (N, features)
        p and q. Only the symmetric part of p q^T matters.
    """

    def __init__(
        self, metric: KernelMetric, left: Float[Tensor, "N features"], right: Float[Tensor, "N features"]
    ) -> None:
        self.metric, self.left, self.right = metric, left, right

    def row_sums(self) -> Float[Tensor, " N"]:
        """Return the total weight of each row, (N,)."""
        everyone = torch.arange(self.metric.num_centroids, device=self.left.device)
        return torch.cat([self._rows(part).sum(-1) for part in everyone.split(_ROWS_AT_ONCE)])

    def partners(self, first: Int[Tensor, " n"], uniform: Float[Tensor, " n"]) -> Int[Tensor, " n"]:
        """Return the second members; see `PairTable`."""
        chosen = [first[:0]]
        for part, level in zip(first.split(_ROWS_AT_ONCE), uniform.split(_ROWS_AT_ONCE), strict=True):
            weights = self._rows(part).cumsum(-1)
            second = torch.searchsorted(weights, level[:, None] * weights[:, -1:], right=True)[:, 0]
            chosen.append(second.clamp_max(self.metric.num_centroids - 1))
        return torch.cat(chosen)

    def _rows(self, index: Int[Tensor, " n"]) -> Float[Tensor, "n N"]:
        metric = self.metric
        kernel = torch.exp(metric.squared_distances(metric.centroids[index]) * (-0.5 / metric.bandwidth**2))
        return ((self.left[index] @ self.right.T) * kernel).clamp_min(0.0)


class NeighbourPairs:
    """Pair weights t_i t_j exp(-|c_i - c_j|^2 / (2 T^2)) by compiled loops over the neighbours, d <= 3.

    Parameters
    ----------
    metric : KernelMetric, float64 on the CPU
    scales : Tensor (N,)
        The t_i >= 0.
    """

    def __init__(self, metric: KernelMetric, scales: Float[Tensor, " N"]) -> None:
        width, radius = math.sqrt(2.0) * metric.bandwidth, math.inf
        positive = scales[scales > 0]
        if metric.num_centroids > _LEAST_NEIGHBOURS and len(positive):
            share = LEFT_OUT * float(positive.min() / positive.max())
            radius = truncation_radius(metric.centroids.numpy(), width, 1.0, share)
        columns = torch.stack([scales, torch.zeros_like(scales)], 1)
        self._centroids, self._scales = metric.centroids, scales
        self._sums = CompiledPairOfSums(metric.centroids, columns, width, radius)
        self._totals = self._sums.sums(metric.centroids)[:, 0]

    def row_sums(self) -> Float[Tensor, " N"]:
        """Return the total weight of each row, (N,)."""
        return self._scales * self._totals

    def partners(self, first: Int[Tensor, " n"], uniform: Float[Tensor, " n"]) -> Int[Tensor, " n"]:
        """Return the second members; see `PairTable`."""
        return self._sums.choose(self._centroids[first], uniform * self._totals[first])


def pairs_of_traces(metric: KernelMetric, scales: Float[Tensor, " N"]) -> PairTable:
    """Return the pairs of u^2, u = sum_i t_i w_i with t = `scales`, by neighbours where that is possible."""
    if can_compile(metric.centroids):
        return NeighbourPairs(metric, scales)
    return DensePairs(metric, scales[:, None], scales[:, None])


def pairs_of_determinant(metric: KernelMetric) -> PairTable:
    """Return, for d = 2, the pairs of det sum_i w_i M_i: 1/2 (M11 M'22 + M22 M'11 - 2 M12 M'12)."""
    first, off, _, last = metric.kernels.unbind(1)
    return DensePairs(
        metric, torch.stack([first, last, off], 1), torch.stack([0.5 * last, 0.5 * first, -off], 1)
    )
