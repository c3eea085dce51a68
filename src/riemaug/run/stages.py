"""What every job is made of: decide about sharing, train, sample. The stages keep what is done."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from riemaug.class_model import NO_NETWORKS, ClassModel, Networks
from riemaug.logs import fields, stage
from riemaug.parallel import run_tasks
from riemaug.run.class_tasks import ClassTasks
from riemaug.run.fitting import ClassRows, FitJob, load_fitted
from riemaug.run.jobs import ClassJob, SampleSpec
from riemaug.run.plan import Plan
from riemaug.run.progress import FIT_SHARE, Listener, ProgressFile, ProgressWatch, TaskProgress
from riemaug.run.sharing import (
    Sharing,
    decision,
    keep_decision,
    kept_decision,
    rehearsal_jobs,
    run_rehearsal,
)
from riemaug.run.tasks import run_shared_fit
from riemaug.run.tuning import search_constants, tuning_config
from riemaug.run.workdir import WorkDir

log = logging.getLogger(__name__)
TRIAL_WEIGHT = 0.5
"""A trial of a search, in units of all the work on all classes: it draws nothing and may be given up."""
REHEARSAL_WEIGHT = 0.15
"""All trainings of a rehearsal, in units of all the work on all classes."""


@dataclass(frozen=True, eq=False)
class Stages:
    """A planned job in its working folder.

    Attributes
    ----------
    plan : Plan
    work : WorkDir
    samples : tuple of SampleSpec
        What to draw of each class; empty to only train.
    networks : Networks
        The user's own.
    """

    plan: Plan
    work: WorkDir
    samples: tuple[SampleSpec, ...] = ()
    networks: Networks = NO_NETWORKS

    def run(self, listener: Listener | None = None) -> tuple[Sharing, list[dict[str, Any]]]:
        """Do all that is left to do; return how models are shared and the result of each class.

        Raises
        ------
        TrainingError, SamplingError, ResourceError
            The message names the class.
        """
        with stage("rehearse"):
            rehearsal, sharing = self._decide(listener)
            log.info(
                "one model for all: %s; %s", sharing.shared, sharing.reason, extra=fields(**asdict(sharing))
            )
        with stage("tune"):
            before, tuned = self._tuned(sharing.shared, rehearsal, listener)
        fits = tuned.fit_jobs(sharing.shared)
        jobs = self._class_jobs(fits, sharing.shared)
        shared, tasks = fits if sharing.shared else [], ClassTasks(jobs)
        watched = [*before, *(fit.progress for fit in shared), *tasks.progress]
        with ProgressWatch(watched, listener):
            with stage("fit"):
                for fit in shared:
                    list(run_tasks(run_shared_fit, [fit], 1, name=_the_shared_model, **self._where()))
            with stage("classes"):
                return sharing, tasks.run(self.plan.estimate.num_jobs, **self._where())

    def _where(self) -> dict[str, Any]:
        """Return what else `run_tasks` is told: where marks are left, and the device of tasks."""
        return {"folder": self.work.path, "device": self.plan.device}

    def fitted(self, sharing: Sharing) -> tuple[ClassModel, ...]:
        """Return the trained classes; for after `run`."""
        count = 1 if sharing.shared else len(self.plan.dataset.class_names)
        return tuple(item for index in range(count) for item in load_fitted(self.work, index, self.networks))

    def fit_jobs(self, shared: bool) -> list[FitJob]:
        """Return the trainings: one of all classes if they share a model, else one a class."""
        plan, rows = self.plan, self._rows()
        common = (self.work, plan.scaler)
        generator = plan.generator
        settings = (plan.training, generator.seed, plan.device, self.networks, generator.augmentation)
        if shared:
            weight = len(rows) * (FIT_SHARE if self.samples else 1.0)
            task = TaskProgress("waiting", name="the shared model", weight=weight, fit_share=1.0, classes=0)
            return [FitJob(0, rows, *common, plan.model, *settings, task)]
        return [
            FitJob(index, (item,), *common, plan.separate_model, training, *settings[1:])
            for index, (item, training) in enumerate(zip(rows, plan.separate_trainings, strict=True))
        ]

    def _rows(self) -> tuple[ClassRows, ...]:
        dataset, found = self.plan.dataset, []
        for index, name in enumerate(dataset.class_names):
            members = (dataset.labels == index).nonzero()[0]
            subjects = None if dataset.groups is None else tuple(dataset.groups[i] for i in members)
            sources = tuple(dataset.names[i] for i in members)
            found.append(ClassRows(name, dataset.of_class(index), sources, subjects))
        return tuple(found)

    def _class_jobs(self, fits: Sequence[FitJob], shared: bool) -> list[ClassJob]:
        names, jobs = self.plan.dataset.class_names, []
        for index, name in enumerate(names):
            task = _class_task(name, shared, bool(self.samples))
            job = ClassJob(index, name, self.work, self.plan.scaler, networks=self.networks, task=task)
            if self.samples:
                job = replace(job, sample=self.samples[index])
            own = {"fit_shares": len(names)} if shared else {"model_index": index, "fit": fits[index]}
            jobs.append(replace(job, **own))
        return jobs

    def _tuned(
        self, shared: bool, before: Sequence[ProgressFile], listener: Listener | None
    ) -> tuple[list[ProgressFile], "Stages"]:
        """Return the tasks so far, and these stages with the constants that a search found, if any."""
        plan = self.plan.decided(shared)
        if plan.generator.tune is None:
            return list(before), self
        num_classes = len(plan.dataset.class_names)
        weight = TRIAL_WEIGHT * (plan.generator.tune + 1) * num_classes
        task = TaskProgress("waiting", name="tuning", weight=weight, fit_share=1.0, classes=0)
        search = ProgressFile(self.work.path / "tuning.progress.json", task)
        rest = TaskProgress("waiting", weight=float(num_classes), classes=num_classes)
        problem = plan.tuning_problem(shared)
        tasks = [*before, search]
        with ProgressWatch([*tasks, ProgressFile(self.work.path / "none", rest)], listener):
            jobs = plan.estimate.num_jobs
            result = search_constants(problem, tuning_config(plan.generator), self.work, jobs, search)
        found = result.model.model_copy(update={"num_conditions": plan.model.num_conditions})
        return tasks, replace(self, plan=replace(plan, model=found, training=result.training))

    def _decide(self, listener: Listener | None) -> tuple[list[ProgressFile], Sharing]:
        """Return whether the classes share a model, and the tasks by which that was measured."""
        plan = self.plan
        if not plan.shares:
            return [], Sharing(False, _why_separate(plan))
        if plan.generator.sharing == "always":
            return [], Sharing(True, "one model of all classes was asked for")
        kept = kept_decision(self.work)
        if kept is not None:
            return [], kept
        jobs = rehearsal_jobs(self.fit_jobs(shared=True)[0], self.fit_jobs(shared=False))
        num_classes = len(plan.dataset.class_names)
        weight = REHEARSAL_WEIGHT * num_classes / max(len(jobs), 1)
        for number, job in enumerate(jobs):
            name = f"rehearsal {number + 1} of {len(jobs)}"
            task = TaskProgress("waiting", name=name, weight=weight, fit_share=1.0, classes=0)
            jobs[number] = replace(job, fit=replace(job.fit, task=task))
        tasks = [job.fit.progress for job in jobs]
        rest = TaskProgress("waiting", weight=float(num_classes), classes=num_classes)
        with ProgressWatch([*tasks, ProgressFile(self.work.path / "none", rest)], listener):
            num_jobs, where = plan.estimate.num_jobs, self._where()
            scores = list(
                run_tasks(run_rehearsal, jobs, num_jobs, name=lambda job: job.fit.task.name, **where)
            )
        sharing = decision(jobs, scores)
        keep_decision(self.work, sharing)
        shutil.rmtree(self.work.rehearsal.path, ignore_errors=True)
        done = [ProgressFile(task.path, replace(task.task, stage="done")) for task in tasks]
        return done, sharing


def _the_shared_model(_: FitJob) -> str:
    return "the model of all classes"


def _class_task(name: str, shared: bool, samples: bool) -> TaskProgress:
    if not shared:
        return TaskProgress("waiting", name=name, fit_share=FIT_SHARE if samples else 1.0)
    return TaskProgress("waiting", name=name, weight=1.0 - FIT_SHARE if samples else 0.0, fit_share=0.0)


def _why_separate(plan: Plan) -> str:
    if plan.generator.preset == "paper":
        return "the paper has a model of its own for each class"
    if len(plan.dataset.class_names) == 1:
        return "there is one class alone"
    return "a model of its own for each class was asked for"
