"""Files that unfold to 10 GB are refused, or not unfolded, in a process that grows by less than 200 MB."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REFUSALS = {
    "png": "up to 134217728 pixels",
    "png to be resized": "up to 134217728 pixels",
    "tiff of large tiles": "tiles of 60000x60000 for a page of 8x8",
    "npz": "may unpack to 8 GiB",
    "npz of a long header": "a header of 4,294,967,295 bytes",
    "npy of a long header": "a header of 4,294,967,295 bytes",
    "nifti": "up to 134217728 voxels",
    "nifti of far voxels": "its voxels begin at byte 5e+09",
    "nifti followed by zeros": "read",
    "metadata.csv": "up to 134,217,728 bytes",
    "manifest.csv": "up to 134,217,728 bytes",
    "csv": "up to 8 GiB",
    "parquet": "has 9.31 GiB",
    "model.json": "up to 33,554,432 bytes",
    "archive of tensors": "unfolds to 10,000,000,000 bytes",
    "toml": "up to 1,048,576 bytes",
}
MOST_MB = 200


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, float]]:
    """Return what a fresh process said of each file, and by how many megabytes its peak grew meanwhile."""
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("bombs.py"))]
    folder = tmp_path_factory.mktemp("bombs")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(folder)], capture_output=True, text=True, check=True, timeout=300, env=environment
    )
    return {name: (said, grown) for name, said, grown in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_bomb_is_refused_in_little_memory(met: dict[str, tuple[str, float]], name: str) -> None:
    said, grown = met[name]
    assert REFUSALS[name] in said
    assert "\n" not in said
    assert grown < MOST_MB


def test_all_bombs_are_expected(met: dict[str, tuple[str, float]]) -> None:
    assert met.keys() == REFUSALS.keys()
