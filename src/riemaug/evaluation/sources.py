"""Real, synthetic and test samples brought together: one shape, the same classes, nothing shared."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64, Shaped
from numpy.typing import ArrayLike

from riemaug.data import Dataset, RangeScaler, Shares, assign_parts, check_no_leak
from riemaug.data.arrays import dataset_of_arrays
from riemaug.data.likeness import Signatures, alike_sets, connect
from riemaug.data.listing import quote_some
from riemaug.errors import InvalidInputError
from riemaug.evaluation.samples import LabelledSamples
from riemaug.evaluation.settings import EvaluationConfig
from riemaug.evaluation.training_sets import Material
from riemaug.random import Stream

LabelledData = Dataset | tuple[ArrayLike, ArrayLike]
"""A data set, or samples (n, ...) and labels (n,) of any kind."""


_WAYS_OUT = {
    "shape": "bring them to one size, images with --resize HxW",
    "dtype": "save both with the same number of bits a value",
}


@dataclass(frozen=True)
class Source:
    """A data set and what messages call it.

    Attributes
    ----------
    data : Dataset
    name : str
        "the real samples", say, or a path.
    """

    data: Dataset
    name: str


def as_source(data: LabelledData, name: str) -> Source:
    """Return data as a source.

    Raises
    ------
    InvalidInputError
        The arrays break a rule; see `riemaug.data.arrays.dataset_of_arrays`.
    """
    if isinstance(data, Dataset):
        return Source(data, name)
    try:
        return Source(dataset_of_arrays(np.asarray(data[0]), np.asarray(data[1])), name)
    except InvalidInputError as error:
        raise InvalidInputError(f"{name}: {error}") from error


def check_alike(real: Source, *others: Source) -> None:
    """Refuse sets whose samples are of different shapes or dtypes, or of classes that `real` lacks.

    Raises
    ------
    InvalidInputError
        The message names both sets.
    """
    for other in others:
        formats = [(_sides(item.data), item.data.samples.dtype.name) for item in (real, other)]
        for what, first, second in zip(("shape", "dtype"), *formats, strict=True):
            if first != second:
                raise InvalidInputError(
                    f"all samples must be of one {what}, found {first} in {real.name} and {second} in "
                    f"{other.name}: {_WAYS_OUT[what]}"
                )
        known = set(real.data.class_names)
        unknown = [name for name in other.data.class_names if name not in known]
        if unknown:
            raise InvalidInputError(
                f"the classes in {other.name} must be among those in {real.name} "
                f"({quote_some(list(real.data.class_names))}), {quote_some(unknown)} is not: rename or remove"
                " it"
            )


def _sides(data: Dataset) -> str:
    return "x".join(map(str, data.samples.shape[1:]))


def check_apart(real: Source, synthetic: Source | None, test: Source, near: bool) -> None:
    """Stop where test samples are among the training samples, real or synthetic.

    Parameters
    ----------
    real, test : Source
    synthetic : Source, optional
        Exact copies of test samples among them are refused, too: then the generator has seen the test set.
        Not near duplicates, as samples of a good generator may come near any real one, and not equal rows
        of tables, which may have few values.
    near : bool
        Also refuse near duplicates in `real`.

    Raises
    ------
    InvalidInputError
        The message says how many there are and names some.
    """
    signatures = Signatures.of(test.data)
    check_no_leak(real.data, signatures, near=near, names=(real.name, test.name))
    if synthetic is not None and synthetic.data.samples.ndim > 2:
        check_no_leak(synthetic.data, signatures, near=False, names=(synthetic.name, test.name))


def num_sides_of(data: Dataset, config: EvaluationConfig) -> int:
    """Return `LabelledSamples.num_sides` of data: their format tells, or else the user does."""
    return data.format.num_sides or config.num_sides


def scaled(
    source: Source, scaler: RangeScaler, class_names: Sequence[str], num_sides: int = 0
) -> LabelledSamples:
    """Return the samples scaled by what was learned from real ones, their classes numbered as these are.

    Values beyond the learned range stay beyond it, so that different samples stay different.
    """
    number = {name: index for index, name in enumerate(class_names)}
    of_label = np.array([number[name] for name in source.data.class_names], dtype=np.int64)
    return LabelledSamples(_unit(source.data.samples, scaler), of_label[source.data.labels], num_sides)


def _unit(samples: Shaped[np.ndarray, "n *shape"], scaler: RangeScaler) -> Float32[np.ndarray, "n *shape"]:
    span = scaler.high - scaler.low
    divisor = np.where(span > 0, span, 1.0)
    return ((samples.astype(np.float64) - scaler.low) / divisor).astype(np.float32)


def scaler_of(data: Dataset) -> RangeScaler:
    """Return the scaling of real samples: as a whole, tables column by column."""
    return RangeScaler.fit(data.samples, per_feature=data.samples.ndim == 2)


def units_of(data: Dataset, near: bool) -> Int64[np.ndarray, " n"]:
    """Return the number of each sample's unit: subject, exact copies and near duplicates stay together."""
    alike = alike_sets(Signatures.of(data), near=near)
    return alike if data.groups is None else connect(data.groups, alike)


def validation_rows(
    data: Dataset, units: Int64[np.ndarray, " n"], share: float, stream: Stream
) -> np.ndarray:
    """Return which samples decide when trainings stop, a mask (n,): a stratified share, units kept whole.

    Raises
    ------
    InvalidInputError
        A class has too few samples for two parts.
    """
    parts = assign_parts(
        data.labels, data.names, data.class_names, Shares(val=share, test=0), stream, units, "real samples"
    )
    return parts == 1


def material_of(
    real: Source,
    synthetic: Source,
    test: Source | None,
    is_validation: np.ndarray,
    fold: int = 0,
    num_sides: int = 0,
) -> Material:
    """Return all samples, scaled by the real ones.

    Parameters
    ----------
    real, synthetic, test : Source
        Already compared by `check_alike`.
    is_validation : ndarray (n,) of bool
        Which real samples decide when trainings stop.
    fold : int
    num_sides : int
        See `num_sides_of`; of the real samples, and so of all.
    """
    names = real.data.class_names
    common = scaler_of(real.data), names, num_sides
    samples = scaled(real, *common)
    return Material(
        training=samples.take(~is_validation),
        validation=samples.take(is_validation),
        synthetic=scaled(synthetic, *common),
        test=None if test is None else scaled(test, *common),
        class_names=names,
        fold=fold,
    )


def class_notes(real: Source, synthetic: Source, test: Source | None) -> list[str]:
    """Return notes on classes that a set lacks."""
    notes = []
    for source in (synthetic, test):
        if source is None:
            continue
        missing = [name for name in real.data.class_names if name not in source.data.class_names]
        if missing:
            notes.append(f"There are no samples of class {quote_some(missing)} in {source.name}.")
    return notes
