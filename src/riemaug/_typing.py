"""Shapes of the tensors that pass between the parts.

`*batch` stands for any leading dimensions, `dim` for the latent dimension d.
"""

from jaxtyping import Bool, Float
from torch import Tensor

Point = Float[Tensor, "*batch dim"]
Tangent = Float[Tensor, "*batch dim"]
Momentum = Float[Tensor, "*batch dim"]
Matrix = Float[Tensor, "*batch dim dim"]
Scalar = Float[Tensor, "*batch"]
Flag = Bool[Tensor, "*batch"]
