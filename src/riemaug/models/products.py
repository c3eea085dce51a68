"""Products of dense layers, by the faster of the two libraries that torch has for them.

`torch.mm` goes to the BLAS that torch was built with. Where that is MKL and the processor is not Intel's, it
may reach half the rate of oneDNN, which torch takes for convolutions: measured in docs/training.md, Speed.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemaug.geometry.engine import is_transformed

_LEAST_WORK, _LEAST_SIDE = 2**17, 16
"""Multiplications below which the call costs more than the product; thin matrices do not gain either."""


def _fast_product() -> Any:
    """Return oneDNN's product of plain tensors, None where torch has none."""
    if not torch.backends.mkldnn.is_available():
        return None
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)


_FAST = _fast_product()


def _gains(num_rows: int, inner: int, num_columns: int) -> bool:
    """Return whether a product of these sides is worth the call."""
    is_large = num_rows * inner * num_columns >= _LEAST_WORK
    return _FAST is not None and is_large and min(num_rows, inner, num_columns) >= _LEAST_SIDE


def times_transposed(
    left: Float[Tensor, "n k"], right: Float[Tensor, "m k"], bias: Float[Tensor, " m"] | None = None
) -> Float[Tensor, "n m"]:
    """Return A B^T + b, (n, m), as a constant: without derivatives of any kind."""
    if (
        left.dtype == torch.float32
        and left.device.type == "cpu"
        and _gains(left.shape[0], left.shape[1], right.shape[0])
    ):
        return _FAST(left, right, bias, "none", [], "")
    return left @ right.T if bias is None else torch.addmm(bias, left, right.T)


class _Product(torch.autograd.Function):
    """A B^T + b; its derivatives are made of the same, so they have derivatives, too."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(left, right)
        return times_transposed(left, right, bias)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (left, right) = grad_outputs, ctx.saved_tensors
        wants_left, wants_right, wants_bias = ctx.needs_input_grad
        return (
            product(gradient, right.T) if wants_left else None,
            product(gradient.T, left.T) if wants_right else None,
            gradient.sum(0) if wants_bias else None,
        )


def product(
    left: Float[Tensor, "n k"], right: Float[Tensor, "m k"], bias: Float[Tensor, " m"] | None = None
) -> Float[Tensor, "n m"]:
    """Return A B^T + b, (n, m), differentiable as often as one likes."""
    result: Any = _Product.apply(left, right, bias)
    return result


def is_plain(*tensors: Tensor) -> bool:
    """Return whether products need not follow autocast, forward-mode derivatives or `torch.func`."""
    device = tensors[0].device.type
    return not torch.is_autocast_enabled(device) and not any(is_transformed(tensor) for tensor in tensors)


class Dense(nn.Linear):
    """A dense layer whose larger products are taken by the faster library."""

    def forward(self, input: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Return W x + b."""
        fits = input.ndim == 2 and input.dtype == self.weight.dtype and input.device.type == "cpu"
        if (
            fits
            and _gains(input.shape[0], input.shape[1], self.out_features)
            and is_plain(input, self.weight)
        ):
            return product(input, self.weight, self.bias)
        return super().forward(input)
