"""Figure 4: brain slices made for both diagnoses, each with the age of the nearest training subject."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int64
from matplotlib.figure import Figure

from riemaug.errors import InvalidInputError
from riemaug.random import Stream
from riemaug.study.datasets import StudyData, load_study_data
from riemaug.study.figures import panels
from riemaug.study.figures.methods import (
    VAE,
    WALKS,
    OnFit,
    draw_with,
    epochs_of,
    fit_tasks,
    nearest_images,
    tasks_of,
)
from riemaug.study.figures.panels import Frames, Page

DATA_SET = "oasis_paper"
SHOWN, COLUMNS = 12, 6
OLD = 70
"""Age from which healthy subjects, and below which ill ones, are rare among those to learn from; ours."""
_METHODS = (VAE, *WALKS)
_LABEL, _GAP, _TOP, _NOTE, _AGE, _LEFT_OUT, _LEGEND = 0.92, 0.14, 0.4, 0.24, 0.14, 0.3, 0.4  # inches
_WIDTH = (panels.PAGE_WIDTH - _LABEL - _GAP) / 2 - 0.02
_FRAME_COLORS = (panels.VERMILION, panels.BLUE)


@dataclass(frozen=True, eq=False)
class AgedImages:
    """Images with an age each: the subject's own, or that of the nearest training subject.

    Attributes
    ----------
    images : ndarray (12, height, width)
    ages : ndarray (12,) of int64
    variety : float
        Mean distance between two of the 100 draws, as a share of that between two training images.
    """

    images: Float32[np.ndarray, "n height width"]
    ages: Int64[np.ndarray, " n"]
    variety: float


@dataclass(frozen=True, eq=False)
class DiagnosisColumn:
    """One diagnosis.

    Attributes
    ----------
    name : str
    ages : ndarray (N,)
        Of all training subjects.
    real : AgedImages
    made : tuple of AgedImages
        One a method.
    epochs : dict
        Epochs of training by kind of model.
    """

    name: str
    ages: Int64[np.ndarray, " N"]
    real: AgedImages
    made: tuple[AgedImages, ...]
    epochs: dict[str, int]


def draw(
    folder: Path | None,
    seed: int,
    max_epochs: int | None,
    num_jobs: int,
    on_fit: OnFit | None,
    with_real: bool = True,
) -> Figure:
    """Draw Figure 4.

    Protocol: the 220 CN and 70 AD training subjects of the split with the paper's counts; a VAE and an RHVAE
    of each diagnosis, networks and constants of the OASIS columns of Tables 4 and 5, Adam 1e-4, batches of up
    to 200, until the ELBO has not improved for 50 epochs. The first 12 of 100 draws of each method; walks of
    200 steps from random training images, Sigma = 0.5 I, 10 sub-steps; three walks, see `fig2`. Nearest: of
    the same diagnosis, by squared differences of pixels. Frames: nearest to a CN subject of 70 years or more,
    or to an AD subject below 70, by rule; the paper chose its frames by eye.

    Raises
    ------
    InvalidInputError
        No folder is given.
    """
    if folder is None:
        raise InvalidInputError("figure 4 is made of OASIS, no folder was given: name it with RIEMAUG_DATA")
    return page_of(prepare(folder, seed, max_epochs, num_jobs, on_fit), with_real)


def prepare(
    folder: Path, seed: int, max_epochs: int | None, num_jobs: int, on_fit: OnFit | None
) -> tuple[DiagnosisColumn, ...]:
    """Fit two models a diagnosis and draw by the four methods."""
    data = load_study_data(DATA_SET, 0, folder)
    classes = {name: data.train.labels == label for label, name in enumerate(data.class_names)}
    tasks = {
        (name, kind): task
        for name, rows in classes.items()
        for kind, task in tasks_of(name, data.train.samples[rows], _METHODS, seed, max_epochs).items()
    }
    models = dict(zip(tasks, fit_tasks(list(tasks.values()), num_jobs, on_fit), strict=True))
    columns = []
    for name, rows in classes.items():
        images, ages = data.train.samples[rows], _ages(data)[rows]
        drawn = [draw_with(method, models[name, method.kind], data.train.shape, seed) for method in _METHODS]
        made = tuple(_aged(draws.images, images, ages) for draws in drawn)
        own = {kind: epochs_of(item) for (whose, kind), item in models.items() if whose == name}
        columns.append(DiagnosisColumn(name, ages, _some(name, images, ages, seed), made, dict(own)))
    return tuple(columns)


def _ages(data: StudyData) -> Int64[np.ndarray, " N"]:
    if data.ages is None:
        raise InvalidInputError(f"figure 4 shows ages, data set {data.name} has none: use {DATA_SET}")
    return data.ages["train"]


def _aged(
    made: Float32[np.ndarray, "n height width"],
    real: Float32[np.ndarray, "m height width"],
    ages: Int64[np.ndarray, " m"],
) -> AgedImages:
    shown = made[:SHOWN]
    return AgedImages(shown, ages[nearest_images(shown, real)], _spread(made) / max(_spread(real), 1e-12))


def _spread(images: Float32[np.ndarray, "n height width"]) -> float:
    """Return the mean distance between two images."""
    rows = images.reshape(len(images), -1).astype(np.float64)
    rows = rows - rows.mean(0)
    squares = (rows**2).sum(1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * rows @ rows.T, 0.0))
    return float(distances[np.triu_indices(len(rows), 1)].mean())


def _some(
    name: str, images: Float32[np.ndarray, "n height width"], ages: Int64[np.ndarray, " n"], seed: int
) -> AgedImages:
    stream = Stream(seed, ("study", "figures", name, "shown"))
    order = np.random.default_rng(stream.generator_seed()).permutation(len(images))[:SHOWN]
    return AgedImages(images[order], ages[order], 1.0)


def page_of(content: tuple[DiagnosisColumn, ...], with_real: bool) -> Figure:
    """Lay out a column for each diagnosis and a row for each method."""
    height = _block_height(content[0].real.images)
    first = height if with_real else _LEFT_OUT
    page = Page.of_size(panels.PAGE_WIDTH, _TOP + first + len(_METHODS) * (height + _NOTE) + _LEGEND)
    page.name_row(_LABEL - 0.1, _TOP + first / 2, "training\nimages")
    for row, method in enumerate(_METHODS):
        middle = _TOP + first + row * (height + _NOTE) + _NOTE + height / 2
        page.name_row(_LABEL - 0.1, middle, method.model, method.short_law)
    _legend(page)
    for number, column in enumerate(content):
        left = _LABEL + number * (_WIDTH + _GAP)
        middle = left + _WIDTH / 2
        page.write(middle, 0.12, column.name, ha="center", fontweight="bold")
        page.write(middle, 0.28, _ages_in_words(column), panels.SMALL, ha="center", color=panels.MUTED)
        if with_real:
            _block(page, column.real, column.name, left, _TOP)
        else:
            panels.show_left_out(page.axes(left, _TOP, _WIDTH, first), "real images are left out")
        for row, (method, made) in enumerate(zip(_METHODS, column.made, strict=True)):
            top = _TOP + first + row * (height + _NOTE)
            epochs = column.epochs[method.kind]
            note = f"{epochs} epochs; draws {100 * made.variety:.0f} % as far apart as training images"
            page.write(middle, top + _NOTE / 2 + 0.02, note, panels.SMALL, ha="center", color=panels.MUTED)
            _block(page, made, column.name, left, top + _NOTE)
    return page.figure


def _is_rare(ages: Int64[np.ndarray, " n"], name: str) -> Bool[np.ndarray, " n"]:
    return ages >= OLD if name == "CN" else ages < OLD


def _ages_in_words(column: DiagnosisColumn) -> str:
    rare, ages = int(_is_rare(column.ages, column.name).sum()), column.ages
    bound = f"{OLD} or more" if column.name == "CN" else f"below {OLD}"
    return f"{len(ages)} subjects, {ages.min()} to {ages.max()} years, {rare} of them {bound}"


def _block_height(images: Float32[np.ndarray, "n height width"]) -> float:
    """Return the height in inches of all rows of a block, ages included."""
    tile = _WIDTH / COLUMNS * images.shape[1] / images.shape[2]
    return (SHOWN // COLUMNS) * (tile + _AGE)


def _block(page: Page, shown: AgedImages, name: str, left: float, top: float) -> None:
    """Draw rows of images, each row with the ages below it; those of a rare age are framed."""
    is_rare = _is_rare(shown.ages, name)
    color = _FRAME_COLORS[name == "CN"]
    tile = _WIDTH / COLUMNS
    row_height = _block_height(shown.images) / (SHOWN // COLUMNS)
    for row in range(SHOWN // COLUMNS):
        own = slice(row * COLUMNS, (row + 1) * COLUMNS)
        above = top + row * row_height
        axes = page.axes(left, above, _WIDTH, row_height - _AGE)
        panels.show_sheet(axes, shown.images[own], COLUMNS, (Frames(is_rare[own], color),))
        for column, (age, rare) in enumerate(zip(shown.ages[own], is_rare[own], strict=True)):
            shade = color if rare else panels.INK
            middle = left + (column + 0.5) * tile
            page.write(
                middle, above + row_height - _AGE / 2, str(age), panels.SMALL, ha="center", color=shade
            )


def _legend(page: Page) -> None:
    """Say at the bottom what the numbers and the frames mean."""
    lines = (
        ("numbers: age of the training subject; of a synthetic image, of the nearest one", panels.INK),
        (f"blue frames: CN, {OLD} years or more; red frames: AD, below {OLD} years", panels.INK),
    )
    for row, (text, color) in enumerate(lines):
        top = page.height - _LEGEND + 0.14 + 0.14 * row
        page.write(page.width / 2, top, text, panels.SMALL, ha="center", color=color)
