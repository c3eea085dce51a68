"""The result of `riemaug evaluate`, read back for the report."""

import json
from pathlib import Path
from typing import Any

from riemaug.errors import InvalidInputError
from riemaug.evaluation.outcome import RESULT_NAME, Evaluation
from riemaug.evaluation.runs import Run
from riemaug.evaluation.tables import markdown
from riemaug.evaluation.verdict import Difference, Verdict
from riemaug.report.judgement import judgement_view


def read_evaluation(folder: Path) -> Evaluation:
    """Read the evaluation.json in a folder.

    Raises
    ------
    InvalidInputError
        There is none, or it is not what `riemaug evaluate` writes.
    """
    path = folder / RESULT_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"an evaluation is a folder with {RESULT_NAME}, {str(folder)!r} has none that can be read "
            f"({getattr(error, 'strerror', None) or error}): make one with riemaug evaluate"
        ) from None
    try:
        evaluation = _evaluation(json.loads(text, parse_constant=_refuse))
        # whatever the report or a table looks up must be there
        markdown(evaluation)
        judgement_view(evaluation, "samples")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise InvalidInputError(
            f"{str(path)!r} must be as riemaug evaluate wrote it, it is not ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:120]}): evaluate anew"
        ) from None
    return evaluation


def _evaluation(fields: dict[str, Any]) -> Evaluation:
    return Evaluation(
        runs=tuple(Run.from_dict(item) for item in fields["runs"]),
        comparisons=tuple(_verdict(item) for item in fields["comparisons"]),
        fidelity=tuple(fields["fidelity"]),
        copying=tuple(fields["copying"]),
        notes=tuple(str(note) for note in fields["notes"]),
        settings=fields["settings"],
    )


def _verdict(fields: dict[str, Any]) -> Verdict:
    derived = {"effect", "words", "difference"}
    difference = Difference(**fields["difference"])
    return Verdict(**{k: v for k, v in fields.items() if k not in derived}, difference=difference)


def _refuse(name: str) -> None:
    raise ValueError(f"it holds {name}")


def num_judged(evaluation: Evaluation) -> int | None:
    """Return how many synthetic samples were judged; None for a cross-validation, which makes its own."""
    if evaluation.settings["folds"]:
        return None
    return sum(evaluation.settings["samples"][0]["synthetic"])
