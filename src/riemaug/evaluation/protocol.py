"""The evaluation of synthetic samples against a held-out test set, from labelled samples to verdicts."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from riemaug._version import __version__
from riemaug.errors import InvalidInputError
from riemaug.evaluation.classifiers import Classifier
from riemaug.evaluation.comparisons import compare_all
from riemaug.evaluation.outcome import RUNS_NAME, Evaluation
from riemaug.evaluation.pace import guessed_pace
from riemaug.evaluation.result_file import ResultFile
from riemaug.evaluation.run_task import RunTask
from riemaug.evaluation.runs import Run, runs_of
from riemaug.evaluation.sample_checks import CopyingTask, FidelityTask
from riemaug.evaluation.set_names import TrainedOn
from riemaug.evaluation.settings import EvaluationConfig
from riemaug.evaluation.sources import (
    LabelledData,
    Source,
    as_source,
    check_alike,
    check_apart,
    class_notes,
    material_of,
    num_sides_of,
    units_of,
    validation_rows,
)
from riemaug.evaluation.tasks import Listener, Pace, Task, execute, num_jobs_for
from riemaug.evaluation.training_sets import Material, chosen_sets, sizes_of
from riemaug.parallel import Engine
from riemaug.random import Stream

PROTOCOL = 3
"""Raised whenever the same choices begin to give other results; 2: networks end on all real samples; 3: thin
volumes are volumes to networks and classic augmentation."""


@dataclass(frozen=True, eq=False)
class PlannedEvaluation:
    """An evaluation, ready to start.

    Attributes
    ----------
    config : EvaluationConfig
    materials : tuple of Material
        One, or one a fold.
    sets : tuple of str
        Training sets; empty where no gain is measured.
    classifiers : dict of str to Classifier
    notes : tuple of str
    inputs : str
        Hash of all that decides the results of its tasks.
    """

    config: EvaluationConfig
    materials: tuple[Material, ...]
    sets: tuple[TrainedOn, ...]
    classifiers: dict[str, Classifier]
    notes: tuple[str, ...]
    inputs: str

    @property
    def stream(self) -> Stream:
        """All randomness of the evaluation."""
        return root_stream(self.config)

    @property
    def num_jobs(self) -> int:
        """Processes."""
        return num_jobs_for(self.config.jobs)

    def tasks(self) -> list[Task]:
        """Return the checks, then the runs, seed by seed."""
        checks: list[Task] = []
        for material in self.materials:
            if self.config.copying:
                checks.append(CopyingTask(material, self.stream))
            if self.config.fidelity:
                checks.append(FidelityTask(material, self.stream, self.config.features))
        runs = [
            self._run(material, name, trained_on, seed)
            for seed in range(self.config.seeds)
            for material in self.materials
            for name in self.classifiers
            for trained_on in self.sets
        ]
        return [*checks, *runs]

    def _run(self, material: Material, name: str, trained_on: TrainedOn, seed: int) -> RunTask:
        factor = self.config.factor
        size = sizes_of((trained_on,), material, factor)[trained_on]
        classifier = self.classifiers[name]
        return RunTask(name, classifier, trained_on, seed, material, factor, size, self.stream)

    def pace(self) -> Pace:
        """Return how fast tasks will go, from a short training of each classifier."""
        classifiers = self.classifiers if self.sets else {}
        return guessed_pace(classifiers, self.materials[0], self.stream.child("pace"))


def root_stream(config: EvaluationConfig) -> Stream:
    """Return the stream of all randomness of an evaluation."""
    return Stream(config.seed, ("evaluation",))


def evaluate_gain(
    real: LabelledData,
    synthetic: LabelledData,
    test: LabelledData,
    config: EvaluationConfig | None = None,
    *,
    folder: str | Path | None = None,
    listener: Listener | None = None,
) -> Evaluation:
    """Train classifiers with and without synthetic samples, and test them on held-out real ones.

    Parameters
    ----------
    real, synthetic, test : Dataset, or (X, y)
        Samples (n, ...) of one shape and dtype, and labels (n,): whole numbers or text.
    config : EvaluationConfig, optional
    folder : path, optional
        An existing folder where each result is kept at once, in runs.jsonl; what is there is not done again.
        A classifier of your own is known there by its name: give another folder once it has changed.
    listener : callable, optional
        Hears a `riemaug.evaluation.tasks.Progress` after each task.

    Returns
    -------
    Evaluation
        Its `verdicts` say whether the synthetic samples help.

    Raises
    ------
    InvalidInputError
        Test samples among the real or synthetic ones, shapes, dtypes or classes that do not agree, too few
        samples of a class, or choices that do not go together.
    """
    config = config or EvaluationConfig()
    sources = (
        as_source(real, "the real samples"),
        as_source(synthetic, "the synthetic samples"),
        as_source(test, "the test set"),
    )
    plan = plan_evaluation(*sources, config)
    return carry_out(plan, None if folder is None else Path(folder), listener)


def evaluate_samples(
    real: LabelledData,
    synthetic: LabelledData,
    test: LabelledData | None = None,
    config: EvaluationConfig | None = None,
) -> Evaluation:
    """Measure fidelity and look for copies, without training any classifier on the samples.

    Parameters
    ----------
    real, synthetic, test, config
        See `evaluate_gain`; without a test set the comparison is a rougher one.
    """
    config = (config or EvaluationConfig()).model_copy(update={"gain": False})
    held_out = None if test is None else as_source(test, "the test set")
    sources = as_source(real, "the real samples"), as_source(synthetic, "the synthetic samples")
    return carry_out(plan_evaluation(*sources, held_out, config))


def plan_evaluation(
    real: Source, synthetic: Source, test: Source | None, config: EvaluationConfig
) -> PlannedEvaluation:
    """Bring the samples together and work out what there is to do; see `evaluate_gain` for the errors."""
    if config.gain and test is None:
        raise InvalidInputError(
            "a gain is measured on held-out real samples, no test set was given: give one, or ask for "
            "fidelity and copying alone"
        )
    others = [synthetic] if test is None else [synthetic, test]
    check_alike(real, *others)
    if test is not None:
        check_apart(real, synthetic, test, near=config.near_duplicates == "refuse")
    notes = class_notes(real, synthetic, test)
    shape, num_sides = real.data.samples.shape[1:], num_sides_of(real.data, config)
    sets, classifiers, is_validation = (), {}, np.zeros(len(real.data.samples), bool)
    if config.gain:
        sets, more = chosen_sets(config, shape, len(synthetic.data.class_names), num_sides)
        notes += more
        classifiers = config.classifiers_for(shape)
        units = units_of(real.data, near=config.near_duplicates == "refuse")
        stream = root_stream(config).child("validation")
        is_validation = validation_rows(real.data, units, config.validation_share, stream)
    material = material_of(real, synthetic, test, is_validation, num_sides=num_sides)
    contents = [None if item is None else item.data.fingerprint() for item in (real, synthetic, test)]
    inputs = inputs_hash(config, [*contents, num_sides], real.data.groups)
    return PlannedEvaluation(config, (material,), sets, classifiers, tuple(notes), inputs)


def inputs_hash(config: EvaluationConfig, contents: Sequence[Any], groups: Any) -> str:
    """Return a hash of what decides the result of any task, beside the task's own key."""
    fields = {
        "contents": contents,
        "groups": groups,
        "seed": config.seed,
        "validation": config.validation_share,
        "near": config.near_duplicates,
        "version": __version__,
        "protocol": PROTOCOL,
    }
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()[:16]


def carry_out(
    plan: PlannedEvaluation,
    folder: Path | None = None,
    listener: Listener | None = None,
    pace: Pace | None = None,
) -> Evaluation:
    """Do what was planned, and conclude.

    Parameters
    ----------
    plan : PlannedEvaluation
    folder : Path, optional
        See `evaluate_gain`.
    listener : callable, optional
    pace : Pace, optional
    """
    file = None if folder is None else ResultFile(folder / RUNS_NAME, plan.inputs)
    tasks = plan.tasks()
    if pace is None and listener is not None:
        pace = plan.pace()
    with Engine.parse(plan.config.engine).entered():
        results = execute(tasks, plan.num_jobs, file, listener, pace)
    of_kind = {
        kind: [results[task.key] for task in tasks if task.key[0] == kind]
        for kind in ("run", "fidelity", "copying")
    }
    runs = runs_of(of_kind["run"])
    labels = {item.fold: item.test.labels for item in plan.materials if item.test is not None}
    comparisons = compare_all(runs, labels, tuple(plan.classifiers), plan.config.seeds) if runs else ()
    return Evaluation(
        runs=runs,
        comparisons=comparisons,
        fidelity=tuple(of_kind["fidelity"]),
        copying=tuple(of_kind["copying"]),
        notes=(*plan.notes, *_notes_on(runs, plan)),
        settings=_settings(plan),
    )


def _notes_on(runs: Sequence[Run], plan: PlannedEvaluation) -> list[str]:
    notes = []
    for name in plan.classifiers:
        scores = {
            (run.fold, run.scores.accuracy, run.scores.brier)
            for run in runs
            if (run.classifier, run.trained_on) == (name, "real")
        }
        if plan.config.seeds > 1 and runs and len(scores) == len(plan.materials):
            notes.append(f"{name} on real gives the same with every seed: more seeds tell nothing new of it.")
    return notes


def _settings(plan: PlannedEvaluation) -> dict[str, Any]:
    config, first = plan.config, plan.materials[0]
    return {
        "riemaug_version": __version__,
        "inputs": plan.inputs,
        "classes": list(first.class_names),
        "folds": 0 if first.fold == 0 else len(plan.materials),
        "classifiers": list(plan.classifiers),
        "trained_on": list(plan.sets),
        "seeds": config.seeds,
        "seed": config.seed,
        "classic": config.classic,
        "features": config.features,
        "samples": [_counts(material) for material in plan.materials],
        "training_sizes": [sizes_of(plan.sets, material, config.factor) for material in plan.materials],
    }


def _counts(material: Material) -> dict[str, Any]:
    count = len(material.class_names)
    parts = {
        "training": material.training,
        "validation": material.validation,
        "synthetic": material.synthetic,
        "test": material.test,
    }
    return {name: list(part.counts(count)) for name, part in parts.items() if part is not None}
