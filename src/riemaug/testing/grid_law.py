"""pi^b on S by brute force: a midpoint rule on a grid, in one or two dimensions."""

import math

import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.geometry import Metric, Support

_CELLS = {1: 20000, 2: 600}
_POINTS_AT_ONCE = 8192


class GridLaw:
    """The law pi^b restricted to S, integrated over the bounding box of S.

    Cells of a side of 1/20,000 (d = 1) or 1/600 (d = 2) of the box count wholly or not at all, by their
    centre; beside the error of a few thousand draws that is small unless the law ends abruptly.

    Parameters
    ----------
    metric : Metric
        float64, of dimension 1 or 2.
    support : Support
    inverse_temperature : float
        b.

    Attributes
    ----------
    mean_log_density : float
        E[log pi] under pi^b.
    log_normalizer : float
        Log of the integral of pi^b over S.

    Raises
    ------
    InvalidInputError
        A metric of more than two dimensions, or a density that is not finite in S.
    """

    def __init__(self, metric: Metric, support: Support, inverse_temperature: float = 1.0) -> None:
        if metric.dim not in _CELLS:
            raise InvalidInputError(f"a grid needs a metric of 1 or 2 dimensions, got {metric.dim}")
        num = _CELLS[metric.dim]
        lower, upper = support.bounding_box()
        shares = (torch.arange(num, dtype=torch.float64, device=lower.device) + 0.5) / num
        axes = [low + (high - low) * shares for low, high in zip(lower, upper, strict=True)]
        points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)
        parts = points.split(_POINTS_AT_ONCE)
        inside = torch.cat([support.contains(part) for part in parts])
        log_density = torch.cat([metric.log_density(part).detach() for part in parts])
        if not bool(log_density[inside].isfinite().all()):
            raise InvalidInputError(f"the log density of a {type(metric).__name__} is not finite all over S")
        scaled = torch.where(inside, inverse_temperature * log_density, -torch.inf)
        probability = scaled.softmax(0)
        self.mean_log_density = float((probability * torch.where(inside, log_density, 0.0)).sum())
        cell = support.log_box_volume() - metric.dim * math.log(num)
        self.log_normalizer = float(torch.logsumexp(scaled, 0)) + cell
        marginal = probability.reshape(num, -1).sum(1)
        self._cumulative = torch.cat([marginal.new_zeros(1), marginal.cumsum(0)])
        self._lower, self._width = lower[0], (upper - lower)[0] / num

    def first_coordinate_cdf(self, values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return the share of the law's mass below each value of the first coordinate, (n,)."""
        num = len(self._cumulative) - 1
        position = ((values - self._lower) / self._width).clamp(0.0, num)
        index = position.floor().clamp_max(num - 1).long()
        return torch.lerp(self._cumulative[index], self._cumulative[index + 1], position - index)

    def first_coordinate_pvalue(self, points: Float[Tensor, "n dim"]) -> float:
        """Return the Kolmogorov-Smirnov p-value that independent points have this law."""
        return float(stats.kstest(self.first_coordinate_cdf(points[:, 0]).cpu().numpy(), "uniform").pvalue)
