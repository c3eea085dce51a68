"""The discretised energy of curves between fixed ends, with its gradient and Hessian."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from riemaug.geometry.block_tridiagonal import solve_block_tridiagonal
from riemaug.geometry.kinetic_expansion import KineticExpansion, expand_kinetic_energy, points_per_chunk
from riemaug.geometry.metric import Metric

Ends = Float[Tensor, "pairs dim"]
Nodes = Float[Tensor, "pairs nodes dim"]
Numbers = Float[Tensor, " pairs"]
Segments = Float[Tensor, "pairs segments dim dim"]
Blocks = Float[Tensor, "pairs dim dim"]


@dataclass(frozen=True)
class EnergyExpansion:
    """E = h/2 sum_t v_t^T G(m_t) v_t of n segments, h = 1/n, expanded in the n - 1 inner points.

    v_t is a segment's velocity and m_t its midpoint. This is the midpoint rule: of second order, and the
    same for the reversed curve. Its critical points obey the discrete geodesic equations
    q_t - q_{t-1} = -h/2 (g_t + g_{t-1}) with q = G v and g = dH/dz(m, q).

    Attributes
    ----------
    energy : Tensor (pairs,)
    momentum_size : Tensor (pairs,)
        max_t |q_t|, the scale of the residual.
    initial_momentum : Tensor (pairs, d)
        -dE/dz_0, on a geodesic the momentum at its start with an error O(h^2).
    gradient : Tensor (pairs, n - 1, d)
        dE/dz_t.
    diagonal : Tensor (pairs, n - 1, d, d)
        d^2 E / dz_t dz_t.
    outer : Tensor (pairs, 2, d, d)
        d^2 E / dz_0 dz_0 and d^2 E / dz_n dz_n.
    coupling : Tensor (pairs, n, d, d)
        d^2 E / dz_{t+1} dz_t of the two ends of each segment.
    stiffness : Tensor (pairs, n, d, d)
        G(m_t) / h: the Hessian if G did not depend on z is that of 1/2 sum_t |dz_{t+1} - dz_t|^2 in it.
    curvature : Tensor (pairs, n, d, d)
        h/4 K_t, which enters all four blocks of a segment with a minus sign; without it the Hessian is
        positive definite.
    """

    energy: Numbers
    momentum_size: Numbers
    initial_momentum: Ends
    gradient: Nodes
    diagonal: Float[Tensor, "pairs nodes dim dim"]
    outer: Float[Tensor, "pairs 2 dim dim"]
    coupling: Segments
    stiffness: Segments
    curvature: Segments

    @property
    def residual(self) -> Numbers:
        """max_t |dE/dz_t| / max_t |q_t|: the largest jump of the momentum that no force explains."""
        jump = self.gradient.norm(dim=-1).amax(-1)
        return jump / self.momentum_size.clamp_min(torch.finfo(jump.dtype).tiny)

    def select(self, rows: Bool[Tensor, " pairs"] | Int[Tensor, " rows"]) -> "EnergyExpansion":
        """Return the expansions of some of the pairs."""
        return EnergyExpansion(*(getattr(self, field.name)[rows] for field in fields(self)))

    def replace(self, rows: Int[Tensor, " rows"], other: "EnergyExpansion") -> "EnergyExpansion":
        """Return the same with those of some pairs replaced by `other`."""
        pairs = ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return EnergyExpansion(*(mine.index_copy(0, rows, theirs) for mine, theirs in pairs))

    def newton_step(self, damping: Numbers, with_curvature: bool) -> tuple[Nodes, Bool[Tensor, " pairs"]]:
        """Return -(H + damping S)^-1 gradient and where that matrix is positive definite.

        S is the Hessian for constant G: the more damping, the more the step is GEORCE's descent
        direction, shortened. Without curvature H is the part that is always definite (Gauss-Newton).
        """
        weight = damping[:, None, None, None] * self.stiffness
        diagonal = self.diagonal + weight[:, :-1] + weight[:, 1:]
        coupling = self.coupling - weight
        if not with_curvature:
            diagonal = diagonal + self.curvature[:, :-1] + self.curvature[:, 1:]
            coupling = coupling + self.curvature
        step, is_definite = solve_block_tridiagonal(diagonal, coupling[:, 1:-1].mT, -self.gradient[..., None])
        return step[..., 0], is_definite & step.isfinite().flatten(1).all(1)

    def condensed(self) -> tuple[Blocks, Blocks, Blocks]:
        """Return d^2 E / (da da), (da db), (db db) of the ends a and b where the inner points follow.

        That is, of the energy of the discrete geodesic as a function of its ends, each (pairs, d, d).
        """
        dim = self.gradient.shape[-1]
        first, last = self.coupling[:, 0], self.coupling[:, -1]
        force = self.diagonal.new_zeros(*self.diagonal.shape[:-1], 2 * dim)
        force[:, 0, :, :dim] = first
        force[:, -1, :, dim:] = last.mT
        response, _ = solve_block_tridiagonal(self.diagonal, self.coupling[:, 1:-1].mT, force)
        of_start = response[:, 0, :, :dim]
        by_end_first, by_end_last = response[:, 0, :, dim:], response[:, -1, :, dim:]
        return (
            self.outer[:, 0] - first.mT @ of_start,
            -first.mT @ by_end_first,
            self.outer[:, 1] - last @ by_end_last,
        )


def expand_energy(metric: Metric, start: Ends, chord: Ends, deviation: Nodes) -> EnergyExpansion:
    """Return the expansion at the curves start + s chord + deviation(s), s = 0, 1/n, ... 1.

    Parameters
    ----------
    metric : Metric
    start, chord : Tensor (pairs, d)
        First point, and the last minus the first.
    deviation : Tensor (pairs, n + 1, d)
        Zero at the ends. Kept apart from the straight line so that short curves far from the origin
        lose no digits.
    """
    pairs, num_points, dim = deviation.shape
    count = num_points - 1
    velocity = chord[:, None] + count * deviation.diff(dim=1)
    middle = (torch.arange(count, dtype=start.dtype, device=start.device) + 0.5) / count
    bent = 0.5 * (deviation[:, 1:] + deviation[:, :-1])
    midpoint = start[:, None] + middle[:, None] * chord[:, None] + bent
    chunk = points_per_chunk(metric)
    rows = zip(midpoint.reshape(-1, dim).split(chunk), velocity.reshape(-1, dim).split(chunk), strict=True)
    parts = [_segment_terms(expand_kinetic_energy(metric, z, v), 1.0 / count) for z, v in rows]
    terms = [torch.cat(column).unflatten(0, (pairs, count)) for column in zip(*parts, strict=True)]
    momentum, pull, head, tail, coupling, stiffness, curvature = terms
    return EnergyExpansion(
        energy=(0.5 / count) * (momentum * velocity).sum((1, 2)),
        momentum_size=momentum.norm(dim=-1).amax(1),
        initial_momentum=momentum[:, 0] + pull[:, 0],
        gradient=(momentum[:, :-1] - pull[:, :-1]) - (momentum[:, 1:] + pull[:, 1:]),
        diagonal=head[:, :-1] + tail[:, 1:],
        outer=torch.stack([tail[:, 0], head[:, -1]], 1),
        coupling=coupling,
        stiffness=stiffness,
        curvature=curvature,
    )


def _segment_terms(expansion: KineticExpansion, step: float) -> tuple[Tensor, ...]:
    """Return what single segments contribute, each (n, d) or (n, d, d).

    With dv = (dz+ - dz-)/h and dm = (dz+ + dz-)/2 of the head z+ and the tail z-, the derivatives in
    (v, m) become: the momentum q; the pull h/2 g that both ends share; the Hessian's blocks head-head,
    tail-tail, head-tail; the stiffness; the curvature.
    """
    tensor, momentum, slope = expansion.metric, expansion.momentum, expansion.slope
    pull = (0.25 * step) * (slope.mT @ momentum[..., None])[..., 0]
    mixed = tensor @ slope
    even, odd = 0.5 * (mixed + mixed.mT), 0.5 * (mixed - mixed.mT)
    stiffness = tensor / step
    curvature = (0.25 * step) * expansion.curvature
    shared = (0.25 * step) * (slope.mT @ mixed) - curvature
    plain = stiffness + shared
    return momentum, pull, plain - even, plain + even, shared - stiffness - odd, stiffness, curvature
