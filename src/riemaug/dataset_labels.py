"""Labels of real and synthetic samples as numbers that agree, whatever they were given as."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.utils.data import Dataset, Subset

from riemaug.data import Dataset as ReadData
from riemaug.data.listing import quote_some
from riemaug.errors import InvalidInputError
from riemaug.estimator_input import array_of_labels

_TEXT, _NUMBERS = "US", "biuf"


def numbered_labels(real: Any, made: Any) -> tuple[Tensor, Tensor, tuple[str, ...] | None]:
    """Return both labels as tensors, and the text that they stand for, if they were text.

    Raises
    ------
    InvalidInputError
        They are text in one part and numbers in the other, or neither; or numbers that are not finite or
        beyond 64-bit integers.
    """
    first, second = (
        (y.detach().cpu().numpy() if isinstance(y, Tensor) else array_of_labels(y)).reshape(-1)
        for y in (real, made)
    )
    is_text = [labels.dtype.kind in _TEXT and len(labels) > 0 for labels in (first, second)]
    if not any(is_text):
        numbers = _numbers(np.concatenate([first, second]))
        return numbers[: len(first)], numbers[len(first) :], None
    if not all(is_text) and len(first) and len(second):
        raise InvalidInputError(
            "labels must be text in both parts or numbers in both,"
            f" got {first.dtype} and {second.dtype}: convert one"
        )
    values, index = np.unique(np.concatenate([first, second]), return_inverse=True)
    names = tuple(value.decode() if isinstance(value, bytes) else str(value) for value in values.tolist())
    numbers = torch.from_numpy(index.reshape(-1).astype(np.int64))
    return numbers[: len(first)], numbers[len(first) :], names


def _numbers(labels: np.ndarray) -> Tensor:
    """Return labels that are numbers: whole ones as int64, which losses of classifiers take."""
    if labels.dtype.kind not in _NUMBERS:
        raise InvalidInputError(f"labels must be numbers or text, they are {labels.dtype}: convert them")
    odd = labels[~((labels >= -(2.0**63)) & (labels < 2.0**63))] if labels.dtype.kind in "fu" else labels[:0]
    if len(odd):
        raise InvalidInputError(
            f"labels that are numbers must be finite and within the 64-bit integers, {odd[0]} is not:"
            " renumber the classes or leave such samples out"
        )
    whole = labels.dtype.kind != "f" or bool((labels == np.rint(labels)).all())
    return torch.from_numpy(labels.astype(np.int64 if whole else np.float32))


def stored_labels(
    real: ReadData, made: ReadData
) -> tuple[Shaped[np.ndarray, " n"], Shaped[np.ndarray, " m"]]:
    """Return the labels of two data sets that were read, those of the second by the classes of the first.

    Parameters
    ----------
    real, made : riemaug.data.Dataset
        The classes of `made` are among those of `real`.

    Returns
    -------
    ndarray (n,), ndarray (m,)
        The numbers that `real` holds, where its labels are such; else the names of the classes.
    """
    values = real.label_values
    if values is None or values.dtype.kind not in _NUMBERS:
        values = np.array(real.class_names)
    place = {name: index for index, name in enumerate(real.class_names)}
    of_made = np.array([place[name] for name in made.class_names], dtype=np.int64)
    return values[real.labels], values[of_made[made.labels]]


def matched(real: Dataset[Any], made: Dataset[Any]) -> tuple[Dataset[Any], tuple[str, ...] | None]:
    """Return synthetic samples with the numbers that real ones have for the classes, and these by number.

    Data sets that name their classes do so as torchvision's do: by `class_to_idx` or `classes`, perhaps
    within a `Subset`. Where one of the two names none, numbers are taken for what they are.

    Parameters
    ----------
    real, made : torch Dataset

    Returns
    -------
    made : torch Dataset
    classes : tuple of str or None
        None where they are not known, or numbered with gaps.

    Raises
    ------
    InvalidInputError
        A class is not among the real ones, or the numbers that are given are not those of the classes.
    """
    ours, theirs = _class_numbers(real), _class_numbers(made)
    if ours is None or theirs is None:
        return made, None
    unknown = [name for name in theirs if name not in ours]
    if unknown:
        raise InvalidInputError(
            "the classes of the synthetic data set must be among those of the real one"
            f" ({quote_some(list(ours))}), {quote_some(unknown)} is not: rename or remove it"
        )
    ordered = sorted(ours, key=ours.__getitem__)
    classes = tuple(ordered) if sorted(ours.values()) == list(range(len(ours))) else None
    if all(ours[name] == number for name, number in theirs.items()):
        return made, classes
    if getattr(_whole(made), "target_transform", None) is not None:
        raise InvalidInputError(
            "real and synthetic data sets must number their classes alike where labels are transformed, the"
            " synthetic one has a target_transform and other numbers: leave it out"
        )
    return _Renumbered(made, {number: ours[name] for name, number in theirs.items()}), classes


def _whole(dataset: Dataset[Any]) -> Dataset[Any]:
    """Return the data set that subsets of subsets were taken from."""
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    return dataset


def _class_numbers(dataset: Dataset[Any]) -> dict[str, int] | None:
    """Return the number of each class; None where the data set does not tell them one by one."""
    whole = _whole(dataset)
    named, listed = getattr(whole, "class_to_idx", None), getattr(whole, "classes", None)
    if not isinstance(named, Mapping) and isinstance(listed, list | tuple):
        named = {name: number for number, name in enumerate(listed)}
        named = named if len(named) == len(listed) else None
    if not isinstance(named, Mapping) or not all(isinstance(number, int) for number in named.values()):
        return None
    numbers = {str(name): number for name, number in named.items()}
    return numbers if len(set(numbers.values())) == len(named) > 0 else None


class _Renumbered(Dataset[tuple[Any, Any]]):
    """The samples of a data set with other numbers for its classes."""

    def __init__(self, dataset: Dataset[Any], numbers: Mapping[int, int]) -> None:
        self._dataset, self._numbers = dataset, dict(numbers)

    def __len__(self) -> int:
        return len(self._dataset)  # pyright: ignore[reportArgumentType]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        sample, label = self._dataset[index][:2]
        try:
            number = self._numbers[int(label)]
        except (KeyError, TypeError, ValueError, RuntimeError):
            raise InvalidInputError(
                "labels of the synthetic data set must be the numbers of its classes"
                f" ({sorted(self._numbers)}), sample {index} has {label!r}: correct it"
            ) from None
        return sample, label.new_tensor(number) if isinstance(label, Tensor) else type(label)(number)
