"""Machine code for one small symmetric matrix at a time, its entries (i, j <= i) row by row.

Such a matrix M is "packed": d (d + 1) / 2 numbers. A *packed cotangent* X pairs with it entry by entry,
<X, M> = sum_e X_e M_e, so its entries below the diagonal are those of both triangles together.
"""

import math
from collections.abc import Callable
from typing import Any

from riemaug.geometry.compiled import compile_function

_CONTRACT = {"contract"}


def compile_borrowing(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Return the compiled function, which makes no arrays and so need not count who holds them.

    For matrices this small, counting would take half of the time.
    """
    return compile_function(function, _nrt=False, **options)


def _assign(source, out):
    """Copy a vector."""
    for k in range(out.shape[0]):
        out[k] = source[k]


def _multiply_packed(packed, vector, out):
    """Write M v to `out`."""
    dim = vector.shape[0]
    for i in range(dim):
        out[i] = 0.0
    for i in range(dim):
        row = i * (i + 1) // 2
        for j in range(i):
            out[i] += packed[row + j] * vector[j]
            out[j] += packed[row + j] * vector[i]
        out[i] += packed[row + i] * vector[i]


def _bilinear_packed(packed, left, right):
    """Return u^T M v."""
    total = 0.0
    for i in range(left.shape[0]):
        row = i * (i + 1) // 2
        for j in range(i):
            total += packed[row + j] * (left[i] * right[j] + left[j] * right[i])
        total += packed[row + i] * left[i] * right[i]
    return total


def _add_outer(factor, left, right, out):
    """Add the packed cotangent of a u^T M v with respect to M."""
    for i in range(left.shape[0]):
        row = i * (i + 1) // 2
        for j in range(i):
            out[row + j] += factor * (left[i] * right[j] + left[j] * right[i])
        out[row + i] += factor * left[i] * right[i]


def _add_matrix(factor, packed, dim, out):
    """Add the packed cotangent of a tr(P M) with respect to M, for a packed P."""
    for i in range(dim):
        row = i * (i + 1) // 2
        for j in range(i):
            out[row + j] += 2.0 * factor * packed[row + j]
        out[row + i] += factor * packed[row + i]


def _trace_of_product(left, right, dim):
    """Return tr(P M) of two packed matrices."""
    total = 0.0
    for i in range(dim):
        row = i * (i + 1) // 2
        for j in range(i):
            total += 2.0 * left[row + j] * right[row + j]
        total += left[row + i] * right[row + i]
    return total


def _factorise(packed, dim, factor):
    """Write the lower Cholesky factor to `factor`; return log det M. NaN where M is not positive definite."""
    log_det = 0.0
    for i in range(dim):
        row = i * (i + 1) // 2
        for j in range(i + 1):
            other = j * (j + 1) // 2
            value = packed[row + j]
            for k in range(j):
                value -= factor[row + k] * factor[other + k]
            if i == j:
                log_det += math.log(value) if value > 0.0 else math.nan
                factor[row + j] = math.sqrt(value) if value > 0.0 else math.nan
            else:
                factor[row + j] = value / factor[other + j]
    return log_det


def _invert_lower(factor, dim, inverse):
    """Write L^-1, packed as L is, to `inverse`."""
    for j in range(dim):
        for i in range(j, dim):
            row = i * (i + 1) // 2
            value = 1.0 if i == j else 0.0
            for k in range(j, i):
                value -= factor[row + k] * inverse[k * (k + 1) // 2 + j]
            inverse[row + j] = value / factor[row + i]


def _invert_from_lower(inverse_factor, dim, inverse):
    """Write (L L^T)^-1 to `inverse`, from L^-1."""
    for i in range(dim):
        for j in range(i + 1):
            value = 0.0
            for k in range(i, dim):
                row = k * (k + 1) // 2
                value += inverse_factor[row + i] * inverse_factor[row + j]
            inverse[i * (i + 1) // 2 + j] = value


def _multiply_lower(packed, vector, transposed, out):
    """Write L v, or L^T v if `transposed`, to `out` (not the same memory as v)."""
    dim = vector.shape[0]
    for i in range(dim):
        out[i] = 0.0
    for i in range(dim):
        row = i * (i + 1) // 2
        for j in range(i + 1):
            if transposed:
                out[j] += packed[row + j] * vector[i]
            else:
                out[i] += packed[row + j] * vector[j]


def _solve_general(matrix, vector):
    """Turn b into A^-1 b by elimination with pivots; A is used up. Infinite or NaN where A is singular."""
    dim = vector.shape[0]
    for k in range(dim):
        pivot = k
        for i in range(k + 1, dim):
            if abs(matrix[i, k]) > abs(matrix[pivot, k]):
                pivot = i
        if pivot != k:
            for j in range(dim):
                matrix[k, j], matrix[pivot, j] = matrix[pivot, j], matrix[k, j]
            vector[k], vector[pivot] = vector[pivot], vector[k]
        for i in range(k + 1, dim):
            ratio = matrix[i, k] / matrix[k, k]
            for j in range(k + 1, dim):
                matrix[i, j] -= ratio * matrix[k, j]
            vector[i] -= ratio * vector[k]
    for reverse in range(dim):
        i = dim - 1 - reverse
        for j in range(i + 1, dim):
            vector[i] -= matrix[i, j] * vector[j]
        vector[i] /= matrix[i, i]


assign = compile_borrowing(_assign)
multiply_packed = compile_borrowing(_multiply_packed, fastmath=_CONTRACT)
bilinear_packed = compile_borrowing(_bilinear_packed, fastmath=_CONTRACT)
add_outer = compile_borrowing(_add_outer, fastmath=_CONTRACT)
add_matrix = compile_borrowing(_add_matrix, fastmath=_CONTRACT)
trace_of_product = compile_borrowing(_trace_of_product, fastmath=_CONTRACT)
factorise = compile_borrowing(_factorise, fastmath=_CONTRACT, error_model="numpy")
invert_lower = compile_borrowing(_invert_lower, fastmath=_CONTRACT, error_model="numpy")
invert_from_lower = compile_borrowing(_invert_from_lower, fastmath=_CONTRACT)
multiply_lower = compile_borrowing(_multiply_lower, fastmath=_CONTRACT)
solve_general = compile_borrowing(_solve_general, fastmath=_CONTRACT, error_model="numpy")
