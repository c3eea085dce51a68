"""Real and synthetic samples side by side in PyTorch: `MixedDataset`, and `RatioSampler` to mix them."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from riemaug.dataset_axes import ChannelsFirst
from riemaug.dataset_labels import matched, numbered_labels, stored_labels
from riemaug.errors import InvalidInputError
from riemaug.estimator_input import array_of_samples
from riemaug.estimator_parameters import validated
from riemaug.random import Stream


class MixedDataset(Dataset[tuple[Any, Any, bool]]):
    """Real samples, then synthetic ones; each item is `(sample, label, is_synthetic)`.

    Parameters
    ----------
    real_X, synthetic_X : array-like or Tensor (n, ...)
        Samples, of one shape and one dtype. Arrays in memory or on disk (memory-mapped) are not copied.
    real_y, synthetic_y : array-like or Tensor (n,)
        Labels. Whole numbers stay what they are; text becomes its place in `classes`.
    transform : callable, optional
        What is applied to a sample, a tensor.
    channels_first : bool
        Give images as (C, H, W) and volumes as (C, D, H, W), to `transform` too: as PyTorch's layers and
        torchvision's transforms take them. Grey ones get an axis of one channel. By default samples keep
        their shape, and colour files have their channels last.
    num_sides : 2 or 3, optional
        For `channels_first`: how many axes of a sample are sides, as in `riemaug.Augmentor`.

    Attributes
    ----------
    classes : tuple of str or None
        The class of each number, where labels are text, or where both data sets name their classes;
        else None.

    Raises
    ------
    InvalidInputError
        Samples and labels are not as many, real and synthetic ones are not alike, or have no channels.

    See Also
    --------
    RatioSampler : batches with a given ratio of real to synthetic samples.
    """

    def __init__(
        self,
        real_X: ArrayLike | Tensor,
        real_y: ArrayLike | Tensor,
        synthetic_X: ArrayLike | Tensor,
        synthetic_y: ArrayLike | Tensor,
        transform: Callable[[Any], Any] | None = None,
        *,
        channels_first: bool = False,
        num_sides: int | None = None,
    ) -> None:
        real, made = _tensor_or_array(real_X), _tensor_or_array(synthetic_X)
        _check_alike(real, made)
        real_labels, made_labels, classes = numbered_labels(real_y, synthetic_y)
        turn = ChannelsFirst(tuple(real.shape[1:]), num_sides) if channels_first else None
        self._real: Dataset[Any] = _Rows(real, real_labels, "real", turn)
        self._synthetic: Dataset[Any] = _Rows(made, made_labels, "synthetic", turn)
        self.classes, self.transform = classes, transform

    @classmethod
    def from_datasets(
        cls,
        real: Dataset[Any],
        synthetic: Dataset[Any],
        transform: Callable[[Any], Any] | None = None,
    ) -> "MixedDataset":
        """Join two map-style data sets whose items begin with a sample and its label.

        Parameters
        ----------
        real, synthetic : torch Dataset
            With a length; torchvision's `ImageFolder`, for instance. What follows the label is left out.
            Where both name their classes (`class_to_idx` or `classes`), synthetic samples get the numbers
            that real ones have for these; else labels are taken as they are.
        transform : callable, optional
            What is applied to a sample as they give it.

        Raises
        ------
        InvalidInputError
            One has no length, or is empty; or the synthetic one has classes that the real one lacks.
        """
        mixed = cls.__new__(cls)
        for name, dataset in (("real", real), ("synthetic", synthetic)):
            try:
                length = len(dataset)  # pyright: ignore[reportArgumentType]
            except TypeError:
                raise InvalidInputError(
                    f"the {name} data set must be map-style, with a length and items by number,"
                    f" {type(dataset).__name__} has no length: read it into arrays"
                ) from None
            if not length:
                raise InvalidInputError(
                    f"the {name} data set must hold samples, it is empty: use the other one alone"
                )
        mixed._real, mixed.transform = real, transform
        mixed._synthetic, mixed.classes = matched(real, synthetic)
        return mixed

    @classmethod
    def from_folders(
        cls,
        real: str | Path,
        synthetic: str | Path,
        transform: Callable[[Any], Any] | None = None,
        *,
        channels_first: bool = False,
        num_sides: int | None = None,
        **reading: Any,
    ) -> "MixedDataset":
        """Read real samples, and the synthetic ones that `riemaug augment` made of them, into memory.

        Labels of `.npz` files and tables that are numbers stay these numbers; the names of class folders, and
        all other text, become their places in `classes`.

        Parameters
        ----------
        real, synthetic : path
            A data set as the command line takes it, and an OUT of `riemaug augment` or `riemaug sample`.
        transform : callable, optional
            What is applied to a sample, a tensor in the shape that the files hold, (H, W), (H, W, 3), ...,
            unless `channels_first` says otherwise.
        channels_first : bool
            As of the class; which axes are sides is told by the files, of `.npz` files by `num_sides`.
        num_sides : 2 or 3, optional
            As of the class.
        **reading
            How both are read, as in `riemaug.data.read_dataset`: `label_from`, `drop_columns`, `resize`,
            `pad`, `crop`, `resample`, `bids_suffix`, ... Rows of tables become numbers by the real table.

        Raises
        ------
        InvalidInputError
            As the command line: bad files, samples that are not alike, unknown classes or options.
        """
        # the readers bring much with them that arrays do not need
        from riemaug.evaluation.sources import check_alike
        from riemaug.run.evaluation_data import read_real, read_synthetic
        from riemaug.run.evaluation_reading import reading_as_made
        from riemaug.run.request import ReadOptions

        given = validated(ReadOptions, **reading)
        options, _ = reading_as_made(given, Path(real), Path(synthetic), None)
        first = read_real(Path(real), options)
        sources = first, read_synthetic(Path(synthetic), options, first.data.format)
        check_alike(*sources)
        samples = [source.data.samples for source in sources]
        labels = stored_labels(*(source.data for source in sources))
        num_sides = num_sides or first.data.format.num_sides or None
        axes = {"channels_first": channels_first, "num_sides": num_sides}
        return cls(samples[0], labels[0], samples[1], labels[1], transform, **axes)

    @property
    def num_real(self) -> int:
        """Number of real samples; their indices are 0 to `num_real` - 1."""
        return len(self._real)  # pyright: ignore[reportArgumentType]

    @property
    def num_synthetic(self) -> int:
        """Number of synthetic samples."""
        return len(self._synthetic)  # pyright: ignore[reportArgumentType]

    @property
    def is_synthetic(self) -> Bool[Tensor, " n"]:
        """Whether each sample is synthetic."""
        return torch.arange(len(self)) >= self.num_real

    def __len__(self) -> int:
        """Return the number of samples, real and synthetic."""
        return self.num_real + self.num_synthetic

    def __getitem__(self, index: int) -> tuple[Any, Any, bool]:
        """Return (sample, label, is_synthetic)."""
        position = int(index) + len(self) if index < 0 else int(index)
        if not 0 <= position < len(self):
            raise IndexError(f"the data set has {len(self)} samples, there is no number {index}")
        is_synthetic = position >= self.num_real
        part = self._synthetic if is_synthetic else self._real
        sample, label = part[position - self.num_real if is_synthetic else position][:2]
        return sample if self.transform is None else self.transform(sample), label, is_synthetic


class RatioSampler(Sampler[int]):
    """Indices of a `MixedDataset` in random order, real and synthetic ones in a fixed ratio.

    Every real sample comes once an epoch. Of each `real` + `synthetic` indices in a row, counted from the
    first, `synthetic` are synthetic, in random places: a batch size that is a multiple of this sum makes
    each full batch keep the ratio exactly. No synthetic sample comes again before all have come.

    Parameters
    ----------
    dataset : MixedDataset
    real, synthetic : int
        The ratio, at least 1 each: `real=2, synthetic=1` is two real samples for each synthetic one.
    random_state : int
        Seed of all epochs; PyTorch's global generator is neither read nor set.

    Attributes
    ----------
    epoch : int
        Number of the epoch that is drawn next. Each pass over the sampler takes one; `set_epoch` sets it.

    Raises
    ------
    InvalidInputError
        A ratio that is none, or a data set without real or without synthetic samples.
    """

    def __init__(
        self, dataset: MixedDataset, real: int = 1, synthetic: int = 1, *, random_state: int = 0
    ) -> None:
        for value in (real, synthetic):
            if int(value) != value or value < 1:
                raise InvalidInputError(
                    "real and synthetic must be whole numbers of 1 or more,"
                    f" got {real!r} and {synthetic!r}: 2 and 1 for two real samples to a synthetic one"
                )
        if not (dataset.num_real and dataset.num_synthetic):
            raise InvalidInputError(
                f"a ratio needs samples of both kinds, there are {dataset.num_real} real and"
                f" {dataset.num_synthetic} synthetic ones: use a plain RandomSampler"
            )
        self._num_real, self._num_synthetic = dataset.num_real, dataset.num_synthetic
        self.real, self.synthetic = int(real), int(synthetic)
        self.random_state = random_state
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw this epoch next (0 or more): its order depends on it and on the seed alone."""
        self.epoch = int(epoch)

    def __len__(self) -> int:
        """Return the number of indices of an epoch."""
        return self._num_real + self._num_drawn

    def __iter__(self) -> Iterator[int]:
        """Return the indices of the next epoch."""
        stream = Stream(self.random_state, ("ratio sampler",)).block(self.epoch)
        self.epoch += 1
        generator = stream.generator()
        real = torch.randperm(self._num_real, generator=generator)
        passes = math.ceil(self._num_drawn / self._num_synthetic)
        made = [torch.randperm(self._num_synthetic, generator=generator) for _ in range(passes)]
        is_synthetic = self._places(generator)
        order = torch.empty(len(self), dtype=torch.int64)
        order[~is_synthetic] = real
        order[is_synthetic] = self._num_real + torch.cat(made)[: self._num_drawn]
        return iter(order.tolist())

    @property
    def _num_drawn(self) -> int:
        """Synthetic samples of an epoch: whole groups, and of a last one that is not whole its share."""
        return max(1, round(self._num_real * self.synthetic / self.real))

    def _places(self, generator: torch.Generator) -> Bool[Tensor, " n"]:
        """Return which places of an epoch synthetic samples take."""
        size, groups = self.real + self.synthetic, self._num_real // self.real
        keys = torch.rand(groups, size, generator=generator)
        whole = (keys.argsort(1) < self.synthetic).reshape(-1)
        rest = len(self) - len(whole)
        left = torch.rand(rest, generator=generator).argsort() < self._num_drawn - groups * self.synthetic
        return torch.cat([whole, left])


class _Rows(Dataset[tuple[Any, Any]]):
    """Samples and labels of arrays or tensors, item by item."""

    def __init__(
        self, samples: np.ndarray | Tensor, labels: Tensor, name: str, turn: ChannelsFirst | None = None
    ) -> None:
        if len(samples) != len(labels):
            raise InvalidInputError(
                f"{name} samples and labels must be as many, got {len(samples)} and {len(labels)}:"
                " correct one"
            )
        self.samples, self.labels, self.turn = samples, labels, turn

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        given = self.samples[index]
        # copied: an item that is written to must not change the data, and files may be read-only
        sample = given.clone() if isinstance(given, Tensor) else _tensor(given)
        return sample if self.turn is None else self.turn(sample), self.labels[index]


def _tensor(sample: Any) -> Tensor:
    array = np.array(sample)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))


def _tensor_or_array(samples: Any) -> np.ndarray | Tensor:
    return samples if isinstance(samples, Tensor) else array_of_samples(samples)


def _check_alike(real: np.ndarray | Tensor, made: np.ndarray | Tensor) -> None:
    """Refuse samples of two shapes or of two dtypes, which no batch could hold."""
    found = [(tuple(part.shape[1:]), str(part.dtype).removeprefix("torch.")) for part in (real, made)]
    if found[0] != found[1]:
        (shape, dtype), (other_shape, other_dtype) = found
        raise InvalidInputError(
            f"real and synthetic samples must be of one shape and one dtype, got {shape} {dtype} and"
            f" {other_shape} {other_dtype}: bring them to one"
        )
