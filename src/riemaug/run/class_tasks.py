"""The tasks of all classes: one a class, or several where many samples are drawn of one."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from riemaug.parallel import run_tasks
from riemaug.run.jobs import ClassJob
from riemaug.run.progress import ProgressFile
from riemaug.run.segments import SegmentJob, segments_of
from riemaug.run.tasks import run_class_job, run_segment_job

Task = ClassJob | SegmentJob


class ClassTasks:
    """Does the jobs of classes, first those of all segments, then the rest of classes that have several.

    Parameters
    ----------
    jobs : sequence of ClassJob
        One a class, in their order.
    """

    def __init__(self, jobs: Sequence[ClassJob]) -> None:
        self._segments = [list(_segment_jobs(job)) for job in jobs]
        self._jobs = [
            replace(job, task=replace(job.task, weight=0.0)) if segments else job
            for job, segments in zip(jobs, self._segments, strict=True)
        ]

    @property
    def tasks(self) -> list[Task]:
        """What may be done at once."""
        parts = zip(self._jobs, self._segments, strict=True)
        return [task for job, segments in parts for task in segments or [job]]

    @property
    def progress(self) -> list[ProgressFile]:
        """Where all tasks tell how far they are."""
        parts = zip(self._jobs, self._segments, strict=True)
        return [task.progress for job, segments in parts for task in [*segments, job]]

    def run(self, num_jobs: int, **where: Any) -> list[dict[str, Any]]:
        """Return the result of each class; see `run_tasks` for `where` and what is raised."""
        tasks = self.tasks
        found = list(run_tasks(run_task, tasks, num_jobs, name=task_name, **where))
        results = {
            task.index: result
            for task, result in zip(tasks, found, strict=True)
            if isinstance(task, ClassJob) and result is not None
        }
        rest = [job for job, segments in zip(self._jobs, self._segments, strict=True) if segments]
        gathered = run_tasks(run_class_job, rest, num_jobs, name=task_name, **where)
        results |= {job.index: result for job, result in zip(rest, gathered, strict=True)}
        return [results[job.index] for job in self._jobs]


def run_task(task: Task) -> dict[str, Any] | None:
    """Do a task; return the result of a class, None of a segment. See `riemaug.run.tasks`."""
    if isinstance(task, SegmentJob):
        run_segment_job(task)
        return None
    return run_class_job(task)


def task_name(task: Task) -> str:
    """Return what errors call a task."""
    return task.title if isinstance(task, SegmentJob) else f"class {task.name!r}"


def _segment_jobs(job: ClassJob) -> Iterator[SegmentJob]:
    """Yield the jobs of the segments of a class that has its model and several segments; else none."""
    if job.sample is None or job.fit is not None:
        return
    segments = segments_of(job.index, job.sample)
    if len(segments) == 1:
        return
    for segment in segments:
        share = len(segment.span) / job.sample.count
        task = replace(job.task, weight=share * job.task.weight, classes=0)
        yield SegmentJob(job, segment, replace(task, name=f"{job.name} {segment.numbers}"))
