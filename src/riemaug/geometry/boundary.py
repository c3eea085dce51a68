"""The boundary-value solver: curves of least energy between fixed ends, many pairs at once."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemaug.errors import InvalidInputError
from riemaug.geometry.curves import interpolation_matrix
from riemaug.geometry.discrete_energy import Ends, EnergyExpansion, Nodes, Numbers, expand_energy
from riemaug.geometry.metric import Metric

_LEAST_DAMPING, _MOST_DAMPING = 0.05, 1e10
_COARSEST, _COARSE_TOLERANCE = 16, 1e-3
_MOST_RISE = 1.1
"""A refined curve is used if its energy is below this many times that on the coarse level."""


@dataclass(frozen=True)
class Minimum:
    """Where the solver ended.

    Attributes
    ----------
    deviation : Tensor (pairs, n + 1, d)
        The curves minus the straight lines.
    energy, residual : Tensor (pairs,)
    initial_momentum : Tensor (pairs, d)
    iterations : Tensor (pairs,), int
        Newton steps tried, on all levels.
    """

    deviation: Nodes
    energy: Numbers
    residual: Numbers
    initial_momentum: Ends
    iterations: Int[Tensor, " pairs"]


@dataclass(frozen=True)
class BoundarySolver:
    """Damped Newton method on the discretised energy, from coarse curves to fine ones.

    A step solves one block-tridiagonal system a pair. Where the Hessian is not positive definite its
    Gauss-Newton part takes its place; where a step fails to lower the energy, the Hessian for constant G is
    added, more of it until one does, which turns the step towards the descent direction of GEORCE
    (Rygaard and Hauberg 2025, arXiv 2505.05961). Near a minimum nothing of this is active and the
    convergence is quadratic. Finished pairs leave the batch.

    Parameters
    ----------
    tolerance : float, optional
        A pair has converged when max_t |dE/dz_t| <= tolerance max_t |q_t|: relative to the momenta, the
        gradient of the discretised energy in every inner point. By default 1e-8 in float64, 1e-4 in float32.
    max_iterations : int
        Newton steps on each level, at least 1.
    max_bytes : int
        Bound on the working memory; more pairs than fit are solved one part after the other.
    """

    tolerance: float | None = None
    max_iterations: int = 200
    max_bytes: int = 2**27

    def __post_init__(self) -> None:
        if self.max_iterations < 1 or not (self.tolerance is None or self.tolerance > 0):
            raise InvalidInputError(
                "max_iterations must be at least 1 and tolerance positive, got "
                f"{self.max_iterations} and {self.tolerance}"
            )

    def tolerance_for(self, dtype: torch.dtype) -> float:
        """Return the tolerance in numbers of this type."""
        return self.tolerance or (1e-8 if dtype == torch.float64 else 1e-4)

    def pairs_per_part(self, num_points: int, dim: int) -> int:
        """Return how many pairs are solved at once."""
        return max(1, self.max_bytes // (8 * num_points * (24 * dim**2 + 16 * dim)))

    @torch.no_grad()
    def minimize(self, metric: Metric, start: Ends, end: Ends, deviation: Nodes) -> Minimum:
        """Return curves of least energy near start + s (end - start) + deviation(s).

        Parameters
        ----------
        metric : Metric
        start, end : Tensor (pairs, d)
        deviation : Tensor (pairs, n + 1, d)
            Zero at the ends; n >= 2 segments.
        """
        return self._refine(metric, start, end - start, deviation, self.tolerance_for(start.dtype))

    def _refine(self, metric: Metric, start: Ends, chord: Ends, guess: Nodes, tolerance: float) -> Minimum:
        """Return the minima reached from the guess, by way of curves of a quarter of its segments."""
        count = guess.shape[1] - 1
        deviation, limit, tried = guess, torch.inf, 0
        if count >= 4 * _COARSEST:
            coarse_guess = _resample(guess, -(-count // 4))
            coarse = self._refine(metric, start, chord, coarse_guess, max(tolerance, _COARSE_TOLERANCE))
            deviation, limit = _resample(coarse.deviation, count), _MOST_RISE * coarse.energy
            tried = coarse.iterations
        state = _State.at(metric, start, chord, deviation)
        # A coarse curve may step over empty space that a fine one has to cross.
        state = state.or_else(metric, guess, limit)
        state = state.or_else(metric, torch.zeros_like(guess), torch.inf)
        found = self._descend(metric, state, tolerance)
        return replace(found, iterations=found.iterations + tried)

    def _descend(self, metric: Metric, state: "_State", tolerance: float) -> Minimum:
        """Return the minima reached on one level."""
        found = Minimum(
            state.deviation.clone(),
            state.terms.energy.clone(),
            state.terms.residual,
            state.terms.initial_momentum.clone(),
            torch.zeros_like(state.rows),
        )
        for iteration in range(self.max_iterations + 1):
            residual = state.terms.residual
            unfinished = (residual > tolerance) & (state.damping < _MOST_DAMPING)
            unfinished = unfinished & (iteration < self.max_iterations)
            if not bool(unfinished.all()):
                state.store(~unfinished, iteration, found)
                state = state.select(unfinished)
            if len(state.rows) == 0:
                break
            state = state.step(metric)
        return found


@dataclass(frozen=True)
class _State:
    """The pairs still being solved: their rows among all, and where they are."""

    rows: Int[Tensor, " pairs"]
    start: Ends
    chord: Ends
    deviation: Nodes
    damping: Numbers
    terms: EnergyExpansion

    @classmethod
    def at(cls, metric: Metric, start: Ends, chord: Ends, deviation: Nodes) -> "_State":
        """Return the first state of a level."""
        rows = torch.arange(len(start), device=start.device)
        terms = expand_energy(metric, start, chord, deviation)
        return cls(rows, start, chord, deviation, torch.zeros_like(start[:, 0]), terms)

    def or_else(self, metric: Metric, deviation: Nodes, limit: Numbers | float) -> "_State":
        """Return the same but at `deviation` where the energy is not below the limit, or not finite."""
        lost = (~(self.terms.energy < limit)).nonzero()[:, 0]
        if len(lost) == 0:
            return self
        other = deviation[lost]
        terms = self.terms.replace(lost, expand_energy(metric, self.start[lost], self.chord[lost], other))
        return replace(self, deviation=self.deviation.index_copy(0, lost, other), terms=terms)

    def select(self, keep: Tensor) -> "_State":
        return _State(
            self.rows[keep],
            self.start[keep],
            self.chord[keep],
            self.deviation[keep],
            self.damping[keep],
            self.terms.select(keep),
        )

    def store(self, which: Tensor, iteration: int, found: Minimum) -> None:
        """Write the results of some pairs into the record of all."""
        rows = self.rows[which]
        found.deviation[rows] = self.deviation[which]
        found.energy[rows] = self.terms.energy[which]
        found.residual[rows] = self.terms.residual[which]
        found.initial_momentum[rows] = self.terms.initial_momentum[which]
        found.iterations[rows] = iteration

    def step(self, metric: Metric) -> "_State":
        """Return the state after one damped Newton step a pair, taken where it lowers the energy."""
        step, promised = self._direction()
        trial = self.deviation.clone()
        trial[:, 1:-1] += step
        terms = expand_energy(metric, self.start, self.chord, trial)
        gain = self.terms.energy - terms.energy
        accepted = gain >= -1e-13 * self.terms.energy
        damping = self._next_damping(accepted, gain > 0.5 * promised)
        if bool(accepted.all()):
            return _State(self.rows, self.start, self.chord, trial, damping, terms)
        taken = accepted.nonzero()[:, 0]
        deviation = self.deviation.index_copy(0, taken, trial[taken])
        terms = self.terms.replace(taken, terms.select(taken))
        return _State(self.rows, self.start, self.chord, deviation, damping, terms)

    def _direction(self) -> tuple[Nodes, Numbers]:
        """Return the steps, and by how much the quadratic models say that they lower the energy."""
        step, definite = self.terms.newton_step(self.damping, with_curvature=True)
        rest = (~definite).nonzero()[:, 0]
        if len(rest):
            steps, usable = self.terms.select(rest).newton_step(self.damping[rest], with_curvature=False)
            step = step.index_copy(0, rest, torch.where(usable[:, None, None], steps, torch.nan))
        return step, -0.5 * (self.terms.gradient * step).sum((1, 2))

    def _next_damping(self, accepted: Tensor, as_promised: Tensor) -> Numbers:
        """Return less damping after a good step, at least some after a poor one, more after a failure."""
        damping = self.damping
        less = torch.where(damping < _LEAST_DAMPING, 0.0, 0.2 * damping)
        more = torch.where(damping == 0.0, 4.0 * _LEAST_DAMPING, 4.0 * damping)
        kept = torch.where(as_promised, less, damping.clamp_min(2.0 * _LEAST_DAMPING))
        return torch.where(accepted, kept, more)


def _resample(deviation: Nodes, count: int) -> Float[Tensor, "pairs new_nodes dim"]:
    """Return the deviation at the ends of `count` segments."""
    if deviation.shape[1] == count + 1:
        return deviation
    return interpolation_matrix(deviation.shape[1], count + 1).to(deviation) @ deviation
