"""What the tasks of a run are given: which class, which model, how many samples."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from riemaug.class_model import NO_NETWORKS, Networks
from riemaug.config import SamplingConfig
from riemaug.data import RangeScaler, SampleFormat
from riemaug.run.fitting import FitJob
from riemaug.run.progress import ProgressFile, TaskProgress
from riemaug.run.sample_names import SampleNames, ShardKind
from riemaug.run.workdir import WorkDir


@dataclass(frozen=True, eq=False)
class SampleSpec:
    """How many samples to draw for one class, how, and where to; see `ClassJob`.

    Attributes
    ----------
    reference, reference_labels, reference_names
        The whole training set, for the copying check; None when only the model is at hand.
    drop_copies : bool
        Write no sample that is flagged as a copy, but further draws in its place; needs a training set.
    first_number : int
        Number of the first file.
    shards : ShardKind, optional
        Write shards of `shard_size` samples; None writes as the input was.
    label : int, float or str, optional
        What stands for the class in npz shards; None for its name.
    segment_size : int, optional
        So many samples a task draws, see `riemaug.run.segments`; None for all of the class.
    """

    count: int
    sampling: SamplingConfig
    sample_format: SampleFormat
    batch_size: int
    out: Path
    reference: Shaped[np.ndarray, "n ..."] | None = None
    reference_labels: np.ndarray | None = None
    reference_names: tuple[str, ...] = ()
    drop_copies: bool = False
    first_number: int = 1
    shards: ShardKind | None = None
    shard_size: int = 1
    label: int | float | str | None = None
    segment_size: int | None = None

    def names(self, class_name: str) -> SampleNames:
        """Return the names of the samples."""
        return SampleNames(class_name, self.sample_format, self.first_number, self.shards, self.shard_size)


@dataclass(frozen=True, eq=False)
class ClassJob:
    """The task of one class: have its model, then sample if asked to.

    Attributes
    ----------
    model_index : int
        Which model in the working folder is the class's.
    fit : FitJob, optional
        Of a model of the class's own: trained in this task. None where the model is there already, in
        the working folder or in `model_folder`.
    fit_shares : int
        Number of classes that the model was trained on: the class answers for its part of the time.
    task : TaskProgress
        How the task is shown.
    """

    index: int
    name: str
    work: WorkDir
    scaler: RangeScaler
    model_index: int = 0
    fit: FitJob | None = None
    fit_shares: int = 1
    model_folder: Path | None = None
    sample: SampleSpec | None = None
    networks: Networks = NO_NETWORKS
    task: TaskProgress = TaskProgress("waiting")

    @property
    def progress(self) -> ProgressFile:
        """Where the task tells how far it is."""
        return ProgressFile(self.work.progress(self.index), self.task)
