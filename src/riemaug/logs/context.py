"""What the running code is about, so that each record need not say it: the stage, and the class."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from riemaug.logs.clock import StageClock

STAGE: ContextVar[str] = ContextVar("stage", default="")
CLASS: ContextVar[str] = ContextVar("class", default="")
CLOCK: ContextVar[StageClock | None] = ContextVar("clock", default=None)


@dataclass(frozen=True)
class LogPlace:
    """Where the records of a run go; sent to its worker processes.

    Attributes
    ----------
    token : str
        Tells the run from all others.
    level : int
        Of the least record that is kept, as `logging` counts.
    folder : str
        Where each worker keeps a file of records; "" as long as the run has no folder.
    """

    token: str
    level: int
    folder: str = ""


PLACE: ContextVar[LogPlace | None] = ContextVar("place", default=None)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Say which stage of a run the block is: its records bear the name, the run's clock counts its time."""
    clock, token = CLOCK.get(), STAGE.set(name)
    if clock is not None:
        clock.enter(name)
    try:
        yield
    finally:
        STAGE.reset(token)
        if clock is not None:
            clock.leave()


@contextmanager
def in_class(name: str) -> Iterator[None]:
    """Say which class, or which model, the block is about: records bear its name."""
    token = CLASS.set(name)
    try:
        yield
    finally:
        CLASS.reset(token)
