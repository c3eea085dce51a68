"""Single samples read back from shards, by the names that the manifest has for them."""

import io
import tarfile
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from riemaug.errors import InvalidInputError
from riemaug.run.sample_names import ZARR_NAME
from riemaug.run.zarr_store import load_zarr


def is_in_shard(name: str) -> bool:
    """Tell whether a manifest's name is of a sample within a shard."""
    return "#" in name


def member_of_tar(path: Path, member: str) -> io.BytesIO:
    """Return a member of a WebDataset shard; KeyError or tarfile.TarError if it is not there."""
    with tarfile.open(path) as tar:
        file = tar.extractfile(member)
        if file is None:
            raise KeyError(member)
        return io.BytesIO(file.read())


def row_of_shard(path: Path, key: str, row: int) -> Shaped[np.ndarray, "..."]:
    """Return a row of an npz shard or of a Zarr store.

    Parameters
    ----------
    path : Path
    key : str
        Name of the array of samples.
    row : int

    Raises
    ------
    InvalidInputError
        The row is not there, or the file is damaged.
    """
    try:
        if path.name == ZARR_NAME:
            return np.asarray(load_zarr().open_group(path, mode="r")[key][row])
        return _npz_rows(path, key)[row]
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise InvalidInputError(str(error)) from None


@lru_cache(maxsize=1)
def _npz_rows(path: Path, key: str) -> np.ndarray:
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[key]
