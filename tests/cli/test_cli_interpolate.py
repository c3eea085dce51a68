"""`riemaug interpolate`: its files in every format, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_runs import Command, Finished, everything_in, leftovers, run_for_real
from PIL import Image

from riemaug.class_model import ClassModel, fit_class
from riemaug.config import GeneratorConfig
from riemaug.data import RangeScaler
from riemaug.data.dataset import SampleFormat
from riemaug.models import ModelConfig
from riemaug.models.config import ModelKind
from riemaug.serialization import FittedGenerators, load_generators, save_generators
from riemaug.training import TrainingConfig

STEPS = 5
FOLDER = SampleFormat("folder", (8, 8), "uint8", ".png", None, grey_as_rgb=False)


def save_model(
    folder: Path,
    fmt: SampleFormat = FOLDER,
    kind: ModelKind = "rhvae",
    latent_dim: int = 2,
    names=("cat", "dog"),
) -> Path:
    """Save models of random samples, hardly trained: what they look like does not matter here."""
    random = np.random.default_rng(0)
    samples = random.integers(10, 200, (12, *fmt.model_shape)).astype(fmt.dtype)
    scaler = RangeScaler.fit(samples)
    unit = torch.from_numpy(scaler.transform(samples).reshape(12, -1))
    widths = {"encoder_hidden": (6,), "decoder_hidden": (6,), "metric_hidden": (6,)}
    config = ModelConfig(kind=kind, data_dim=unit.shape[1], latent_dim=latent_dim, **widths)
    classes = [
        fit_class(
            name, part, _sources(fmt, name, number, len(part)), config, TrainingConfig(max_epochs=3), seed=1
        )
        for number, (name, part) in enumerate(zip(names, unit.split(12 // len(names)), strict=True))
    ]
    generators = FittedGenerators(
        tuple(map(_spread, classes)),
        GeneratorConfig(model=kind, latent_dim=latent_dim),
        scaler,
        fmt,
        None if fmt.kind == "folder" else np.arange(len(names)),
        tuple(len(item.sources) for item in classes),
        "abc",
    )
    save_generators(folder, generators)
    return folder


def _sources(fmt: SampleFormat, name: str, number: int, count: int) -> tuple[str, ...]:
    if fmt.kind == "arrays":
        return tuple(f"row {count * number + i}" for i in range(count))
    return tuple(f"{name}/scan-{i:02d}.png" for i in range(count))


def _spread(item: ClassModel) -> ClassModel:
    """Put the centroids apart, so that paths between them bend."""
    if item.metric is not None:
        generator = torch.Generator().manual_seed(0)
        item.metric.centroids.copy_(torch.randn(item.metric.centroids.shape, generator=generator).double())
    return item


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("interpolate") / "model")


Interpolate = Callable[..., Finished]


@pytest.fixture
def interpolate(cli: Command, model: Path, tmp_path: Path) -> Interpolate:
    """Runs the command on `model` and tmp_path/out; the ends are its arguments."""

    def run(start: str, end: str, *more: object, model_folder: Path = model) -> Finished:
        return cli("interpolate", model_folder, start, end, tmp_path / "out", "--steps", STEPS, *more)

    return run


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_frames_picture_and_document_are_written(
    interpolate: Interpolate, model: Path, tmp_path: Path
) -> None:
    before = everything_in(model)
    done = interpolate("cat:0", "cat:scan-03.png")
    assert (done.code, done.out) == (0, "")
    assert "geodesic" in done.err
    assert str(tmp_path / "out" / "interpolation.png") in done.err
    out = tmp_path / "out"
    names = [
        f"frames/{way}-{number}.png" for way in ("geodesic", "straight") for number in range(1, STEPS + 1)
    ]
    expected = sorted([*names, "interpolation.json", "interpolation.png"])
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()) == expected
    assert leftovers(out) == []
    assert everything_in(model) == before
    for name in names:
        with Image.open(out / name) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "L", (8, 8))
    document = json.loads((out / "interpolation.json").read_text())
    assert document["files"] == [*names, "interpolation.png"]
    assert pixels(out / "interpolation.png").shape[1] == 1320


def test_both_ways_lead_from_one_reconstruction_to_the_other(
    interpolate: Interpolate, model: Path, tmp_path: Path
) -> None:
    document = interpolate("dog:1", "dog:4", "--json").document
    generators = load_generators(model, "dog")
    metric = generators.classes[0].metric
    assert metric is not None
    decoded = generators.classes[0].decode(metric.centroids[[1, 4]]).reshape(2, 8, 8).numpy()
    first, last = generators.scaler.inverse(decoded)
    for way in ("geodesic", "straight"):
        assert np.array_equal(pixels(tmp_path / "out" / "frames" / f"{way}-1.png"), first)
        assert np.array_equal(pixels(tmp_path / "out" / "frames" / f"{way}-{STEPS}.png"), last)
    for end, index, place in (("start", 1, 0), ("end", 4, -1)):
        assert document[end]["source"] == f"dog/scan-0{index}.png"
        assert document[end]["index"] == index
        for way in ("geodesic", "straight_line"):
            assert document[way]["points"][place] == pytest.approx(metric.centroids[index].tolist())
            assert document[end]["point"] == document[way]["points"][place]


def test_the_document_is_right_about_the_paths(interpolate: Interpolate, model: Path) -> None:
    document = interpolate("cat:0", "cat:5", "--json").document
    assert (document["class"], document["steps"], document["converged"]) == ("cat", STEPS, True)
    metric = load_generators(model, "cat").classes[0].metric
    assert metric is not None
    geodesic, straight = (
        torch.tensor(document[way]["points"]).double() for way in ("geodesic", "straight_line")
    )
    torch.testing.assert_close(
        straight.diff(dim=0), (metric.centroids[5] - metric.centroids[0]).expand(4, 2) / 4
    )
    assert document["geodesic"]["length"] < 0.999 * document["straight_line"]["length"]
    # by a sum of its own over 10,000 pieces of the line
    share = (torch.arange(10_000).double() + 0.5)[:, None] / 10_000
    step = metric.centroids[5] - metric.centroids[0]
    speed = metric.norm(step.expand(10_000, 2), metric.centroids[0] + share * step)
    assert document["straight_line"]["length"] == pytest.approx(float(speed.mean()), rel=1e-4)
    # equal steps in the metric: each of four pieces is a geodesic of a quarter of the length
    pieces = [metric.norm(b - a, 0.5 * (a + b)) for a, b in zip(geodesic[:-1], geodesic[1:], strict=True)]
    assert float(torch.stack(pieces).std()) < 0.2 * float(torch.stack(pieces).mean())
    for way, points in (("geodesic", geodesic), ("straight_line", straight)):
        volume = torch.tensor(document[way]["log_volume_element"]).double()
        torch.testing.assert_close(volume, metric.log_volume_element(points), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("cat/scan-02.png", "cat/scan-04.png"),
        ("cat:cat/scan-02.png", "cat:scan-04.png"),
        ("cat:2", "4"),
        ("2", "cat:4"),
        ("cat/scan-02.png", "4"),
    ],
)
def test_a_sample_has_several_names(interpolate: Interpolate, start: str, end: str) -> None:
    document = interpolate(start, end, "--json").document
    assert document["start"]["source"] == "cat/scan-02.png"
    assert document["end"]["source"] == "cat/scan-04.png"


def test_ends_may_be_latent_points(interpolate: Interpolate) -> None:
    document = interpolate("cat:@0.5,-1", "@-0.25,2e-1", "--json").document
    assert document["start"] == {"source": None, "index": None, "point": [0.5, -1.0], "in_support": True}
    assert document["end"]["point"] == [-0.25, 0.2]
    assert document["geodesic"]["points"][0] == [0.5, -1.0]


@pytest.mark.parametrize(
    ("start", "end", "parts"),
    [
        ("cat:0", "catt:1", ["B must be", "'catt:1'", "did you mean 'cat:1'?"]),
        ("cat/scan-0.png", "cat:1", ["A must be", "did you mean 'cat/scan-0"]),
        ("cat:scan-7.png", "cat:1", ["A must be", "'scan-7.png'", "did you mean", "scan-0"]),
        ("zebra", "cat:1", ["A must be", "'zebra'", "'cat', 'dog'"]),
        ("cat:6", "cat:1", ["6 training samples", "numbered from 0", "got 6", "use 0 to 5"]),
        ("cat:-1", "cat:1", ["A must be", "'-1'"]),
        ("scan-01.png", "cat:1", ["'cat:cat/scan-01.png' and 'dog:dog/scan-01.png'", "give one of them"]),
        ("0", "1", ["A must name its class", "write cat:0"]),
        ("@0,0", "@1,1", ["A must name its class", "write cat:@0,0"]),
        ("cat:0", "dog:1", ["of one class", "'cat'", "'dog'"]),
        ("cat:2", "cat/scan-02.png", ["must differ", "choose another B"]),
        ("cat:@0,1", "cat:@0,1.0", ["must differ"]),
        ("cat:@0.5", "cat:1", ["2 coordinates, got 1", "@0,0"]),
        ("cat:@0,nan", "cat:1", ["numbers with commas", "'@0,nan'"]),
        ("cat:@a,b", "cat:1", ["numbers with commas", "'@a,b'"]),
        ("", "cat:1", ["A must be", "''"]),
    ],
)
def test_ends_that_fit_nothing_are_refused_in_one_line(
    interpolate: Interpolate, tmp_path: Path, start: str, end: str, parts: list[str]
) -> None:
    done = interpolate(start, end)
    assert done.code == 2
    assert [part for part in parts if part not in done.message] == []
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_a_metric_is_refused(interpolate: Interpolate, tmp_path: Path) -> None:
    plain = save_model(tmp_path / "plain", kind="vae")
    done = interpolate("cat:0", "cat:1", model_folder=plain)
    assert done.code == 2
    assert "the vae of class 'cat'" in done.message
    assert "--model rhvae" in done.message
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_model_is_refused(interpolate: Interpolate, tmp_path: Path) -> None:
    done = interpolate("cat:0", "cat:1", model_folder=tmp_path / "nothing")
    assert done.code == 2
    assert "model.json" in done.message


def test_an_output_that_is_in_use_is_left_alone(
    interpolate: Interpolate, cli: Command, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    done = interpolate("cat:0", "cat:1")
    assert done.code == 2
    assert "new or empty" in done.message
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    before = everything_in(model)
    inside = cli("interpolate", model, "cat:0", "cat:1", model / "path")
    assert inside.code == 2
    assert everything_in(model) == before


def test_an_end_away_from_the_data_is_told(interpolate: Interpolate) -> None:
    done = interpolate("cat:@1e4,0", "cat:1")
    assert done.code == 0
    assert "A lies outside the support" in " ".join((done.out + done.err).split())
    assert "B lies outside" not in done.out + done.err


@pytest.mark.parametrize("steps", [2, "many"])
def test_steps_have_a_least_number(interpolate: Interpolate, tmp_path: Path, steps: object) -> None:
    done = interpolate("cat:0", "cat:1", "--steps", steps)
    assert done.code == 2
    assert "--steps" in done.err
    assert not (tmp_path / "out").exists()


def test_samples_that_are_encoded_as_one_point_are_refused(interpolate: Interpolate, tmp_path: Path) -> None:
    twins = save_model(tmp_path / "twins")
    generators = load_generators(twins)
    metric = generators.classes[0].metric
    assert metric is not None
    metric.centroids[1] = metric.centroids[0]
    save_generators(twins, generators)
    done = interpolate("cat:0", "cat:1", model_folder=twins)
    assert done.code == 2
    assert "one point" in done.message


@pytest.mark.parametrize(
    ("fmt", "mode", "suffix"),
    [
        (SampleFormat("folder", (6, 9, 3), "uint8", ".png", None, grey_as_rgb=False), "RGB", "png"),
        (SampleFormat("folder", (6, 9, 3), "uint8", ".png", None, grey_as_rgb=True), "RGB", "png"),
        (SampleFormat("folder", (6, 9), "uint16", ".png", None, grey_as_rgb=False), "I;16", "png"),
        (SampleFormat("folder", (6, 9), "float32", ".tiff", None, grey_as_rgb=False), "F", "tiff"),
    ],
)
def test_frames_are_in_the_format_of_the_data(
    interpolate: Interpolate, tmp_path: Path, fmt: SampleFormat, mode: str, suffix: str
) -> None:
    document = interpolate("cat:0", "cat:1", "--json", model_folder=save_model(tmp_path / "m", fmt)).document
    assert [name.endswith(suffix) for name in document["files"][:-1]] == [True] * (2 * STEPS)
    with Image.open(tmp_path / "out" / document["files"][2]) as image:
        assert (image.mode, image.size) == (mode, (9, 6))
        values = np.asarray(image)
    assert values.min() >= 10
    assert values.max() <= 199
    assert len(np.unique(values)) > 2


@pytest.mark.parametrize(
    ("shape", "latent_dim", "pictured"), [((8, 8), 3, True), ((5,), 2, True), ((5,), 3, False)]
)
def test_arrays_are_written_as_arrays(
    interpolate: Interpolate, tmp_path: Path, shape: tuple[int, ...], latent_dim: int, pictured: bool
) -> None:
    fmt = SampleFormat("arrays", shape, "float64", "", ("X", "y"), grey_as_rgb=False)
    folder = save_model(tmp_path / "m", fmt, latent_dim=latent_dim, names=("0", "1"))
    done = interpolate("row 1", "0:row 3", model_folder=folder)
    assert done.code == 0
    out = tmp_path / "out"
    files = {"interpolation.json", "interpolation.npz"} | ({"interpolation.png"} if pictured else set())
    assert {path.name for path in out.iterdir()} == files
    assert ("interpolation.png" in done.err) == pictured
    with np.load(out / "interpolation.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["geodesic", "straight"]
        for way in arrays.values():
            assert way.shape == (STEPS, *shape)
            assert way.dtype == np.float64
        assert np.array_equal(arrays["geodesic"][[0, -1]], arrays["straight"][[0, -1]])
        assert not np.array_equal(arrays["geodesic"], arrays["straight"])


def test_an_index_without_a_class_is_of_the_only_one(interpolate: Interpolate, tmp_path: Path) -> None:
    folder = save_model(tmp_path / "m", names=("only",))
    document = interpolate("0", "@1,1", "--json", model_folder=folder).document
    assert document["class"] == "only"


def test_quiet_prints_nothing_and_the_same_command_gives_the_same_bytes(
    interpolate: Interpolate, cli: Command, model: Path, tmp_path: Path
) -> None:
    done = interpolate("cat:0", "cat:3", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")
    cli("interpolate", model, "cat:0", "cat:3", tmp_path / "again", "--steps", STEPS)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in ("out", "again")
    )
    assert first == second


def test_more_frames_than_the_picture_shows(interpolate: Interpolate, tmp_path: Path) -> None:
    assert interpolate("cat:0", "cat:3", "--steps", 100).code == 0
    frames = sorted(path.name for path in (tmp_path / "out" / "frames").iterdir())
    assert (len(frames), frames[0], frames[-1]) == (200, "geodesic-001.png", "straight-100.png")


@pytest.mark.slow
def test_the_installed_command_takes_a_model_that_augment_made(finished: Path, tmp_path: Path) -> None:
    done = run_for_real("interpolate", finished, "one/scan-00.png", "one:5", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    assert done.document["converged"]
    assert len(list((tmp_path / "out" / "frames").iterdir())) == 20
