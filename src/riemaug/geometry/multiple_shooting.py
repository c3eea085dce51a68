"""Multiple shooting: the initial velocity of a geodesic between given points, to the accuracy of a flow."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.geometry.block_tridiagonal import solve_block_tridiagonal
from riemaug.geometry.curves import in_chunks, resample
from riemaug.geometry.discrete_energy import Ends, Nodes, Numbers, expand_energy
from riemaug.geometry.integrators import GeodesicIntegrator
from riemaug.geometry.metric import Metric

Curves = Float[Tensor, "pairs time dim"]

_MOST_PIECES, _LEAST_SEGMENTS = 16, 4
_LEAST_SHARE = 1e-3


@dataclass(frozen=True)
class Model:
    """The energy of each piece's geodesic as a function of its two ends, to second order.

    Attributes
    ----------
    first, mixed, last : Tensor (pairs, pieces, d, d)
        Second derivatives: start-start, start-end, end-end.
    """

    first: Float[Tensor, "pairs pieces dim dim"]
    mixed: Float[Tensor, "pairs pieces dim dim"]
    last: Float[Tensor, "pairs pieces dim dim"]

    def select(self, rows: Tensor) -> "Model":
        """Return the models of some pairs."""
        return Model(self.first[rows], self.mixed[rows], self.last[rows])

    def step(self, gap: Nodes, jump: Nodes) -> tuple[Nodes, Nodes]:
        """Return changes of the pieces' starts and momenta that close gaps and jumps where they join.

        gap and jump are the position and the momentum at a piece's end minus those of the next
        start, (pairs, pieces, d); the last jump does not count. A piece from z + dz with q + dq obeys
        -dq = first dz + mixed de and ends at e + de with the momentum changed by mixed^T dz + last de.
        """
        shift = torch.zeros_like(gap)
        if gap.shape[1] > 1:
            force = _apply(self.last[:, :-1], gap[:, :-1]) + _apply(self.mixed[:, 1:], gap[:, 1:])
            force = force - jump[:, :-1]
            diagonal = self.first[:, 1:] + self.last[:, :-1]
            inner, definite = solve_block_tridiagonal(diagonal, self.mixed[:, 1:-1], force[..., None])
            shift[:, 1:] = torch.where(definite[:, None, None], inner[..., 0], torch.nan)
        after = torch.cat([shift[:, 1:], torch.zeros_like(shift[:, :1])], 1) - gap
        return shift, -_apply(self.first, shift) - _apply(self.mixed, after)


@dataclass(frozen=True)
class MultipleShooting:
    """Newton's method for the pieces of a geodesic: each flows on from its own start.

    A long geodesic may be so sensitive to its initial velocity that no guess is near enough for plain
    shooting; its pieces are not. The flow through the solved pieces is that of `num_steps` steps of the
    integrator from the first start. The derivatives are those of the discretised energy, found once.

    Parameters
    ----------
    metric : Metric
    integrator : GeodesicIntegrator
    num_steps : int
        Of the whole geodesic.
    """

    metric: Metric
    integrator: GeodesicIntegrator
    num_steps: int

    @property
    def pieces(self) -> int:
        """The largest divisor of the number of steps up to 16."""
        return max(k for k in range(1, _MOST_PIECES + 1) if self.num_steps % k == 0)

    def solve(self, curve: Curves, tolerance: Numbers, max_iterations: int) -> Ends:
        """Return the initial velocities, (pairs, d), of the geodesics between the ends of the curves.

        Parameters
        ----------
        curve : Tensor (pairs, time, d)
            Discrete geodesics, to start from.
        tolerance : Tensor (pairs,)
            Largest gap or jump, as a length in the chart.
        max_iterations : int
            Flows at most.
        """
        starts, momenta, model = self._start(curve)
        end, share = curve[:, -1], torch.ones_like(tolerance)
        gap, jump, size = self._defects(starts, momenta, end)
        for _ in range(max_iterations - 1):
            rows = ((size > tolerance) & (share > _LEAST_SHARE)).nonzero()[:, 0]
            if len(rows) == 0:
                break
            shift, push = model.select(rows).step(gap[rows], jump[rows])
            scale = share[rows, None, None]
            trial = (starts[rows] + scale * shift, momenta[rows] + scale * push)
            new_gap, new_jump, new_size = self._defects(*trial, end[rows])
            better = new_size < size[rows]
            taken = rows[better]
            starts[taken], momenta[taken] = trial[0][better], trial[1][better]
            gap[taken], jump[taken], size[taken] = new_gap[better], new_jump[better], new_size[better]
            share[rows] = torch.where(better, (2.0 * share[rows]).clamp_max(1.0), 0.5 * share[rows])
        return self.metric.velocity_of(starts[:, 0], momenta[:, 0])

    def _start(self, curve: Curves) -> tuple[Nodes, Nodes, Model]:
        """Return the pieces' starts and momenta on the discrete geodesics, and the model there."""
        pieces, dim = self.pieces, curve.shape[-1]
        segments = max(_LEAST_SEGMENTS, -(-(curve.shape[1] - 1) // pieces))
        fine = resample(curve, pieces * segments + 1)
        parts = fine.unfold(1, segments + 1, segments).mT.reshape(-1, segments + 1, dim)
        start, chord = parts[:, 0], parts[:, -1] - parts[:, 0]
        share = torch.linspace(0.0, 1.0, segments + 1, dtype=curve.dtype, device=curve.device)[:, None]
        terms = expand_energy(self.metric, start, chord, parts - start[:, None] - share * chord[:, None])
        shape = (len(curve), pieces)
        # Times `pieces`: from a piece's own unit time to that of the whole.
        model = Model(*((pieces * block).unflatten(0, shape) for block in terms.condensed()))
        momenta = (pieces * terms.initial_momentum).unflatten(0, shape)
        return start.unflatten(0, shape).clone(), momenta, model

    def _defects(self, starts: Nodes, momenta: Nodes, end: Ends) -> tuple[Nodes, Nodes, Numbers]:
        """Return the gaps and jumps at the pieces' ends, and the size of the largest in the chart."""
        pieces, metric, dim = self.pieces, self.metric, end.shape[-1]

        def arrive(point: Ends, momentum: Ends) -> Tensor:
            velocity = metric.velocity_of(point, momentum) / pieces
            flow = self.integrator.flow(metric, point, velocity, self.num_steps // pieces)
            final = pieces * metric.momentum_of(flow.point, flow.velocity)
            return torch.cat([flow.point, final, flow.converged[:, None].to(final)], -1)

        arrived, final, finite = in_chunks(metric, arrive, starts, momenta).split([dim, dim, 1], -1)
        gap = arrived - torch.cat([starts[:, 1:], end[:, None]], 1)
        jump = final - torch.cat([momenta[:, 1:], final[:, -1:]], 1)
        drift = in_chunks(metric, metric.velocity_of, arrived, jump) / pieces
        size = torch.maximum(gap.norm(dim=-1), drift.norm(dim=-1)).amax(1)
        usable = (finite > 0).all(1)[:, 0] & size.isfinite()
        return gap, jump, torch.where(usable, size, torch.inf)


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector[..., None])[..., 0]
