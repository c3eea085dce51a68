"""Machine code for the kernel sums of the metric in one to three dimensions, made by numba when first used.

Each point runs over its centroids in one pass and keeps its sums in registers; nothing of shape
(points, centroids) is ever stored. A point's result depends on that point alone, so bits do not
change with the batch. Points are (p, 2) or (p, 3); one dimension is the second axis of two.

All of it stands in one file because numba's cache notices changes of a function's own file alone.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

SUMS, SUMS_AND_SLOPES, FLOW, COUNT, TWO_SUMS, ANY, SUMS_AND_TWO = range(7)
"""What `evaluate` computes; see there."""

_FAST = {"contract", "reassoc", "nsz"}
_LEAST_EXPONENT, _LEAST_EXPONENT_SINGLE = -430.0, -110.0
_FAR = 1e150
_BLOCK = 32
_NEAR = 0.16


def _coefficients(dtype: type, degree: int) -> tuple[Any, ...]:
    """Return, from the constant on, a polynomial close to 2^r on [-1/2, 1/2] and equal to it at 0.

    (2^r - 1) / r is interpolated at Chebyshev's points; the relative error is near 2e-16 for degree 10
    and 1e-7 for degree 5.
    """

    def slope(r: np.ndarray) -> np.ndarray:
        r = np.where(r == 0.0, 1e-30, r)
        return np.expm1(r * math.log(2.0)) / r

    series = np.polynomial.Chebyshev.interpolate(slope, degree - 1, domain=[-0.5, 0.5])
    return dtype(1.0), *(dtype(value) for value in series.convert(kind=np.polynomial.Polynomial).coef)


_DOUBLE, _SINGLE = _coefficients(np.float64, 10), _coefficients(np.float32, 5)


def compile_function(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Return the compiled function; wrappers that check shapes in the tests are taken off first."""
    plain = inspect.unwrap(function)
    try:
        return numba.njit(cache=True, **options)(plain)
    except RuntimeError:  # no folder to cache in can be written: compile anew in each process
        return numba.njit(**options)(plain)


def _rint(typing_context, x):
    def generate(context, builder, signature, arguments):
        nearest = builder.module.declare_intrinsic("llvm.rint", [arguments[0].type])
        return builder.call(nearest, arguments)

    return x(x), generate


def _power_of_two(typing_context, exponent):
    """2^n for a whole n as a float: written straight into the bits of the exponent."""
    bits, bias, fraction = (32, 127, 23) if exponent == types.float32 else (64, 1023, 52)

    def generate(context, builder, signature, arguments):
        word = ir.IntType(bits)
        biased = builder.add(builder.fptosi(arguments[0], word), ir.Constant(word, bias))
        return builder.bitcast(builder.shl(biased, ir.Constant(word, fraction)), arguments[0].type)

    return exponent(exponent), generate


rint = intrinsic(inspect.unwrap(_rint))
power_of_two = intrinsic(inspect.unwrap(_power_of_two))


def exp2(x: float) -> float:
    """Return 2^x for x <= 0, within a unit or two in the last place; below the least exponent, that power."""
    return 2.0 ** max(x, _LEAST_EXPONENT)


def _exp2_double(x):
    x = max(x, _LEAST_EXPONENT)
    whole = rint(x)
    r = x - whole
    series = _DOUBLE[10] * r + _DOUBLE[9]
    series = series * r + _DOUBLE[8]
    series = series * r + _DOUBLE[7]
    series = series * r + _DOUBLE[6]
    series = series * r + _DOUBLE[5]
    series = series * r + _DOUBLE[4]
    series = series * r + _DOUBLE[3]
    series = series * r + _DOUBLE[2]
    series = series * r + _DOUBLE[1]
    series = series * r + _DOUBLE[0]
    return series * power_of_two(whole)


def _exp2_single(x):
    x = max(x, np.float32(_LEAST_EXPONENT_SINGLE))
    whole = rint(x)
    r = x - whole
    series = _SINGLE[5] * r + _SINGLE[4]
    series = series * r + _SINGLE[3]
    series = series * r + _SINGLE[2]
    series = series * r + _SINGLE[1]
    series = series * r + _SINGLE[0]
    return series * power_of_two(whole)


def _code_of_exp2(x):
    """Choose by type: x = n + r with n whole and |r| <= 1/2, and a polynomial that interpolates 2^r."""
    codes = {types.float64: _exp2_double, types.float32: _exp2_single}
    return inspect.unwrap(codes[x]) if x in codes else None


overload(exp2, jit_options={"fastmath": _FAST})(inspect.unwrap(_code_of_exp2))


def _sums_2(p, z, q, c, m, scale, start, stop, out):
    x, y = z[p, 0], z[p, 1]
    s11 = s12 = s22 = scale - scale
    for i in range(start, stop):
        dx, dy = c[0, i] - x, c[1, i] - y
        w = exp2(-(dx * dx + dy * dy) * scale)
        s11 += w * m[0, i]
        s12 += w * m[1, i]
        s22 += w * m[2, i]
    out[p, 0] += s11
    out[p, 1] += s12
    out[p, 2] += s22


def _sums_3(p, z, q, c, m, scale, start, stop, out):
    x, y, t = z[p, 0], z[p, 1], z[p, 2]

    s11 = s12 = s13 = s22 = s23 = s33 = scale - scale
    for i in range(start, stop):
        dx, dy, dt = c[0, i] - x, c[1, i] - y, c[2, i] - t
        w = exp2(-(dx * dx + dy * dy + dt * dt) * scale)
        s11 += w * m[0, i]
        s12 += w * m[1, i]
        s13 += w * m[2, i]
        s22 += w * m[3, i]
        s23 += w * m[4, i]
        s33 += w * m[5, i]
    out[p, 0] += s11
    out[p, 1] += s12
    out[p, 2] += s13
    out[p, 3] += s22
    out[p, 4] += s23
    out[p, 5] += s33


def _slopes_2(p, z, q, c, m, scale, start, stop, out):
    x, y = z[p, 0], z[p, 1]
    s11 = s12 = s22 = x11 = x12 = x22 = y11 = y12 = y22 = scale - scale
    for i in range(start, stop):
        dx, dy = c[0, i] - x, c[1, i] - y
        w = exp2(-(dx * dx + dy * dy) * scale)
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
    out[p, 0] += s11
    out[p, 1] += s12
    out[p, 2] += s22
    out[p, 3] += x11
    out[p, 4] += x12
    out[p, 5] += x22
    out[p, 6] += y11
    out[p, 7] += y12
    out[p, 8] += y22


def _slopes_of_half_3(p, z, c, m, first, scale, start, stop, out):
    """Add the sums of w, w dx, w dy, w dt times three of the six entries of the M_i (first = 0 or 3).

    All six at once would need more registers than there are.
    """
    x, y, t = z[p, 0], z[p, 1], z[p, 2]
    sa = sb = sc = xa = xb = xc = ya = yb = yc = ta = tb = tc = scale - scale
    for i in range(start, stop):
        dx, dy, dt = c[0, i] - x, c[1, i] - y, c[2, i] - t
        w = exp2(-(dx * dx + dy * dy + dt * dt) * scale)
        wa, wb, wc = w * m[first, i], w * m[first + 1, i], w * m[first + 2, i]
        sa += wa
        sb += wb
        sc += wc
        xa += wa * dx
        xb += wb * dx
        xc += wc * dx
        ya += wa * dy
        yb += wb * dy
        yc += wc * dy
        ta += wa * dt
        tb += wb * dt
        tc += wc * dt
    sums = ((sa, sb, sc), (xa, xb, xc), (ya, yb, yc), (ta, tb, tc))
    for block in range(4):
        for k in range(3):
            out[p, 6 * block + first + k] += sums[block][k]


def _flow_2(p, z, q, c, m, scale, start, stop, out):
    x, y, qx, qy = z[p, 0], z[p, 1], q[p, 0], q[p, 1]
    vx = vy = gx = gy = scale - scale
    for i in range(start, stop):
        dx, dy = c[0, i] - x, c[1, i] - y
        w = exp2(-(dx * dx + dy * dy) * scale)
        px = w * (m[0, i] * qx + m[1, i] * qy)
        py = w * (m[1, i] * qx + m[2, i] * qy)
        a = qx * px + qy * py
        vx += px
        vy += py
        gx += a * dx
        gy += a * dy
    out[p, 0] += vx
    out[p, 1] += vy
    out[p, 2] += gx
    out[p, 3] += gy


def _flow_3(p, z, q, c, m, scale, start, stop, out):
    x, y, t, qx, qy, qt = z[p, 0], z[p, 1], z[p, 2], q[p, 0], q[p, 1], q[p, 2]
    xx, yy, tt = qx * qx, qy * qy, qt * qt
    xy, xt, yt = qx * qy + qx * qy, qx * qt + qx * qt, qy * qt + qy * qt
    s11 = s12 = s13 = s22 = s23 = s33 = gx = gy = gt = scale - scale
    for i in range(start, stop):
        dx, dy, dt = c[0, i] - x, c[1, i] - y, c[2, i] - t
        w = exp2(-(dx * dx + dy * dy + dt * dt) * scale)
        s11 += w * m[0, i]
        s12 += w * m[1, i]
        s13 += w * m[2, i]
        s22 += w * m[3, i]
        s23 += w * m[4, i]
        s33 += w * m[5, i]
        a = xx * m[0, i] + xy * m[1, i] + xt * m[2, i] + yy * m[3, i] + yt * m[4, i] + tt * m[5, i]
        a *= w
        gx += a * dx
        gy += a * dy
        gt += a * dt
    out[p, 0] += s11 * qx + s12 * qy + s13 * qt
    out[p, 1] += s12 * qx + s22 * qy + s23 * qt
    out[p, 2] += s13 * qx + s23 * qy + s33 * qt
    out[p, 3] += gx
    out[p, 4] += gy
    out[p, 5] += gt


def _two_sums(p, z, c, m, scale, start, stop, out):
    """Add sum w m for two columns m that need not be entries of a matrix."""
    x, y, t = z[p, 0], z[p, 1], z[p, z.shape[1] - 1]
    in_space = 1.0 if z.shape[1] == 3 else 0.0
    last = c.shape[0] - 1
    first = second = scale - scale
    for i in range(start, stop):
        dx, dy, dt = c[0, i] - x, c[1, i] - y, in_space * (c[last, i] - t)
        w = exp2(-(dx * dx + dy * dy + dt * dt) * scale)
        first += w * m[0, i]
        second += w * m[1, i]
    out[p, 0] += first
    out[p, 1] += second


def _sums_and_two_2(p, z, c, m, scale, start, stop, out):
    """Add what `sums_2` does, and sum w m of the two columns after the entries of the M_i."""
    x, y = z[p, 0], z[p, 1]
    s11 = s12 = s22 = first = second = scale - scale
    for i in range(start, stop):
        dx, dy = c[0, i] - x, c[1, i] - y
        w = exp2(-(dx * dx + dy * dy) * scale)
        s11 += w * m[0, i]
        s12 += w * m[1, i]
        s22 += w * m[2, i]
        first += w * m[3, i]
        second += w * m[4, i]
    out[p, 0] += s11
    out[p, 1] += s12
    out[p, 2] += s22
    out[p, 3] += first
    out[p, 4] += second


def _sums_and_two_3(p, z, c, m, scale, start, stop, out):
    """Add what `sums_3` does, and sum w m of the two columns after the entries of the M_i."""
    x, y, t = z[p, 0], z[p, 1], z[p, 2]
    s11 = s12 = s13 = s22 = s23 = s33 = first = second = scale - scale
    for i in range(start, stop):
        dx, dy, dt = c[0, i] - x, c[1, i] - y, c[2, i] - t
        w = exp2(-(dx * dx + dy * dy + dt * dt) * scale)
        s11 += w * m[0, i]
        s12 += w * m[1, i]
        s13 += w * m[2, i]
        s22 += w * m[3, i]
        s23 += w * m[4, i]
        s33 += w * m[5, i]
        first += w * m[6, i]
        second += w * m[7, i]
    out[p, 0] += s11
    out[p, 1] += s12
    out[p, 2] += s13
    out[p, 3] += s22
    out[p, 4] += s23
    out[p, 5] += s33
    out[p, 6] += first
    out[p, 7] += second


def _weight_of_block(z, c, m, scale, start, stop):
    """Return sum w m over one block of centroids, for z given by its coordinates."""
    x, y, t = z
    in_space = 1.0 if c.shape[0] == 3 else 0.0
    last = c.shape[0] - 1
    total = scale - scale
    for i in range(start, stop):
        dx, dy, dt = c[0, i] - x, c[1, i] - y, in_space * (c[last, i] - t)
        total += m[0, i] * exp2(-(dx * dx + dy * dy + dt * dt) * scale)
    return total


def _count(p, z, c, limit, start, stop, out):
    """Add the number of centroids within the square root of `limit`."""
    x, y, t = z[p, 0], z[p, 1], z[p, z.shape[1] - 1]
    in_space = 1.0 if z.shape[1] == 3 else 0.0
    last = c.shape[0] - 1
    found = 0.0
    for i in range(start, stop):
        dx, dy, dt = c[0, i] - x, c[1, i] - y, in_space * (c[last, i] - t)
        found += 1.0 if dx * dx + dy * dy + dt * dt <= limit else 0.0
    out[p, 0] += found


sums_2 = compile_function(_sums_2, fastmath=_FAST)
sums_3 = compile_function(_sums_3, fastmath=_FAST)
slopes_2 = compile_function(_slopes_2, fastmath=_FAST)
slopes_of_half_3 = compile_function(_slopes_of_half_3, fastmath=_FAST)
flow_2 = compile_function(_flow_2, fastmath=_FAST)
flow_3 = compile_function(_flow_3, fastmath=_FAST)
two_sums = compile_function(_two_sums, fastmath=_FAST)
sums_and_two_2 = compile_function(_sums_and_two_2, fastmath=_FAST)
sums_and_two_3 = compile_function(_sums_and_two_3, fastmath=_FAST)
weight_of_block = compile_function(_weight_of_block, fastmath=_FAST)
count = compile_function(_count, fastmath=_FAST)


def _cell(value, origin, side, last):
    """Index of the cell that holds a coordinate, cut to -1 ... last + 1."""
    position = math.floor((value - origin) / side)
    return int(min(max(position, -1.0), last + 1.0))


cell = compile_function(_cell)


def _find_rows(p, z, radius, origin, side, shape, starts, rows):
    """Write the [start, stop) of stored centroids in cells within `radius` of point p; return their number.

    Cells that follow each other on the last axis are stored one after the other: one row each. The
    third column tells the rows that pass near z.
    """
    found = 0
    dim = z.shape[1]
    x = z[p, 0] if dim == 3 else 0.0
    y, t = z[p, dim - 2], z[p, dim - 1]
    for ix in range(
        max(0, cell(x - radius, origin[0], side[0], shape[0] - 1)),
        min(shape[0] - 1, cell(x + radius, origin[0], side[0], shape[0] - 1)) + 1,
    ):
        low = origin[0] + ix * side[0]
        dx = max(low - x, x - low - side[0], 0.0)
        for iy in range(
            max(0, cell(y - radius, origin[1], side[1], shape[1] - 1)),
            min(shape[1] - 1, cell(y + radius, origin[1], side[1], shape[1] - 1)) + 1,
        ):
            low = origin[1] + iy * side[1]
            dy = max(low - y, y - low - side[1], 0.0)
            rest = radius * radius - dx * dx - dy * dy
            if rest < 0.0:
                continue
            half = math.sqrt(rest)
            first = max(0, cell(t - half, origin[2], side[2], shape[2] - 1))
            last = min(shape[2] - 1, cell(t + half, origin[2], side[2], shape[2] - 1))
            row = (ix * shape[1] + iy) * shape[2]
            if last >= first and starts[row + last + 1] > starts[row + first]:
                rows[found, 0], rows[found, 1] = starts[row + first], starts[row + last + 1]
                rows[found, 2] = 1 if dx * dx + dy * dy <= _NEAR * radius * radius else 0
                found += 1
    return found


find_rows = compile_function(_find_rows)


def _fill_up(rows, found, size):
    """Lengthen rows to whole multiples of the block, as far as the next row allows.

    The centroids that come in are farther away than the radius: they do no harm, and the loops have no
    remainder, which would be run through one by one.
    """
    for r in range(found):
        wanted = rows[r, 0] + -(-(rows[r, 1] - rows[r, 0]) // _BLOCK) * _BLOCK
        rows[r, 1] = min(wanted, rows[r + 1, 0] if r + 1 < found else size)


fill_up = compile_function(_fill_up)


def _row_limit(radius, side, shape):
    """Return how many rows `find_rows` can write."""
    if radius == math.inf:
        return 1
    across = min(float(shape[0]), 2.0 * math.ceil(radius / side[0]) + 2.0)
    down = min(float(shape[1]), 2.0 * math.ceil(radius / side[1]) + 2.0)
    return int(across * down)


row_limit = compile_function(_row_limit)


def _evaluate(mode, points, momenta, c, m, scale, radius, origin, side, shape, starts, order, out):
    """Fill `out` (p, columns) with the sums over the centroids within `radius` of each point.

    SUMS: sum w M, entries on and above the diagonal. SUMS_AND_SLOPES: these, then
    sum w (c - z)_k M for each k. FLOW: sum w M q, then sum w (q M q)(c - z). COUNT: how many
    centroids are within `radius`. ANY: the same, or less once it is not zero. TWO_SUMS: sum w m of
    two columns m. SUMS_AND_TWO: SUMS, then these. A radius of infinity takes all.
    Points that are not finite give NaN; they are gone through in `order`.
    """
    dim = points.shape[1]
    rows = np.empty((row_limit(radius, side, shape), 3), np.int64)
    for row in range(points.shape[0]):
        p = np.uintp(order[row])
        out[p, :] = 0.0
        total, size = 0.0, 0.0
        for k in range(dim):
            total += 0.0 * points[p, k] + 0.0 * momenta[p, k]
            size = max(size, abs(points[p, k]))
        if total != 0.0:
            out[p, :] = math.nan
            continue
        if size > _FAR:
            continue
        if radius == math.inf:
            rows[0, 0], rows[0, 1] = 0, c.shape[1]
            found = 1
        else:
            found = find_rows(p, points, radius, origin, side, shape, starts, rows)
            if mode != COUNT and mode != ANY:
                fill_up(rows, found, c.shape[1])
        for r in range(found):
            start, stop = np.uintp(rows[r, 0]), np.uintp(rows[r, 1])
            if mode == ANY:
                first = start
                while first < stop and out[p, 0] == 0.0:
                    following = min(first + np.uintp(_BLOCK), stop)
                    count(p, points, c, radius * radius, first, following, out)
                    first = following
                if out[p, 0] > 0.0:
                    break
            elif mode == COUNT:
                count(p, points, c, radius * radius, start, stop, out)
            elif mode == SUMS_AND_TWO:
                if dim == 2:
                    sums_and_two_2(p, points, c, m, scale, start, stop, out)
                else:
                    sums_and_two_3(p, points, c, m, scale, start, stop, out)
            elif mode == TWO_SUMS:
                two_sums(p, points, c, m, scale, start, stop, out)
            elif mode == SUMS:
                if dim == 2:
                    sums_2(p, points, momenta, c, m, scale, start, stop, out)
                else:
                    sums_3(p, points, momenta, c, m, scale, start, stop, out)
            elif mode == FLOW:
                if dim == 2:
                    flow_2(p, points, momenta, c, m, scale, start, stop, out)
                else:
                    flow_3(p, points, momenta, c, m, scale, start, stop, out)
            elif dim == 2:
                slopes_2(p, points, momenta, c, m, scale, start, stop, out)
            else:
                slopes_of_half_3(p, points, c, m, 0, scale, start, stop, out)
                slopes_of_half_3(p, points, c, m, 3, scale, start, stop, out)


evaluate = compile_function(_evaluate)


def _choose(points, levels, c, m, scale, radius, origin, side, shape, starts, order, chosen):
    """Write to `chosen` the first stored centroid at which the running sum of w m exceeds the level.

    Whole blocks are added up at once; only the block in which the level is reached is gone through. Rows
    near the point come first: they hold nearly all of the weight.
    """
    dim = points.shape[1]
    rows = np.empty((row_limit(radius, side, shape), 3), np.int64)
    for row in range(points.shape[0]):
        p = np.uintp(order[row])
        z = (points[p, 0], points[p, 1], points[p, dim - 1])
        rest = levels[p]
        found = 1
        rows[0, 0], rows[0, 1], rows[0, 2] = 0, c.shape[1], 1
        if radius < math.inf:
            found = find_rows(p, points, radius, origin, side, shape, starts, rows)
            fill_up(rows, found, c.shape[1])
        chosen[p] = -1
        for turn in range(2 * found):
            r = turn % found
            if rows[r, 2] != (1 if turn < found else 0):
                continue
            for first in range(rows[r, 0], rows[r, 1], _BLOCK):
                start, stop = np.uintp(first), np.uintp(min(first + _BLOCK, rows[r, 1]))
                weight = weight_of_block(z, c, m, scale, start, stop)
                if weight <= rest:
                    rest -= weight
                    continue
                for i in range(start, stop):
                    weight = weight_of_block(z, c, m, scale, i, i + np.uintp(1))
                    chosen[p] = i
                    if weight > rest:
                        break
                    rest -= weight
                break
            if chosen[p] >= 0:
                break


choose = compile_function(_choose)


def _midpoint(points, momenta, c, m, scale, slope_scale, regularization, time_step, force_step, num_steps):
    """Follow Hamilton's equations by the explicit midpoint rule, in place, for whole paths one by one.

    `slope_scale` is 1 / T^2; `force_step` has the sign of the change of momentum along dH/dz.
    """
    dim = points.shape[1]
    z, q = np.empty((1, dim), points.dtype), np.empty((1, dim), points.dtype)
    sums = np.empty((1, 2 * dim), points.dtype)
    zero, size = np.uintp(0), np.uintp(c.shape[1])
    half = scale / (scale + scale)
    for p in range(points.shape[0]):
        for stage in range(2 * num_steps):
            at_middle = stage % 2 == 1
            if not at_middle:
                z[0, :] = points[p]
                q[0, :] = momenta[p]
            sums[0, :] = scale - scale
            if dim == 2:
                flow_2(zero, z, q, c, m, scale, zero, size, sums)
            else:
                flow_3(zero, z, q, c, m, scale, zero, size, sums)
            for k in range(dim):
                velocity = sums[0, k] + regularization * q[0, k]
                gradient = sums[0, dim + k] * slope_scale
                if at_middle:
                    points[p, k] += time_step * velocity
                    momenta[p, k] += force_step * gradient
                else:
                    z[0, k] = points[p, k] + half * time_step * velocity
                    q[0, k] = momenta[p, k] + half * force_step * gradient


midpoint = compile_function(_midpoint)
