"""The job `sample`: draw from a saved model into OUT, each class, or part of one, in a task of its own."""

from collections.abc import Sequence
from typing import Any

from riemaug._version import __version__
from riemaug.data.manifest_files import CSV_MANIFEST, PARQUET_MANIFEST
from riemaug.logs import stage
from riemaug.run.class_tasks import ClassTasks
from riemaug.run.collect import (
    SAMPLES_NAMES,
    class_samples,
    write_joined,
    write_json,
    write_tables,
)
from riemaug.run.engine import on_its_engine
from riemaug.run.jobs import ClassJob, SampleSpec
from riemaug.run.outcome import Outcome, is_finished, nothing_left
from riemaug.run.progress import Listener, ProgressWatch, TaskProgress
from riemaug.run.provenance import provenance
from riemaug.run.recheck import Note, forget_what_changed, no_note
from riemaug.run.record import RunRecord
from riemaug.run.request import SampleRequest, identity_of
from riemaug.run.sample_specs import with_reference
from riemaug.run.sampling_plan import plan_sample
from riemaug.run.telling import tell_end, tell_request, tell_written
from riemaug.run.training_set import read_training_set
from riemaug.run.workdir import IDENTITY_KEY, RUN_NAME, WorkDir, open_run
from riemaug.serialization import WEIGHTS_NAME, FittedGenerators, file_hash


@on_its_engine
def sample(request: SampleRequest, listener: Listener | None = None, note: Note = no_note) -> Outcome:
    """Draw from a saved model into OUT. Raises as `riemaug.run.pipeline.fit` does."""
    out = request.out
    with RunRecord(request.run.log_level) as record:
        with stage("plan"):
            tell_request(request)
            plan = plan_sample(request)
            generators = plan.generators
            model_hash = file_hash(request.model / WEIGHTS_NAME)
            identity = identity_of(request, model_hash, __version__)
        if is_finished(request, identity):
            return nothing_left(out, request.model)
        training_set = None
        if request.real is not None:
            with stage("read"):
                training_set = read_training_set(request.real, request.reading, generators)
        with open_run(out, request.real, identity, request.run.resume) as work, record.in_folder(out, work):
            specs = [with_reference(spec, training_set) for spec in plan.specs]
            forget_what_changed(work.absolute(), [item.name for item in generators.classes], specs, note)
            tasks = ClassTasks(_sample_jobs(request, generators, specs, work))
            with stage("classes"), ProgressWatch(tasks.progress, listener):
                results = tasks.run(plan.num_jobs, folder=work.path)
            with stage("save"):
                _write_at_the_top(request, generators, specs, results, work, model_hash)
            write_json(
                out / RUN_NAME,
                provenance(request, "cpu", generators, results, record.summary())
                | {"model_sha256": model_hash, IDENTITY_KEY: identity},
            )
            tell_end(sum(result["synthetic"] for result in results), record.seconds)
        return Outcome(out, generators, tuple(results), record.seconds)


def _write_at_the_top(
    request: SampleRequest,
    generators: FittedGenerators,
    specs: Sequence[SampleSpec],
    results: list[dict[str, Any]],
    work: WorkDir,
    model_hash: str,
) -> None:
    """Write the tables of OUT, and the samples where they are one file."""
    out, fmt = request.out, generators.sample_format
    names = [item.name for item in generators.classes]
    samples = class_samples(work, names, specs, results)
    write_tables(out, samples, request.sampling.seed, model_hash, bids=fmt.bids)
    write_joined(out, work, fmt, names, generators.label_values, specs, results)
    tell_written(out, (CSV_MANIFEST, PARQUET_MANIFEST, "metadata.csv", *SAMPLES_NAMES))


def _sample_jobs(
    request: SampleRequest,
    generators: FittedGenerators,
    specs: Sequence[SampleSpec],
    work: WorkDir,
) -> list[ClassJob]:
    return [
        ClassJob(
            index,
            item.name,
            work.absolute(),
            generators.scaler,
            model_folder=request.model.absolute(),
            sample=spec,
            task=TaskProgress("waiting", name=item.name, fit_share=0.0),
        )
        for index, (item, spec) in enumerate(zip(generators.classes, specs, strict=True))
    ]
