"""From folders or files of samples to verdicts and tables in an output folder."""

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from riemaug._version import __version__
from riemaug.atomic import remove_leftovers
from riemaug.augmentor import Augmentor
from riemaug.config import GeneratorConfig, SamplingConfig
from riemaug.data import check_output_folder, prepare_output
from riemaug.data.table_files import TABLE_SUFFIXES
from riemaug.errors import InvalidInputError
from riemaug.evaluation.cross_validation import evaluate_folds, fold_rows, folds_inputs, samples_by, take
from riemaug.evaluation.outcome import RESULT_NAME, RUNS_NAME, Evaluation
from riemaug.evaluation.protocol import carry_out, plan_evaluation
from riemaug.evaluation.result_file import Key, ResultFile
from riemaug.evaluation.settings import EvaluationConfig
from riemaug.evaluation.sources import Source, num_sides_of
from riemaug.evaluation.tasks import Listener, num_jobs_for
from riemaug.evaluation.training_sets import chosen_sets
from riemaug.logs import fields, logged_in, stage
from riemaug.run.evaluation_data import read_real, read_synthetic
from riemaug.run.evaluation_file import JUDGED_KEY
from riemaug.run.evaluation_reading import reading_as_made
from riemaug.run.lock import only_run
from riemaug.run.plan import new_counts, plan_for
from riemaug.run.request import ReadOptions
from riemaug.run.samples_hash import samples_hash

log = logging.getLogger(__name__)
OUT_SUFFIX = "-evaluation"
FILE_SUFFIXES = (".npz", *TABLE_SUFFIXES)


class EvaluateRequest(BaseModel):
    """Judge synthetic samples on a test set, or a generator by cross-validation.

    Attributes
    ----------
    data : Path
        The real samples.
    synthetic, test : Path, optional
    folds : bool
        Cross-validate, with `generator` and `sampling`; then there is neither of the two.
    out : Path, optional
        By default beside what is judged, its name with "-evaluation" added.
    reading : ReadOptions
    evaluation : EvaluationConfig
    generator, sampling
        Of a cross-validation.
    log_level : "debug", "info", "warning" or "error"
        Of the least that the folder's run.log keeps.
    command : str
        As it was typed, where there was one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path
    synthetic: Path | None = None
    test: Path | None = None
    folds: bool = False
    out: Path | None = None
    reading: ReadOptions = ReadOptions()
    evaluation: EvaluationConfig = EvaluationConfig()
    generator: GeneratorConfig = GeneratorConfig()
    sampling: SamplingConfig = SamplingConfig()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    command: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> "EvaluateRequest":
        if self.folds and (self.synthetic or self.test):
            raise ValueError(
                "--cv divides DATA itself and makes the synthetic samples: leave out SYNTHETIC and --test, "
                "or --cv"
            )
        if self.folds and not self.evaluation.gain:
            raise ValueError("--cv measures a gain: leave out --no-gain, or give SYNTHETIC instead of --cv")
        if not self.folds and self.synthetic is None:
            raise ValueError(
                "say what is judged: riemaug evaluate REAL SYNTHETIC --test TEST, or riemaug evaluate DATA "
                "--cv 5"
            )
        if not self.folds and self.test is None and self.evaluation.gain:
            raise ValueError(
                "a gain can only be measured on held-out real samples, there is no --test: give --test PATH "
                "(riemaug split sets samples apart), or --no-gain for fidelity and copies alone"
            )
        return self

    @property
    def folder(self) -> Path:
        """Where results go."""
        if self.out is not None:
            return self.out
        judged = self.synthetic or self.data
        name = judged.resolve().name if judged.name in ("", "..") else judged.name
        stem = next((name.removesuffix(suffix) for suffix in FILE_SUFFIXES if name.endswith(suffix)), name)
        return judged.parent / (stem + OUT_SUFFIX)


@dataclass(frozen=True, eq=False)
class PreparedEvaluation:
    """An evaluation of files, read and checked; nothing is written yet.

    Attributes
    ----------
    request : EvaluateRequest
    sources : tuple of Source
        Real, synthetic and test samples, as far as there are such.
    num_runs, num_done : int
        Trainings of classifiers, and those of them that an earlier run has done.
    num_jobs : int
    seconds : float or None
        What the rest may take with these jobs, of a cross-validation the generators alone; None where that
        cannot be told.
    notes : tuple of str
    start : callable
        Takes the output folder and a listener, and returns the evaluation.
    """

    request: EvaluateRequest
    sources: tuple[Source, ...]
    num_runs: int
    num_done: int
    num_jobs: int
    seconds: float | None
    notes: tuple[str, ...]
    start: Callable[[Path, Listener | None], Evaluation]


def prepare(request: EvaluateRequest) -> PreparedEvaluation:
    """Read and compare the samples, and work out what there is to do.

    Raises
    ------
    InvalidInputError, ResourceError
        Data, options or the output folder break a rule; nothing was written.
    """
    for path in (request.data, request.synthetic, request.test):
        if path is not None:
            check_output_folder(request.folder, path, allow_existing=_is_evaluation(request.folder))
    return _prepare_folds(request) if request.folds else _prepare_held_out(request)


def run(prepared: PreparedEvaluation, listener: Listener | None = None) -> Evaluation:
    """Evaluate, and write evaluation.json and evaluation.md; what an earlier run has done is taken over.

    Raises
    ------
    InvalidInputError
        Another run is at work in the folder, or it holds the evaluation of something else.
    """
    out = prepare_output(prepared.request.folder, allow_existing=_is_evaluation(prepared.request.folder))
    with only_run(out, out):
        remove_leftovers(out)
        (out / RUNS_NAME).touch()  # tells what the folder is
        with logged_in(out, prepared.request.log_level), stage("evaluate"):
            return _run_in(out, prepared, listener)


def _run_in(out: Path, prepared: PreparedEvaluation, listener: Listener | None) -> Evaluation:
    started = time.monotonic()
    _tell_start(prepared)
    judged = _judged(prepared.request)
    evaluation = prepared.start(out, listener)
    for note in evaluation.notes:
        log.warning("%s", note)
    notes, settings = (*prepared.notes, *evaluation.notes), {**evaluation.settings, **judged}
    evaluation = replace(evaluation, notes=notes, settings=settings)
    evaluation.save(out)
    log.info("finished in %.1f s", time.monotonic() - started)
    return evaluation


def _tell_start(prepared: PreparedEvaluation) -> None:
    request = prepared.request
    log.info(
        "riemaug %s: %s, seed %d; %d trainings of classifiers, %d of them done",
        __version__,
        request.command or "evaluate",
        request.evaluation.seed,
        prepared.num_runs,
        prepared.num_done,
        extra=fields(
            job="evaluate",
            version=__version__,
            command=request.command,
            seed=request.evaluation.seed,
            samples={source.name: len(source.data.labels) for source in prepared.sources},
            jobs=prepared.num_jobs,
        ),
    )
    for note in prepared.notes:
        log.warning("%s", note)


def _judged(request: EvaluateRequest) -> dict[str, str | None]:
    """Return what tells a report which samples were judged; nothing of a cross-validation's own ones."""
    return {} if request.synthetic is None else {JUDGED_KEY: samples_hash(request.synthetic)}


def _is_evaluation(folder: Path) -> bool:
    return os.path.isfile(folder / RUNS_NAME)


def _prepare_held_out(request: EvaluateRequest) -> PreparedEvaluation:
    assert request.synthetic is not None
    reading, notes = reading_as_made(request.reading, request.data, request.synthetic, request.test)
    real = read_real(request.data, reading)
    like = real.data.format
    synthetic = read_synthetic(request.synthetic, reading, like)
    test = None if request.test is None else read_real(request.test, reading, like)
    plan = plan_evaluation(real, synthetic, test, request.evaluation)
    _check_same(request.folder, plan.inputs)
    pace = plan.pace()
    tasks = plan.tasks()
    done = _done(request.folder, plan.inputs)
    runs = [task.key for task in tasks if task.key[0] == "run"]
    waiting = [task for task in tasks if task.key not in done]
    seconds, jobs = pace.seconds(waiting), max(1, min(plan.num_jobs, len(waiting)))
    sources = tuple(source for source in (real, synthetic, test) if source is not None)
    return PreparedEvaluation(
        request,
        sources,
        len(runs),
        sum(key in done for key in runs),
        jobs,
        None if seconds is None else seconds / jobs,
        (*notes, *_reading_notes(sources)),
        lambda out, listener: carry_out(plan, out, listener, pace),
    )


def _prepare_folds(request: EvaluateRequest) -> PreparedEvaluation:
    config = request.evaluation
    request.sampling.check_against(request.generator.model)
    source = read_real(request.data, request.reading)
    folds = fold_rows(source.data, config)
    first = take(source.data, folds[0].training)
    counts = new_counts(config.amount, first.counts)
    fit = plan_for(first, request.generator, request.sampling, counts, config.jobs)
    shape = source.data.samples.shape[1:]
    sets, _ = chosen_sets(config, shape, sum(map(bool, counts)), num_sides_of(source.data, config))
    num_runs = config.cv * config.seeds * len(sets) * len(config.classifiers_for(shape))
    fields = request.generator.model_dump(mode="json", exclude={"device", "seed"})
    identity = json.dumps([fields, request.sampling.model_dump(mode="json", exclude={"seed"})])
    inputs = folds_inputs(source, identity, config)
    _check_same(request.folder, inputs)
    num_done = sum(key[0] == "run" for key in _done(request.folder, inputs))
    return PreparedEvaluation(
        request,
        (source,),
        num_runs,
        min(num_done, num_runs),
        num_jobs_for(config.jobs),
        config.cv * fit.estimate.seconds,
        _reading_notes((source,)),
        lambda out, listener: evaluate_folds(
            source, samples_by(_augmentor(request), config), identity, config, out, listener
        ),
    )


def _augmentor(request: EvaluateRequest) -> Augmentor:
    chosen = request.generator.model_dump(exclude={"seed"})
    sampling = request.sampling.model_dump(exclude={"seed"})
    return Augmentor(**chosen, **sampling, n_jobs=request.evaluation.jobs)


def _reading_notes(sources: tuple[Source, ...]) -> tuple[str, ...]:
    return tuple(f"{source.name}: {note}" for source in sources for note in source.data.notes)


def _done(out: Path, inputs: str) -> frozenset[Key]:
    """Return the keys of the tasks that an earlier run has done."""
    return frozenset(ResultFile(out / RUNS_NAME, inputs).results())


def _check_same(out: Path, inputs: str) -> None:
    """Refuse to write the evaluation of other samples over one that is there."""
    path = out / RESULT_NAME
    if not os.path.isfile(path):
        return
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["settings"]
        same, version = settings["inputs"] == inputs, settings["riemaug_version"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InvalidInputError(
            f"{str(path)!r} must be an evaluation, it cannot be read: remove it, or give --out"
        ) from None
    if not same:
        other = "of other samples, with another --seed or another generator"
        if version != __version__:
            other = f"by riemaug {version}"
        raise InvalidInputError(
            f"{str(out)!r} holds an evaluation {other}: give another folder with --out, or remove it"
        )
