"""From a model folder and two ends to decoded frames along the geodesic and along the straight line."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from riemaug._version import __version__
from riemaug.atomic import atomic_path, atomic_write_text
from riemaug.class_model import ClassModel
from riemaug.data import (
    restore_samples,
    write_sample,
    write_table,
)
from riemaug.errors import InvalidInputError
from riemaug.geometry import KernelMetric
from riemaug.geometry.curves import length, straight_line
from riemaug.geometry.geodesic import geodesic
from riemaug.run.endpoints import Endpoint, resolve_endpoints
from riemaug.run.staging import staged_output
from riemaug.serialization import FittedGenerators, class_entries, load_generators, read_description

PICTURE_NAME, ARRAYS_NAME, DOCUMENT_NAME = "interpolation.png", "interpolation.npz", "interpolation.json"
TABLES_STEM, FRAMES_NAME = "interpolation", "frames"
CURVE_POINTS = 257
"""Points of the curves that lengths are measured on; the frames lie on them at equal steps."""
MAX_ANCHORS = 2000
"""Up to so many centroids the search for the geodesic also starts from a path through the data."""


@dataclass(frozen=True)
class LatentPath:
    """One of the two ways from A to B.

    Attributes
    ----------
    name : str
        "geodesic" or "straight line".
    curve : Tensor (time, d)
        Finely sampled.
    points : Tensor (steps, d)
        Where the frames are: at equal steps of the parameter, both ends included.
    samples : ndarray (steps, *model_shape)
        The decoded frames, in [0, 1].
    length : float
        Riemannian length of the curve.
    log_volume : Tensor (steps,)
        log sqrt det G at the points: large where there are no data.
    """

    name: str
    curve: Float[Tensor, "time dim"]
    points: Float[Tensor, "steps dim"]
    samples: Float[np.ndarray, "steps *shape"]
    length: float
    log_volume: Float[Tensor, " steps"]


@dataclass(frozen=True)
class Interpolation:
    """What `interpolate` made.

    Attributes
    ----------
    out : Path
    document : dict
        The contents of interpolation.json.
    """

    out: Path
    document: dict[str, Any]


def interpolate(model_folder: Path, start: str, end: str, out: Path, steps: int) -> Interpolation:
    """Decode the geodesic and the straight line between two samples of a saved model, side by side.

    Parameters
    ----------
    model_folder : Path
    start, end : str
        See `riemaug.run.endpoints.resolve_endpoints`.
    out : Path
        A new or empty folder.
    steps : int
        Frames on each of the two ways, both ends included, at least 3.

    Raises
    ------
    InvalidInputError
        No model there or one without a metric, ends that it does not know, an output folder in use.
    """
    description = read_description(model_folder)
    sources = {
        entry["name"]: [str(source) for source in entry["sources"]] for entry, _ in class_entries(description)
    }
    ends = resolve_endpoints(start, end, sources)
    generators = load_generators(model_folder, ends[0].class_name)
    model = generators.classes[0]
    metric = model.metric
    if metric is None:
        raise InvalidInputError(
            f"geodesics need a metric, the {model.model.config.kind} of class {model.name!r} in "
            f"{str(model_folder)!r} has none; fit the data with --model rhvae"
        )
    first, last = (_position(metric, item) for item in ends)
    shape = generators.sample_format.model_shape
    paths, converged = _two_ways(model, metric, first, last, steps, shape)
    index = list(sources).index(model.name)
    document: dict[str, Any] = {
        "riemaug_version": __version__,
        "model_sha256": description["tensors_sha256"],
        "class": model.name,
        "start": _end_fields(ends[0], first, metric),
        "end": _end_fields(ends[1], last, metric),
        "steps": steps,
        "converged": converged,
        **{path.name.replace(" ", "_"): _path_fields(path) for path in paths},
    }
    from riemaug.run.interpolation_picture import write_picture  # needs matplotlib, which takes its time

    with staged_output(out, model_folder, DOCUMENT_NAME) as folder:
        document["files"] = _write_samples(folder, generators, paths, index) + write_picture(
            folder, generators.sample_format, metric, paths
        )
        text = json.dumps(document, indent=1, ensure_ascii=False)
        atomic_write_text(folder / DOCUMENT_NAME, text + "\n")
    return Interpolation(out, document)


def _position(metric: KernelMetric, end: Endpoint) -> Float[Tensor, " dim"]:
    if end.index is not None:
        return metric.centroids[end.index]
    if len(end.coordinates) != metric.dim:
        raise InvalidInputError(
            f"a latent point of this model has {metric.dim} coordinates, got {len(end.coordinates)}: "
            f"write @{','.join(['0'] * metric.dim)}, say"
        )
    return torch.tensor(end.coordinates, dtype=metric.centroids.dtype)


def _two_ways(
    model: ClassModel,
    metric: KernelMetric,
    first: Float[Tensor, " dim"],
    last: Float[Tensor, " dim"],
    steps: int,
    shape: tuple[int, ...],
) -> tuple[list[LatentPath], bool]:
    """Return the geodesic and the straight line, and whether the former is one."""
    if bool((first == last).all()):
        raise InvalidInputError("A and B must differ, the model encodes both as one point: choose another B")
    anchors = metric.centroids if metric.num_centroids <= MAX_ANCHORS else None
    found = geodesic(metric, first[None], last[None], CURVE_POINTS, anchors)
    curves = {"geodesic": found.points[0], "straight line": straight_line(first, last, CURVE_POINTS)}
    return [_path(name, model, metric, curve, steps, shape) for name, curve in curves.items()], bool(
        found.converged
    )


def _path(
    name: str,
    model: ClassModel,
    metric: KernelMetric,
    curve: Float[Tensor, "time dim"],
    steps: int,
    shape: tuple[int, ...],
) -> LatentPath:
    points = _at_equal_steps(curve, steps)
    samples = model.decode(points).reshape(steps, *shape).numpy()
    return LatentPath(
        name, curve, points, samples, float(length(metric, curve)), metric.log_volume_element(points)
    )


def _at_equal_steps(curve: Float[Tensor, "time dim"], steps: int) -> Float[Tensor, "steps dim"]:
    """Return points at equal steps of the parameter, between the curve's own by straight pieces."""
    place = torch.linspace(0.0, len(curve) - 1.0, steps, dtype=curve.dtype)
    before = place.floor().long().clamp_max(len(curve) - 2)
    return torch.lerp(curve[before], curve[before + 1], (place - before)[:, None])


def _end_fields(end: Endpoint, point: Float[Tensor, " dim"], metric: KernelMetric) -> dict[str, Any]:
    return {
        "source": end.source or None,
        "index": end.index,
        "point": _rounded(point.tolist()),
        "in_support": bool(metric.default_support().contains(point)),
    }


def _path_fields(path: LatentPath) -> dict[str, Any]:
    return {
        "length": _rounded(path.length),
        "points": _rounded(path.points.tolist()),
        "log_volume_element": _rounded(path.log_volume.tolist()),
    }


def _rounded(value: Any) -> Any:
    """Return numbers with 9 digits: what machines differ in lies behind them."""
    return [_rounded(item) for item in value] if isinstance(value, list) else float(f"{value:.9g}")


def _write_samples(
    out: Path, generators: FittedGenerators, paths: Iterable[LatentPath], index: int
) -> list[str]:
    """Write the frames in the data's own format: image files, one npz file, or a table for each way."""
    fmt = generators.sample_format
    decoded = {path.name.split()[0]: restore_samples(path.samples, generators.scaler, fmt) for path in paths}
    if fmt.table is not None:
        files = [f"{TABLES_STEM}-{name}{fmt.suffix}" for name in decoded]
        for file, rows in zip(files, decoded.values(), strict=True):
            write_table(out / file, rows, np.full(len(rows), index), fmt.table)
        return files
    if fmt.kind == "arrays":
        _write_arrays(out / ARRAYS_NAME, decoded)
        return [ARRAYS_NAME]
    (out / FRAMES_NAME).mkdir()
    files = []
    for name, samples in decoded.items():
        for number, sample in enumerate(samples, 1):
            files.append(f"{FRAMES_NAME}/{name}-{number:0{len(str(len(samples)))}d}{fmt.suffix}")
            write_sample(out / files[-1], sample, fmt)
    return files


def _write_arrays(path: Path, arrays: dict[str, Shaped[np.ndarray, "steps *shape"]]) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
