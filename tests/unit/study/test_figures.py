"""Figures 1 to 4: panels, the same for the same seed, no text over text, no real image unless wanted."""

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from study_files import images

from riemaug.errors import InvalidInputError
from riemaug.evaluation.samples import LabelledSamples
from riemaug.geometry import KernelMetric
from riemaug.samplers import ChainOptions
from riemaug.study.datasets import StudyData
from riemaug.study.figures import draw_figure, fig1, fig4, methods, panels
from riemaug.study.figures.ideal_shapes import misfit
from riemaug.study.figures.methods import METHODS, WALKS, FitTask, fit_task, fit_tasks, nearest_images
from riemaug.study.shapes import shape_image

NUM_AXES = {1: 4, 2: 12, 3: 21, 4: 20}
"""Panels: 3 and a scale; 6 planes and 6 sheets; 7 rows of 3 sets; 5 rows of 2 lines of 2 diagnoses."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reduced sets in miniature, made of noise."""
    place = tmp_path_factory.mktemp("reduced")
    arrays = {}
    for seed, (name, classes) in enumerate((("mnist", (0, 1, 2)), ("fashion", (1, 5, 8)))):
        arrays |= {f"{name}_images": images(42, seed), f"{name}_labels": np.repeat(classes, 14)}
    np.savez(place / "paper_reduced.npz", **arrays)
    return place


def some_subjects(name: str, draw: int, folder: Path) -> StudyData:
    """Return noise with the labels and ages of subjects."""
    pixels = images(30, 5, (26, 22)).astype(np.float32) / 255
    labels = (np.arange(30) % 3 == 0).astype(np.int64)
    samples, ages = LabelledSamples(pixels, labels), np.where(labels > 0, 60, 40) + np.arange(30)
    rows = np.arange(30)
    return StudyData(name, draw, ("CN", "AD"), samples, samples, samples, rows, rows, {"train": ages})


def quick(patch: pytest.MonkeyPatch) -> None:
    """Let Figure 4 have other subjects, and walks be short."""
    patch.setattr(fig4, "load_study_data", some_subjects)
    patch.setattr(methods, "CHAINS", ChainOptions(num_steps=4))


@pytest.fixture
def short_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


@pytest.fixture(scope="session")
def drawn(folder: Path) -> Any:
    """Return figures by number and whether real images are shown, each drawn once, after two epochs."""
    kept: dict[tuple[int, bool], Figure] = {}

    def draw(number: int, with_real: bool = True) -> Figure:
        if (number, with_real) not in kept:
            with pytest.MonkeyPatch.context() as patch:
                quick(patch)
                figure = draw_figure(number, folder, 0, max_epochs=2, with_real=with_real)
            kept[number, with_real] = figure
        return kept[number, with_real]

    return draw


def shown(figure: Figure) -> list[np.ndarray]:
    """Return all that is drawn from numbers: images, points, paths."""
    arrays = []
    for axes in figure.axes:
        arrays += [np.asarray(image.get_array(), dtype=np.float64) for image in axes.images]
        arrays += [np.asarray(line.get_xydata(), dtype=np.float64) for line in axes.lines]
    return arrays


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_panels_are_there_and_finite(drawn: Any, number: int) -> None:
    figure = drawn(number)
    assert len(figure.axes) == NUM_AXES[number]
    arrays = shown(figure)
    assert len(arrays) >= NUM_AXES[number] - 1
    assert all(np.isfinite(array).all() for array in arrays)


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 4])
@pytest.mark.usefixtures("short_walks")
def test_same_seed_same_figure(drawn: Any, folder: Path, number: int) -> None:
    again = draw_figure(number, folder, 0, max_epochs=2)
    for one, other in zip(shown(drawn(number)), shown(again), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.usefixtures("short_walks")
def test_another_seed_another_figure(drawn: Any, folder: Path) -> None:
    first, second = shown(drawn(1))[0], shown(draw_figure(1, folder, 1, max_epochs=2))[0]
    assert first.shape == second.shape
    assert (first != second).any()


@pytest.mark.slow
def test_models_do_not_depend_on_the_number_of_jobs() -> None:
    pixels = images(12, 3).astype(np.float32) / 255
    tasks = [FitTask("noise", pixels, kind, 0, max_epochs=2) for kind in ("vae", "rhvae")]
    for one, other in zip(fit_tasks(tasks, 1), fit_tasks(tasks, 2), strict=True):
        for name, weights in one.model.state_dict().items():
            assert torch.equal(weights, other.model.state_dict()[name]), name


class Recorder(RendererAgg):
    """A renderer that remembers which texts it drew: ticks beyond the limits exist, but are not drawn."""

    def draw_text(
        self, gc: Any, x: float, y: float, s: str, prop: Any, angle: float, *rest: Any, **more: Any
    ) -> None:
        self.texts = [*getattr(self, "texts", []), more.get("mtext")]
        super().draw_text(gc, x, y, s, prop, angle, *rest, **more)


def written(figure: Figure) -> list[tuple[Text, np.ndarray]]:
    """Return texts that are drawn, with their extents in pixels: left, bottom, right, top."""
    recorder = Recorder(*figure.bbox.size, figure.dpi)
    figure.draw(recorder)
    return [(text, text.get_window_extent(recorder).extents) for text in recorder.texts if text is not None]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "with_real"), [(1, True), (2, True), (3, True), (3, False), (4, True), (4, False)]
)
def test_text_is_legible(drawn: Any, number: int, with_real: bool) -> None:
    figure = drawn(number, with_real=with_real)
    width, height = figure.bbox.size
    assert figure.get_figwidth() <= 7.0
    assert figure.get_figheight() <= 10.0
    texts = written(figure)
    for text, (left, bottom, right, top) in texts:
        assert text.get_fontsize() >= 7.0, text
        assert min(left, bottom, width - right, height - top) >= 0, text
    for (one, first), (other, second) in itertools.combinations(texts, 2):
        overlap = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
        # boxes have room for accents and descenders that most words lack: a pixel of it does not count
        assert overlap.min() <= 1.0, (one, other)


@pytest.mark.slow
@pytest.mark.parametrize("number", [3, 4])
def test_real_images_are_left_out(drawn: Any, number: int, folder: Path) -> None:
    with_them, without = (shown(drawn(number, with_real=flag)) for flag in (True, False))
    # two sets, or two lines of two diagnoses
    assert len(without) == len(with_them) - (2 if number == 3 else 4)
    if number == 3:
        with np.load(folder / "paper_reduced.npz") as arrays:
            real = np.concatenate([arrays["mnist_images"], arrays["fashion_images"]]) / np.float32(255)
    else:
        real = some_subjects("", 0, folder).train.samples
    assert sum(contains(sheet, real) for sheet in with_them) == len(with_them) - len(without)
    assert not any(contains(sheet, real) for sheet in without)


def contains(sheet: np.ndarray, real: np.ndarray) -> bool:
    """Return whether the first image of a sheet is one of the real ones."""
    height, width = real.shape[1:]
    if sheet.shape[0] < height or sheet.shape[1] < width:
        return False
    return bool((np.abs(real - sheet[:height, :width]).max((1, 2)) < 1e-6).any())


def test_unknown_figures_and_missing_folders_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="numbered 1 to 4, got 5"):
        draw_figure(5, None, 0)
    with pytest.raises(InvalidInputError, match="RIEMAUG_DATA"):
        draw_figure(4, None, 0)
    with pytest.raises(InvalidInputError, match="folder"):
        draw_figure(3, None, 0)


def test_walks_and_training_are_those_of_appendix_a() -> None:
    task = FitTask("noise", images(12, 3).astype(np.float32) / 255, "rhvae", 0, max_epochs=1)
    item = fit_task(task)
    for method in WALKS:
        walk: Any = method.sampler_of(item)
        assert (walk.name, walk.chains.num_steps, walk.num_integration_steps) == (method.sampler, 200, 10)
        velocities = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
        at_rest, moving = walk.velocities.log_density(walk.metric, torch.zeros(2, 2).double(), velocities)
        # N(0, 0.5 I): |v|^2 / (2 * 0.5)
        assert float(at_rest - moving) == pytest.approx(25.0)
    assert [method.kind for method in METHODS] == ["vae", "vamp", *["rhvae"] * 4]
    training = FitTask("small", np.zeros((2, 28, 28), np.float32), "vae", 0).training()
    assert (training.patience, training.learning_rate, training.max_epochs) == (50, 1e-3, 10_000)
    brains = FitTask("large", np.zeros((2, 208, 176), np.float32), "vae", 0).training()
    assert (brains.patience, brains.learning_rate) == (50, 1e-4)


def test_geodesics_start_along_their_arrows_and_keep_their_speed() -> None:
    generator = torch.Generator().manual_seed(0)
    centroids = 2 * torch.randn(30, 2, generator=generator, dtype=torch.float64)
    factors = torch.linalg.cholesky(torch.tensor([[0.6, 0.1], [0.1, 0.3]], dtype=torch.float64))
    metric = KernelMetric(centroids, factors.expand(30, 2, 2), 0.8, 1e-2)
    shooting = fig1.shoot_from(metric, generator)
    paths = torch.from_numpy(shooting.paths)
    pieces = len(paths) - 1
    first = (paths[1] - paths[0]) * pieces
    assert float((first - torch.from_numpy(shooting.velocities)).norm(dim=-1).max()) < 0.35
    # |v|_G is constant along a geodesic; central differences at the inner points
    velocities = (paths[2:] - paths[:-2]) * pieces / 2
    speeds = metric.inner_product(velocities, velocities, paths[1:-1]).sqrt()
    assert float((speeds.amax(0) / speeds.amin(0)).median()) < 1.05


def test_misfit_tells_shapes_from_what_is_none() -> None:
    disc, ring = shape_image(12.1, 0.0) / np.float32(255), shape_image(15.3, 11.2) / np.float32(255)
    faint, laid_over = 0.2 * disc, np.maximum(shape_image(7.0, 0.0) / np.float32(255), ring)
    found = misfit(np.stack([disc, ring, faint, laid_over, np.zeros_like(disc)]))
    assert (found[:2] < 0.02).all()
    assert (found[2:] > 0.1).all()
    assert np.isinf(found[4])


def test_nearest_images_of_the_real_ones_are_themselves() -> None:
    real = images(9, 4).astype(np.float32) / 255
    order = np.array([3, 0, 8])
    np.testing.assert_array_equal(nearest_images(real[order] + np.float32(0.01), real), order)


def test_frames_surround_their_tiles(tmp_path: Path) -> None:
    page = panels.Page.of_size(3.0, 2.0)
    tiles = np.full((6, 16, 16), 0.5, np.float32)
    which = np.array([False, True, False, False, False, True])
    axes = page.axes(0.25, 0.25, 2.5, 1.5)
    panels.show_sheet(axes, tiles, 3, (panels.Frames(which, panels.VERMILION),))
    (boxes,) = axes.collections
    # tiles of 16 pixels and gaps of 1: the second one begins at 17, the sixth at row 17, column 34
    corners = [tuple(path.get_extents().min) for path in boxes.get_paths()]
    assert corners == [(16.0, -1.0), (33.0, 16.0)]
    assert axes.get_xlim() == (-0.5, 49.5)
    file = tmp_path / "page.png"
    panels.write_png(page.figure, file)
    with Image.open(file) as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert (np.abs(pixels - 255 * np.array(to_rgb(panels.VERMILION))).max(1) < 2).sum() > 100
    assert (pixels == 255).all(1).sum() > 1000


def test_the_page_shows_pictures_that_are_there_and_small() -> None:
    docs = Path(__file__).parents[3] / "docs"
    linked = set(
        re.findall(r"\]\((images/study/\S+?\.png)\)", (docs / "study_figures.md").read_text("utf-8"))
    )
    assert linked == {f"images/study/{path.name}" for path in (docs / "images" / "study").iterdir()}
    assert linked
    for name in linked:
        assert (docs / name).stat().st_size < 400_000, name
