"""Batched linear algebra on small matrices; the only caller of `torch.linalg` in the package.

Dimensions 1 to 3 are written out: element-wise formulas are faster than one LAPACK call a matrix
and give the same bits whatever the batch size.
"""

import math
from typing import Any

import torch
from torch import Tensor

from riemaug._typing import Matrix, Scalar, Tangent


def cholesky_factor(matrix: Matrix) -> Matrix:
    """Return the lower Cholesky factor of SPD matrices (..., d, d); NaN where one is not SPD."""
    dim = matrix.shape[-1]
    if dim == 1:
        return matrix.sqrt()
    if dim == 2:
        a, _, b, c = matrix.flatten(-2).unbind(-1)
        first = a.sqrt()
        below = b / first
        last = (c - below * below).sqrt()
        return torch.stack([first, torch.zeros_like(first), below, last], -1).unflatten(-1, (2, 2))
    if dim == 3:
        return _cholesky_factor_3(matrix)
    factor, info = torch.linalg.cholesky_ex(matrix)
    return torch.where((info == 0)[..., None, None], factor, torch.full_like(factor, math.nan))


def _cholesky_factor_3(matrix: Matrix) -> Matrix:
    a, _, _, b, d, _, c, e, f = matrix.flatten(-2).unbind(-1)
    l11 = a.sqrt()
    l21, l31 = b / l11, c / l11
    l22 = (d - l21 * l21).sqrt()
    l32 = (e - l31 * l21) / l22
    l33 = (f - l31 * l31 - l32 * l32).sqrt()
    zero = torch.zeros_like(a)
    return torch.stack([l11, zero, zero, l21, l22, zero, l31, l32, l33], -1).unflatten(-1, (3, 3))


def _adjugate_and_determinant_3(matrix: Matrix) -> tuple[Matrix, Scalar]:
    """Return adj A and det A, A^-1 = adj A / det A, of any 3 x 3 matrices."""
    a, b, c, d, e, f, g, h, i = matrix.flatten(-2).unbind(-1)
    first, second, third = e * i - f * h, f * g - d * i, d * h - e * g
    entries = [
        first, c * h - b * i, b * f - c * e,
        second, a * i - c * g, c * d - a * f,
        third, b * g - a * h, a * e - b * d,
    ]  # fmt: skip
    return torch.stack(entries, -1).unflatten(-1, (3, 3)), a * first + b * second + c * third


def log_det_spd(matrix: Matrix) -> Scalar:
    """Return log det A of SPD matrices (..., d, d); NaN where one is not SPD."""
    dim = matrix.shape[-1]
    if dim == 1:
        return matrix[..., 0, 0].log()
    if dim == 2:
        a, _, b, c = matrix.flatten(-2).unbind(-1)
        return (a * c - b * b).log()
    if dim == 3:
        # Schur complements, as in Cholesky's: cofactors would cancel where C is nearly singular
        a, _, _, b, d, _, c, e, f = matrix.flatten(-2).unbind(-1)
        ratio, other = b / a, c / a
        second = d - ratio * b
        below = e - other * b
        third = f - other * c - below * below / second
        return (a * second * third).log()
    return log_det_of_factor(cholesky_factor(matrix))


def log_det_of_factor(factor: Matrix) -> Scalar:
    """Return log det (L L^T) from the lower factor L (..., d, d)."""
    return 2.0 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def solve_lower(factor: Matrix, vector: Tangent) -> Tangent:
    """Return L^-1 b for lower-triangular L (..., d, d) and b (..., d)."""
    if factor.shape[-1] == 2:
        a, _, b, c = factor.flatten(-2).unbind(-1)
        x, y = vector.unbind(-1)
        first = x / a
        return torch.stack([first, (y - b * first) / c], -1)
    if factor.shape[-1] == 3:
        a, _, _, b, d, _, c, e, f = factor.flatten(-2).unbind(-1)
        x, y, z = vector.unbind(-1)
        first = x / a
        second = (y - b * first) / d
        return torch.stack([first, second, (z - c * first - e * second) / f], -1)
    return torch.linalg.solve_triangular(factor, vector[..., None], upper=False)[..., 0]


def solve_lower_transposed(factor: Matrix, vector: Tangent) -> Tangent:
    """Return L^-T b for lower-triangular L (..., d, d) and b (..., d)."""
    if factor.shape[-1] == 2:
        a, _, b, c = factor.flatten(-2).unbind(-1)
        x, y = vector.unbind(-1)
        last = y / c
        return torch.stack([(x - b * last) / a, last], -1)
    if factor.shape[-1] == 3:
        a, _, _, b, d, _, c, e, f = factor.flatten(-2).unbind(-1)
        x, y, z = vector.unbind(-1)
        third = z / f
        second = (y - e * third) / d
        return torch.stack([(x - b * second - c * third) / a, second, third], -1)
    return torch.linalg.solve_triangular(factor.mT, vector[..., None], upper=True)[..., 0]


def solve_spd(factor: Matrix, vector: Tangent) -> Tangent:
    """Return (L L^T)^-1 b from the lower factor L (..., d, d) and b (..., d)."""
    return solve_lower_transposed(factor, solve_lower(factor, vector))


def spd_inverse(factor: Matrix) -> Matrix:
    """Return (L L^T)^-1 as a matrix (..., d, d); for products with many matrices, not for solves."""
    dim = factor.shape[-1]
    if dim == 2:
        a, _, b, c = factor.flatten(-2).unbind(-1)
        first, last = 1.0 / a, 1.0 / c
        below = -b * first * last
        off_diagonal = below * last
        entries = [first * first + below * below, off_diagonal, off_diagonal, last * last]
        return torch.stack(entries, -1).unflatten(-1, (2, 2))
    if dim == 3:
        columns = [torch.zeros_like(factor[..., 0]) for _ in range(3)]
        for index, column in enumerate(columns):
            column[..., index] = 1.0
        half = torch.stack([solve_lower(factor, column) for column in columns], -1)
        return half.mT @ half
    identity = torch.eye(dim, dtype=factor.dtype, device=factor.device).expand(factor.shape)
    half = torch.linalg.solve_triangular(factor, identity, upper=False)
    return half.mT @ half


def inverse_lower(factor: Matrix) -> Matrix:
    """Return L^-1 of lower-triangular L (..., d, d); to apply one factor to many vectors."""
    identity = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device).expand(factor.shape)
    return torch.linalg.solve_triangular(factor, identity, upper=False)


def spd_inverse_and_log_det(matrix: Matrix) -> tuple[Matrix, Scalar]:
    """Return A^-1 and log det A of SPD matrices (..., d, d); NaN where one is not SPD."""
    dim = matrix.shape[-1]
    if dim == 1:
        return 1.0 / matrix, matrix[..., 0, 0].log()
    if dim == 2:
        a, _, b, c = matrix.flatten(-2).unbind(-1)
        determinant = a * c - b * b
        adjugate = torch.stack([c, -b, -b, a], -1)
        return (adjugate / determinant[..., None]).unflatten(-1, (2, 2)), determinant.log()
    factor = cholesky_factor(matrix)
    return spd_inverse(factor), log_det_of_factor(factor)


def solve_general(matrix: Matrix, vector: Tangent) -> Tangent:
    """Return A^-1 b for general square A (..., d, d) and b (..., d); inf or NaN where A is singular."""
    if matrix.shape[-1] == 1:
        return vector / matrix[..., 0]
    if matrix.shape[-1] == 2:
        a, b, c, d = matrix.flatten(-2).unbind(-1)
        x, y = vector.unbind(-1)
        return torch.stack([d * x - b * y, a * y - c * x], -1) / (a * d - b * c)[..., None]
    if matrix.shape[-1] == 3:
        adjugate, determinant = _adjugate_and_determinant_3(matrix)
        return (adjugate * vector[..., None, :]).sum(-1) / determinant[..., None]
    solution, info = torch.linalg.solve_ex(matrix, vector[..., None])
    return torch.where((info == 0)[..., None], solution[..., 0], math.nan)


class _SolveConstant(torch.autograd.Function):
    """A^-1 b for an A that counts as a constant: one node of the graph instead of a dozen."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, vector: Tensor) -> Tensor:
        ctx.save_for_backward(matrix)
        return solve_general(matrix, vector)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, Tensor]:
        (matrix,) = ctx.saved_tensors
        return None, solve_general(matrix.mT, grad_outputs[0])


def solve_constant(matrix: Matrix, vector: Tangent) -> Tangent:
    """Return A^-1 b as `solve_general`, differentiable in b alone."""
    return _SolveConstant.apply(matrix, vector)  # type: ignore[no-any-return]


def log_abs_det(matrix: Matrix) -> Scalar:
    """Return log |det A| for general square A (..., d, d); -inf where A is singular."""
    if matrix.shape[-1] == 1:
        return matrix[..., 0, 0].abs().log()
    if matrix.shape[-1] == 2:
        a, b, c, d = matrix.flatten(-2).unbind(-1)
        return (a * d - b * c).abs().log()
    if matrix.shape[-1] == 3:
        return _adjugate_and_determinant_3(matrix)[1].abs().log()
    return torch.linalg.slogdet(matrix).logabsdet


def symmetric_eigen(matrix: Matrix) -> tuple[Tensor, Tensor]:
    """Return eigenvalues (..., d), ascending, and eigenvectors (..., d, d) of symmetric matrices."""
    values, vectors = torch.linalg.eigh(matrix)
    return values, vectors
