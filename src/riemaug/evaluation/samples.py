"""Labelled samples as classifiers take them: scaled values and numbered classes."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int64

from riemaug.errors import InvalidInputError


@dataclass(frozen=True, eq=False)
class LabelledSamples:
    """Samples with their classes.

    Attributes
    ----------
    samples : ndarray (n, ...) of float32
        Scaled by what was learned from real training samples, most often to [0, 1]; each in the user's
        own shape.
    labels : ndarray (n,) of int64
        Numbers of the classes, from 0.
    num_sides : int
        How many axes of a sample are sides of a picture or volume, as `SampleFormat.num_sides` has it; one
        axis more, the last or the first, holds channels. 0 if unknown: see
        `riemaug.models.conditional.channel_axis_of`.
    """

    samples: Float32[np.ndarray, "n *shape"]
    labels: Int64[np.ndarray, " n"]
    num_sides: int = 0

    def __post_init__(self) -> None:
        if len(self.samples) != len(self.labels):
            raise InvalidInputError(
                f"samples and labels must be as many, got {len(self.samples)} and {len(self.labels)}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.samples.shape[1:]

    def take(self, rows: np.ndarray) -> "LabelledSamples":
        """Return the samples of some rows (indices or a mask)."""
        return replace(self, samples=self.samples[rows], labels=self.labels[rows])

    def joined(self, *others: "LabelledSamples") -> "LabelledSamples":
        """Return these samples followed by the others'."""
        parts = (self, *others)
        return replace(
            self,
            samples=np.concatenate([part.samples for part in parts]),
            labels=np.concatenate([part.labels for part in parts]),
        )

    def of_class(self, label: int) -> Float32[np.ndarray, "m *shape"]:
        """Return the samples of one class."""
        return self.samples[self.labels == label]

    def counts(self, num_classes: int) -> tuple[int, ...]:
        """Return the number of samples of each class."""
        return tuple(np.bincount(self.labels, minlength=num_classes).tolist())
