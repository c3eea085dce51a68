"""The flows: without a metric, in any metric, and in kernel metrics by compiled code."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from riemaug import linalg
from riemaug.geometry.implicit import GeneralizedLeapfrog, PhasePoint
from riemaug.geometry.kernel_leapfrog import PackedKernels, Stage, advance
from riemaug.geometry.metric import LocalGeometry, Metric
from riemaug.geometry.newton import default_tolerance
from riemaug.models.flow import Dynamics, PathEnd, PathLikelihood, Schedule


def _squares(vector: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
    return (vector * vector).sum(-1)


class EuclideanDynamics(Dynamics):
    """The plain leapfrog: G = I, momentum N(0, beta0^-1 I)."""

    def run(
        self,
        schedule: Schedule,
        start: Float[Tensor, "n dim"],
        noise: Float[Tensor, "n dim"],
        path: PathLikelihood,
    ) -> PathEnd:
        """Follow the flow; see `Dynamics.run`. No step fails."""
        position, momentum, half = start, schedule.factor(0) * noise, 0.5 * schedule.step_size
        force = position - path.score(position)
        for k in range(1, schedule.num_steps + 1):
            middle = momentum - half * force
            position = position + schedule.step_size * middle
            force = position - path.score(position)
            momentum = schedule.factor(k) * (middle - half * force)
        return PathEnd(position, momentum, 0.5 * (_squares(noise) - _squares(momentum)), 0)


@dataclass(frozen=True, eq=False)
class MetricDynamics(Dynamics):
    """The generalised leapfrog in any metrics, one for each group of rows, on any device.

    Parameters
    ----------
    parts : sequence of (Tensor, Metric)
        Indices of rows, ascending, and their metric; each row is in one part.
    integrator : GeneralizedLeapfrog
    """

    parts: Sequence[tuple[Tensor, Metric]]
    integrator: GeneralizedLeapfrog

    def run(
        self,
        schedule: Schedule,
        start: Float[Tensor, "n dim"],
        noise: Float[Tensor, "n dim"],
        path: PathLikelihood,
    ) -> PathEnd:
        """Follow the flow; see `Dynamics.run`."""
        if len(self.parts) == 1:
            return self._run_part(schedule, start, noise, path, self.parts[0][1])
        indices = [rows for rows, _ in self.parts]
        paths = [path.part(rows) for rows in indices]
        ends = [
            self._run_part(schedule, one.begin(start[rows]), noise[rows], one, metric)
            for (rows, metric), one in zip(self.parts, paths, strict=True)
        ]
        path.gather(indices, paths)
        order = torch.cat(indices).argsort()
        return PathEnd(
            torch.cat([end.position for end in ends])[order],
            torch.cat([end.momentum for end in ends])[order],
            torch.cat([end.momentum_terms for end in ends])[order],
            sum(end.failed_steps for end in ends),
        )

    def _run_part(
        self,
        schedule: Schedule,
        start: Float[Tensor, "n dim"],
        noise: Float[Tensor, "n dim"],
        path: PathLikelihood,
        metric: Metric,
    ) -> PathEnd:
        def force(local: LocalGeometry) -> Tensor:
            return local.point - path.score(local.point) - 0.5 * local.log_det_gradient()

        local, failed = metric.local_geometry(start), 0
        momentum = schedule.factor(0) * linalg.solve_lower_transposed(local.factor, noise)
        state = PhasePoint(local, momentum, force(local))
        for k in range(1, schedule.num_steps + 1):
            before = path.logits
            state, solved = self.integrator.step(metric, state, schedule.step_size, force)
            if not bool(solved.all()):
                path.logits = torch.where(solved[:, None], path.logits, before)
            state = PhasePoint(state.local, schedule.factor(k) * state.momentum, state.force)
            failed += int((~solved).sum())
        energy = (state.momentum * state.local.velocity_of(state.momentum)).sum(-1)
        terms = _squares(noise) - energy + state.local.log_det_cometric() - local.log_det_cometric()
        return PathEnd(state.position, state.momentum, 0.5 * terms, failed)


@dataclass(frozen=True, eq=False)
class KernelDynamics(Dynamics):
    """The generalised leapfrog in kernel metrics, compiled, for all rows at once.

    Parameters
    ----------
    kernels : PackedKernels
    tolerance : float, optional
        Of the implicit equations; by default `default_tolerance`.
    check_reversal : bool
        Whether each step is also run backwards, as exact laws need.
    """

    kernels: PackedKernels
    tolerance: float | None = None
    check_reversal: bool = False

    def run(
        self,
        schedule: Schedule,
        start: Float[Tensor, "n dim"],
        noise: Float[Tensor, "n dim"],
        path: PathLikelihood,
    ) -> PathEnd:
        """Follow the flow; see `Dynamics.run`."""
        position, carried, held = start, noise, np.zeros(len(start), np.bool_)
        terms, failed = 0.5 * _squares(noise), 0
        for k in range(schedule.num_steps + 1):
            score = path.score(position)
            made = advance(self.kernels, self._stage(schedule, k), position, carried, score, held)
            position, carried, held = made.position, made.carried, made.failed
            if k in (0, schedule.num_steps):
                terms = terms + made.terms
            failed += int(held.sum())
        return PathEnd(position, carried, terms, failed)

    def _stage(self, schedule: Schedule, k: int) -> Stage:
        tolerance = default_tolerance(self.kernels.centroids) if self.tolerance is None else self.tolerance
        is_end = k == schedule.num_steps
        factor, step = schedule.factor(k), schedule.step_size
        return Stage(step, factor, k == 0, is_end, tolerance, self.check_reversal)
