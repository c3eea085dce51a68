"""Machine code for the kernel sums of one row: weights, C and its derivative, what the Newton steps need.

Centroids are (d, N), kernels packed (entries, N), so that the loops run over contiguous numbers, from `start`
to `stop`. With d = 2 one pass that keeps all sums in registers is faster than one for each sum.
"""

import math

from riemaug.geometry.compiled import exp2
from riemaug.geometry.compiled_matrices import compile_borrowing

_FAST = {"contract", "reassoc", "nsz"}
_LOG2_E = 1.0 / math.log(2.0)


def _weigh(z, c, scale, start, stop, delta, w):
    """Write c_i - z and w_i."""
    for i in range(start, stop):
        w[i] = 0.0
    for k in range(c.shape[0]):
        x = z[k]
        for i in range(start, stop):
            delta[k, i] = c[k, i] - x
            w[i] += delta[k, i] * delta[k, i]
    for i in range(start, stop):
        w[i] = exp2(-w[i] * (scale * _LOG2_E))


def _sum_kernels(w, m, regularization, start, stop, cometric):
    """Write C = sum w_i M_i + lambda I, packed."""
    next_diagonal, step = 0, 2
    for e in range(m.shape[0]):
        total = 0.0
        for i in range(start, stop):
            total += w[i] * m[e, i]
        if e == next_diagonal:
            total += regularization
            next_diagonal, step = next_diagonal + step, step + 1
        cometric[e] = total


def _sum_slopes(w, delta, m, scale, start, stop, pulled, slopes):
    """Write D_k = 2 s sum w_i delta_ik M_i, packed."""
    for k in range(delta.shape[0]):
        for i in range(start, stop):
            pulled[i] = 2.0 * scale * w[i] * delta[k, i]
        for e in range(m.shape[0]):
            total = 0.0
            for i in range(start, stop):
                total += pulled[i] * m[e, i]
            slopes[k, e] = total


def _apply_kernels(m, q, start, stop, u):
    """Write u_i = M_i q, (d, N)."""
    for k in range(q.shape[0]):
        for i in range(start, stop):
            u[k, i] = 0.0
    for a in range(q.shape[0]):
        for b in range(a + 1):
            e = a * (a + 1) // 2 + b
            qa, qb = q[a], q[b]
            if a == b:
                for i in range(start, stop):
                    u[a, i] += m[e, i] * qa
            else:
                for i in range(start, stop):
                    u[a, i] += m[e, i] * qb
                    u[b, i] += m[e, i] * qa


def _move_sums_2(z, q, c, m, scale, start, stop):
    """Return sum w M q and sum w M q (c - z)^T, d = 2, in one pass."""
    x, y, qx, qy = z[0], z[1], q[0], q[1]
    vx = vy = xx = xy = yx = yy = 0.0
    for i in range(start, stop):
        dx, dy = c[0, i] - x, c[1, i] - y
        w = exp2(-(dx * dx + dy * dy) * (scale * _LOG2_E))
        ux, uy = w * (m[0, i] * qx + m[1, i] * qy), w * (m[1, i] * qx + m[2, i] * qy)
        vx += ux
        vy += uy
        xx += ux * dx
        xy += ux * dy
        yx += uy * dx
        yy += uy * dy
    return vx, vy, xx, xy, yx, yy


def _sums_2(z, c, m, scale, regularization, start, stop, cometric, slopes):
    """Write C and the D_k, packed, d = 2, in one pass."""
    x, y = z[0], z[1]
    s11 = s12 = s22 = x11 = x12 = x22 = y11 = y12 = y22 = 0.0
    for i in range(start, stop):
        dx, dy = c[0, i] - x, c[1, i] - y
        w = exp2(-(dx * dx + dy * dy) * (scale * _LOG2_E))
        w11, w12, w22 = w * m[0, i], w * m[1, i], w * m[2, i]
        s11 += w11
        s12 += w12
        s22 += w22
        x11 += w11 * dx
        x12 += w12 * dx
        x22 += w22 * dx
        y11 += w11 * dy
        y12 += w12 * dy
        y22 += w22 * dy
    cometric[0], cometric[1], cometric[2] = s11 + regularization, s12, s22 + regularization
    factor = 2.0 * scale
    slopes[0, 0], slopes[0, 1], slopes[0, 2] = factor * x11, factor * x12, factor * x22
    slopes[1, 0], slopes[1, 1], slopes[1, 2] = factor * y11, factor * y12, factor * y22


weigh = compile_borrowing(_weigh, fastmath=_FAST)
sum_kernels = compile_borrowing(_sum_kernels, fastmath=_FAST)
sum_slopes = compile_borrowing(_sum_slopes, fastmath=_FAST)
apply_kernels = compile_borrowing(_apply_kernels, fastmath=_FAST)
move_sums_2 = compile_borrowing(_move_sums_2, fastmath=_FAST)
sums_2 = compile_borrowing(_sums_2, fastmath=_FAST)
