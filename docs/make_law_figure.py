"""The figure of docs/method.md that shows which law each sampler has, against the grid, in two dimensions.

Usage: python docs/make_law_figure.py [--out FILE] [--draws N]

Every panel shows draws of one sampler over the density of Eq. 3 on a metric of 12 anisotropic kernels; the
last one the distribution of log pi: of the grid's truth, and of each sampler. Chains have the paper's 200
steps and begin at the centroids.
"""

import argparse
import math
from pathlib import Path

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from riemaug.geometry import KernelMetric
from riemaug.samplers import HMC, ChainOptions, MixtureSampler, PaperWalk, RiemannianRandomWalk, Sampler

COLORS = {
    "walk-paper": "tab:red",
    "walk-paper-code": "tab:orange",
    "walk": "tab:blue",
    "hmc": "tab:purple",
    "mixture": "tab:green",
}
TITLES = {
    "walk-paper": "walk-paper: Alg. 1 as printed",
    "walk-paper-code": "walk-paper-code: the published sign",
    "walk": "walk: exact",
    "hmc": "hmc: true gradient",
    "mixture": "mixture: independent draws",
}


def metric_of_the_figure() -> KernelMetric:
    """Return 12 anisotropic kernels (condition number of the M_i: about 6), T = 0.8, lambda = 0.01."""
    generator = torch.Generator().manual_seed(4)
    options = {"generator": generator, "dtype": torch.float64}
    centroids = 1.3 * torch.randn(12, 2, **options)
    angles = math.pi * torch.rand(12, **options)
    turn = torch.stack(
        [torch.stack([angles.cos(), -angles.sin()], -1), torch.stack([angles.sin(), angles.cos()], -1)], 1
    )
    kernels = turn @ torch.diag_embed(torch.tensor([0.9, 0.15], dtype=torch.float64).expand(12, 2)) @ turn.mT
    return KernelMetric(centroids, torch.linalg.cholesky(kernels), 0.8, 0.01)


def grid_of(metric: KernelMetric, num: int = 401) -> tuple[torch.Tensor, torch.Tensor, list[float]]:
    """Return log pi on a grid over the support (num, num), where it lies in S, and the grid's extent."""
    lower, upper = metric.default_support().bounding_box()
    x, y = (torch.linspace(float(lower[i]), float(upper[i]), num, dtype=torch.float64) for i in (0, 1))
    points = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
    extent = [float(x[0]), float(x[-1]), float(y[0]), float(y[-1])]
    return metric.log_density(points), metric.default_support().contains(points), extent


def samplers_of(metric: KernelMetric, num_draws: int) -> list[Sampler]:
    """Return the samplers to compare, the published ones first; one chain a draw, all at once."""
    chains = ChainOptions(num_chains=num_draws)
    return [
        PaperWalk(metric, chains=chains),
        PaperWalk(metric, published_sign=True, chains=chains),
        RiemannianRandomWalk(metric, chains=chains),
        HMC(metric, chains=chains),
        MixtureSampler(metric),
    ]


def main() -> None:
    """Write docs/images/laws.png and print the Kolmogorov-Smirnov distances of log pi to the grid."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images" / "laws.png")
    parser.add_argument("--draws", type=int, default=4000)
    arguments = parser.parse_args()
    metric = metric_of_the_figure()
    log_density, inside, extent = grid_of(metric)
    chances = torch.where(inside, log_density.exp(), 0.0)
    levels, order = log_density[inside].sort()
    truth = chances[inside][order].cumsum(0)
    truth = truth / truth[-1]
    figure = Figure(figsize=(13, 8), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 3).flatten()
    shown = 1000
    for axes, sampler in zip(panels, samplers_of(metric, arguments.draws), strict=False):
        draws = sampler.sample(arguments.draws, 0)
        values = draws.log_density.sort().values
        empirical = torch.arange(1, len(values) + 1, dtype=torch.float64) / len(values)
        expected = truth[torch.searchsorted(levels, values).clamp_max(len(truth) - 1)]
        distance = float((empirical - expected).abs().max())
        outside = 1.0 - float(metric.default_support().contains(draws.points).double().mean())
        print(f"{sampler.name}: KS distance {distance:.3f}, outside S {outside:.1%}")
        axes.imshow(chances, extent=extent, origin="lower", cmap="Greys", vmax=float(chances.max()) * 1.3)
        axes.plot(*draws.points[:shown].T, ".", color=COLORS[sampler.name], markersize=2.5)
        axes.set(xlim=extent[:2], ylim=extent[2:], xticks=[], yticks=[])
        lost = f", {outside:.0%} outside S" if outside > 0.005 else ""
        axes.set_title(f"{TITLES[sampler.name]}\nKS distance to Eq. 3: {distance:.3f}{lost}", fontsize=11)
        panels[-1].plot(values, empirical, color=COLORS[sampler.name], label=sampler.name)
    noise = 1.36 / math.sqrt(arguments.draws)
    panels[-1].plot(levels, truth, "k--", linewidth=2, label="Eq. 3 (grid)")
    panels[-1].set_title(
        f"distribution of log pi\n95 % of exact samples differ by less than {noise:.3f}", fontsize=11
    )
    panels[-1].set_xlabel("log pi(z)")
    panels[-1].legend()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.out, dpi=90)


if __name__ == "__main__":
    main()
