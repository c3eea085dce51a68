"""Which runs can be done at all: asked once before the first, not told by each of hundreds."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from riemaug.errors import InvalidInputError
from riemaug.study.cells import Run, parse_row
from riemaug.study.datasets import load_study_data
from riemaug.study.settings import settings_of


def ready(runs: Sequence[Run], folder: Path) -> tuple[list[Run], list[str]]:
    """Return the runs that can be done, and why others cannot: each reason once.

    A run lacks its data set, an extra package, or a choice that is made before it.

    Parameters
    ----------
    runs : sequence of Run
    folder : Path
        With the data sets' files.

    Raises
    ------
    InvalidInputError
        None of them can be done.
    """

    @cache
    def data_problem(name: str) -> str:
        return _problem(lambda: load_study_data(name, 0, folder))

    @cache
    def cell_problem(run: Run) -> str:
        return _problem(lambda: settings_of(run.cell)) or (
            _problem(_require_smote) if "smote" in parse_row(run.cell.row).law else ""
        )

    problems = [cell_problem(run) or data_problem(run.cell.data.partition("@")[0]) for run in runs]
    kept = [run for run, problem in zip(runs, problems, strict=True) if not problem]
    reasons = list(dict.fromkeys(problem for problem in problems if problem))
    if runs and not kept:
        raise InvalidInputError(reasons[0])
    return kept, reasons


def _problem(action: Callable[[], object]) -> str:
    try:
        action()
    except InvalidInputError as error:
        return str(error)
    return ""


def _require_smote() -> None:
    from riemaug.baselines.smote import require_smote

    require_smote()
