"""The same evaluation without a test set: the generator is refitted, and classifiers are tested, in folds."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64, Shaped
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import StratifiedGroupKFold

from riemaug.atomic import atomic_path
from riemaug.data import Dataset
from riemaug.errors import InvalidInputError
from riemaug.evaluation.outcome import Evaluation
from riemaug.evaluation.protocol import PlannedEvaluation, carry_out, inputs_hash, root_stream
from riemaug.evaluation.settings import EvaluationConfig
from riemaug.evaluation.sources import (
    Source,
    as_source,
    check_apart,
    material_of,
    num_sides_of,
    units_of,
    validation_rows,
)
from riemaug.evaluation.tasks import Listener, Pace, Progress
from riemaug.evaluation.training_sets import Material, chosen_sets
from riemaug.parallel import Engine


@runtime_checkable
class Generator(Protocol):
    """What makes synthetic samples in a fold: `riemaug.Augmentor`, or anything with its methods.

    Attributes that end in an underscore are what `fit` found; `get_params` and `set_params` are those of
    scikit-learn, by which it is copied afresh for each fold. Where it has a parameter `num_sides` that is
    None, as `Augmentor` may, it is told how many axes of a sample are sides, if that is known. With a method
    `fit_in`, as `Augmentor` has it, a fit that was stopped goes on.
    """

    def fit(self, X: Any, y: Any) -> Any:
        """Learn from samples (n, ...) and labels (n,)."""
        ...

    def sample(self, num_samples: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return samples (m, ...) and labels (m,); asked for by a mapping from label to number."""
        ...

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings."""
        ...


MakeSamples = Callable[[Dataset, int, Path | None], Dataset]
"""Fits a generator on the real samples of a fold and returns its samples; the number seeds it.

In the folder, if there is one, it may keep what is done of the fit.
"""


@dataclass(frozen=True, eq=False)
class FoldRows:
    """Which samples have which part in a fold: row numbers.

    Attributes
    ----------
    training, validation, test : ndarray
    """

    training: Int64[np.ndarray, " n"]
    validation: Int64[np.ndarray, " v"]
    test: Int64[np.ndarray, " t"]


def cross_validate(
    X: ArrayLike,
    y: ArrayLike,
    augmentor: Generator,
    config: EvaluationConfig | None = None,
    *,
    groups: ArrayLike | None = None,
    folder: str | Path | None = None,
    listener: Listener | None = None,
) -> Evaluation:
    """Judge a generator by cross-validation: in each fold it is fitted anew on the training part.

    Subjects, exact copies and near duplicates stay in one fold. The generator sees neither the test part
    nor the samples by which trainings stop.

    Parameters
    ----------
    X, y : array-like (n, ...), (n,)
        Samples, and labels: whole numbers or text.
    augmentor : Generator
        `riemaug.Augmentor` or anything with its methods; it is copied, never fitted itself. Where it has
        a `random_state`, each fold gets its own.
    config : EvaluationConfig, optional
        `cv` is the number of folds, `amount` the number of synthetic samples.
    groups : array-like (n,), optional
        The subject of each sample.
    folder, listener
        See `riemaug.evaluation.evaluate_gain`; the synthetic samples of each fold are kept there, too.

    Raises
    ------
    InvalidInputError
        As `riemaug.evaluation.evaluate_gain`, or a class with too few samples for the folds.
    """
    config = config or EvaluationConfig()
    source = as_source((X, y), "the data")
    if groups is not None:
        names = tuple(str(value) for value in np.asarray(groups).tolist())
        if len(names) != len(source.data.labels):
            raise InvalidInputError(
                f"each sample needs one group, got {len(names)} for {len(source.data.labels)}: pass as many"
            )
        source = Source(replace(source.data, groups=names), source.name)
    identity = f"{type(augmentor).__name__} {sorted(augmentor.get_params().items(), key=str)}"
    target = None if folder is None else Path(folder)
    with Engine.parse(config.engine).entered():
        return evaluate_folds(source, samples_by(augmentor, config), identity, config, target, listener)


def samples_by(augmentor: Generator, config: EvaluationConfig) -> MakeSamples:
    """Return what fits a copy of the augmentor and draws as many samples as the amount says."""

    def make(real: Dataset, seed: int, folder: Path | None = None) -> Dataset:
        fresh: Any = clone(augmentor) if isinstance(augmentor, BaseEstimator) else _copy(augmentor)
        if "random_state" in fresh.get_params():
            fresh.set_params(random_state=seed)
        num_sides = num_sides_of(real, config)
        if num_sides in (2, 3) and fresh.get_params().get("num_sides", num_sides) is None:
            fresh.set_params(num_sides=num_sides)
        if folder is None or not hasattr(fresh, "fit_in"):
            fresh.fit(real.samples, real.labels)
        else:
            fresh.fit_in(folder, real.samples, real.labels)
        counts = config.amount.counts(real.counts)
        wanted = {label: count for label, count in enumerate(counts) if count}
        if not wanted:
            raise InvalidInputError(
                "there must be synthetic samples, the amount asks for none in a fold: use --per-class or "
                "--factor"
            )
        samples, labels = fresh.sample(wanted)
        return dataset_like(real, np.asarray(samples), np.asarray(labels, dtype=np.int64))

    return make


def _copy(augmentor: Any) -> Any:
    return type(augmentor)(**augmentor.get_params())


def dataset_like(
    real: Dataset, samples: Shaped[np.ndarray, "m *shape"], labels: Int64[np.ndarray, " m"]
) -> Dataset:
    """Return samples of the same classes and format as a data set of their own."""
    names = tuple(f"row {row}" for row in range(len(samples)))
    samples = real.format.settled(samples)
    return replace(real, samples=samples, labels=labels, names=names, groups=None, notes=())


def evaluate_folds(
    source: Source,
    make: MakeSamples,
    identity: str,
    config: EvaluationConfig,
    folder: Path | None = None,
    listener: Listener | None = None,
    pace: Pace | None = None,
) -> Evaluation:
    """Cross-validate what makes samples.

    Parameters
    ----------
    source : Source
    make : callable
        See `MakeSamples`.
    identity : str
        All that decides its samples, for `folder`.
    config, folder, listener
        See `cross_validate`.
    pace : Pace, optional
        By which the time left is told.
    """
    folds = fold_rows(source.data, config)
    inputs = folds_inputs(source, identity, config)
    materials = []
    for number, rows in enumerate(folds, 1):
        if listener is not None:
            listener(Progress(0, 0, 0.0, None, f"the generator of fold {number} of {len(folds)}"))
        path = None if folder is None else folder / f"fold-{number}.{inputs}.npz"
        materials.append(_material(source, rows, number, make, config, path))
    shape = source.data.samples.shape[1:]
    shown = min(len(np.unique(item.synthetic.labels)) for item in materials)
    sets, notes = chosen_sets(config, shape, shown, num_sides_of(source.data, config))
    classifiers = config.classifiers_for(shape)
    plan = PlannedEvaluation(config, tuple(materials), sets, classifiers, tuple(notes), inputs)
    return carry_out(plan, folder, listener, pace)


def folds_inputs(source: Source, identity: str, config: EvaluationConfig) -> str:
    """Return a hash of what decides the results of a cross-validation; see `evaluate_folds`."""
    num_sides = num_sides_of(source.data, config)
    contents = [source.data.fingerprint(), identity, config.cv, config.amount.model_dump(), num_sides]
    return inputs_hash(config, contents, source.data.groups)


def fold_rows(data: Dataset, config: EvaluationConfig) -> list[FoldRows]:
    """Return the parts of all folds, stratified by class, units kept whole.

    Raises
    ------
    InvalidInputError
        A class has too few samples for the folds and their parts.
    """
    units = units_of(data, near=config.near_duplicates == "refuse")
    _check_sizes(data, units, config.cv)
    stream = root_stream(config).child("folds")
    splitter: Any = StratifiedGroupKFold
    seed = stream.generator_seed() % 2**31
    halves = splitter(config.cv, shuffle=True, random_state=seed).split(data.labels, data.labels, units)
    folds = []
    for number, (kept, test) in enumerate(halves, 1):
        part = take(data, kept)
        is_validation = validation_rows(
            part, units[kept], config.validation_share, stream.child("validation", str(number))
        )
        folds.append(FoldRows(kept[~is_validation], kept[is_validation], test))
    return folds


def take(data: Dataset, rows: Sequence[int] | np.ndarray) -> Dataset:
    """Return some samples of a data set."""
    chosen = np.asarray(rows)
    return replace(
        data,
        samples=data.samples[chosen],
        labels=data.labels[chosen],
        names=tuple(data.names[row] for row in chosen),
        groups=None if data.groups is None else tuple(data.groups[row] for row in chosen),
    )


def _check_sizes(data: Dataset, units: Int64[np.ndarray, " n"], num_folds: int) -> None:
    for label, name in enumerate(data.class_names):
        count = len(np.unique(units[data.labels == label]))
        if count < num_folds:
            raise InvalidInputError(
                f"{num_folds} folds need as many separate samples or subjects of each class, {name!r} has "
                f"{count}: use fewer folds, or leave the class out"
            )


def _material(
    source: Source,
    rows: FoldRows,
    number: int,
    make: MakeSamples,
    config: EvaluationConfig,
    path: Path | None,
) -> Material:
    seen, validation, test = (take(source.data, part) for part in (rows.training, rows.validation, rows.test))
    seed = root_stream(config).child("generator", str(number)).generator_seed() % 2**31
    made = _kept_samples(seen, make, seed, path)
    real = take(source.data, np.concatenate([rows.training, rows.validation]))
    is_validation = np.arange(len(real.labels)) >= len(seen.labels)
    held_out = Source(test, f"fold {number}")
    synthetic = Source(made, f"the synthetic samples of fold {number}")
    learned = Source(real, f"the rest of {source.name}")
    check_apart(learned, synthetic, held_out, near=config.near_duplicates == "refuse")
    num_sides = num_sides_of(source.data, config)
    material = material_of(learned, synthetic, held_out, is_validation, number, num_sides)
    return replace(material, validation_was_shown=False)


def _kept_samples(real: Dataset, make: MakeSamples, seed: int, path: Path | None) -> Dataset:
    """Return the synthetic samples of a fold, from the file where an earlier run has left them."""
    if path is None:
        return make(real, seed, None)
    work = path.with_name(f".{path.stem}.unfinished")
    if path.is_file():
        shutil.rmtree(work, ignore_errors=True)  # of a process that was killed while it removed it
        with np.load(path, allow_pickle=False) as archive:
            return dataset_like(real, archive["samples"], archive["labels"])
    made = make(real, seed, work)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, samples=made.samples, labels=made.labels)
    shutil.rmtree(work, ignore_errors=True)
    return made
