"""A study data set with fewer real samples: the points of the learning curve."""

from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from riemaug.errors import InvalidInputError
from riemaug.random import Stream
from riemaug.study.datasets import StudyData

VALIDATION_SHARE = 0.25
"""Validation samples for each training sample, as in the whole draw: few real samples are few of both."""


def reduced(data: StudyData, size: int) -> StudyData:
    """Return the data set with `size` training samples a class, and a quarter as many for validation.

    Smaller sets are parts of larger ones of the same draw. The test part stays whole.

    Raises
    ------
    InvalidInputError
        A class has fewer.
    """
    stream = Stream(data.draw, ("study", "reduced", data.name))
    train = _first(data.train.labels, size, stream.child("train"), data)
    validation = _first(
        data.validation.labels, max(1, round(VALIDATION_SHARE * size)), stream.child("validation"), data
    )
    return replace(
        data,
        name=f"{data.name}@{size}",
        train=data.train.take(train),
        validation=data.validation.take(validation),
        train_rows=data.train_rows[train],
        validation_rows=data.validation_rows[validation],
    )


def _first(
    labels: Int64[np.ndarray, " n"], size: int, stream: Stream, data: StudyData
) -> Int64[np.ndarray, " k"]:
    order = np.random.default_rng(stream.generator_seed()).permutation(len(labels))
    chosen = []
    for label, name in enumerate(data.class_names):
        own = order[labels[order] == label]
        if len(own) < size or size < 1:
            raise InvalidInputError(
                f"a reduced set must have from 1 to {len(own)} samples of class {name!r}, got {size}"
            )
        chosen.append(own[:size])
    return np.sort(np.concatenate(chosen))
