"""Results of finished tasks, one JSON line each: an evaluation that was stopped goes on where it was."""

import json
import os
from pathlib import Path
from typing import Any

from riemaug.run.lock import waiting_lock

Key = tuple[str | int, ...]


class ResultFile:
    """A file of lines that is only appended to, safe with several processes at once.

    Parameters
    ----------
    path : Path
        Made with the first result; its folder must exist.
    inputs : str
        Hash of all that decides the results; lines of other inputs are passed over.
    """

    def __init__(self, path: Path, inputs: str) -> None:
        self.path, self.inputs = path, inputs

    def results(self) -> dict[Key, dict[str, Any]]:
        """Return all results by key, of a key that is there twice the first.

        What is no whole line is passed over: the end of a run that was killed while it wrote.
        """
        found: dict[Key, dict[str, Any]] = {}
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.is_file() else ""
        for line in text.split("\n"):
            try:
                fields = json.loads(line)
                key = tuple(fields.pop("key"))
                if fields.pop("inputs") == self.inputs:
                    found.setdefault(key, fields)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
        return found

    def add(self, key: Key, fields: dict[str, Any]) -> None:
        """Append a result."""
        line = json.dumps({"key": list(key), **fields, "inputs": self.inputs}, allow_nan=False)
        with waiting_lock(self.path), self.path.open("a+b") as file:
            # half a line that a killed process left must not swallow this one
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
            start = b"\n" if size and file.read(1) != b"\n" else b""
            file.write(start + line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
