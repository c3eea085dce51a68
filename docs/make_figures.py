"""Make the README's picture from what `make demo` left: real digits, synthetic ones, a latent map.

make demo figures
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from riemaug.config import SamplingConfig
from riemaug.data import read_dataset
from riemaug.serialization import load_generators

COLUMNS = 12
MAP_CLASS = "3"


def sheet(folder: Path) -> np.ndarray:
    """Return one row of images a class, the first `COLUMNS` of each."""
    dataset = read_dataset(folder)
    rows = []
    for i in range(len(dataset.class_names)):
        # a blank pixel around each digit, or rows and columns run into each other
        rows.append(np.hstack([np.pad(digit, 1) for digit in dataset.of_class(i)[:COLUMNS]]))
    return np.vstack(rows)


def main() -> None:
    """Write docs/images/digits.png."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", type=Path, default=Path("riemaug-demo"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images" / "digits.png")
    arguments = parser.parse_args()
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1])
    for axes, name, title in (
        (left, "digits", "real: 30 a class to learn from (12 shown)"),
        (middle, "augmented", "synthetic: 200 a class (the first 12)"),
    ):
        axes.imshow(sheet(arguments.demo / name), cmap="gray_r", interpolation="nearest")
        axes.set_title(title)
        axes.axis("off")
    item = load_generators(arguments.demo / "augmented", only_class=MAP_CLASS).classes[0]
    assert item.metric is not None
    lower, upper = item.metric.default_support().bounding_box()
    x, y = (torch.linspace(float(lower[i]), float(upper[i]), 200, dtype=torch.float64) for i in (0, 1))
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
    volume = item.metric.log_volume_element(grid).numpy()
    right.imshow(volume, extent=(*map(float, (x[0], x[-1], y[0], y[-1])),), origin="lower", cmap="gray")
    right.plot(*item.metric.centroids.T.numpy(), "x", color="tab:orange", label="real digits")
    sampling = SamplingConfig()
    draws = item.sampler(sampling).sample(100, item.draw_stream(sampling.seed)).points.numpy()
    right.plot(*draws.T, ".", color="tab:blue", markersize=4, label="draws")
    right.set_title(f"latent space of the digit {MAP_CLASS}")
    right.legend(loc="lower right", fontsize=8)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.out, dpi=100)


if __name__ == "__main__":
    main()
