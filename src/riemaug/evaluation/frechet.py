"""The Fréchet distance between Gaussians fitted to two sets of features (FID in Inception features).

Heusel et al., GANs trained by a two time-scale update rule converge to a local Nash equilibrium,
NeurIPS 2017.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from riemaug.evaluation.pairwise import centred_pair, check_pair

LEAST_SAMPLES = 2048
"""Below this number in either set the result carries a note."""


@dataclass(frozen=True)
class FrechetDistance:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), and what is to be said about it.

    Attributes
    ----------
    value : float
        0 or more.
    note : str
        A warning where the sets are small, else empty.
    """

    value: float
    note: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def frechet_distance(real: Float[np.ndarray, "n D"], synthetic: Float[np.ndarray, "m _"]) -> FrechetDistance:
    """Return the squared Fréchet (2-Wasserstein) distance between the fitted Gaussians.

    With S = R^T R / (n - 1), R the triangular factor of the centred rows, tr (S1 S2)^(1/2) is the nuclear
    norm of R1 R2^T: no root of a product that rounding has made indefinite, and no D x D matrix
    where there are fewer samples than features.

    Raises
    ------
    InvalidInputError
        Fewer than 2 samples, other widths, values that are not finite.
    """
    check_pair(real, synthetic, 2, "the Fréchet distance")
    real, synthetic = centred_pair(real, synthetic)
    real_mean, synthetic_mean = real.mean(0), synthetic.mean(0)
    first, second = _factor(real - real_mean), _factor(synthetic - synthetic_mean)
    shift = np.square(real_mean - synthetic_mean).sum()
    overlap = np.linalg.svd(first @ second.T, compute_uv=False).sum()
    value = shift + np.square(first).sum() + np.square(second).sum() - 2.0 * overlap
    return FrechetDistance(max(0.0, float(value)), _note(len(real), len(synthetic), real.shape[1]))


def _factor(centred: Float64[np.ndarray, "n D"]) -> Float64[np.ndarray, "r D"]:
    """Return R with R^T R the covariance."""
    return np.linalg.qr(centred, mode="r") / np.sqrt(len(centred) - 1)


def _note(num_real: int, num_synthetic: int, width: int) -> str:
    if min(num_real, num_synthetic) >= LEAST_SAMPLES:
        return ""
    return (
        f"The Fréchet distance of {num_real} real and {num_synthetic} synthetic samples on {width} features: "
        f"with fewer than {LEAST_SAMPLES} it is too large, the more so the fewer. Compare it only between "
        "sets of one size, and prefer KID."
    )
