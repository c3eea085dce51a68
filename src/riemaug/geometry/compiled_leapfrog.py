"""Machine code for the generalised leapfrog on a kernel cometric, a row at a time.

A row goes from one position to the next in one visit: the second half of the step that led there, the
tempering, and the first half of the next step with its two implicit equations. Its adjoint is in
`compiled_adjoint`. Symbols: s = 1/T^2, delta_i = c_i - z, D_k = dC/dz_k.

Centroids are (d, N), kernels packed (entries, N): sums over kernels are loops over contiguous numbers. A
row sees the kernels `first[p]` to `last[p]` alone, and depends on no other row.
"""

import math

import numpy as np

from riemaug.geometry.compiled_kernel_sums import (
    apply_kernels,
    move_sums_2,
    sum_kernels,
    sum_slopes,
    sums_2,
    weigh,
)
from riemaug.geometry.compiled_matrices import (
    assign,
    bilinear_packed,
    compile_borrowing,
    factorise,
    invert_from_lower,
    invert_lower,
    multiply_lower,
    multiply_packed,
    solve_general,
    trace_of_product,
)

_FAST = {"contract", "reassoc", "nsz"}
_NEWTON_GAIN = 0.9


def scratch_of(dim: int, entries: int, count: int) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Return arrays that `advance` writes to, for d, d (d + 1) / 2 and N: `scratch` and `spare`."""

    def new(*shapes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        return tuple(np.empty(shape) for shape in shapes)

    vector, packed, square = (dim,), (entries,), (dim, dim)
    table = (dim, count)
    return (
        new(table, table, (count,), packed, packed, vector, vector, (3, dim), square),
        new(packed, (dim, entries), packed, packed, vector, vector, vector, (2, dim, dim)),
    )


def _kick_equation(q, target, slopes, half, gap, jacobian):
    """Write the residual of q' = target - h/2 dH/dz(z, q') and its Jacobian I + h/2 [D_k q']_kj."""
    for k in range(q.shape[0]):
        multiply_packed(slopes[k], q, jacobian[k])
        gap[k] = q[k] - target[k]
        for j in range(q.shape[0]):
            gap[k] += 0.5 * half * jacobian[k, j] * q[j]
            jacobian[k, j] *= half
        jacobian[k, k] += 1.0


def _move_equation(z, target, q, c, u, scale, regularization, half, start, stop, delta, w, gap, jacobian):
    """Write the residual of z1 = target + h/2 C(z1) q and its Jacobian I - h/2 [D_k q]_jk."""
    weigh(z, c, scale, start, stop, delta, w)
    for j in range(z.shape[0]):
        total = regularization * q[j]
        for i in range(start, stop):
            total += w[i] * u[j, i]
        gap[j] = z[j] - target[j] - half * total
        for k in range(z.shape[0]):
            total = 0.0
            for i in range(start, stop):
                total += w[i] * u[j, i] * delta[k, i]
            jacobian[j, k] = -2.0 * scale * half * total
        jacobian[j, j] += 1.0


def _move_equation_2(z, target, q, c, m, scale, regularization, half, start, stop, gap, jacobian):
    """Write what `move_equation` does, d = 2."""
    vx, vy, xx, xy, yx, yy = move_sums_2(z, q, c, m, scale, start, stop)
    factor = 2.0 * scale * half
    gap[0] = z[0] - target[0] - half * (vx + regularization * q[0])
    gap[1] = z[1] - target[1] - half * (vy + regularization * q[1])
    jacobian[0, 0], jacobian[0, 1] = 1.0 - factor * xx, -factor * xy
    jacobian[1, 0], jacobian[1, 1] = -factor * yx, 1.0 - factor * yy


def _error(gap, allowed):
    """Return the largest residual in units of what is allowed; NaN if one is."""
    largest = 0.0
    for k in range(gap.shape[0]):
        size = abs(gap[k]) / allowed
        if not size <= largest:
            largest = size
            if size != size:
                break
    return largest


def _newton_step(x, gap, jacobian, matrix):
    """Subtract J^-1 gap from x; `gap` is used up."""
    for k in range(x.shape[0]):
        for j in range(x.shape[0]):
            matrix[k, j] = jacobian[k, j]
    solve_general(matrix, gap)
    for k in range(x.shape[0]):
        x[k] -= gap[k]


def _allowed(x, tolerance):
    """Return the largest residual that a root near x may have."""
    size = 0.0
    for k in range(x.shape[0]):
        size = max(size, abs(x[k]))
    return tolerance * (1.0 + size)


def _next_guess(x, gap, jacobian, plain, matrix, before, now):
    """Go on from x: by Newton's step or, where the last one did not help, by the plain one instead of it.

    `plain` is where the plain step from the last point leads. Returns the residual to compare the next one
    with, infinite where any is accepted.
    """
    if before < math.inf and not now <= _NEWTON_GAIN * before:
        assign(plain, x)
        return math.inf
    for k in range(x.shape[0]):
        plain[k] = x[k] - gap[k]
    newton_step(x, gap, jacobian, matrix)
    return now


def _solve_kick(x, target, slopes, half, tolerance, limit, gap, jacobian, plain, matrix):
    """Solve the equation of the momentum from `x`, in place; return whether that was done.

    A root is polished by one more step, so that it is one to rounding; `jacobian` is the one before that.
    """
    allowed, before, taken = allowed_residual(x, tolerance), math.inf, 0
    while True:
        kick_equation(x, target, slopes, half, gap, jacobian)
        now = error(gap, allowed)
        if before == math.inf or now <= _NEWTON_GAIN * before:
            if not now > 1.0 or taken == limit:
                break
            taken += 1
        before = next_guess(x, gap, jacobian, plain, matrix, before, now)
    if now <= 1.0:
        newton_step(x, gap, jacobian, matrix)
    return now <= 1.0


def _solve_move(
    x, target, q, c, m, u, scale, regularization, half, start, stop, tolerance, limit, delta, w, gap,
    jacobian, plain, matrix,
):  # fmt: skip
    """Solve the equation of the position, as `solve_kick` does that of the momentum."""
    allowed, before, taken = allowed_residual(x, tolerance), math.inf, 0
    while True:
        if x.shape[0] == 2:
            move_equation_2(x, target, q, c, m, scale, regularization, half, start, stop, gap, jacobian)
        else:
            move_equation(
                x, target, q, c, u, scale, regularization, half, start, stop, delta, w, gap, jacobian
            )
        now = error(gap, allowed)
        if before == math.inf or now <= _NEWTON_GAIN * before:
            if not now > 1.0 or taken == limit:
                break
            taken += 1
        before = next_guess(x, gap, jacobian, plain, matrix, before, now)
    if now <= 1.0:
        newton_step(x, gap, jacobian, matrix)
    return now <= 1.0


kick_equation = compile_borrowing(_kick_equation, fastmath={"contract"})
move_equation = compile_borrowing(_move_equation, fastmath=_FAST)
move_equation_2 = compile_borrowing(_move_equation_2, fastmath={"contract"})
error = compile_borrowing(_error)
allowed_residual = compile_borrowing(_allowed)
newton_step = compile_borrowing(_newton_step, error_model="numpy")
next_guess = compile_borrowing(_next_guess)
solve_kick = compile_borrowing(_solve_kick)
solve_move = compile_borrowing(_solve_move)


def _local(z, c, m, scale, regularization, start, stop, delta, w, pulled, cometric, slopes, lower, inverse):
    """Write C, the D_k, L^-1 and G, packed; return log det C."""
    dim = z.shape[0]
    if dim == 2:
        sums_2(z, c, m, scale, regularization, start, stop, cometric, slopes)
    else:
        weigh(z, c, scale, start, stop, delta, w)
        sum_kernels(w, m, regularization, start, stop, cometric)
        sum_slopes(w, delta, m, scale, start, stop, pulled, slopes)
    log_det = factorise(cometric, dim, inverse)
    invert_lower(inverse, dim, lower)
    invert_from_lower(lower, dim, inverse)
    return log_det


local = compile_borrowing(_local)


def _half_step(
    z, target, cometric, slopes, c, m, scale, regularization, half, start, stop, tolerance, limit, moved,
    pushed, jacobians, delta, w, u, vectors, matrix,
):  # fmt: skip
    """Solve both equations of a step from z; return whether that was done.

    `target` is the momentum after all of the kick that does not depend on the result; it is overwritten.
    """
    dim = z.shape[0]
    gap, plain, velocity = vectors[0], vectors[1], vectors[2]
    assign(target, pushed)
    if not solve_kick(pushed, target, slopes, half, tolerance, limit, gap, jacobians[0], plain, matrix):
        return False
    multiply_packed(cometric, pushed, velocity)
    for k in range(dim):
        target[k] = z[k] + half * velocity[k]
        moved[k] = target[k] + half * velocity[k]
    if dim != 2:
        apply_kernels(m, pushed, start, stop, u)
    return solve_move(
        moved, target, pushed, c, m, u, scale, regularization, half, start, stop, tolerance, limit, delta, w,
        gap, jacobians[1], plain, matrix,
    )  # fmt: skip


half_step = compile_borrowing(_half_step)


def _comes_back(
    z, moved, pushed, c, m, scale, regularization, half, start, stop, tolerance, limit, nearness, delta, w, u,
    vectors, matrix, spare,
):  # fmt: skip
    """Return whether the step from `moved`, with the momentum flipped, ends at z by the way it came.

    The potential has no part in it: its half kicks at `moved`, there and back, cancel.
    """
    dim = z.shape[0]
    cometric, slopes, lower, inverse, target, back, way, jacobians = spare
    local(moved, c, m, scale, regularization, start, stop, delta, w, u[0], cometric, slopes, lower, inverse)
    for k in range(dim):
        target[k] = -pushed[k] + 0.5 * half * bilinear_packed(slopes[k], pushed, pushed)
    done = half_step(
        moved, target, cometric, slopes, c, m, scale, regularization, half, start, stop, tolerance, limit,
        back, way, jacobians, delta, w, u, vectors, matrix,
    )  # fmt: skip
    place, push = 1.0, 1.0
    for k in range(dim):
        place, push = max(place, 1.0 + abs(z[k])), max(push, 1.0 + abs(pushed[k]))
    for k in range(dim):
        done = done and abs(back[k] - z[k]) < nearness * place
        done = done and abs(way[k] + pushed[k]) < nearness * push
    return done


comes_back = compile_borrowing(_comes_back)


def _advance(
    z, carried, score, held, first, last, c, m, scale, regularization, half, factor, tolerance, limit,
    nearness, is_start, is_end, moved, pushed, rho, terms, failed, cometrics, slopes, jacobians, scratch,
    spare,
):  # fmt: skip
    """Take every row from its position to the next one.

    Parameters
    ----------
    z, score : (n, d)
        Positions and the gradients of log p(x|z) there.
    carried : (n, d)
        At the start standard normal noise; later the momentum between the two kicks of the step that led
        here or, of a row whose step failed (`held`), that before this step.
    factor : float
        What the momentum is multiplied by here: the tempering.
    nearness : float
        A step whose reverse does not end so close to its start has failed, too; 0 leaves this out.
    moved, pushed, failed : (n, d), (n, d), (n,)
        The next position, the momentum on the way there, and whether this step failed: the position
        stays then, and `pushed` is the momentum here. So it is at the end, where no step follows.
    rho : (n, d)
        The momentum here.
    terms : (n,)
        -1/2 log det C at the start, + 1/2 log det C - 1/2 rho^T C rho at the end.
    cometrics, slopes, jacobians : (n, entries), (n, d, entries), (n, 2, d, d)
        C, the D_k, and the Jacobians of the two equations, for the adjoint.
    scratch, spare : tuple of arrays
        What `scratch_of` returns.
    """
    dim = c.shape[0]
    delta, u, w, lower, inverse, force, target, vectors, matrix = scratch
    for p in range(z.shape[0]):
        start, stop = np.uintp(first[p]), np.uintp(last[p])
        log_det = local(
            z[p], c, m, scale, regularization, start, stop, delta, w, u[0], cometrics[p], slopes[p], lower,
            inverse,
        )  # fmt: skip
        for k in range(dim):
            force[k] = z[p, k] - score[p, k] - 0.5 * trace_of_product(inverse, slopes[p, k], dim)
        if is_start:
            multiply_lower(lower, carried[p], True, rho[p])
        else:
            for k in range(dim):
                kick = force[k] + 0.5 * bilinear_packed(slopes[p, k], carried[p], carried[p])
                rho[p, k] = -carried[p, k] if held[p] else carried[p, k] - half * kick
        for k in range(dim):
            rho[p, k] *= factor
            target[k] = rho[p, k] - half * force[k]
        terms[p] = -0.5 * log_det if is_start else 0.0
        if is_end:
            terms[p] += 0.5 * (log_det - bilinear_packed(cometrics[p], rho[p], rho[p]))
            assign(z[p], moved[p])
            assign(rho[p], pushed[p])
            continue
        solved = half_step(
            z[p], target, cometrics[p], slopes[p], c, m, scale, regularization, half, start, stop, tolerance,
            limit, moved[p], pushed[p], jacobians[p], delta, w, u, vectors, matrix,
        )  # fmt: skip
        if solved and nearness > 0.0:
            solved = comes_back(
                z[p], moved[p], pushed[p], c, m, scale, regularization, half, start, stop, tolerance, limit,
                nearness, delta, w, u, vectors, matrix, spare,
            )  # fmt: skip
        if not solved:
            failed[p] = True
            assign(z[p], moved[p])
            assign(rho[p], pushed[p])


advance = compile_borrowing(_advance)
