"""The least time of one training step of the paper's networks: products counted, each at its measured time.

Counted are the products with a matrix of D x 400 weights; all with the 400 x d heads, whatever is done once
an entry, the d x d geometry and the optimiser are left out.

- Encoder and, of an RHVAE, metric network: forward, and the gradient of the weights. The data need none.
- Decoder of a VAE: forward, the gradient of the weights, and that of the hidden layer.
- Decoder of a flow, at each of its K + 1 positions: the logits, and the pull-back of the score, which the
  leapfrog follows; each has two products in the backward pass, one of them the gradient of the weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from riemaug.models.products import times_transposed

WIDTH, DATA_DIM = 400, 784


@dataclass(frozen=True)
class Products:
    """How many products of each form a step has.

    Attributes
    ----------
    encode : int
        (n, D) times (D, 400).
    decode, pull_back : int
        (n, 400) times (400, D) and (n, D) times (D, 400), with the decoder's weights.
    gradient : int
        (D, n) times (n, 400).
    """

    encode: int
    decode: int
    pull_back: int
    gradient: int

    @property
    def total(self) -> int:
        """All products: each has 2 n D 400 flops."""
        return self.encode + self.decode + self.pull_back + self.gradient


def products_of(kind: str, num_steps: int) -> Products:
    """Return the products of a step of "vae", "hvae" or "rhvae"."""
    if kind == "vae":
        return Products(1, 1, 1, 2)
    encoders, positions = (2 if kind == "rhvae" else 1), num_steps + 1
    return Products(encoders, 2 * positions, 2 * positions, encoders + 2 * positions)


def product_calls(num: int) -> dict[str, dict[str, Callable[[], object]]]:
    """Return a call for each form, float32, by `torch.mm` and by the package's own choice of library."""
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(num, DATA_DIM, generator=generator)
    hidden = torch.randn(num, WIDTH, generator=generator)
    weight = torch.randn(DATA_DIM, WIDTH, generator=generator)
    encoder = weight.T.contiguous()
    operands = {
        "encode": (data, encoder),
        "decode": (hidden, weight),
        "pull_back": (data, weight.T),
        "gradient": (data.T, hidden.T),
    }
    return {
        "torch.mm": {form: _by_mm(left, right) for form, (left, right) in operands.items()},
        "package": {form: partial(times_transposed, *pair) for form, pair in operands.items()},
    }


def _by_mm(left: torch.Tensor, right: torch.Tensor) -> Callable[[], object]:
    out = torch.empty(len(left), len(right))
    return lambda: torch.mm(left, right.T, out=out)


def floor_seconds(kind: str, num_steps: int, times: dict[str, float]) -> float:
    """Return the time of all products of a step."""
    return sum(getattr(products_of(kind, num_steps), form) * seconds for form, seconds in times.items())
