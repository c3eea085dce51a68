"""What is held out of a training: a share of each class, and no subject on both sides."""

from collections.abc import Collection, Hashable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Int, Shaped

from riemaug.random import Stream


def held_out_subjects(
    labels: Int[np.ndarray, " n"],
    share: float,
    stream: Stream,
    subjects: Sequence[Hashable] | Shaped[np.ndarray, " n"] | None = None,
    classes: Collection[int] | None = None,
) -> Bool[np.ndarray, " n"]:
    """Return which samples are held out.

    Of each class about `share` is held out, at least one subject and never all; samples of one subject
    stay together, whatever their classes. A subject of several classes is held out where each has room for
    it, so that of classes that share their subjects less may be.

    Parameters
    ----------
    labels : ndarray (n,)
    share : float
        In (0, 1).
    stream : Stream
        Draws the order of the subjects.
    subjects : sequence of str or int (n,), optional
        By default each sample is a subject of its own.
    classes : collection of int, optional
        Labels of which something is held out; by default all.
    """
    names = np.arange(len(labels)) if subjects is None else np.asarray(subjects)
    _, subject = np.unique(names, return_inverse=True)
    values, label = np.unique(labels, return_inverse=True)
    counts = np.zeros((int(subject.max()) + 1, len(values)), dtype=np.int32)
    np.add.at(counts, (subject, label), 1)
    room = np.array([_room(column, share) for column in counts.T])
    if classes is not None:
        room[~np.isin(values, list(classes))] = 0
    held_out = np.zeros(len(counts), dtype=bool)
    for chosen in torch.randperm(len(counts), generator=stream.generator()).tolist():
        if (counts[chosen] <= room).all():
            held_out[chosen] = True
            room -= counts[chosen]
    return held_out[subject]


def _room(counts: Int[np.ndarray, " subjects"], share: float) -> int:
    """Return how many samples of a class, of so many from each subject, may be held out."""
    sizes = counts[counts > 0]
    if len(sizes) < 2:
        return 0
    # at least the smallest subject, and always one subject less than all
    wanted = max(round(share * int(sizes.sum())), int(sizes.min()))
    return min(wanted, int(sizes.sum() - sizes.min()))
