"""The report of an existing output folder, made from its files: run.json, manifest, model, samples."""

import os
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from riemaug.class_model import ClassModel
from riemaug.config import SamplingConfig
from riemaug.data import Dataset
from riemaug.data.manifest_files import CSV_MANIFEST, find_manifest, manifest_rows
from riemaug.errors import InvalidInputError
from riemaug.evaluation.copying import nearest_neighbours
from riemaug.evaluation.outcome import RESULT_NAME, Evaluation
from riemaug.limits import DEFAULT_LIMITS, Limits
from riemaug.report import ReportData, write_report
from riemaug.report.columns import Columns
from riemaug.run.columns import Rows, class_columns, has_columns, written_rows
from riemaug.run.evaluation_file import not_of, read_evaluation, unchecked
from riemaug.run.manifest_digest import ClassDigest, ManifestDigest
from riemaug.run.reporting import class_reports
from riemaug.run.run_file import model_folder, read_run, reading_of, training_set_of_run
from riemaug.run.sample_names import place_in_shard
from riemaug.run.samples_hash import samples_hash
from riemaug.run.shown import SHOWN_PICTURES, ShownSamples, shown_arrays
from riemaug.run.training_set import read_training_set
from riemaug.run.workdir import RUN_NAME
from riemaug.run.written_samples import written_samples
from riemaug.serialization import FittedGenerators, load_generators

REPORT_NAME = "report.html"
EVALUATION_SUFFIX = "-evaluation"
DRAWN_ANEW, CHAINS_ANEW = 300, 48
"""Latent points drawn anew for a map; fewer where each takes a chain of its own."""
_PARTS = ("fit", "sample", "write")
_CHAINS = ("walk", "hmc", "walk-paper", "walk-paper-code")


class RemakeRequest(BaseModel):
    """Make the report of OUT again.

    Attributes
    ----------
    out : Path
        Made by `riemaug augment` or `riemaug sample`.
    real : Path, optional
        The data that the model was fitted on: shows them, and the training samples nearest to synthetic ones.
        By default those that OUT's run names, if they are still there and the same.
    model : Path, optional
        The model's folder, where it is not OUT nor the one that OUT's run names.
    evaluation : Path, optional
        Made by `riemaug evaluate`; by default the folder beside OUT, if there is one.
    real_in_report : bool, optional
        Show real pictures; by default as the run did.
    limits : Limits
        How large the files of the real data may be; what OUT's run was told counts for nothing, as OUT may
        come from someone else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    out: Path
    real: Path | None = None
    model: Path | None = None
    evaluation: Path | None = None
    real_in_report: bool | None = None
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True)
class Remade:
    """What was made.

    Attributes
    ----------
    path : Path
        The report.
    num_classes, num_samples : int
    evaluation : Path or None
        The evaluation that went into it.
    notes : tuple of str
        What the report lacks, and how to get it.
    """

    path: Path
    num_classes: int
    num_samples: int
    evaluation: Path | None
    notes: tuple[str, ...]


def remake_report(request: RemakeRequest) -> Remade:
    """Write OUT/report.html anew.

    Raises
    ------
    InvalidInputError
        OUT is not the finished output of a run, its model is missing, or `real` is other data.
    """
    run = read_run(request.out)
    folder = request.model or model_folder(request.out, run)
    generators = load_generators(folder)
    manifest = find_manifest(request.out) or request.out / CSV_MANIFEST
    names = [item.name for item in generators.classes]
    rows = ManifestDigest(manifest_rows(manifest, request.limits), names)
    training_set, lacking = _training_set(request, run, folder, generators)
    found, evaluation, notes = _evaluation(request, rows.num_rows)
    data = _Source(request, run, generators, rows, training_set).report_data(evaluation)
    path = request.out / REPORT_NAME
    write_report(data, path)
    return Remade(path, len(data.classes), rows.num_rows, found, notes + lacking)


def _training_set(
    request: RemakeRequest, run: dict[str, Any], model: Path, generators: FittedGenerators
) -> tuple[Dataset | None, tuple[str, ...]]:
    """Return the data that the model was fitted on, and what is to be said where they are not at hand."""
    if request.real is not None:
        reading = reading_of(run, model, request.limits)
        return read_training_set(request.real, reading, generators, "name that data, unchanged"), ()
    found, fault = training_set_of_run(request.out, run, model, generators, request.limits)
    if found is not None:
        return found, ()
    what = "columns" if has_columns(generators.sample_format) else "pictures and no nearest ones"
    return None, (f"the report has no real {what}: {fault}; give --real DATA to show them",)


def _evaluation(
    request: RemakeRequest, num_samples: int
) -> tuple[Path | None, Evaluation | None, tuple[str, ...]]:
    """Return the folder of an evaluation, what it holds, and what is to be said of it."""
    folder = request.evaluation
    if folder is None:
        out = request.out.resolve()
        folder = out.parent / (out.name + EVALUATION_SUFFIX)
        if not os.path.isfile(folder / RESULT_NAME):
            return (
                None,
                None,
                ("no evaluation was found: riemaug evaluate measures what the samples are worth",),
            )
    evaluation, present = read_evaluation(folder), samples_hash(request.out)
    fault = not_of(evaluation, present, num_samples)
    if not fault:
        doubt = unchecked(evaluation, present)
        said = f"whether the evaluation in {folder} is of these samples could not be checked: {doubt}"
        return folder, evaluation, (said,) if doubt else ()
    if request.evaluation is not None:
        raise InvalidInputError(
            f"--evaluation must be of OUT, {str(folder)!r} is not ({fault}): evaluate OUT"
        )
    return None, None, (f"the evaluation in {folder} was left out: {fault}",)


@dataclass(frozen=True, eq=False)
class _Source:
    """All that a report is made from."""

    request: RemakeRequest
    run: dict[str, Any]
    generators: FittedGenerators
    rows: ManifestDigest
    training_set: Dataset | None

    def report_data(self, evaluation: Evaluation | None) -> ReportData:
        try:
            told, entries = self._told(), self._entries()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInputError(
                f"{RUN_NAME} must be as the run wrote it, that in {str(self.request.out)!r} is not "
                f"({type(error).__name__}: {error}): run anew"
            ) from error
        results = [self._result(index, entry) for index, entry in enumerate(entries)]
        classes = class_reports(results, self.generators, told["sampler"], self._arrays, self._columns)
        show = self.request.real_in_report
        if show is None:
            show = bool(self.run["request"].get("real_in_report", True))
        return ReportData(**told, classes=classes, show_real=show, evaluation=evaluation)

    def _told(self) -> dict[str, Any]:
        """Return what run.json tells of the whole run, by the fields of the report's data."""
        run, asked = self.run, self.run["request"]
        kind = self.generators.classes[0].model.config.kind
        return {
            "title": self._title(),
            "created": datetime.fromisoformat(run["created"]).strftime("%Y-%m-%d %H:%M UTC"),
            "version": str(run["environment"]["riemaug"]),
            "command": str(asked["command"]),
            "config": {k: v for k, v in asked.items() if k != "command"} | dict(run.get("resolved", {})),
            "seed": self._sampling.seed,
            "notes": tuple(map(str, run.get("notes", ()))),
            "fingerprint": dict(run.get("data") or self._known_data()),
            "sampler": self._sampling.sampler_for(kind),
            "model": kind,
            "model_hash": str(run["model_sha256"]),
            "total_seconds": float(run["seconds"]),
            "peak_memory_mb": float(run["peak_memory_mb"]),
            "environment": dict(run["environment"]),
        }

    def _entries(self) -> list[dict[str, Any]]:
        """Return what run.json tells of each class, in the model's order."""
        told = {entry["class"]: entry for entry in self.run["classes"]}
        return [
            {
                "class": item.name,
                "diagnostics": dict(told[item.name]["diagnostics"]),
                "dropped": told[item.name].get("dropped"),
                **{f"{part}_seconds": float(told[item.name].get(f"{part}_seconds", 0)) for part in _PARTS},
            }
            for item in self.generators.classes
        ]

    @property
    def _sampling(self) -> SamplingConfig:
        return SamplingConfig(**self.run["request"]["sampling"])

    def _title(self) -> str:
        asked = self.run["request"]
        if "data" in asked:
            return f"Augmentation of {Path(asked['data']).name or 'data'}"
        return f"Samples from {Path(asked['model']).name or 'a model'}"

    def _known_data(self) -> dict[str, Any]:
        """Return what the model tells of its training data."""
        made = self.generators
        names, table = [item.name for item in made.classes], made.sample_format.table
        columns = {} if table is None else {"columns": list(map(str, table.plan.names))}
        return {
            "samples": sum(made.class_sizes),
            "classes": dict(zip(names, made.class_sizes, strict=True)),
            **columns,
            "shape": list(made.sample_format.shape),
            "dtype": made.sample_format.dtype,
            "sha256": made.data_fingerprint,
        }

    def _result(self, index: int, entry: dict[str, Any]) -> dict[str, Any]:
        """Return what the class's task told at the time of the run."""
        rows = self.rows.classes[index]
        return {
            **entry,
            "synthetic": rows.count,
            "first_files": rows.files,
            "nearest": rows.nearest if rows.compared else [],
            "nearest_distance": rows.distances if rows.compared else [],
            "copies": rows.copies,
            "real_distance": self._real_distances(index),
        }

    def _arrays(self, index: int) -> dict[str, np.ndarray]:
        """Return what the report shows of a class that it shows in full."""
        item, rows = self.generators.classes[index], self.rows.classes[index]
        draws = _draws(item, self._sampling, rows.count)
        fmt, seed = self.generators.sample_format, self._sampling.seed
        return shown_arrays(item, self._shown(index, rows), draws, fmt, seed)

    def _columns(self, index: int) -> Columns | None:
        """Return the columns of a table's class, with the real ones where these are given; else None."""
        if self._rows is None:
            return None
        real = None if self.training_set is None else self.training_set.of_class(index)
        return class_columns(self._rows[self.rows.of_class(index)], real, self.generators.sample_format)

    @cached_property
    def _rows(self) -> Rows | None:
        """All synthetic rows of a table, as the manifest lists them; None of other data."""
        fmt = self.generators.sample_format
        if not has_columns(fmt) or not self.rows.num_rows or place_in_shard(self.rows.first_file) is not None:
            return None
        rows = written_rows(self.request.out, fmt)
        if len(rows) != self.rows.num_rows:
            raise InvalidInputError(
                f"OUT must be as the run left it, its samples are {len(rows):,} rows and its manifest lists"
                f" {self.rows.num_rows:,}: make them anew"
            )
        return rows

    def _shown(self, index: int, rows: ClassDigest) -> ShownSamples:
        scaler, fmt = self.generators.scaler, self.generators.sample_format
        synthetic = written_samples(self.request.out, rows.files, scaler, fmt, self.request.limits)
        data = self.training_set
        if data is None:
            return ShownSamples(synthetic)
        real = scaler.transform(data.of_class(index)[:SHOWN_PICTURES])
        place = {name: number for number, name in enumerate(data.names)}
        known = [place[name] for name in rows.nearest if name in place]
        if len(known) < len(rows.files) or not rows.files:
            return ShownSamples(synthetic, None, real)
        return ShownSamples(synthetic, scaler.transform(np.asarray(data.samples[known])), real)

    def _real_distances(self, index: int) -> list[float]:
        """Return the distance of each training sample of a class to its nearest other one."""
        data = self.training_set
        if data is None or data.counts[index] < 2:
            return []
        rows = self.generators.scaler.transform(data.of_class(index)).reshape(data.counts[index], -1)
        return nearest_neighbours(rows, rows, leave_one_out=True).distance.tolist()


def _draws(item: ClassModel, config: SamplingConfig, count: int) -> Float[Tensor, "m dim"] | None:
    """Return latent points for the map: draw i is the same as in the run, whatever their number."""
    if item.metric is None or item.metric.dim < 2:
        return None
    most = CHAINS_ANEW if config.sampler in _CHAINS else DRAWN_ANEW
    draws = item.sampler(config).sample(min(count, most), item.draw_stream(config.seed), None)
    return draws.points
