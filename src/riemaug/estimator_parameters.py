"""What the parameters of estimators stand for: seeds, numbers of processes, configurations."""

import secrets
from numbers import Integral
from typing import Any

import numpy as np
from pydantic import ValidationError

from riemaug.errors import InvalidInputError

RandomStateLike = int | np.integer | np.random.RandomState | np.random.Generator | None
_SEEDS = 2**31 - 1


def seed_of(random_state: RandomStateLike) -> int:
    """Return the seed that a random state stands for.

    Parameters
    ----------
    random_state : int, numpy RandomState, numpy Generator or None
        An integer is the seed itself; a RandomState or a Generator is drawn from, so that the next call
        gives another; None draws a seed from the system.

    Raises
    ------
    InvalidInputError
        Anything else.
    """
    if random_state is None:
        return secrets.randbits(31)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(_SEEDS))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(_SEEDS))
    if not isinstance(random_state, Integral):
        raise InvalidInputError(
            "random_state must be an integer, a numpy RandomState or Generator, or None,"
            f" got {random_state!r}: give one of these"
        )
    return int(random_state)


def num_jobs_of(n_jobs: int | None) -> int | None:
    """Return the number of processes; scikit-learn's -1 means as many as pay, like None."""
    if n_jobs is None or n_jobs == -1:
        return None
    if n_jobs < 1:
        raise InvalidInputError(f"n_jobs must be 1 or more, -1 or None, got {n_jobs}")
    return n_jobs


def validated(kind: type, **values: Any) -> Any:
    """Return a configuration, its first fault as one line."""
    try:
        return kind(**values)
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(map(str, fault["loc"]))
        raise InvalidInputError(f"{name}: {fault['msg']}, got {fault['input']!r}") from None
