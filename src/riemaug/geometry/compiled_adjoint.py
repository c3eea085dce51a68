"""Machine code for the adjoint of `compiled_leapfrog`: cotangents taken back from position to position.

The implicit equations are differentiated by the implicit function theorem: one transposed solve each. All
that depends on centroids and kernels is then of one form, whose gradient `sweep` adds up.
"""

import numpy as np

from riemaug.geometry.compiled_kernel_sums import sum_kernels, weigh
from riemaug.geometry.compiled_matrices import (
    add_matrix,
    add_outer,
    assign,
    compile_borrowing,
    factorise,
    invert_from_lower,
    invert_lower,
    multiply_lower,
    multiply_packed,
    solve_general,
)

_FAST = {"contract", "reassoc", "nsz"}


def adjoint_scratch_of(
    dim: int, entries: int, count: int
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Return arrays that `retreat` writes to, for d, d (d + 1) / 2 and N: `scratch` and `squares`."""
    packed, vector = (entries,), (dim,)
    shapes = [
        (dim, count),
        (count,),
        (8, count),
        packed,
        packed,
        packed,
        (3, dim),
        (3, entries),
        packed,
        packed,
    ]
    shapes += [vector] * 4
    return tuple(np.empty(shape) for shape in shapes), tuple(np.empty((dim, dim)) for _ in range(3))


def _sweep(z, x, mu, y, num, c, m, scale, start, stop, delta, w, scratch, to_z, to_c, to_m):
    """Add the gradient of sum_i w_i (<X, M_i> + sum_m (mu_m . delta_i) <Y_m, M_i>) in z, the c_i and M_i.

    X and the `num` matrices Y_m are packed cotangents; `scratch` holds 2 + 2 num rows of N.
    """
    dim = z.shape[0]
    weigh(z, c, scale, start, stop, delta, w)
    value, whole = scratch[0], scratch[1]
    for i in range(start, stop):
        value[i] = 0.0
    for t in range(num):
        along, paired = scratch[2 + 2 * t], scratch[3 + 2 * t]
        for i in range(start, stop):
            along[i] = 0.0
            paired[i] = 0.0
        for k in range(dim):
            mu_k = mu[t, k]
            for i in range(start, stop):
                along[i] += mu_k * delta[k, i]
    for e in range(m.shape[0]):
        x_e = x[e]
        for i in range(start, stop):
            value[i] += x_e * m[e, i]
            whole[i] = x_e
        for t in range(num):
            along, paired = scratch[2 + 2 * t], scratch[3 + 2 * t]
            y_e = y[t, e]
            for i in range(start, stop):
                paired[i] += y_e * m[e, i]
                whole[i] += y_e * along[i]
        for i in range(start, stop):
            to_m[e, i] += w[i] * whole[i]
    for t in range(num):
        along, paired = scratch[2 + 2 * t], scratch[3 + 2 * t]
        for i in range(start, stop):
            value[i] += along[i] * paired[i]
    for k in range(dim):
        for i in range(start, stop):
            whole[i] = -2.0 * scale * value[i] * delta[k, i]
        for t in range(num):
            paired, mu_k = scratch[3 + 2 * t], mu[t, k]
            for i in range(start, stop):
                whole[i] += paired[i] * mu_k
        total = 0.0
        for i in range(start, stop):
            to_c[k, i] += w[i] * whole[i]
            total += w[i] * whole[i]
        to_z[k] -= total


sweep = compile_borrowing(_sweep, fastmath=_FAST)


def _add_momentum_law(lower, noise, factor, rho_bar, x, y, outer, half_way):
    """Add to X what rho = factor L^-T gamma, L L^T = C, passes on to C (noise is gamma, `lower` L^-1)."""
    dim = noise.shape[0]
    multiply_lower(lower, rho_bar, False, y)
    for i in range(dim):
        for j in range(dim):
            outer[i, j] = half_way[i, j] = 0.0
    for i in range(dim):
        for j in range(i + 1):
            outer[i, j] = -factor * noise[i] * y[j] * (0.5 if i == j else 1.0)
    # S = L^-T P L^-1, where P is `outer`; X takes both triangles of (S + S^T) / 2
    for i in range(dim):
        for j in range(dim):
            for k in range(j, dim):
                half_way[i, j] += outer[i, k] * lower[k * (k + 1) // 2 + j]
    for i in range(dim):
        for j in range(dim):
            total = 0.0
            for k in range(i, dim):
                total += lower[k * (k + 1) // 2 + i] * half_way[k, j]
            a, b = max(i, j), min(i, j)
            x[a * (a + 1) // 2 + b] += total


add_momentum_law = compile_borrowing(_add_momentum_law)


def _solve_transposed(jacobian, vector, matrix):
    """Turn b into A^-T b."""
    for i in range(vector.shape[0]):
        for j in range(vector.shape[0]):
            matrix[i, j] = jacobian[j, i]
    solve_general(matrix, vector)


solve_transposed = compile_borrowing(_solve_transposed)


def _retreat(
    z, carried, held, first, last, c, m, scale, regularization, half, factor, is_start, is_end,
    moved, pushed, rho, failed, cometrics, slopes, jacobians, moved_bar, pushed_bar, terms_bar,
    z_bar, carried_bar, score_bar, c_bar, m_bar, scratch, squares,
):  # fmt: skip
    """Take the cotangents of what `advance` wrote (`..._bar`) to those of what it was given.

    The first three are read, the last five written (`c_bar` and `m_bar` added to); `scratch` and `squares`
    are what `adjoint_scratch_of` returns.
    """
    dim, entries = c.shape[0], m.shape[0]
    delta, w, rows, lower, inverse, along, mu, y, x, other, rho_bar, force_bar, vector, unused = scratch
    matrix, full, left = squares
    for p in range(z.shape[0]):
        start, stop = np.uintp(first[p]), np.uintp(last[p])
        factorise(cometrics[p], dim, inverse)
        invert_lower(inverse, dim, lower)
        invert_from_lower(lower, dim, inverse)
        x[:] = 0.0
        mu[:] = 0.0
        y[:] = 0.0
        force_bar[:] = 0.0
        z_bar[p] = 0.0
        if is_end:
            multiply_packed(cometrics[p], rho[p], rho_bar)
            for k in range(dim):
                z_bar[p, k] = moved_bar[p, k]
                rho_bar[k] = pushed_bar[p, k] - terms_bar[p] * rho_bar[k]
            add_matrix(0.5 * terms_bar[p], inverse, dim, x)
            add_outer(-0.5 * terms_bar[p], rho[p], rho[p], x)
        elif failed[p]:
            assign(moved_bar[p], z_bar[p])
            assign(pushed_bar[p], rho_bar)
        else:
            # z1 = z + h/2 (C(z) + C(z1)) q'
            assign(moved_bar[p], z_bar[p])
            solve_transposed(jacobians[p, 1], z_bar[p], matrix)
            other[:] = 0.0
            add_outer(half, z_bar[p], pushed[p], other)
            add_outer(half, z_bar[p], pushed[p], x)
            unused[:] = 0.0
            sweep(moved[p], other, mu, y, 0, c, m, scale, start, stop, delta, w, rows, unused, c_bar, m_bar)
            sum_kernels(w, m, regularization, start, stop, other)
            multiply_packed(other, z_bar[p], vector)
            multiply_packed(cometrics[p], z_bar[p], rho_bar)
            for k in range(dim):
                rho_bar[k] = pushed_bar[p, k] + half * (rho_bar[k] + vector[k])
            # q' = rho - h/2 (F(z) + dH/dz(z, q'))
            solve_transposed(jacobians[p, 0], rho_bar, matrix)
            for k in range(dim):
                mu[0, k] = force_bar[k] = -half * rho_bar[k]
            add_outer(scale, pushed[p], pushed[p], y[0])
        if is_start:
            add_matrix(-0.5 * terms_bar[p], inverse, dim, x)
            add_momentum_law(lower, carried[p], factor, rho_bar, x, vector, full, left)
            carried_bar[p] = 0.0
        else:
            for k in range(dim):
                rho_bar[k] *= factor
            if held[p]:
                for k in range(dim):
                    carried_bar[p, k] = -rho_bar[k]
            else:
                assign(rho_bar, carried_bar[p])
                for k in range(dim):
                    multiply_packed(slopes[p, k], carried[p], vector)
                    mu[1, k] = -half * rho_bar[k]
                    force_bar[k] += mu[1, k]
                    for j in range(dim):
                        carried_bar[p, j] += mu[1, k] * vector[j]
                add_outer(scale, carried[p], carried[p], y[1])
        # F = z - score - grad 1/2 log det C; the last also depends on C through G
        along[:] = 0.0
        for k in range(dim):
            z_bar[p, k] += force_bar[k]
            score_bar[p, k] = -force_bar[k]
            mu[2, k] = -force_bar[k]
            for e in range(entries):
                along[e] += mu[2, k] * slopes[p, k, e]
        add_matrix(scale, inverse, dim, y[2])
        sandwich(inverse, along, full, left, matrix)
        for i in range(dim):
            for j in range(i + 1):
                x[i * (i + 1) // 2 + j] -= matrix[i, j] if i != j else 0.5 * matrix[i, j]
        sweep(z[p], x, mu, y, 3, c, m, scale, start, stop, delta, w, rows, z_bar[p], c_bar, m_bar)


def _sandwich(outer, inner, full, left, product):
    """Write P Q P, square, of two packed matrices."""
    dim = product.shape[0]
    for i in range(dim):
        for j in range(i + 1):
            full[i, j] = full[j, i] = outer[i * (i + 1) // 2 + j]
            product[i, j] = product[j, i] = inner[i * (i + 1) // 2 + j]
    for i in range(dim):
        for j in range(dim):
            total = 0.0
            for k in range(dim):
                total += full[i, k] * product[k, j]
            left[i, j] = total
    for i in range(dim):
        for j in range(dim):
            total = 0.0
            for k in range(dim):
                total += left[i, k] * full[k, j]
            product[i, j] = total


sandwich = compile_borrowing(_sandwich, fastmath=_FAST)
retreat = compile_borrowing(_retreat)
