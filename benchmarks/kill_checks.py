"""What a killed command may leave, and what two outputs have in common; used by random_kills.py."""

import csv
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors import safe_open

APPENDED = re.compile(r"(\.npy|\.lock)\Z|\Arun\.log|\.jsonl\Z")
"""Files that grow while a run goes on: half of their last line or block is passed over by their reader."""
OF_THIS_RUN = re.compile(
    r"seconds|created|environment|memory|processor|stages|date|parts|log\b|command|usage"
    r"|\A(out|jobs|resume|resumes|worker_processes)\Z"
)
"""Names of fields that tell of times, machines, folders and interruptions, not of results."""
NOT_COMPARED = re.compile(r"report\.html|run\.log.*|.*\.lock|README\.md|MODEL_CARD\.md")


def half_files(out: Path) -> list[str]:
    """Return the files under a folder that are not whole; temporary ones are hidden and do not count."""
    found = []
    for path in sorted(out.rglob("*")):
        if not path.is_file() or path.name.startswith(".") or APPENDED.search(path.name):
            continue
        try:
            _open_whole(path)
        except FileNotFoundError:
            continue  # a worker that outlived its parent by a moment has replaced or removed it
        except Exception as error:
            found.append(f"{path.relative_to(out)}: {type(error).__name__}: {error}")
    return found


def _open_whole(path: Path) -> None:
    match path.suffix:
        case ".png":
            with Image.open(path) as image:
                image.load()
        case ".npz":
            with np.load(path, allow_pickle=False) as archive:
                for key in archive.files:
                    archive[key]
        case ".json":
            json.loads(path.read_text())
        case ".csv":
            rows = list(csv.reader(path.read_text().splitlines()))
            if not path.read_text().endswith("\n") or len({len(row) for row in rows}) != 1:
                raise ValueError("rows are missing or cut off")
        case ".html":
            if not path.read_text().rstrip().endswith("</html>"):
                raise ValueError("its end is missing")
        case ".safetensors":
            with safe_open(path, "pt") as tensors:
                for key in tensors.keys():  # noqa: SIM118
                    tensors.get_tensor(key)
        case _:
            if not path.read_bytes():
                raise ValueError("it is empty")


def contents(folder: Path) -> dict[str, Any]:
    """Return what the seed decides of each file: its hash, or of JSON all fields but those of times."""
    return {
        path.relative_to(folder).as_posix(): _content(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not NOT_COMPARED.fullmatch(path.name) and not _is_hidden(path, folder)
    }


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return the files in which two outputs differ, or that one of them lacks."""
    names = one.keys() | other.keys()
    return sorted(name for name in names if one.get(name) != other.get(name))


def hidden_files(out: Path) -> list[str]:
    """Return what a finished output should no longer hold."""
    return sorted(path.relative_to(out).as_posix() for path in out.rglob(".*"))


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _content(path: Path) -> Any:
    if path.suffix == ".json":
        return _without_times(json.loads(path.read_text()))
    if path.suffix == ".jsonl":
        lines = [_without_times(json.loads(line)) for line in path.read_text().splitlines()]
        return sorted(lines, key=json.dumps)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(_lasting(value))
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def _lasting(fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if not OF_THIS_RUN.search(name):
            yield name, _without_times(value)
