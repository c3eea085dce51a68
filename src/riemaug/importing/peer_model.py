"""A peer's model in our terms: its constants, and its weights under our names."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.models.config import LikelihoodName, ModelKind

ROUNDING = 1e-5
"""Relative size of what single precision leaves of a zero."""


@dataclass(frozen=True, eq=False)
class StoredMetric:
    """The metric as the peer keeps it: C(z) = sum_i M_i exp(-|z - c_i|^2 / T^2) + lambda I, as ours.

    Attributes
    ----------
    centroids : Tensor (N, d)
        The c_i.
    matrices : Tensor (N, d, d)
        The M_i = L_i L_i^T, symmetric and positive definite.
    bandwidth, regularization : float
        T, which the peers call temperature, and lambda.
    """

    centroids: Float[Tensor, "N dim"]
    matrices: Float[Tensor, "N dim dim"]
    bandwidth: float
    regularization: float

    def factors(self) -> Float[Tensor, "N dim dim"]:
        """Return lower-triangular L_i with L_i L_i^T = M_i, float64, (N, d, d).

        By eigenvalues and a QR factorisation, not by Cholesky's: a trained M_i may be singular to the
        precision that it was stored in.

        Raises
        ------
        InvalidInputError
            A matrix is not symmetric or not positive: the model was never trained, or the file is damaged.
        """
        matrices = self.matrices.double()
        scale = matrices.abs().amax((-1, -2))
        values, vectors = torch.linalg.eigh(matrices)
        skew = (matrices - matrices.mT).abs().amax((-1, -2))
        if bool((skew > ROUNDING * scale).any() | (values.amin(-1) < -ROUNDING * scale).any()):
            raise InvalidInputError(
                "the matrices M of a stored metric must be symmetric and positive, some are not: the model "
                "was saved before it was trained"
            )
        roots = vectors * values.clamp_min(0.0).sqrt()[..., None, :]
        upper = torch.linalg.qr(roots.mT).R
        signs = torch.where(upper.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0)
        return (upper * signs[..., None].double()).mT.tril()


@dataclass(frozen=True, eq=False)
class PeerModel:
    """What one model folder of a peer holds, in our terms.

    Attributes
    ----------
    library : str
        "pythae" or "pyraug".
    kind : "vae" or "rhvae"
    input_dim : tuple of int
        Shape of one sample, channels first where it has any.
    latent_dim : int
    likelihood : str
    likelihood_scale : float
        Standard deviation, of a Gaussian.
    weights : dict of str to Tensor
        Of the networks, under the names of `riemaug.models`; of networks of the user's own under
        "encoder." and "decoder." and the names that these have.
    is_custom : bool
        Encoder and decoder are the user's own.
    metric : StoredMetric, optional
        Of an RHVAE.
    flow : mapping
        Constants of an RHVAE's flow, under the names of `ModelConfig`.
    digest : str
        SHA-256 of the file of tensors.
    """

    library: str
    kind: ModelKind
    input_dim: tuple[int, ...]
    latent_dim: int
    likelihood: LikelihoodName
    likelihood_scale: float
    weights: dict[str, Tensor]
    is_custom: bool
    metric: StoredMetric | None = None
    flow: Mapping[str, int | float] = field(default_factory=dict)
    digest: str = ""
