"""The exponential law on [0, 1], density proportional to exp(a x): its normaliser and mean, any a.

Both are even or odd functions of a beside a line, and 0/0 at a = 0: a power series stands in there.
"""

import torch
from jaxtyping import Float
from torch import Tensor

SERIES_BELOW = 1.0
"""Up to this |a| by the series: beyond, the closed form loses no more than a few units of rounding."""
# B_2k / (2k)! for k = 1, 2, ...: coth(a/2)/2 - 1/a = sum_k B_2k a^(2k-1) / (2k)!, for |a| < 2 pi
_COEFFICIENTS = (
    1 / 12,
    -1 / 720,
    1 / 30240,
    -1 / 1209600,
    1 / 47900160,
    -691 / 1307674368000,
    1 / 74724249600,
    -3617 / 10670622842880000,
    43867 / 5109094217170944000,
    -174611 / 802857662698291200000,
)


def log_normalizer(logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return log of the integral of exp(a x) over [0, 1], that is log((exp a - 1) / a)."""
    small, size = _branches(logits)
    square = small * small
    series = torch.zeros_like(small)
    for k in range(len(_COEFFICIENTS), 0, -1):
        series = square * (series + _COEFFICIENTS[k - 1] / (2 * k))
    closed = 0.5 * size + torch.log1p(-torch.exp(-size)) - torch.log(size)
    return 0.5 * logits + torch.where(logits.abs() < SERIES_BELOW, series, closed)


def truncated_mean(logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the mean, 1 / (1 - exp(-a)) - 1 / a, the derivative of `log_normalizer`."""
    small, size = _branches(logits)
    square = small * small
    series = torch.zeros_like(small)
    for coefficient in reversed(_COEFFICIENTS):
        series = series * square + coefficient
    # 1 / expm1(size) would overflow, and leave a gradient of infinity times zero
    decayed = torch.exp(-size)
    closed = (0.5 + decayed / (1.0 - decayed) - 1.0 / size) * torch.sign(logits)
    return 0.5 + torch.where(logits.abs() < SERIES_BELOW, small * series, closed)


def _branches(logits: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Return a for the series and |a| for the closed form, each made harmless where the other is taken."""
    return logits.clamp(-SERIES_BELOW, SERIES_BELOW), logits.abs().clamp_min(SERIES_BELOW)
