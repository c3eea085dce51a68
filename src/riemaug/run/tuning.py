"""The search of constants (`--tune`) as a stage of a job: its problem, its progress, what is kept of it."""

import json
import math
from typing import Any

from riemaug.atomic import atomic_write_text
from riemaug.config import GeneratorConfig, SamplingConfig
from riemaug.data import Dataset, RangeScaler
from riemaug.models import ModelConfig
from riemaug.run.progress import ProgressFile
from riemaug.run.workdir import WorkDir
from riemaug.training import TrainingConfig
from riemaug.tuning import TuningConfig, TuningProblem, TuningProgress, TuningResult, tune

_SEARCHED_OPTIONS = ("latent_dim", "bandwidth", "regularization", "learning_rate")
"""Options that fix a constant which is otherwise searched."""


def tuning_config(generator: GeneratorConfig) -> TuningConfig:
    """Return how the search is done that `--tune` asks for."""
    assert generator.tune is not None
    return TuningConfig(num_trials=generator.tune, seconds=generator.tune_time, seed=generator.seed)


def tuning_problem(
    dataset: Dataset,
    scaler: RangeScaler,
    generator: GeneratorConfig,
    model: ModelConfig,
    training: TrainingConfig,
    shared: bool,
    device: str,
    sampling: SamplingConfig,
    separate_trainings: tuple[TrainingConfig, ...],
) -> TuningProblem:
    """Return what is to be improved: a model of all classes, or of each one by a training of its own."""
    given = {name for name in _SEARCHED_OPTIONS if getattr(generator, name) is not None}
    if "bandwidth" in given:
        given.add("bandwidth_factor")
    samples = dataset.samples
    return TuningProblem(
        scaler.transform(samples).reshape(len(samples), -1),
        dataset.labels,
        dataset.class_names,
        model,
        training,
        shared,
        dataset.groups,
        frozenset(given),
        generator.augmentation,
        device,
        sampling,
        () if shared else separate_trainings,
    )


def search_constants(
    problem: TuningProblem, config: TuningConfig, work: WorkDir, num_jobs: int, progress: ProgressFile
) -> TuningResult:
    """Do what is left of a search; keep its trials and its outcome in the working folder.

    Raises
    ------
    TrainingError
        No trial could be trained.
    """

    def tell(told: TuningProgress) -> None:
        known = {name: value for name, value in _values(told).items() if not math.isnan(value)}
        progress.tell(
            "tune",
            done=told.trial * told.fits_total + told.fits_done,
            total=(told.num_trials + 1) * told.fits_total,
            step=told.trial,
            num_steps=told.num_trials,
            **known,
        )

    result = tune(problem, config, work.trials, num_jobs, tell)
    account = result.to_dict() | {
        "note": f"{result.describe()[0].upper()}{result.describe()[1:]}.",
        "model": result.model.model_dump(mode="json"),
        "training": result.training.model_dump(mode="json"),
    }
    atomic_write_text(work.tuning, json.dumps(account, ensure_ascii=False))
    progress.tell("done")
    return result


def kept_tuning(work: WorkDir) -> dict[str, Any] | None:
    """Return the account of the search of a run, None if there was none."""
    if not work.tuning.is_file():
        return None
    return json.loads(work.tuning.read_text(encoding="utf-8"))


def _values(told: TuningProgress) -> dict[str, float]:
    return {"value": told.start, "best": told.best}
