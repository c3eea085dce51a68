"""run.json and evaluation.json of an output, as `riemaug report` reads them."""

from functools import cache
from typing import Any

from tests.report_records import evaluation

from fuzz import scratch
from fuzz.editing import as_json
from riemaug.limits import DEFAULT_LIMITS
from riemaug.run.evaluation_file import not_of, read_evaluation, unchecked
from riemaug.run.run_file import read_run, reading_of

RUN: dict[str, Any] = {
    "request": {
        "data": "nowhere",
        "command": "riemaug augment",
        "reading": {
            "resize": [8, 8],
            "pad": False,
            "drop_columns": [],
            "missing": [""],
            "limits": {"pixels": 2**60},
        },
        "sampling": {"sampler": "mixture", "inverse_temperature": 1.0, "seed": 0},
        "real_in_report": True,
    },
    "classes": [{"class": "cat", "diagnostics": {"acceptance": 0.5}, "fit_seconds": 1.0}],
}


def target(data: bytes) -> None:
    """Read an evaluation if the first byte is odd, else a run, of which the rest changes or is the text."""
    kind, content = (data[0] % 2 if data else 0), data[1:]
    folder = scratch.folder("documents")
    if kind:
        (folder / "evaluation.json").write_bytes(as_json(_evaluation(), content))
        found = read_evaluation(folder)
        not_of(found, "abc", 211)
        unchecked(found, "abc")
        return
    (folder / "manifest.csv").touch()
    (folder / "run.json").write_bytes(as_json(RUN, content))
    assert reading_of(read_run(folder), folder, DEFAULT_LIMITS).limits == DEFAULT_LIMITS


@cache
def _evaluation() -> dict[str, Any]:
    return evaluation().to_dict()


def seeds() -> dict[str, bytes]:
    """Return edits of many places, and texts."""
    edits = {
        f"{name}-{place:03d}": bytes([kind, place, 0, 200, place % 32])
        for kind, name in enumerate(("run", "evaluation"))
        for place in range(0, 100, 10)
    }
    return {
        "run": b"\0",
        "evaluation": b"\1",
        "text": b'\0{"request": {}, "classes": []}',
        "deep": b"\1" + b"[" * 99,
        **edits,
    }
