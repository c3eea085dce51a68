"""Which samples a search holds out: a share of each class, never part of a subject."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Int

from riemaug.errors import InvalidInputError
from riemaug.random import Stream


def held_out_rows(
    labels: Int[np.ndarray, " n"], share: float, stream: Stream, subjects: Sequence[str] | None = None
) -> Bool[np.ndarray, " n"]:
    """Return which samples are held out.

    Of each class about `share` is held out, at least one sample and never all; samples of one subject
    stay together, whatever their classes.

    Parameters
    ----------
    labels : ndarray (n,)
    share : float
        In (0, 1).
    stream : Stream
        Draws the order of the subjects.
    subjects : sequence of str (n,), optional
        By default each sample is a subject of its own.

    Raises
    ------
    InvalidInputError
        No class has two subjects.
    """
    names = np.arange(len(labels)) if subjects is None else np.asarray(subjects)
    _, subject = np.unique(names, return_inverse=True)
    order = torch.randperm(int(subject.max()) + 1, generator=stream.generator()).numpy()
    held_out = np.zeros(len(labels), dtype=bool)
    room = {int(label): _room(labels == label, subject, share) for label in np.unique(labels)}
    for chosen in order:
        rows = subject == chosen
        taken = {label: int((rows & (labels == label)).sum()) for label in room}
        if all(count <= room[label] for label, count in taken.items()):
            held_out |= rows
            room = {label: left - taken[label] for label, left in room.items()}
    if not held_out.any():
        raise InvalidInputError(
            "--tune holds out a share of each class, no class has two samples (or subjects) to tell apart; "
            "leave --tune out"
        )
    return held_out


def _room(of_class: Bool[np.ndarray, " n"], subject: Int[np.ndarray, " n"], share: float) -> int:
    """Return how many samples of a class may be held out."""
    sizes = np.bincount(subject[of_class])
    sizes = sizes[sizes > 0]
    if len(sizes) < 2:
        return 0
    # at least the smallest subject, and always one subject less than all
    wanted = max(round(share * int(sizes.sum())), int(sizes.min()))
    return min(wanted, int(sizes.sum() - sizes.min()))
