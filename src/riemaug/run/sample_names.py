"""What the manifest calls the samples of a class, and the shards they lie in."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from riemaug.data import SampleFormat, file_inside
from riemaug.data.writing import sample_name, stem_of
from riemaug.errors import InvalidInputError

ShardKind = Literal["npz", "webdataset", "parquet", "zarr"]
SHARDS_FOLDER, ZARR_NAME = "shards", "synthetic.zarr"
_SUFFIXES = {"npz": ".npz", "webdataset": ".tar", "parquet": ".parquet"}
_UNSAFE = '/\\\0:*?"<>|#'


@dataclass(frozen=True)
class SampleNames:
    """Names of the samples of one class, by their number within it, from 0 on.

    Attributes
    ----------
    class_name : str
    fmt : SampleFormat
    first_number : int
        Number of the first file.
    shards : ShardKind or None
    shard_size : int
    offset : int
        Samples of the classes before: rows are counted through.
    """

    class_name: str
    fmt: SampleFormat
    first_number: int = 1
    shards: ShardKind | None = None
    shard_size: int = 1
    offset: int = 0

    @property
    def are_files(self) -> bool:
        """Whether each sample has a file of its own."""
        return self.shards is None and not self.fmt.is_one_file

    def name(self, number: int) -> str:
        """Return what the manifest calls a sample."""
        if self.shards == "zarr":
            return f"{ZARR_NAME}#{self.offset + number}"
        if self.shards == "webdataset":
            return f"{self.shard(number)}#{self.member(number)}"
        if self.shards is not None:
            return f"{self.shard(number)}#{number % self.shard_size}"
        if self.fmt.is_one_file:
            return f"row {self.offset + number}"
        return sample_name(self.class_name, self.first_number + number, self.fmt)

    def shard(self, number: int) -> str:
        """Return the path of the shard that holds a sample, relative to the output folder."""
        assert self.shards is not None
        place = number // self.shard_size + 1
        return f"{SHARDS_FOLDER}/{safe_stem(self.class_name)}-{place:06d}{_SUFFIXES[self.shards]}"

    def member(self, number: int) -> str:
        """Return the name of a sample in its tar file."""
        suffix = ".npy" if self.fmt.kind == "arrays" else self.fmt.suffix
        return self.key(number) + suffix

    def key(self, number: int) -> str:
        """Return the WebDataset key of a sample: what precedes the first dot."""
        stem = safe_stem(self.class_name)
        # "a.b" and "a_b" are two classes
        stem = stem if "." not in stem else f"{stem.replace('.', '_')}-{_digest(self.class_name)}"
        return f"{stem}-{number + 1:06d}"


def check_stems_apart(class_names: Iterable[str], fmt: SampleFormat, kind: ShardKind | None) -> None:
    """Refuse classes whose shards, or whose samples in them, would bear one name.

    Raises
    ------
    InvalidInputError
        A class is called as the shards of another one are, whose own name files cannot have.
    """
    if kind is None or kind == "zarr":
        return
    found: dict[str, str] = {}
    for name in class_names:
        names = SampleNames(name, fmt, shards=kind)
        for taken in {names.shard(0), names.key(0)}:
            if found.setdefault(taken, name) != name:
                raise InvalidInputError(
                    f"shards of different classes need different names, those of {found[taken]!r} and "
                    f"{name!r} would both be {taken!r}: rename one of the classes"
                )


def place_in_shard(name: str) -> tuple[str, str] | None:
    """Return the path of the shard and the place in it that a manifest's name tells; None of other names.

    A class, and so its folder and its files, may have the sign `#` in its name.
    """
    shard, sign, place = name.rpartition("#")
    is_shard = shard == ZARR_NAME or (
        shard.startswith(f"{SHARDS_FOLDER}/") and shard.endswith(tuple(_SUFFIXES.values()))
    )
    return (shard, place) if sign and is_shard else None


def path_inside(out: Path, name: str) -> Path:
    """Return where a file of samples, or a Zarr store, lies that a manifest names; as `file_inside`."""
    return file_inside(out, name, is_folder=name == ZARR_NAME)


def safe_stem(class_name: str) -> str:
    """Return how the files of a class begin; of a name that files cannot have, one with a hash."""
    plain = "".join("_" if char in _UNSAFE or not char.isprintable() else char for char in class_name)
    plain = "_" + plain[1:] if plain.startswith(".") else plain
    if plain == class_name and plain:
        return stem_of(class_name)
    return stem_of(plain) + "-" + _digest(class_name)


def _digest(class_name: str) -> str:
    return hashlib.sha256(class_name.encode()).hexdigest()[:8]
