"""Imported models as a model folder, with a record of where they come from."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from riemaug._version import __version__
from riemaug.atomic import atomic_write_text
from riemaug.importing.generators import generators_of, read_peers
from riemaug.importing.peer_model import PeerModel
from riemaug.run.staging import staged_output
from riemaug.run.workdir import RUN_NAME
from riemaug.serialization import save_generators


def write_imported(
    folders: Mapping[str, str | Path],
    out: str | Path,
    output: str = "arrays",
    shape: tuple[int, ...] | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Write models that pythae or pyraug saved as a model folder of ours, with `run.json` beside it.

    Parameters
    ----------
    folders, output, shape
        As of `import_models`.
    out : path
        A new or empty folder.
    command : str
        As it was typed, where there was one.

    Returns
    -------
    dict
        What run.json says: for each class the library, the kind of model, the number of centroids.

    Raises
    ------
    InvalidInputError
        As `import_models`; or `out` is not empty, or cannot be written to.
    """
    peers = read_peers(folders)
    generators = generators_of(peers, output, shape)
    with staged_output(Path(out), None, RUN_NAME) as target:
        record = {
            "job": "import",
            "command": command,
            "riemaug version": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "model_sha256": save_generators(target, generators),
            "imported": [_origin(name, peer, folders[name]) for name, peer in peers.items()],
        }
        atomic_write_text(target / RUN_NAME, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return record


def _origin(name: str, peer: PeerModel, folder: str | Path) -> dict[str, Any]:
    return {
        "class": name,
        "library": peer.library,
        "model": peer.kind,
        "centroids": 0 if peer.metric is None else len(peer.metric.centroids),
        "folder": Path(folder).resolve().name,
        "tensors_sha256": peer.digest,
    }
