"""Figure 3: images of each method on three reduced sets, below the training images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from matplotlib.figure import Figure

from riemaug.random import Stream
from riemaug.study.figures import panels
from riemaug.study.figures.methods import (
    METHODS,
    MethodDraws,
    OnFit,
    draw_with,
    epochs_of,
    fit_tasks,
    tasks_of,
)
from riemaug.study.figures.panels import Page
from riemaug.study.shapes import SmallSet, load_small_set

COLUMNS, ROWS = 9, 4
SHOWN = COLUMNS * ROWS
_LABEL, _WIDTH, _GAP, _TOP, _ROW_GAP, _FOOT = 0.92, 1.96, 0.1, 0.24, 0.09, 0.2  # inches
_TITLES = {
    "mnist_reduced": "reduced MNIST",
    "fashion_reduced": "reduced Fashion",
    "shapes": "discs and rings",
}


@dataclass(frozen=True, eq=False)
class SetColumn:
    """One reduced set: some of its training images, and what each method drew.

    Attributes
    ----------
    data : SmallSet
    real : ndarray (36, height, width)
    draws : tuple of MethodDraws
    epochs : dict
        Epochs of training by kind of model.
    """

    data: SmallSet
    real: Float32[np.ndarray, "n height width"]
    draws: tuple[MethodDraws, ...]
    epochs: dict[str, int]


def draw(
    folder: Path | None,
    seed: int,
    max_epochs: int | None,
    num_jobs: int,
    on_fit: OnFit | None,
    with_real: bool = True,
) -> Figure:
    """Draw Figure 3.

    Protocol: reduced MNIST (0, 1, 2) and Fashion-MNIST (trouser, sandal, bag), 120 images each, and 180
    shapes; one model of each kind a set, all its classes together; networks and constants of the paper's
    Tables 4 and 5, Adam 1e-3, full batch, until the ELBO has not improved for 50 epochs; VAMP with 10
    pseudo-inputs (ours). The first 36 draws of each method; walks of 200 steps from random training images,
    Sigma = 0.5 I, 10 sub-steps. The paper has one walk, Algorithm 1; here are three, see `fig2`.
    """
    return page_of(prepare(folder, seed, max_epochs, num_jobs, on_fit), with_real)


def prepare(
    folder: Path | None, seed: int, max_epochs: int | None, num_jobs: int, on_fit: OnFit | None
) -> tuple[SetColumn, ...]:
    """Fit three models a set and draw by the six methods."""
    sets = [load_small_set(name, folder, seed) for name in _TITLES]
    tasks = {
        (data.name, kind): task
        for data in sets
        for kind, task in tasks_of(data.name, data.samples.samples, METHODS, seed, max_epochs).items()
    }
    models = dict(zip(tasks, fit_tasks(list(tasks.values()), num_jobs, on_fit), strict=True))
    columns = []
    for data in sets:
        draws = [
            draw_with(method, models[data.name, method.kind], data.samples.shape, seed, SHOWN)
            for method in METHODS
        ]
        own = {kind: epochs_of(item) for (name, kind), item in models.items() if name == data.name}
        columns.append(SetColumn(data, _some(data, seed), tuple(draws), dict(own)))
    return tuple(columns)


def _some(data: SmallSet, seed: int) -> Float32[np.ndarray, "n height width"]:
    stream = Stream(seed, ("study", "figures", data.name, "shown"))
    order = np.random.default_rng(stream.generator_seed()).permutation(len(data.samples.samples))
    return data.samples.samples[order[:SHOWN]]


def page_of(content: tuple[SetColumn, ...], with_real: bool) -> Figure:
    """Lay out a column for each set and a row for each method."""
    height = _WIDTH * ROWS / COLUMNS
    tops = [_TOP + row * (height + _ROW_GAP) for row in range(len(METHODS) + 1)]
    page = Page.of_size(panels.PAGE_WIDTH, tops[-1] + height + _FOOT)
    page.name_row(_LABEL - 0.1, tops[0] + height / 2, "training\nimages")
    for method, top in zip(METHODS, tops[1:], strict=True):
        page.name_row(_LABEL - 0.1, top + height / 2, method.model, method.short_law)
    page.write(_LABEL - 0.1, page.height - _FOOT / 2, "epochs", panels.SMALL, ha="right", color=panels.MUTED)
    for number, column in enumerate(content):
        left = _LABEL + number * (_WIDTH + _GAP)
        middle = left + _WIDTH / 2
        title = f"{_TITLES[column.data.name]}, {len(column.data.samples)} images"
        page.write(middle, _TOP / 2, title, ha="center", fontweight="bold")
        axes = page.axes(left, _TOP, _WIDTH, height)
        if with_real or column.data.origin == "generated":
            panels.show_sheet(axes, column.real, COLUMNS)
        else:
            panels.show_left_out(axes, "real images are left out")
        for draws, top in zip(column.draws, tops[1:], strict=True):
            panels.show_sheet(page.axes(left, top, _WIDTH, height), draws.images, COLUMNS)
        epochs = ", ".join(f"{kind.upper()} {number}" for kind, number in column.epochs.items())
        page.write(middle, page.height - _FOOT / 2, epochs, panels.SMALL, ha="center", color=panels.MUTED)
    return page.figure
