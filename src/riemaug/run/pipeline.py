"""The jobs that train: fit and augment. Each is a set of independent class tasks and their collection."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from riemaug._version import __version__
from riemaug.class_model import ClassModel
from riemaug.data import include_real
from riemaug.data.bids import BidsOptions, particulars_of
from riemaug.data.bids_names import BidsNames
from riemaug.data.bids_participants import NO_PARTICULARS, Particulars
from riemaug.data.manifest_files import CSV_MANIFEST, PARQUET_MANIFEST
from riemaug.logs import stage
from riemaug.report import ReportData, write_report
from riemaug.run.collect import (
    SAMPLES_NAMES,
    class_samples,
    environment,
    write_joined,
    write_json,
    write_tables,
)
from riemaug.run.columns import columns_of_run
from riemaug.run.engine import on_its_engine
from riemaug.run.outcome import Outcome, is_finished, nothing_left
from riemaug.run.plan import Plan, plan_augment, plan_fit
from riemaug.run.progress import Listener
from riemaug.run.provenance import fingerprint, provenance
from riemaug.run.recheck import Note, forget_what_changed, no_note
from riemaug.run.record import RunRecord
from riemaug.run.reporting import class_reports, kept_arrays, model_name, sharing_note, training_notes
from riemaug.run.request import AugmentRequest, FitRequest, identity_of
from riemaug.run.sample_specs import of_classes, sample_spec, with_reference
from riemaug.run.sharing import Sharing
from riemaug.run.stages import Stages
from riemaug.run.telling import tell_end, tell_notes, tell_plan, tell_request, tell_written
from riemaug.run.tuning import kept_tuning
from riemaug.run.workdir import (
    IDENTITY_KEY,
    RUN_NAME,
    WorkDir,
    open_run,
)
from riemaug.serialization import (
    DESCRIPTION_NAME,
    WEIGHTS_NAME,
    FittedGenerators,
    classes_by_model,
    save_generators,
)

MODEL_FILES = (WEIGHTS_NAME, DESCRIPTION_NAME)

Request = TypeVar("Request", bound=FitRequest)
Announce = Callable[[Plan], None]
"""Hears the plan before the first epoch: what will be done, with its cost."""


@on_its_engine
def fit(request: FitRequest, announce: Announce | None = None, listener: Listener | None = None) -> Outcome:
    """Train one model a class on DATA and save them as a model folder.

    Raises
    ------
    InvalidInputError, ResourceError
        Before anything is written: data, options or OUT break a rule.
    TrainingError
        A class could not be trained; the others' results are kept for `--resume`.
    """
    with RunRecord(request.run.log_level) as record:
        plan, identity = _planned(request, plan_fit)
        if is_finished(request, identity):
            return nothing_left(request.out, request.out)
        with (
            open_run(request.out, request.data, identity, request.run.resume) as work,
            record.in_folder(request.out, work),
        ):
            if announce is not None:
                announce(plan)
            stages = Stages(plan, work.absolute())
            sharing, results = stages.run(listener)
            with stage("save"):
                generators = gathered(plan, stages.fitted(sharing))
                save_generators(request.out, generators)
                tell_written(request.out, MODEL_FILES)
            _write_run_file(request, plan, sharing, generators, results, work, record, identity)
        return Outcome(request.out, generators, tuple(results), record.seconds)


@on_its_engine
def augment(
    request: AugmentRequest,
    announce: Announce | None = None,
    listener: Listener | None = None,
    note: Note = no_note,
) -> Outcome:
    """Fit, draw, write and report: the main job. Raises as `fit` does."""
    with RunRecord(request.run.log_level) as record:
        plan, identity = _planned(request, plan_augment)
        if is_finished(request, identity):
            return nothing_left(request.out, request.out)
        with (
            open_run(request.out, request.data, identity, request.run.resume) as work,
            record.in_folder(request.out, work),
        ):
            if announce is not None:
                announce(plan)
            sampler = request.sampling.sampler_for(request.generator.model)
            spec = with_reference(sample_spec(request, plan.dataset.format, sampler), plan.dataset)
            specs = of_classes(spec, plan.counts, plan.dataset.label_values)
            forget_what_changed(work.absolute(), plan.dataset.class_names, specs, note)
            stages = Stages(plan, work.absolute(), specs)
            sharing, results = stages.run(listener)
            with stage("save"):
                generators = gathered(plan, stages.fitted(sharing))
                model_hash = save_generators(request.out, generators)
                _write_samples(request, stages, generators, results, work, model_hash)
            with stage("report"):
                _write_report(request, plan, sharing, generators, results, work, record, model_hash)
            _write_run_file(request, plan, sharing, generators, results, work, record, identity, model_hash)
        return Outcome(request.out, generators, tuple(results), record.seconds)


def _planned(request: Request, planner: Callable[[Request], Plan]) -> tuple[Plan, dict[str, Any]]:
    """Return the plan of a job and what decides its result, both told to the log."""
    with stage("plan"):
        tell_request(request)
        plan = planner(request)
        identity = identity_of(request, plan.fingerprint, __version__, plan.device, plan.dataset.groups)
        tell_plan(plan)
    return plan, identity


def _write_samples(
    request: AugmentRequest,
    stages: Stages,
    generators: FittedGenerators,
    results: list[dict[str, Any]],
    work: WorkDir,
    model_hash: str,
) -> None:
    """Write what lies at the top of OUT: the tables, and the samples where they are one file."""
    plan = stages.plan
    out, fmt, real = request.out, plan.dataset.format, _real_files(request, plan)
    samples = class_samples(work, plan.dataset.class_names, stages.samples, results)
    groups = _groups(plan, real)
    told = _particulars(request, fmt.bids) if real else NO_PARTICULARS
    write_tables(out, samples, request.sampling.seed, model_hash, real, groups, fmt.bids, told)
    names, values = plan.dataset.class_names, plan.dataset.label_values
    write_joined(out, work, fmt, names, values, stages.samples, results)
    tell_written(out, (*MODEL_FILES, CSV_MANIFEST, PARQUET_MANIFEST, "metadata.csv", *SAMPLES_NAMES))


def gathered(plan: Plan, classes: tuple[ClassModel, ...]) -> FittedGenerators:
    """Return the trained classes of a plan with all that goes into a model folder."""
    dataset = plan.dataset
    return FittedGenerators(
        classes=classes,
        config=plan.generator,
        scaler=plan.scaler,
        sample_format=dataset.format,
        label_values=dataset.label_values,
        class_sizes=dataset.counts,
        data_fingerprint=plan.fingerprint,
    )


def _real_files(request: AugmentRequest, plan: Plan) -> list[tuple[str, str]]:
    if request.include_real is None:
        return []
    reading = request.reading
    names = include_real(
        request.data, plan.dataset, request.out, request.include_real, reading.limits, reading.nan
    )
    return [
        (name, plan.dataset.class_names[label])
        for name, label in zip(names, plan.dataset.labels, strict=True)
    ]


def _particulars(request: AugmentRequest, names: BidsNames | None) -> Particulars:
    """Return what the input says of its subjects, where the output is BIDS, too."""
    if names is None:
        return NO_PARTICULARS
    options = BidsOptions(participants=request.reading.participants)
    return particulars_of(request.data, names.column, options, request.reading.limits)


def _groups(plan: Plan, real: Sequence[tuple[str, str]]) -> dict[str, str] | None:
    """Return the subject of each real file in OUT, where subjects are known and real files included."""
    if plan.dataset.groups is None or not real:
        return None
    return {name: group for (name, _), group in zip(real, plan.dataset.groups, strict=True)}


def _write_report(
    request: AugmentRequest,
    plan: Plan,
    sharing: Sharing,
    generators: FittedGenerators,
    results: list[dict[str, Any]],
    work: WorkDir,
    record: RunRecord,
    model_hash: str,
) -> None:
    fitted, taken = plan.decided(sharing.shared), record.summary()
    notes = _notes(plan, sharing, kept_tuning(work), generators)
    data = _report_data(request, fitted, generators, results, work, taken, model_hash, notes)
    write_report(data, request.out / "report.html")
    tell_written(request.out, ("report.html",))


def _write_run_file(
    request: FitRequest,
    plan: Plan,
    sharing: Sharing,
    generators: FittedGenerators,
    results: list[dict[str, Any]],
    work: WorkDir,
    record: RunRecord,
    identity: dict[str, Any],
    model_hash: str | None = None,
) -> None:
    """Write run.json, the last sign of a finished run; with the hash of the model if samples were drawn."""
    tuning = kept_tuning(work)
    notes = _notes(plan, sharing, tuning, generators)
    tell_notes([note for note in notes if note not in plan.notes])
    drawn = {}
    if model_hash is not None:
        drawn = {"resolved": resolved(plan.decided(sharing.shared), work), "model_sha256": model_hash}
    write_json(
        request.out / RUN_NAME,
        provenance(request, plan.device, generators, results, record.summary())
        | {
            "notes": list(notes),
            "data": fingerprint(plan),
            "sharing": sharing.to_dict(),
            "tuning": tuning,
            **drawn,
            IDENTITY_KEY: identity,
        },
    )
    tell_end(sum(result.get("synthetic", 0) for result in results), record.seconds)


def resolved(plan: Plan, work: WorkDir) -> dict[str, Any]:
    """Return the model and its training as they were in the end: presets filled in, constants found."""
    tuned = kept_tuning(work) or {}
    parts = {"model": plan.model, "training": plan.training}
    return {name: tuned.get(name, part.model_dump(mode="json")) for name, part in parts.items()}


def _notes(
    plan: Plan, sharing: Sharing, tuning: dict[str, Any] | None, generators: FittedGenerators
) -> tuple[str, ...]:
    """Return what the user is to be told of the data, of sharing, of a search and of the trainings."""
    decided = (sharing_note(sharing),) if plan.shares else ()
    models = classes_by_model(generators.classes)
    named = [(model_name(classes), classes[0].history) for classes in models]
    searched = () if tuning is None else (tuning["note"],)
    return plan.notes + decided + searched + training_notes(named, plan.ends_as_planned)


def _report_data(
    request: AugmentRequest,
    plan: Plan,
    generators: FittedGenerators,
    results: list[dict[str, Any]],
    work: WorkDir,
    taken: dict[str, Any],
    model_hash: str,
    notes: tuple[str, ...],
) -> ReportData:
    sampler = request.sampling.sampler_for(request.generator.model)
    whole = request.shards is None
    classes = class_reports(
        results,
        generators,
        sampler,
        arrays_of=lambda index: kept_arrays(work.pictures(index)),
        columns_of=lambda index: columns_of_run(plan.dataset, index, work) if whole else None,
    )
    return ReportData(
        title=f"Augmentation of {request.data.resolve().name}",
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        command=request.command,
        config=request.model_dump(mode="json", exclude={"command"}) | resolved(plan, work),
        seed=request.generator.seed,
        classes=classes,
        notes=notes,
        fingerprint=fingerprint(plan),
        sampler=sampler,
        model=request.generator.model,
        model_hash=model_hash,
        total_seconds=taken["seconds"],
        peak_memory_mb=taken["peak_memory_mb"],
        environment=environment(plan.device),
        show_real=request.real_in_report,
    )
