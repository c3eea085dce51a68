"""From the results of a run to the records that the report shows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from riemaug.class_model import ClassModel
from riemaug.data import SampleFormat
from riemaug.evaluation.copying import DroppedCopies
from riemaug.report import ClassReport, LatentMap, Volumes, classes_in_full
from riemaug.report.columns import Columns
from riemaug.run.sharing import Sharing
from riemaug.run.shown import voxel_spacing
from riemaug.serialization import FittedGenerators
from riemaug.training import History

ANATOMICAL_AXES = ("head to feet", "front to back", "left to right")
"""Axes of a NIfTI volume that `riemaug.data.upright_samples` has turned."""
MOST_NOTED = 40
"""Models that have the same note each; of more there is one note for all."""
NAMES_NOTED = 3
"""Models that the one note for all names."""


def kept_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of `riemaug.run.shown` that were kept in a file."""
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def class_reports(
    results: Sequence[Mapping[str, Any]],
    generators: FittedGenerators,
    sampler: str,
    arrays_of: Callable[[int], Mapping[str, np.ndarray]],
    columns_of: Callable[[int], Columns | None],
) -> tuple[ClassReport, ...]:
    """Return what the report shows of all classes; pictures, maps and columns only where it shows these.

    Parameters
    ----------
    results : sequence of mapping
        Of the classes' tasks, in the order of the classes.
    generators : FittedGenerators
    sampler : str
    arrays_of, columns_of : callable
        Read or make, by the number of a class, what is large; asked only of classes that are shown in full.
    """
    known = list(zip(results, generators.classes, generators.class_sizes, strict=True))
    fmt = generators.sample_format
    brief = [class_report(*each, {}, fmt) for each in known]
    in_full = classes_in_full(brief, sampler)
    return tuple(
        class_report(*known[index], arrays_of(index), fmt, columns_of(index)) if index in in_full else report
        for index, report in enumerate(brief)
    )


def class_report(
    result: Mapping[str, Any],
    item: ClassModel,
    num_real: int,
    arrays: Mapping[str, np.ndarray],
    fmt: SampleFormat,
    columns: Columns | None = None,
) -> ClassReport:
    """Return what the report shows of one class.

    Parameters
    ----------
    result : mapping
        Of the class's task.
    item : ClassModel
    num_real : int
        Training samples of the class.
    arrays : mapping of str to ndarray
        See `riemaug.run.shown.shown_arrays`.
    fmt : SampleFormat
    columns : Columns, optional
        Of a table, see `riemaug.run.columns`.
    """
    shown = len(arrays.get("synthetic", ()))
    copies, history = result["copies"], item.history
    return ClassReport(
        name=result["class"],
        num_real=num_real,
        num_synthetic=result["synthetic"],
        real=arrays.get("real"),
        synthetic=arrays.get("synthetic"),
        nearest=arrays.get("nearest"),
        synthetic_names=tuple(result["first_files"][:shown]),
        nearest_names=tuple(result["nearest"][:shown]),
        nearest_distances=np.array(result["nearest_distance"], dtype=np.float64),
        real_nearest_distances=np.array(result["real_distance"], dtype=np.float64),
        copies_exact=copies.get("exact", 0),
        copies_near=copies.get("near", 0),
        dropped=dropped_copies(result),
        curves={
            "elbo": np.array(history.elbo, dtype=np.float64),
            "reconstruction": np.array(history.reconstruction, dtype=np.float64),
        },
        best_epoch=history.best_epoch + 1 if history.best_epoch >= 0 else None,
        stop_reason=history.stop_reason,
        latent=_latent_map(arrays, 0 if item.metric is None else item.metric.dim),
        volumes=_volumes(arrays, fmt),
        columns=columns,
        diagnostics=result["diagnostics"],
        seconds={
            "fit": result["fit_seconds"],
            "sample": result["sample_seconds"],
            "write": result["write_seconds"],
        },
    )


def dropped_copies(result: Mapping[str, Any]) -> DroppedCopies | None:
    """Return what dropping copies did to a class, by its result; None where none were to be dropped."""
    fields = result.get("dropped")
    return None if fields is None else DroppedCopies.from_dict(fields)


def model_name(classes: Sequence[ClassModel]) -> str:
    """Return what notes call the model of these classes."""
    return f"class {classes[0].name}" if len(classes) == 1 else f"the model of all {len(classes)} classes"


def sharing_note(sharing: Sharing) -> str:
    """Return the sentence that says whether the classes share one model, and why."""
    outcome = "All classes share one model" if sharing.shared else "Each class has a model of its own"
    return f"{outcome}: {sharing.reason}."


def training_notes(histories: Sequence[tuple[str, History]], is_planned_end: bool) -> tuple[str, ...]:
    """Return sentences about trainings that did not go straight.

    Parameters
    ----------
    histories : sequence of (str, History)
        With the names of their models.
    is_planned_end : bool
        The last epoch is where the preset has training end, not a limit that cuts it short.
    """
    said = [(name, text) for name, history in histories for text in _said(history, is_planned_end)]
    names: dict[str, list[str]] = {}
    for name, text in said:
        names.setdefault(text, []).append(name)
    whose = [(_whose(names[text], name), text) for name, text in said]
    return tuple(dict.fromkeys(f"Training of {who} {text}" for who, text in whose))


def _said(history: History, is_planned_end: bool) -> Iterator[str]:
    """Yield what is to be said of a training, without its name."""
    if history.rollbacks:
        yield (
            f"diverged {history.rollbacks} times and went on from its best weights with a smaller "
            "learning rate."
        )
    if history.stop_reason.startswith("reached max_epochs") and not is_planned_end:
        yield f"{history.stop_reason}; its ELBO may still have grown."


def _whose(names: Sequence[str], name: str) -> str:
    """Return the model of a note, or all models with that note where they are very many."""
    if len(names) <= MOST_NOTED:
        return name
    first = ", ".join(names[:NAMES_NOTED])
    return f"each of {len(names):,} models ({first} and {len(names) - NAMES_NOTED:,} more)"


def _latent_map(kept: Mapping[str, np.ndarray], latent_dim: int) -> LatentMap | None:
    if "latent_x" not in kept:
        return None
    paths = kept["latent_geodesics"]
    return LatentMap(
        x=kept["latent_x"],
        y=kept["latent_y"],
        log_volume=kept["latent_log_volume"],
        inside_support=kept["latent_inside_support"],
        centroids=kept["latent_centroids"],
        draws=kept["latent_draws"],
        geodesics=tuple(paths[:, i] for i in range(paths.shape[1])),
        starts=kept["latent_starts"],
        velocities=kept["latent_velocities"],
        decoded=kept.get("latent_decoded"),
        latent_dim=latent_dim,
        plane_share=float(kept["latent_share"]),
    )


def _volumes(kept: Mapping[str, np.ndarray], fmt: SampleFormat) -> Volumes | None:
    if "volumes_synthetic" not in kept:
        return None
    axes = ANATOMICAL_AXES if fmt.kind == "volumes" else ("axis 1", "axis 2", "axis 3")
    synthetic = kept["volumes_synthetic"]
    spacing = voxel_spacing(synthetic.shape[1:], fmt)
    return Volumes(synthetic=synthetic, nearest=kept.get("volumes_nearest"), axes=axes, spacing=spacing)
