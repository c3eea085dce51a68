"""How a job ends: what it made, or that a run before had made it already."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from riemaug.run.completeness import check_complete
from riemaug.run.request import AugmentRequest, FitRequest, SampleRequest
from riemaug.run.workdir import IDENTITY_KEY, WORK_NAME, WorkDir, check_same_run, finished_run
from riemaug.serialization import FittedGenerators, load_generators


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a job made.

    Attributes
    ----------
    out : Path
    generators : FittedGenerators
    results : tuple of dict
        One a class: files, diagnostics, timings.
    seconds : float
    already_done : bool
        The run had ended before; nothing was left to do.
    """

    out: Path
    generators: FittedGenerators
    results: tuple[dict[str, Any], ...]
    seconds: float
    already_done: bool = False


def is_finished(request: FitRequest | SampleRequest, identity: dict[str, Any]) -> bool:
    """Return whether a run to be resumed had already come to its end.

    Raises
    ------
    InvalidInputError
        It was another run, or files that it made are missing.
    """
    before = finished_run(request.out) if request.run.resume else None
    if before is None:
        return False
    check_same_run(before[IDENTITY_KEY], identity, request.out)
    if isinstance(request, (AugmentRequest, SampleRequest)):
        check_complete(request.out)
    return True


def nothing_left(out: Path, model: Path) -> Outcome:
    """Return the outcome of a run that had ended before, with nothing left to do."""
    WorkDir(out / WORK_NAME).remove()  # a run that was killed at its very end may have left it
    return Outcome(out, load_generators(model), (), 0.0, already_done=True)
