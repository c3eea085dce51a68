"""A hash of synthetic samples as they lie in a folder, which ties an evaluation to them."""

import hashlib
import os
from pathlib import Path

from riemaug.data.manifest_files import find_manifest, manifest_rows
from riemaug.run.collect import SAMPLES_NAMES
from riemaug.run.sample_names import path_inside, place_in_shard


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
        manifest = find_manifest(path)
        if manifest is None:
            return None
        total, last = hashlib.sha256(), ""
        for row in manifest_rows(manifest):
            shard = place_in_shard(row.file)  # which holds several
            name = row.file if shard is None else shard[0]
            if name != last:
                total.update(f"{name}\0{_hash_of(path_inside(path, name))}\n".encode())
            last = name
    except (OSError, ValueError):  # a name in the manifest may be impossible, or lead elsewhere
        return None
    return total.hexdigest() if last else None


def _hash_of(path: Path) -> str:
    """Return the hash of a file, or of all files of a Zarr store."""
    if not path.is_dir():
        return _file_hash(path)
    total = hashlib.sha256()
    for file in sorted(item for item in path.rglob("*") if item.is_file()):
        total.update(f"{file.relative_to(path).as_posix()}\0{_file_hash(file)}\n".encode())
    return total.hexdigest()


def _file_hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
