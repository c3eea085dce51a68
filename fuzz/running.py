"""One execution of a target, and whole campaigns of them."""

import contextlib
import hashlib
import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from riemaug.errors import RiemaugError

CORPUS = Path(__file__).parent / "corpus"
MOST_MEMORY_MB = 1024
_STATISTICS = {"executions": "number_of_executed_units", "peak_rss_mb": "peak_rss_mb"}


def run_one(module: Any, data: bytes) -> None:
    """Run a target; the errors that the package documents are what it is for."""
    with contextlib.suppress(RiemaugError, *getattr(module, "DOCUMENTED", ())):
        module.target(data)


def write_seeds(name: str, module: Any) -> None:
    """Write a target's seeds into the corpus, beside what was found before."""
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    for seed, content in module.seeds().items():
        (folder / seed).write_bytes(content)


def fuzz(name: str, runs: int, seed: int, found: Path) -> dict[str, Any]:
    """Run a target under atheris in a process of its own; return what became of it.

    Parameters
    ----------
    name : str
    runs : int
        Executions.
    seed : int
    found : Path
        Folder that inputs of new coverage, and of faults, go to.

    Returns
    -------
    dict
        executions, seconds, peak_rss_mb, and the fault: its input and the end of what was said, or null.
    """
    folder = found / name
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "fuzz.atheris_run", name, str(folder), str(CORPUS / name)]
    options = [f"-runs={runs}", f"-seed={seed}", f"-rss_limit_mb={MOST_MEMORY_MB}", "-print_final_stats=1"]
    limits = ["-timeout=20", "-max_len=4096", f"-artifact_prefix={folder}/fault-", "-verbosity=1"]
    started = time.monotonic()
    with (folder.parent / f"{name}.log").open("wb") as log:
        ended = subprocess.run(
            [*command, *options, *limits], stdout=log, stderr=subprocess.STDOUT, check=False
        )
    said = (folder.parent / f"{name}.log").read_text(errors="replace")
    result: dict[str, Any] = {"seconds": round(time.monotonic() - started, 1)}
    for key, told in _STATISTICS.items():
        match = re.search(rf"stat::{told}:\s+(\d+)", said)
        result[key] = int(match[1]) if match else None
    faults = sorted(path.name for path in folder.glob("fault-*"))
    result["fault"] = None if ended.returncode == 0 else {"inputs": faults, "said": said[-1500:]}
    return result


def search_by_chance(name: str, module: Any, runs: int, seed: int) -> int:
    """Run a target on changed seeds without coverage, where atheris is not installed; return how often.

    Raises
    ------
    Exception
        The first fault; its input is in the notes of the exception.
    """
    draw, inputs = random.Random(seed), [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
    for _ in range(runs):
        data = mutated(draw.choice(inputs), draw)
        try:
            run_one(module, data)
        except Exception as fault:
            fault.add_note(f"{name} was given {data!r}")
            raise
    return runs


def mutated(data: bytes, draw: random.Random) -> bytes:
    """Return the bytes with a few changed, cut out, doubled or put in."""
    content = bytearray(data)
    for _ in range(draw.randint(1, 6)):
        at = draw.randint(0, len(content))
        length = min(draw.choice((1, 1, 2, 4, 16)), len(content) - at)
        choice = draw.randrange(4)
        if choice == 0:
            content[at : at + length] = draw.randbytes(length)
        elif choice == 1:
            del content[at : at + length]
        elif choice == 2:
            content[at:at] = content[at : at + length]
        else:
            content[at : at + length] = draw.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * max(length, 1)
    return bytes(content)


def keep(name: str, data: bytes) -> Path:
    """Put an input that was a fault into the corpus, so that it is run by the tests from now on."""
    path = CORPUS / name / f"fault-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def table(results: dict[str, Any]) -> str:
    """Return results as a table in Markdown."""
    lines = ["| target | executions | seconds | peak memory (MB) | faults |", "|---|---|---|---|---|"]
    for name, result in results.items():
        numbers = f"{result['executions']:,} | {result['seconds']:,.0f} | {result['peak_rss_mb']:,}"
        lines.append(f"| {name} | {numbers} | {'none' if result['fault'] is None else 'one'} |")
    return "\n".join(lines)


def write_results(path: Path, results: dict[str, Any]) -> None:
    """Add results to those in a file, by target."""
    known = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(dict(sorted((known | results).items())), indent=1) + "\n")
