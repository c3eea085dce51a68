"""A hash of synthetic samples as they lie in a folder, which ties an evaluation to them."""

import hashlib
import os
from pathlib import Path

from riemaug.data import file_inside, read_manifest
from riemaug.run.collect import SAMPLES_NAMES

_MANIFEST_NAME = "manifest.csv"


def samples_hash(path: Path) -> str | None:
    """Return a SHA-256 (hexadecimal) of the synthetic samples in the output of a run.

    Of one file, as `synthetic.npz` is, and of a folder that holds one, the hash of its bytes; else of the
    names and bytes of the files that the manifest lists, in their order. None where neither is there, or a
    file cannot be read.

    Parameters
    ----------
    path : Path
        An output folder, or the one file with the samples.
    """
    whole = next((path / name for name in SAMPLES_NAMES if os.path.isfile(path / name)), None)
    try:
        if os.path.isfile(path) or whole is not None:
            return _file_hash(path if whole is None else whole)
        if not os.path.isfile(path / _MANIFEST_NAME):
            return None
        rows, total = read_manifest(path / _MANIFEST_NAME), hashlib.sha256()
        for row in rows:
            total.update(f"{row.file}\0{_file_hash(file_inside(path, row.file))}\n".encode())
    except (OSError, ValueError):  # a name in the manifest may be impossible, or lead elsewhere
        return None
    return total.hexdigest() if rows else None


def _file_hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
