"""The job `sample`: draw from a saved model into OUT, each class in a task of its own."""

import time

from riemaug._version import __version__
from riemaug.data import Dataset
from riemaug.parallel import run_tasks
from riemaug.run.collect import write_json, write_sample_arrays, write_tables
from riemaug.run.jobs import ClassJob
from riemaug.run.outcome import Outcome, is_finished, nothing_left
from riemaug.run.progress import Listener, ProgressWatch, TaskProgress
from riemaug.run.provenance import provenance
from riemaug.run.request import SampleRequest, identity_of
from riemaug.run.sample_specs import of_classes, sample_spec
from riemaug.run.sampling_plan import plan_sample
from riemaug.run.tasks import run_class_job
from riemaug.run.training_set import read_training_set
from riemaug.run.workdir import IDENTITY_KEY, RUN_NAME, WorkDir, open_run
from riemaug.serialization import WEIGHTS_NAME, FittedGenerators, file_hash


def sample(request: SampleRequest, listener: Listener | None = None) -> Outcome:
    """Draw from a saved model into OUT. Raises as `riemaug.run.pipeline.fit` does."""
    started = time.monotonic()
    out = request.out
    plan = plan_sample(request)
    generators, counts = plan.generators, plan.counts
    model_hash = file_hash(request.model / WEIGHTS_NAME)
    identity = identity_of(request, model_hash, __version__)
    if is_finished(request, identity):
        return nothing_left(out, request.model)
    training_set = None
    if request.real is not None:
        training_set = read_training_set(request.real, request.reading, generators)
    with open_run(out, request.real, identity, request.run.resume) as work:
        jobs = _sample_jobs(request, generators, counts, work, training_set)
        with ProgressWatch([job.progress for job in jobs], listener):
            results = list(run_tasks(run_class_job, jobs, request.run.jobs or 1))
        write_tables(out, results, request.sampling.seed, model_hash, bids=generators.sample_format.bids)
        if generators.sample_format.is_one_file:
            write_sample_arrays(
                out, work, generators.sample_format, generators.label_values, len(generators.classes)
            )
        seconds = time.monotonic() - started
        write_json(
            out / RUN_NAME,
            provenance(request, "cpu", generators, results, seconds)
            | {"model_sha256": model_hash, IDENTITY_KEY: identity},
        )
    return Outcome(out, generators, tuple(results), seconds)


def _sample_jobs(
    request: SampleRequest,
    generators: FittedGenerators,
    counts: tuple[int, ...],
    work: WorkDir,
    training_set: Dataset | None,
) -> list[ClassJob]:
    specs = of_classes(sample_spec(request, generators.sample_format, training_set), counts)
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
