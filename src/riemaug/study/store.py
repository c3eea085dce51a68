"""Results of the study as plain text: one JSON line a run, so that runs of any machine add up."""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from riemaug.errors import InvalidInputError
from riemaug.run.lock import waiting_lock
from riemaug.study.cells import Cell, Run

FORMAT = 1


@dataclass(frozen=True)
class Result:
    """What a run gave, and all that is needed to repeat it.

    Attributes
    ----------
    run : Run
    scores : dict of str to float
        Shares in [0, 1]: "accuracy", "balanced_accuracy", "macro_f1", "auc", ...
    details : dict
        Numbers of samples, epochs, seconds, device, versions.
    """

    run: Run
    scores: dict[str, float]
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the result as one line."""
        cell = self.run.cell
        run = self.run
        head = {**asdict(cell), "draw": run.draw, "seed": run.seed, "model_seed": run.model_seed}
        return json.dumps({"format": FORMAT, **head, "scores": self.scores, **self.details})

    @classmethod
    def from_json(cls, line: str) -> "Result":
        """Return the result of a line; ValueError if it is none."""
        fields = json.loads(line)
        if not isinstance(fields, dict) or fields.pop("format", None) != FORMAT:
            raise ValueError(f"no result of format {FORMAT}")
        try:
            names = ("data", "classifier", "row", "trained_on", "transform")
            cell = Cell(*(str(fields.pop(name)) for name in names))
            run = Run(cell, *(int(fields.pop(name)) for name in ("draw", "seed", "model_seed")))
            scores = {str(name): float(value) for name, value in fields.pop("scores").items()}
        except (KeyError, AttributeError, TypeError) as error:
            raise ValueError(f"a field is missing: {error}") from None
        if not all(map(math.isfinite, scores.values())):
            raise ValueError("a score is not finite")
        return cls(run, scores, fields)


class ResultStore:
    """A folder of `<data>.<classifier>.jsonl` files.

    Parameters
    ----------
    folder : Path
        Made with the first result.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def results(self) -> list[Result]:
        """Return all results; of a run done twice with the same settings the earlier.

        Raises
        ------
        InvalidInputError
            A line that is no result; a last line without its end is what a killed run left, and passed over.
        """
        found = [result for path in sorted(self.folder.glob("*.jsonl")) for result in _read(path)]
        # merged files hold their lines in any order
        found.sort(key=lambda result: (str(result.details.get("date", "")), result.to_json()))
        kept = {(result.run, str(result.details.get("settings"))): result for result in reversed(found)}
        return list(kept.values())[::-1]

    def add(self, result: Result) -> None:
        """Append a result; safe with several processes at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        cell = result.run.cell
        path = self.folder / f"{cell.data}.{cell.classifier}.jsonl"
        with waiting_lock(path), open(path, "a+b") as file:
            _close_last_line(file)
            file.write(result.to_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _read(path: Path) -> Iterator[Result]:
    text = path.read_text(encoding="utf-8")
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield Result.from_json(line)
        except ValueError as error:
            if number == len(lines):
                continue
            raise InvalidInputError(
                f"every line of {path} must be a result of the study, line {number} is not ({error}): "
                "remove it"
            ) from None


def _close_last_line(file: BinaryIO) -> None:
    """Remove a half line that a killed process left; a whole one that lacks its end gets it."""
    file.seek(0)
    content = file.read()
    kept = content.rfind(b"\n") + 1
    if kept == len(content):
        return
    try:
        Result.from_json(content[kept:].decode())
        file.write(b"\n")
    except ValueError:
        file.truncate(kept)
