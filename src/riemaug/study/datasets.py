"""The study's data sets: what each draw trains on, stops by and is tested on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from riemaug.errors import InvalidInputError
from riemaug.evaluation.samples import LabelledSamples
from riemaug.random import Stream
from riemaug.study.committed import committed, is_committed
from riemaug.study.drawing import Draw, committed_draw, draw_images
from riemaug.study.oasis import LABELS, oasis_rows, read_oasis
from riemaug.study.sources import ImageSource, read_emnist, read_fashion, read_mnist

PER_CLASS = 50
"""Images of each class in a balanced draw, training and validation together."""
_FASHION_POOL = 500


@dataclass(frozen=True, eq=False)
class StudyData:
    """One draw of one of the study's data sets.

    Attributes
    ----------
    name : str
    draw : int
    class_names : tuple of str
    train, validation, test : LabelledSamples
        Values in [0, 1]. `train` is what the paper calls raw data; no sample is in two parts.
    train_rows, validation_rows : ndarray (n,), (m,) of int64
        Rows of the samples in the source, in the same order: the provider's own for MNIST and
        Fashion-MNIST, of the file or files read for EMNIST, subjects in the order of their numbers for OASIS.
    ages : dict or None
        OASIS: age in years of each sample, by part ("train", "validation", "test").
    sexes : dict or None
        OASIS: "F" or "M", in the same way.
    """

    name: str
    draw: int
    class_names: tuple[str, ...]
    train: LabelledSamples
    validation: LabelledSamples
    test: LabelledSamples
    train_rows: Int64[np.ndarray, " n"]
    validation_rows: Int64[np.ndarray, " m"]
    ages: dict[str, Int64[np.ndarray, " k"]] | None = None
    sexes: dict[str, np.ndarray] | None = None


@dataclass(frozen=True)
class _ImageSet:
    """How a set of images is drawn: its source, and the name of its class sizes or None for `PER_CLASS`."""

    read: Callable[[Path], ImageSource]
    shares: str | None = None

    def counts(self, num_classes: int) -> tuple[int, ...]:
        if self.shares is None:
            return (PER_CLASS,) * num_classes
        return tuple(committed("shares")[self.shares]["counts"])


def read_fashion_pool(folder: Path) -> ImageSource:
    """Return Fashion-MNIST with the first 500 training images of each class, whatever its form."""
    source = read_fashion(folder)
    by_class = (np.flatnonzero(source.train_labels == label) for label in range(len(source.class_names)))
    rows = np.sort(np.concatenate([own[:_FASHION_POOL] for own in by_class]))
    return ImageSource(
        source.train_images[rows],
        source.train_labels[rows],
        source.train_rows[rows],
        source.keys[rows],
        source.test_images,
        source.test_labels,
        source.class_names,
    )


_IMAGE_SETS = {
    "mnist_balanced": _ImageSet(read_mnist),
    "mnist_unbalanced": _ImageSet(read_mnist, "mnist_unbalanced"),
    "emnist_unbalanced": _ImageSet(read_emnist, "emnist_unbalanced"),
    "fashion_balanced": _ImageSet(read_fashion_pool),
}
_OASIS_SETS = ("oasis_paper", "oasis_stratified")
DATA_SETS = (*_IMAGE_SETS, *_OASIS_SETS)
"""Names that `load_study_data` knows."""


def load_study_data(name: str, draw: int, folder: Path) -> StudyData:
    """Return one draw of one data set.

    Parameters
    ----------
    name : str
        One of `DATA_SETS`.
    draw : int
        Number of the draw, from 0. The same number gives the same samples. "oasis_paper" has only draw 0,
        "oasis_stratified" 0 to 9.
    folder : Path
        Where the public data sets are, in the forms that docs/study_data.md lists.

    Raises
    ------
    InvalidInputError
        The name or draw is unknown, or the files are absent or broken.
    """
    if name not in DATA_SETS:
        raise InvalidInputError(f"a data set of the study is one of {', '.join(DATA_SETS)}, got {name!r}")
    if draw < 0:
        raise InvalidInputError(f"draws are numbered from 0, got {draw}")
    if name in _OASIS_SETS:
        return _load_oasis(name, draw, Path(folder))
    source = source_of(name, Path(folder))
    return as_study_data(name, draw, source, draw_of(name, draw, source))


def _load_oasis(name: str, draw: int, folder: Path) -> StudyData:
    subjects = read_oasis(folder)
    rows = oasis_rows(name, draw, subjects)
    samples = {part: scaled(subjects.images[own], subjects.labels[own]) for part, own in rows.items()}
    return StudyData(
        name,
        draw,
        LABELS,
        samples["train"],
        samples["validation"],
        samples["test"],
        rows["train"],
        rows["validation"],
        {part: subjects.ages[own] for part, own in rows.items()},
        {part: subjects.sexes[own] for part, own in rows.items()},
    )


def source_of(name: str, folder: Path) -> ImageSource:
    """Return the images that a set other than OASIS is drawn from. See `load_study_data` for errors."""
    return _IMAGE_SETS[name].read(folder)


def draw_of(name: str, draw: int, source: ImageSource) -> Draw:
    """Return a draw of an image set: the committed one, else one made by the rule."""
    if is_committed(name, draw):
        return committed_draw(name, draw, source)
    return drawn_by_rule(name, draw, source)


def drawn_by_rule(name: str, draw: int, source: ImageSource) -> Draw:
    """Return a draw of an image set made by `draw_images`, as the committed ones were."""
    counts = _IMAGE_SETS[name].counts(len(source.class_names))
    return draw_images(source, counts, Stream(draw, ("study", name)))


def as_study_data(name: str, draw: int, source: ImageSource, chosen: Draw) -> StudyData:
    """Return a draw of an image set as samples in [0, 1]."""
    return StudyData(
        name,
        draw,
        source.class_names,
        scaled(source.train_images[chosen.train], source.train_labels[chosen.train]),
        scaled(source.train_images[chosen.validation], source.train_labels[chosen.validation]),
        scaled(source.test_images, source.test_labels),
        source.train_rows[chosen.train],
        source.train_rows[chosen.validation],
    )


def scaled(images: UInt8[np.ndarray, "n height width"], labels: Int64[np.ndarray, " n"]) -> LabelledSamples:
    """Return 8-bit images as samples in [0, 1]."""
    return LabelledSamples(images.astype(np.float32) / np.float32(255), labels)
