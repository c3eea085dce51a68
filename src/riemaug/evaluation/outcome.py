"""What an evaluation found, in numbers; see `riemaug.evaluation.tables` for the readable form."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from riemaug.atomic import atomic_write_text
from riemaug.evaluation.comparisons import headlines
from riemaug.evaluation.runs import Run
from riemaug.evaluation.verdict import Verdict

RESULT_NAME, TABLES_NAME, RUNS_NAME = "evaluation.json", "evaluation.md", "runs.jsonl"


@dataclass(frozen=True)
class MeanScore:
    """One score of one classifier on one training set.

    Attributes
    ----------
    mean : float
    deviation : float or None
        Standard deviation over the runs; None for one run.
    """

    mean: float
    deviation: float | None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was found.

    Attributes
    ----------
    runs : tuple of Run
    comparisons : tuple of Verdict
        All pairs of training sets that are compared.
    fidelity, copying : tuple of dict
        One a fold, or one in all; empty where not asked for. See `riemaug.evaluation.fidelity` and
        `riemaug.evaluation.memorisation` for what they hold.
    notes : tuple of str
        Sentences for the user.
    settings : dict
        Choices, sizes of the sets, versions; JSON-safe.
    """

    runs: tuple[Run, ...]
    comparisons: tuple[Verdict, ...]
    fidelity: tuple[dict[str, Any], ...] = ()
    copying: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Whether the synthetic samples help, one verdict a classifier."""
        return headlines(self.comparisons)

    @property
    def findings(self) -> tuple[str, ...]:
        """What points to copying; empty if nothing does."""
        found = []
        for number, report in enumerate(self.copying, 1):
            where = f"fold {number}: " if len(self.copying) > 1 else ""
            found += [f"{where}{finding}" for finding in report["findings"]]
        return tuple(found)

    def score(self, classifier: str, trained_on: str, name: str) -> MeanScore | None:
        """Return mean and spread of a score over the runs, None if no run has it."""
        values = [
            run.scores.to_dict()[name]
            for run in self.runs
            if (run.classifier, run.trained_on) == (classifier, trained_on)
        ]
        told = [value for value in values if value is not None]
        if not told:
            return None
        deviation = float(np.std(told, ddof=1)) if len(told) > 1 else None
        return MeanScore(float(np.mean(told)), deviation)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "verdicts": [verdict.to_dict() for verdict in self.verdicts],
            "comparisons": [verdict.to_dict() for verdict in self.comparisons],
            "fidelity": list(self.fidelity),
            "copying": list(self.copying),
            "notes": list(self.notes),
            "settings": dict(self.settings),
            "runs": [run.to_dict() for run in self.runs],
        }

    def save(self, folder: str | Path) -> None:
        """Write evaluation.json (all of it) and evaluation.md (tables) to a folder that exists."""
        from riemaug.evaluation.tables import markdown

        target = Path(folder)
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False)
        atomic_write_text(target / RESULT_NAME, text + "\n")
        atomic_write_text(target / TABLES_NAME, markdown(self))
