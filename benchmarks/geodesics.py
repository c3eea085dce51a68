"""Geodesics between random pairs of centroids: this package's solver against plain ones, on one thread.

    python benchmarks/geodesics.py

The energy of a curve of n segments is n/2 sum_t u_t^T G u_t, an approximation of half the integral of the
squared speed. Its gradient in the n - 1 inner points is measured in two ways: "gradient", its Euclidean
norm, and "residual", the largest |dE/dz_t| divided by the largest momentum |G u_t n|. Rivals, on the same
metrics and in the same run, with the metric evaluated by plain tensor operations and automatic
differentiation:
  lbfgs one by one   torch.optim.LBFGS with strong Wolfe line search, one pair after the other (a tenth
                     of the rivals' pairs)
  lbfgs batched      the same on the sum of all pairs' energies: every pair takes as many steps as the worst
  georce batched     GEORCE (arXiv 2505.05961) written from its formulas, with a line search for each pair
Prints a table and writes `results/geodesics.json`.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.metrics import random_metric

from riemaug.geometry import (
    GeodesicCurve,
    KernelMetric,
    dist,
    energy,
    geodesic,
    length,
    log,
    pairwise_dist,
    straight_line,
)

TARGET = 1e-4


def timed(work: Callable[[], object]) -> tuple[object, float, float]:
    """Return what the work returns, its wall time and its processor time."""
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - processor


def random_pairs(metric: KernelMetric, num: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    count = metric.num_centroids
    first = torch.randint(0, count, (num,), generator=generator)
    second = (first + 1 + torch.randint(0, count - 1, (num,), generator=generator)) % count
    return metric.centroids[first], metric.centroids[second]


def energy_gradient(metric: KernelMetric, points: Tensor, rule: Callable) -> Tensor:
    """Return dE/dz of the inner points by automatic differentiation, (pairs, n - 1, d)."""
    parts = []
    for part in points.split(50):
        inner = part[:, 1:-1].clone().requires_grad_()
        curve = torch.cat([part[:, :1], inner, part[:, -1:]], 1)
        parts.append(torch.autograd.grad(rule(metric, curve).sum(), inner)[0])
    return torch.cat(parts)


def left_energy(metric: KernelMetric, curve: Tensor) -> Tensor:
    """Return the energy with G at the start of each segment, as GEORCE takes it."""
    steps = curve.diff(dim=1)
    tensor = metric.metric_matrix(curve[:, :-1])
    return 0.5 * steps.shape[1] * torch.einsum("pti,ptij,ptj->p", steps, tensor, steps)


def quality(metric: KernelMetric, points: Tensor, rule: Callable = energy) -> dict[str, float]:
    gradient = energy_gradient(metric, points, rule)
    steps = points.diff(dim=1)
    momenta = steps.shape[1] * metric.momentum_of(points[:, :-1] + 0.5 * steps, steps)
    residual = gradient.norm(dim=-1).amax(1) / momenta.norm(dim=-1).amax(1)
    norms = gradient.flatten(1).norm(dim=1)
    return {
        "gradient_below_1e-4": float((norms < TARGET).double().mean()),
        "gradient_median": float(norms.median()),
        "gradient_max": float(norms.max()),
        "residual_below_1e-4": float((residual < TARGET).double().mean()),
        "residual_max": float(residual.max()),
        "mean_length": float(length(metric, points).mean()),
    }


def measure_ours(metric: KernelMetric, start: Tensor, end: Tensor, num_points: int) -> tuple[dict, Tensor]:
    """Return the figures of this package's solver and the curves' points."""
    geodesic(metric, start[:2], end[:2], num_points)
    curve, wall, processor = timed(lambda: geodesic(metric, start, end, num_points))
    assert isinstance(curve, GeodesicCurve)
    straight = length(metric, straight_line(start, end, num_points))
    figures = {
        "pairs": len(start),
        "seconds": wall,
        "processor_seconds": processor,
        "converged": float(curve.converged.double().mean()),
        "iterations_median": float(curve.iterations.double().median()),
        "iterations_max": int(curve.iterations.max()),
        "longer_than_straight": int((curve.length > straight * (1 + 1e-6)).sum()),
        "straight_mean_length": float(straight.mean()),
        **quality(metric, curve.points),
    }
    return figures, curve.points


def lbfgs(metric: KernelMetric, start: Tensor, end: Tensor, num_points: int, steps: int) -> Tensor:
    """Return curves after at most `steps` L-BFGS steps on the sum of their energies."""
    line = straight_line(start, end, num_points)
    inner = line[:, 1:-1].clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [inner],
        max_iter=steps,
        max_eval=2 * steps,
        history_size=20,
        tolerance_grad=0.1 * TARGET,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = energy(metric, torch.cat([line[:, :1], inner, line[:, -1:]], 1)).sum()
        value.backward()
        return value

    optimizer.step(closure)
    return torch.cat([line[:, :1], inner.detach(), line[:, -1:]], 1)


def georce(metric: KernelMetric, start: Tensor, end: Tensor, num_points: int, steps: int) -> Tensor:
    """Return curves after at most `steps` GEORCE steps, stopped where the gradient is small enough."""
    curve = straight_line(start, end, num_points)
    moves = curve.diff(dim=1)
    active = torch.arange(len(start))
    for _ in range(steps):
        points, move = curve[active], moves[active]
        base = points[:, :-1].clone().requires_grad_()
        tensor = metric.metric_matrix(base)
        value = torch.einsum("pti,ptij,ptj->p", move, tensor, move)
        (force,) = torch.autograd.grad(value.sum(), base)
        force[:, 0] = 0.0  # the first point is fixed
        cometric = metric.cometric_matrix(points[:, :-1])
        later = force.flip(1).cumsum(1).flip(1) - force
        pushed = torch.einsum("ptij,ptj->pti", cometric, later)
        needed = 2.0 * (points[:, 0] - points[:, -1]) - pushed.sum(1)
        multiplier = torch.linalg.solve(cometric.sum(1), needed)
        target = -0.5 * (pushed + torch.einsum("ptij,pj->pti", cometric, multiplier))
        share = torch.ones(len(active), 1, 1, dtype=points.dtype)
        done = torch.zeros(len(active), dtype=torch.bool)
        best = move.clone()
        for _ in range(20):  # one search for each pair: halve until the energy falls
            mixed = share * target + (1.0 - share) * move
            bent = points[:, :1] + torch.cat([torch.zeros_like(mixed[:, :1]), mixed.cumsum(1)], 1)
            tried = left_energy(metric, bent) * 2.0 / move.shape[1]
            better = (tried <= value) & ~done
            best[better] = mixed[better]
            done = done | better
            if done.all():
                break
            share = torch.where(done[:, None, None], share, 0.5 * share)
        moves[active] = best
        curve[active, 1:-1] = (points[:, :1] + best.cumsum(1))[:, :-1]
        small = energy_gradient(metric, curve[active], left_energy).flatten(1).norm(dim=1) < TARGET
        active = active[~small & done]
        if len(active) == 0:
            break
    return curve


def measure_rivals(metric: KernelMetric, start: Tensor, end: Tensor, ours: Tensor, steps: int) -> dict:
    """Return the figures of the rivals; `ours` are curves of at least the same pairs."""
    num_points, few = ours.shape[1], max(1, len(start) // 10)

    def one_by_one() -> Tensor:
        pairs = zip(start[:few].split(1), end[:few].split(1), strict=True)
        return torch.cat([lbfgs(metric, a, b, num_points, steps) for a, b in pairs])

    works: dict[str, tuple[Callable[[], Tensor], Callable]] = {
        "lbfgs one by one": (one_by_one, energy),
        "lbfgs batched": (lambda: lbfgs(metric, start, end, num_points, steps), energy),
        "georce batched": (lambda: georce(metric, start, end, num_points, steps), left_energy),
    }
    rows = {}
    for name, (work, rule) in works.items():
        points, wall, processor = timed(work)
        assert isinstance(points, Tensor)
        excess = length(metric, points) / length(metric, ours[: len(points)]) - 1.0
        rows[name] = {
            "pairs": len(points),
            "seconds": wall,
            "processor_seconds": processor,
            **quality(metric, points, rule),
            "mean_length_over_ours": 1.0 + float(excess.mean()),
        }
    return rows


def compare(name: str, metric: KernelMetric, arguments: argparse.Namespace, num_points: int) -> dict:
    """Return the rows of one metric: ours on all pairs, the rivals on some of the same."""
    start, end = random_pairs(metric, arguments.pairs)
    few = arguments.rival_pairs
    ours, points = measure_ours(metric, start, end, num_points)
    rivals = measure_rivals(metric, start[:few], end[:few], points, arguments.steps)
    rows = {"ours": {**ours, "mean_length_over_ours": 1.0}, **rivals}
    unit = ours["processor_seconds"] / ours["pairs"]
    for row in rows.values():
        row["milliseconds_a_pair"] = 1e3 * row["processor_seconds"] / row["pairs"]
        row["times_ours"] = row["processor_seconds"] / row["pairs"] / unit
    print(f"\n{name}, {num_points - 1} segments")
    print(f"{'':18s}{'pairs':>6s}{'s':>9s}{'ms/pair':>9s}{'ratio':>8s}{'grad<1e-4':>11s}{'length/ours':>13s}")
    for label, row in rows.items():
        print(
            f"{label:18s}{row['pairs']:6d}{row['processor_seconds']:9.3f}{row['milliseconds_a_pair']:9.2f}"
            f"{row['times_ours']:8.1f}{row['gradient_below_1e-4']:11.3f}{row['mean_length_over_ours']:13.5f}"
        )
    return {"metric": name, "segments": num_points - 1, "rows": rows}


def more_of_ours(arguments: argparse.Namespace) -> dict:
    """Return times of finer curves, logarithms and distances."""
    metric = random_metric(2, 120, seed=0, regularization=1e-3)
    start, end = random_pairs(metric, arguments.pairs)
    rows = {}
    for num_points in (33, 129, 257):
        rows[f"geodesic, {num_points - 1} segments"] = measure_ours(metric, start, end, num_points)[0]
    works: dict[str, Callable] = {
        "geodesic, 64 segments, two starts": lambda: geodesic(metric, start, end, anchors=metric.centroids),
        "log, order 8, 16 steps": lambda: log(metric, end, start),
        "dist, 32 segments": lambda: dist(metric, start, end),
        "pairwise_dist of 120 centroids, 32 segments": lambda: pairwise_dist(metric, metric.centroids),
    }
    for name, work in works.items():
        found, wall, processor = timed(work)
        share = float(found.converged.double().mean())  # type: ignore[attr-defined]
        rows[name] = {"seconds": wall, "processor_seconds": processor, "converged": share}
    print(f"\nd = 2, lambda 1e-3, {arguments.pairs} pairs")
    for name, row in rows.items():
        print(f"{name:46s}{row['processor_seconds']:8.3f} s   converged {row['converged']:.3f}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--rival-pairs", type=int, default=100, help="pairs that the rivals solve")
    parser.add_argument("--steps", type=int, default=500, help="steps that the rivals may take")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "geodesics.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    metrics = {
        "d = 2, T 0.8, lambda 1e-2": random_metric(2, 120, seed=0, regularization=1e-2),
        "d = 2, T 0.8, lambda 1e-3": random_metric(2, 120, seed=0, regularization=1e-3),
        "d = 2, T 0.3, lambda 1e-3": random_metric(2, 120, seed=0, bandwidth=0.3, regularization=1e-3),
        "d = 10, T 1.5, lambda 1e-3": random_metric(10, 120, seed=0, bandwidth=1.5, regularization=1e-3),
    }
    content = {
        "machine": {"processor": platform.machine(), "torch": torch.__version__, "threads": 1},
        "pairs": arguments.pairs,
        "comparisons": [compare(name, metric, arguments, 65) for name, metric in metrics.items()],
        "ours": more_of_ours(arguments),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
