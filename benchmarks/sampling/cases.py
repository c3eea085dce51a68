"""The metrics that everything is measured on, and the file that carries them to other environments."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from riemaug.geometry import KernelMetric


@dataclass(frozen=True)
class Case:
    """A random anisotropic kernel metric and the setting of the walks on it.

    Attributes
    ----------
    dim : int
    bandwidth : float
        T.
    regularization : float
        lambda.
    num_centroids, num_chains : int
        N and B.
    num_integration_steps : int
        Sub-steps of each geodesic of the walk.
    walk_steps : int
        Steps after which the last state is one draw, in the paper's protocol.
    variance : float
        s^2 of the velocities N(0, s^2 I).
    reference_seconds : float
        What one step of the published form took where the reference was taken, one thread.
    """

    dim: int
    bandwidth: float
    reference_seconds: float
    regularization: float = 1e-3
    num_centroids: int = 120
    num_chains: int = 1000
    num_integration_steps: int = 10
    walk_steps: int = 200
    variance: float = 0.5

    @property
    def name(self) -> str:
        """The key of this case in the results."""
        return f"d={self.dim}"


REFERENCE_GEMM = 97e9
"""Float32 GEMM flops per second of the machine that `Case.reference_seconds` belongs to."""

CASES = (Case(2, 0.8, reference_seconds=0.300), Case(10, 1.5, reference_seconds=2.570))

_CENTROID_SPREAD = 1.2
_KERNEL_DET = 0.03


def random_metric(case: Case) -> KernelMetric:
    """Return the metric of a case, float64: normal centroids, anisotropic kernels of determinant 0.03."""
    generator = torch.Generator().manual_seed(1000 + case.dim)
    options = {"generator": generator, "dtype": torch.float64}
    count, dim = case.num_centroids, case.dim
    centroids = _CENTROID_SPREAD * torch.randn(count, dim, **options)
    diagonal = torch.exp(0.5 * torch.randn(count, dim, **options))
    below = torch.tril(0.5 * torch.randn(count, dim, dim, **options), -1)
    factors = below + torch.diag_embed(diagonal)
    scale = _KERNEL_DET ** (0.5 / dim) / diagonal.log().mean(-1).exp()
    return KernelMetric(centroids, scale[:, None, None] * factors, case.bandwidth, case.regularization)


def save_metric(metric: KernelMetric, path: Path) -> None:
    """Write the metric as an .npz file of plain arrays, float64."""
    np.savez(
        path,
        centroids=metric.centroids.numpy(),
        factors=metric.factors.numpy(),
        bandwidth=metric.bandwidth,
        regularization=metric.regularization,
    )


def load_metric(path: Path) -> KernelMetric:
    """Return the metric of an .npz file of `save_metric`."""
    with np.load(path, allow_pickle=False) as file:
        centroids, factors = (torch.from_numpy(file[name]) for name in ("centroids", "factors"))
        return KernelMetric(centroids, factors, float(file["bandwidth"]), float(file["regularization"]))
