"""The search: trials one after another, each judged on held-out samples, the best kept if it is better."""

import hashlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int
from pydantic import BaseModel, ConfigDict, Field

from riemaug.config import SamplingConfig
from riemaug.logs import fields
from riemaug.models.config import ModelConfig
from riemaug.parallel import run_tasks
from riemaug.random import Stream
from riemaug.training.augmentation import AugmentationConfig
from riemaug.training.config import TrainingConfig
from riemaug.tuning.fits import HeldOutFit, law_of, score_held_out
from riemaug.tuning.proposals import Proposal, propose, require_optuna
from riemaug.tuning.result import TuningResult, result_of
from riemaug.tuning.space import Choice, SearchSpace
from riemaug.tuning.split import held_out_rows
from riemaug.tuning.store import Trial, TrialStore

log = logging.getLogger(__name__)
MOST_CLASSES = 10
"""So many classes, evenly chosen, stand for all where each has a model of its own."""
FITS_A_ROUND = 4
"""After so many fits a trial may be given up. A constant: the outcome must not depend on the processes."""


class TuningConfig(BaseModel):
    """How long and on what a search is done.

    Attributes
    ----------
    num_trials : int
        Choices tried beside the configuration that the search begins from.
    seconds : float, optional
        No new trial begins after so much time, that of sessions before included. What is then found
        depends on the machine's speed.
    held_out_share : float
        Share of each class that is scored and not trained on.
    num_draws : int
        Latent points for the likelihood of one sample.
    seed : int
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    num_trials: int = Field(default=20, ge=1)
    seconds: float | None = Field(default=None, gt=0)
    held_out_share: float = Field(default=0.2, gt=0, lt=1)
    num_draws: int = Field(default=150, ge=3)
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True, eq=False)
class TuningProblem:
    """The training data, never the test set, and what is to be improved.

    Attributes
    ----------
    data : ndarray (n, D)
        In [0, 1].
    labels : ndarray (n,)
        Index of each sample's class in `class_names`.
    class_names : tuple of str
    model, training : ModelConfig, TrainingConfig
        Where the search begins.
    shared : bool
        One model of all classes, not one a class.
    subjects : tuple of str (n,), optional
        Samples of a subject are held out together or not at all.
    fixed : frozenset of str
        Constants that are not searched: those the user gave.
    augmentation : AugmentationConfig, optional
    device : str
    sampling : SamplingConfig
        How new samples will be drawn: the law that held-out samples are scored under.
    separate_trainings : tuple of TrainingConfig
        One a class where each has a model of its own and these are trained differently, the learning rate
        aside; empty if all are trained by `training`.
    """

    data: Float32[np.ndarray, "n D"]
    labels: Int[np.ndarray, " n"]
    class_names: tuple[str, ...]
    model: ModelConfig
    training: TrainingConfig
    shared: bool = False
    subjects: tuple[str, ...] | None = None
    fixed: frozenset[str] = frozenset()
    augmentation: AugmentationConfig | None = None
    device: str = "cpu"
    sampling: SamplingConfig = SamplingConfig()
    separate_trainings: tuple[TrainingConfig, ...] = ()

    def training_of(self, group: Sequence[int]) -> TrainingConfig:
        """Return how the model of a group of classes is trained before anything is searched."""
        if self.shared or not self.separate_trainings:
            return self.training
        return self.separate_trainings[group[0]]


@dataclass(frozen=True)
class TuningProgress:
    """How far a search is.

    Attributes
    ----------
    trial, num_trials : int
        The present one; 0 is the configuration it begins from.
    fits_done, fits_total : int
        Of the present trial.
    start, best : float
        Held-out nats a sample of that configuration and of the best so far; NaN before they are known.
    seconds_left : float
        An estimate from the trials so far, NaN at first.
    """

    trial: int
    num_trials: int
    fits_done: int
    fits_total: int
    start: float = math.nan
    best: float = math.nan
    seconds_left: float = math.nan


OnTuning = Callable[[TuningProgress], None]


def tune(
    problem: TuningProblem,
    config: TuningConfig,
    path: Path | None = None,
    num_jobs: int = 1,
    on_progress: OnTuning | None = None,
) -> TuningResult:
    """Search constants by the likelihood of held-out samples under the law that new ones are drawn from.

    Trials are done one after another, since each is chosen from those before; the fits of a trial run in
    parallel. Neither the number of processes nor an interruption changes the outcome.

    Parameters
    ----------
    problem : TuningProblem
    config : TuningConfig
    path : Path, optional
        File of the finished trials; continued from there if it exists.
    num_jobs : int
    on_progress : callable, optional
        Hears a `TuningProgress` after each fit.

    Raises
    ------
    InvalidInputError
        Optuna is missing, nothing can be searched or held out, or `path` is of another search.
    """
    search = _Search(problem, config, path, num_jobs, on_progress)
    search.run()
    return result_of(search.store.trials, search.space, problem.model, problem.training)


class _Search:
    """One search; parameters as of `tune`."""

    def __init__(
        self,
        problem: TuningProblem,
        config: TuningConfig,
        path: Path | None,
        num_jobs: int,
        on_progress: OnTuning | None,
    ) -> None:
        self.problem, self.config, self.num_jobs, self.on_progress = problem, config, num_jobs, on_progress
        law_of(problem.sampling, problem.model.kind)
        self.stream = Stream(config.seed, ("tuning",))
        self.held_out = held_out_rows(
            problem.labels, config.held_out_share, self.stream.child("split"), problem.subjects
        )
        trained = self.trained
        num_samples = sum(trained) if problem.shared else min(trained[label] for label in self.scored)
        self.space = SearchSpace.of(problem.model, problem.training, num_samples, problem.fixed)
        self.store = TrialStore(path, self._key())
        self.folder = None if path is None else path.parent.absolute()

    @cached_property
    def trained(self) -> tuple[int, ...]:
        """Samples of each class that trials train on."""
        labels = self.problem.labels[~self.held_out]
        return tuple(np.bincount(labels, minlength=len(self.problem.class_names)).tolist())

    @cached_property
    def scored(self) -> list[int]:
        """Classes that are fitted and scored, where each has a model of its own."""
        labels = np.unique(self.problem.labels[self.held_out])
        chosen = np.linspace(0, len(labels) - 1, min(len(labels), MOST_CLASSES)).round().astype(int)
        return labels[np.unique(chosen)].tolist()

    def run(self) -> None:
        """Do the trials that are left."""
        trials, ranges = self.store.trials, self.space.ranges()
        while len(trials) <= self.config.num_trials and not self._time_is_up():
            number = len(trials)
            if number == 0:
                present = self.space.present(self.problem.model, self.problem.training)
                trial = self._try(0, present or {}, None)
            else:
                proposal = propose(ranges, trials, self.stream.child("trial").block(number))
                trial = self._try(number, proposal.choice, proposal)
            self.store.add(trial)

    def _time_is_up(self) -> bool:
        # a search always has its start to compare with, and one choice
        spent = sum(trial.seconds for trial in self.store.trials)
        limit = self.config.seconds
        return limit is not None and len(self.store.trials) > 1 and spent >= limit

    def _try(self, number: int, choice: Choice, proposal: Proposal | None) -> Trial:
        started, state = time.monotonic(), "complete"
        evidence: list[float] = []
        round_means: list[float] = []
        fits = self._fits(choice)
        for index, start in enumerate(range(0, len(fits), FITS_A_ROUND)):
            scores = list(self._scores(number, fits, start))
            if any(score is None for score in scores):
                state, round_means = "failed", []
                break
            evidence += np.concatenate(scores).tolist()
            round_means.append(float(np.mean(evidence)))
            is_last = start + FITS_A_ROUND >= len(fits)
            if proposal is not None and not is_last and proposal.is_hopeless(index, round_means[-1]):
                state = "pruned"
                break
        seconds = round(time.monotonic() - started, 6)
        log.info(
            "trial %d %s: %.2f held-out nats after %d rounds",
            number,
            state,
            round_means[-1] if round_means else math.nan,
            len(round_means),
            extra=fields(trial=number, state=state, choice=choice, round_means=round_means, seconds=seconds),
        )
        return Trial(number, choice, state, round_means, evidence, seconds)

    def _scores(self, number: int, fits: Sequence[HeldOutFit], start: int) -> Iterator[Any]:
        """Yield the scores of one round of fits; tell of each."""
        self._tell(number, start, len(fits))
        results = run_tasks(
            score_held_out,
            fits[start : start + FITS_A_ROUND],
            self.num_jobs,
            folder=self.folder,
            name=lambda fit: f"trial {number}, {', '.join(fit.names)}",
            device=self.problem.device,
        )
        for done, scores in enumerate(results, start + 1):
            self._tell(number, done, len(fits))
            yield scores

    def _fits(self, choice: Choice) -> list[HeldOutFit]:
        problem = self.problem
        groups = [list(range(len(problem.class_names)))] if problem.shared else [[i] for i in self.scored]
        return [self._fit(group, choice) for group in groups]

    def _fit(self, group: list[int], choice: Choice) -> HeldOutFit:
        problem = self.problem
        model, training = self.space.apply(choice, problem.model, problem.training_of(group))
        rows = np.isin(problem.labels, group)
        subjects = problem.subjects
        return HeldOutFit(
            tuple(problem.class_names[label] for label in group),
            problem.data[rows],
            np.searchsorted(group, problem.labels[rows]),
            self.held_out[rows],
            model,
            training,
            self.config.seed,
            problem.device,
            problem.augmentation,
            self.config.num_draws,
            problem.sampling,
            None if subjects is None else tuple(subjects[row] for row in np.flatnonzero(rows)),
        )

    def _tell(self, number: int, done: int, total: int) -> None:
        if self.on_progress is None:
            return
        trials, limit = self.store.trials, self.config.num_trials
        values = [trial.value for trial in trials if trial.state == "complete"]
        left = math.nan
        if trials:
            each = sum(trial.seconds for trial in trials) / len(trials)
            left = each * (limit + 1 - len(trials) - done / total)
        start = trials[0].value if trials else math.nan
        self.on_progress(
            TuningProgress(number, limit, done, total, start, max(values, default=math.nan), left)
        )

    def _key(self) -> dict[str, Any]:
        """Return what decides the outcome of each trial, JSON-safe."""
        problem = self.problem
        augmentation = problem.augmentation
        return {
            "data": _digest(problem.data, problem.labels, self.held_out),
            "classes": list(problem.class_names),
            "model": problem.model.model_dump(mode="json"),
            "training": problem.training.model_dump(mode="json"),
            "separate trainings": [item.model_dump(mode="json") for item in problem.separate_trainings],
            "sampling": problem.sampling.model_dump(mode="json", exclude={"seed"}),
            "augmentation": None if augmentation is None else augmentation.model_dump(mode="json"),
            "shared": problem.shared,
            "searched": list(self.space.ranges()),
            "search": self.config.model_dump(mode="json", exclude={"num_trials", "seconds"}),
        }


def _digest(
    data: Float32[np.ndarray, "n D"], labels: Int[np.ndarray, " n"], held_out: Bool[np.ndarray, " n"]
) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(data).tobytes())
    digest.update(labels.astype(np.int64).tobytes())
    digest.update(held_out.tobytes())
    return digest.hexdigest()


def check_search(problem: TuningProblem, config: TuningConfig) -> tuple[int, ...]:
    """Return how many samples of each class a trial trains on.

    Raises
    ------
    InvalidInputError
        A search of this problem could not even begin; see `tune`.
    """
    require_optuna()
    return _Search(problem, config, None, 1, None).trained
