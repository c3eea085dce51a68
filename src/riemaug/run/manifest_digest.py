"""What a report needs of a manifest: of each class the first samples, and sums over all of them."""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool

from riemaug.data import ManifestRow
from riemaug.run.sampling import MOST_DISTANCES
from riemaug.run.shown import SHOWN_PICTURES


@dataclass
class ClassDigest:
    """What a manifest says of the samples of one class.

    Attributes
    ----------
    count : int
    compared : bool
        They were compared with the training set.
    files, nearest : list of str
        Of the first samples: the file, and the training file nearest to it.
    distances : list of float
        To the nearest training samples, of more of them.
    copies : Counter
        How many have each flag.
    """

    count: int = 0
    compared: bool = False
    files: list[str] = field(default_factory=list)
    nearest: list[str] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    copies: Counter[str] = field(default_factory=Counter)

    def add(self, row: ManifestRow) -> None:
        """Count one sample."""
        if not self.count:
            self.compared = row.nearest_distance is not None
        if self.count < SHOWN_PICTURES:
            self.files.append(row.file)
            self.nearest.append(row.nearest_file)
        if self.count < MOST_DISTANCES and row.nearest_distance is not None:
            self.distances.append(row.nearest_distance)
        self.copies[row.copy] += 1
        self.count += 1


class ManifestDigest:
    """A manifest of any length, read once; of each row it keeps four bytes.

    Parameters
    ----------
    rows : iterable of ManifestRow
    class_names : sequence of str
        The classes of the model; rows of others are counted, and no more.

    Attributes
    ----------
    num_rows : int
    first_file : str
        Of the first row; empty if there is none.
    classes : tuple of ClassDigest
        In the order of the model.
    """

    def __init__(self, rows: Iterable[ManifestRow], class_names: Sequence[str]) -> None:
        self.first_file = ""
        self.classes = tuple(ClassDigest() for _ in class_names)
        index = {name: number for number, name in enumerate(class_names)}
        labels = array("i")
        for row in rows:
            if not labels:
                self.first_file = row.file
            label = index.get(row.class_name, -1)
            labels.append(label)
            if label >= 0:
                self.classes[label].add(row)
        self._labels = np.frombuffer(labels, np.intc) if labels else np.empty(0, np.intc)

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(self._labels)

    def of_class(self, index: int) -> Bool[np.ndarray, " n"]:
        """Return which rows are of a class."""
        return self._labels == index
