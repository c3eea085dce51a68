"""The result of `riemaug evaluate`, read back for the report."""

import json
from pathlib import Path
from typing import Any

from riemaug.errors import InvalidInputError
from riemaug.evaluation.outcome import RESULT_NAME, Evaluation
from riemaug.evaluation.runs import Run
from riemaug.evaluation.tables import markdown
from riemaug.evaluation.verdict import Difference, Verdict
from riemaug.limits import JSON_BYTES, read_bounded
from riemaug.report.judgement import judgement_view

JUDGED_KEY = "synthetic_sha256"
"""Of the settings: the hash of the samples that were judged, see `riemaug.run.samples_hash`."""


def read_evaluation(folder: Path) -> Evaluation:
    """Read the evaluation.json in a folder.

    Raises
    ------
    InvalidInputError
        There is none, or it is not what `riemaug evaluate` writes.
    """
    path = folder / RESULT_NAME
    try:
        text = read_bounded(path, JSON_BYTES, RESULT_NAME).decode()
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
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        ArithmeticError,
        RecursionError,
    ) as error:
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


def not_of(evaluation: Evaluation, synthetic_hash: str | None, num_samples: int) -> str:
    """Return why an evaluation is not of these synthetic samples; empty where nothing speaks against it.

    Parameters
    ----------
    evaluation : Evaluation
    synthetic_hash : str or None
        Of the samples, see `riemaug.run.samples_hash`; None where it cannot be told.
    num_samples : int
        How many samples there are.
    """
    settings = evaluation.settings
    if settings["folds"]:
        return ""
    judged = sum(settings["samples"][0]["synthetic"])
    if judged != num_samples:
        return f"it judged {judged:,} synthetic samples, OUT has {num_samples:,}"
    told = settings.get(JUDGED_KEY)
    if told is not None and synthetic_hash is not None and told != synthetic_hash:
        return "it judged other synthetic samples than those in OUT now"
    return ""


def unchecked(evaluation: Evaluation, synthetic_hash: str | None) -> str:
    """Return why it cannot be told whether an evaluation is of these samples; empty where it can.

    Parameters
    ----------
    evaluation, synthetic_hash
        As of `not_of`.
    """
    if evaluation.settings["folds"]:
        return "it is a cross-validation, which makes samples of its own"
    if synthetic_hash is None or evaluation.settings.get(JUDGED_KEY) is None:
        return "it does not tell which samples it judged; evaluate OUT anew"
    return ""
