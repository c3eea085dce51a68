"""Symmetric positive definite block-tridiagonal systems, many at once, by cyclic reduction."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from riemaug import linalg

Blocks = Float[Tensor, "systems nodes dim dim"]
Columns = Float[Tensor, "systems nodes dim columns"]


def solve_block_tridiagonal(
    diagonal: Blocks, upper: Float[Tensor, "systems couplings dim dim"], right_side: Columns
) -> tuple[Columns, Bool[Tensor, " systems"]]:
    """Solve H x = b for matrices with `diagonal` blocks and H_{t,t+1} = H_{t+1,t}^T = `upper`_t.

    Every second unknown is eliminated at once, log2(nodes) times over (Heller 1976): a few large
    batched products where a recursion from node to node would make many small ones.

    Parameters
    ----------
    diagonal : Tensor (systems, m, d, d)
    upper : Tensor (systems, m - 1, d, d)
    right_side : Tensor (systems, m, d, columns)

    Returns
    -------
    x : Tensor (systems, m, d, columns)
    is_definite : Tensor (systems,), bool
        Whether H is positive definite; where it is not, x is NaN or of no use.
    """
    count = diagonal.shape[1]
    diagonal, upper, right_side = _fill_up(diagonal, upper, right_side)
    is_definite = torch.ones(len(diagonal), dtype=torch.bool, device=diagonal.device)
    levels = []
    while True:
        factor = linalg.cholesky_factor(diagonal[:, 0::2])
        # The eliminated blocks and the Schur complements of all levels are definite exactly when H is.
        is_definite = is_definite & factor.diagonal(dim1=-2, dim2=-1).isfinite().flatten(1).all(1)
        inverse = linalg.spd_inverse(factor)
        if diagonal.shape[1] == 1:
            break
        left, right = upper[:, 0::2], upper[:, 1::2]
        levels.append((inverse, left, right, right_side[:, 0::2]))
        diagonal, upper, right_side = _eliminate(diagonal, left, right, right_side, inverse)
    solution = inverse @ right_side
    for inverse, left, right, eliminated in reversed(levels):
        remainder = eliminated.clone()
        remainder[:, :-1] -= left @ solution
        remainder[:, 1:] -= right.mT @ solution
        solution = _interleave(inverse @ remainder, solution)
    return solution[:, :count], is_definite


def _fill_up(diagonal: Tensor, upper: Tensor, right_side: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Append uncoupled unknowns with H = I, b = 0 up to 2^k - 1 of them, so that each level halves."""
    systems, count, dim = diagonal.shape[:3]
    missing = 2 ** count.bit_length() - 1 - count
    if missing == 0:
        return diagonal, upper, right_side
    identity = torch.eye(dim, dtype=diagonal.dtype, device=diagonal.device)
    return (
        torch.cat([diagonal, identity.expand(systems, missing, dim, dim)], 1),
        torch.cat([upper, upper.new_zeros(systems, missing, dim, dim)], 1),
        torch.cat([right_side, right_side.new_zeros(systems, missing, *right_side.shape[2:])], 1),
    )


def _eliminate(
    diagonal: Tensor, left: Tensor, right: Tensor, right_side: Tensor, inverse: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the system of the nodes 1, 3, 5 ... once the nodes 0, 2, 4 ... are eliminated.

    `left` couples each eliminated node to the kept one after it, `right` each kept node to the next
    eliminated one, `inverse` inverts the eliminated diagonal blocks.
    """
    from_left, from_right = inverse[:, :-1] @ left, inverse[:, 1:] @ right.mT
    kept = diagonal[:, 1::2] - left.mT @ from_left - right @ from_right
    coupling = -(right[:, :-1] @ from_left[:, 1:])
    eliminated = right_side[:, 0::2]
    known = right_side[:, 1::2] - from_left.mT @ eliminated[:, :-1] - from_right.mT @ eliminated[:, 1:]
    return kept, coupling, known


def _interleave(even: Tensor, odd: Tensor) -> Tensor:
    """Return even_0, odd_0, even_1, ... along the nodes."""
    whole = even.new_empty(len(even), even.shape[1] + odd.shape[1], *even.shape[2:])
    whole[:, 0::2], whole[:, 1::2] = even, odd
    return whole
