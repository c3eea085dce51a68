"""Which samples a search holds out: a share of each class, never part of a subject."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from riemaug.errors import InvalidInputError
from riemaug.random import Stream
from riemaug.training.holding_out import held_out_subjects


def held_out_rows(
    labels: Int[np.ndarray, " n"], share: float, stream: Stream, subjects: Sequence[str] | None = None
) -> Bool[np.ndarray, " n"]:
    """Return which samples are held out; see `held_out_subjects`.

    Raises
    ------
    InvalidInputError
        No class has two subjects.
    """
    held_out = held_out_subjects(labels, share, stream, subjects)
    if not held_out.any():
        raise InvalidInputError(
            "--tune holds out a share of each class, no class has two samples (or subjects) to tell apart; "
            "leave --tune out"
        )
    return held_out
