"""Machine code for many small symmetric matrices, each a column of entries (i, j <= i) row by row.

All columns of a block take each operation together, so the loops are over contiguous numbers, and a
block stays in the cache.
"""

import math

import numpy as np

from riemaug.geometry.compiled import compile_function

_COLUMN_BLOCK = 64


def _factor_columns(packed, dim):
    """Turn SPD matrices, each a column of entries (i, j <= i) row by row, into their Cholesky factors.

    NaN where a matrix is not positive definite. All columns of a block take each operation together.
    """
    for first in range(0, packed.shape[1], _COLUMN_BLOCK):
        start, stop = np.uintp(first), np.uintp(min(first + _COLUMN_BLOCK, packed.shape[1]))
        for i in range(dim):
            for j in range(i + 1):
                entry = np.uintp(i * (i + 1) // 2 + j)
                for k in range(j):
                    left, right = np.uintp(i * (i + 1) // 2 + k), np.uintp(j * (j + 1) // 2 + k)
                    for b in range(start, stop):
                        packed[entry, b] -= packed[left, b] * packed[right, b]
                pivot = np.uintp(j * (j + 1) // 2 + j)
                for b in range(start, stop):
                    value = packed[entry, b]
                    packed[entry, b] = math.sqrt(value) if i == j else value / packed[pivot, b]


def _solve_columns(factors, vectors):
    """Turn vectors, the columns v, into (L L^T)^-1 v with the factors that `factor_columns` makes."""
    dim = vectors.shape[0]
    for first in range(0, vectors.shape[1], _COLUMN_BLOCK):
        start, stop = np.uintp(first), np.uintp(min(first + _COLUMN_BLOCK, vectors.shape[1]))
        for i in range(dim):
            for k in range(i):
                entry = np.uintp(i * (i + 1) // 2 + k)
                for b in range(start, stop):
                    vectors[np.uintp(i), b] -= factors[entry, b] * vectors[np.uintp(k), b]
            for b in range(start, stop):
                vectors[np.uintp(i), b] /= factors[np.uintp(i * (i + 1) // 2 + i), b]
        for reverse in range(dim):
            i = dim - 1 - reverse
            for k in range(i + 1, dim):
                entry = np.uintp(k * (k + 1) // 2 + i)
                for b in range(start, stop):
                    vectors[np.uintp(i), b] -= factors[entry, b] * vectors[np.uintp(k), b]
            for b in range(start, stop):
                vectors[np.uintp(i), b] /= factors[np.uintp(i * (i + 1) // 2 + i), b]


factor_columns = compile_function(_factor_columns, fastmath={"contract"}, error_model="numpy")
solve_columns = compile_function(_solve_columns, fastmath={"contract"}, error_model="numpy")


def _multiply_columns(packed, vectors, out):
    """Write C v to the columns of `out`, C symmetric, a column of entries (i, j <= i) row by row."""
    dim = vectors.shape[0]
    for first in range(0, vectors.shape[1], _COLUMN_BLOCK):
        start, stop = np.uintp(first), np.uintp(min(first + _COLUMN_BLOCK, vectors.shape[1]))
        for i in range(dim):
            row = np.uintp(i)
            for b in range(start, stop):
                out[row, b] = packed[np.uintp(i * (i + 1) // 2 + i), b] * vectors[row, b]
            for j in range(i):
                entry, column = np.uintp(i * (i + 1) // 2 + j), np.uintp(j)
                for b in range(start, stop):
                    out[row, b] += packed[entry, b] * vectors[column, b]
                    out[column, b] += packed[entry, b] * vectors[row, b]


def _square_columns(vectors, packed):
    """Write the products v_i v_j, j <= i, row by row to the columns of `packed`."""
    dim = vectors.shape[0]
    for first in range(0, vectors.shape[1], _COLUMN_BLOCK):
        start, stop = np.uintp(first), np.uintp(min(first + _COLUMN_BLOCK, vectors.shape[1]))
        for i in range(dim):
            for j in range(i + 1):
                entry = np.uintp(i * (i + 1) // 2 + j)
                for b in range(start, stop):
                    packed[entry, b] = vectors[np.uintp(i), b] * vectors[np.uintp(j), b]


multiply_columns = compile_function(_multiply_columns, fastmath={"contract"})
square_columns = compile_function(_square_columns)
