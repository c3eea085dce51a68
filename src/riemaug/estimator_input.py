"""What estimators take beside arrays: lists and pandas tables; and the way back."""

import sys
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from jaxtyping import Bool, Shaped
from scipy.sparse import issparse

from riemaug.data import Dataset, SampleFormat
from riemaug.data.arrays import dataset_of_arrays
from riemaug.data.table_fit import level_column
from riemaug.data.table_layout import TableLayout
from riemaug.errors import InvalidInputError
from riemaug.estimator_frames import FramePlan, plain_name


@dataclass(frozen=True, eq=False)
class Containers:
    """What samples and labels came in, to give others back in the same.

    Attributes
    ----------
    frame : FramePlan, optional
        How the columns of a DataFrame become numbers; None for arrays and lists.
    label_name, label_dtype : optional
        Of labels in a pandas Series; a dtype of None stands for arrays and lists.
    """

    frame: FramePlan | None = None
    label_name: Any = None
    label_dtype: Any = None

    @classmethod
    def of(cls, X: Any, y: Any) -> "Containers":
        """Return the containers of both; InvalidInputError where a column cannot be modelled."""
        frame = FramePlan.fit(X) if is_frame(X) else None
        return cls(frame, y.name, y.dtype) if _is_series(y) else cls(frame)

    @classmethod
    def of_format(cls, fmt: SampleFormat) -> "Containers":
        """Return the containers of samples of a model that was saved."""
        return cls(None if fmt.table is None else FramePlan(fmt.table.plan))

    def numbers_of(self, X: Any) -> Shaped[np.ndarray, "..."]:
        """Return samples as the array that is modelled."""
        return self.frame.to_numbers(X) if self.frame is not None and is_frame(X) else array_of_samples(X)

    def dataset(self, X: Any, y: Any, num_sides: int | None = None) -> Dataset:
        """Return samples and labels as a data set.

        Parameters
        ----------
        X, y
        num_sides : int, optional
            How many axes of a sample are sides, where that is known.

        Raises
        ------
        InvalidInputError
            As `riemaug.data.arrays.dataset_of_arrays`, or samples have other axes.
        """
        samples, labels = self.numbers_of(X), array_of_labels(y)
        check_size(samples)
        check_sides(num_sides, samples.shape[1:])
        dataset = dataset_of_arrays(samples, labels)
        if num_sides is not None:
            return replace(dataset, format=replace(dataset.format, array_sides=int(num_sides)))
        if self.frame is None:
            return dataset
        plan, name = self.frame.plan, "label" if self.label_name is None else plain_name(self.label_name)
        name = "label" if name in plan.names else name
        column = level_column(sys.modules["pandas"].Series(labels.reshape(-1), name=name), name)
        layout = TableLayout(plan, column, len(plan.columns))
        # a saved model gives, and the command line writes, such tables
        fmt = SampleFormat("table", samples.shape[1:], "float64", ".csv", None, False, table=layout)
        return replace(dataset, format=fmt, notes=(*self.frame.notes, *dataset.notes))

    def restore(self, X: Shaped[np.ndarray, "n ..."], y: Shaped[np.ndarray, " n"]) -> tuple[Any, Any]:
        """Return samples and labels in such containers; the rows of pandas are numbered from 0."""
        samples = X if self.frame is None else self.frame.to_table(X)
        if self.label_dtype is None:
            return samples, y
        return samples, sys.modules["pandas"].Series(y, name=self.label_name, dtype=self.label_dtype)


def is_frame(X: Any) -> bool:
    """Return whether `X` is a pandas DataFrame; pandas need not be installed."""
    # whoever has a DataFrame has imported pandas
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(X, pandas.DataFrame)


def _is_series(y: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(y, pandas.Series)


def whole_columns(X: Any) -> Bool[np.ndarray, " D"]:
    """Return which columns of a DataFrame of numbers hold integers or truth values.

    Raises
    ------
    InvalidInputError
        A column holds no numbers.
    """
    types = sys.modules["pandas"].api.types
    whole = []
    for name, dtype in X.dtypes.items():
        is_whole = types.is_bool_dtype(dtype) or types.is_integer_dtype(dtype)
        if not is_whole and not types.is_float_dtype(dtype):
            raise InvalidInputError(
                f"columns must hold real numbers, {name!r} holds {dtype}: encode it as numbers or drop it"
            )
        whole.append(is_whole)
    return np.array(whole, dtype=bool)


def array_of_samples(X: Any) -> Shaped[np.ndarray, "..."]:
    """Return samples as an array: numbers of a DataFrame, of lists, or of an array of Python objects.

    Raises
    ------
    InvalidInputError
        A sparse matrix, complex numbers, or objects that are no numbers.
    """
    if issparse(X):
        raise InvalidInputError(
            "X must be dense, it is a sparse matrix, which is not supported: give X.toarray()"
        )
    samples = _numbers_of(X) if is_frame(X) else np.asarray(X)
    if samples.dtype.kind == "c":
        raise InvalidInputError("Complex data not supported: X must hold real numbers, give X.real")
    return samples if samples.dtype.kind != "O" else _numbers_of_objects(samples)


def check_size(samples: Shaped[np.ndarray, "..."]) -> None:
    """Refuse to learn from one sample or from none of its values; InvalidInputError."""
    if samples.ndim > 1 and len(samples) and 0 in samples.shape:
        raise InvalidInputError(
            f"X has 0 feature(s) (shape={samples.shape}) while a minimum of 1 is required: give some"
        )
    if samples.ndim > 1 and len(samples) == 1:
        raise InvalidInputError("X must hold several samples of each class, it holds 1 sample: add others")


def check_sides(num_sides: Any, shape: tuple[int, ...]) -> None:
    """Refuse a number of sides that is none, or that samples of a shape cannot have; InvalidInputError."""
    if num_sides is None:
        return
    if not isinstance(num_sides, Integral) or num_sides not in (2, 3):
        raise InvalidInputError(
            f"num_sides must be 2 for images, 3 for volumes, or None to go by the shape, got {num_sides!r}"
        )
    if len(shape) - num_sides not in (0, 1):
        raise InvalidInputError(
            f"samples with num_sides={num_sides} have {num_sides} axes, or one more for channels, these have"
            f" the shape {shape}: correct num_sides or leave it out"
        )


def _numbers_of_objects(samples: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    try:
        return samples.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"X must hold real numbers, it holds Python objects that are none ({error}): convert it"
        ) from None


def _numbers_of(table: Any) -> np.ndarray:
    """Return a DataFrame as one array of the dtype that holds all its columns; gaps become NaN."""
    whole_columns(table)
    kinds = {dtype for dtype in table.dtypes if isinstance(dtype, np.dtype)}
    if len(kinds) == len(set(table.dtypes)):
        return table.to_numpy(dtype=np.result_type(*kinds) if kinds else None)
    # pandas' own dtypes, which may have gaps, or columns of zeros left out
    return table.to_numpy(dtype=np.float64, na_value=np.nan)


def array_of_labels(y: Any) -> Shaped[np.ndarray, "..."]:
    """Return labels as an array; objects that are all text or all numbers become just that.

    Raises
    ------
    InvalidInputError
        There are none.
    """
    if y is None:
        raise InvalidInputError(
            "Augmentor requires y to be passed, but the target y is None: give a label for each sample"
        )
    labels = np.asarray(y)
    if labels.dtype.kind != "O":
        return labels
    for kind in (str, Real):
        if all(isinstance(label, kind) for label in labels.flat):
            return np.array(labels.tolist())
    return labels
