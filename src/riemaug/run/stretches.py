"""What is done of a segment: stretches of samples, each recorded by a small file once it is on the disk."""

import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int32, Int64, Shaped

from riemaug.atomic import atomic_path
from riemaug.data.npy_header import HEADER_ERRORS
from riemaug.run.drawing import Piece, Position
from riemaug.samplers.sources import State

FLAGS = ("no", "near", "exact")
_NUMBER = re.compile(r"-(\d+)\.npz\Z")
_DAMAGE = (*HEADER_ERRORS, zipfile.BadZipFile, zlib.error, RuntimeError)
"""What numpy, zipfile and json raise of a file that is not as it was written."""


class DamagedRecordError(Exception):
    """A file of the working folder is missing or not as it was written: its segment has to begin anew.

    Attributes
    ----------
    path : Path
    found : str
        What is wrong with it.
    """

    def __init__(self, path: Path, found: object) -> None:
        super().__init__(f"{path}: {found}")
        self.path, self.found = path, str(found)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise DamagedRecordError in the place of whatever a block raises that reads a damaged record."""
    try:
        yield
    except FileNotFoundError:
        raise DamagedRecordError(path, "it is missing") from None
    except _DAMAGE as error:
        raise DamagedRecordError(path, f"it is damaged: {error}") from None


@dataclass(frozen=True, eq=False)
class Coded:
    """Texts of which many are equal: the place of each in a list of all.

    Attributes
    ----------
    codes : ndarray (n,)
    texts : ndarray (k,) of str
    """

    codes: Int32[np.ndarray, " n"]
    texts: Shaped[np.ndarray, " k"]

    @classmethod
    def of(cls, indices: Int64[np.ndarray, " n"], names: Sequence[str]) -> "Coded":
        """Return the names at these indices; "" at -1."""
        used, codes = np.unique(indices, return_inverse=True)
        texts = np.array([names[i] if i >= 0 else "" for i in used], dtype=np.str_)
        return cls(codes.reshape(-1).astype(np.int32), texts)

    def listed(self) -> list[str]:
        """Return the text of each."""
        return self.texts[self.codes].tolist() if len(self.codes) else []


@dataclass(frozen=True, eq=False)
class SampleColumns:
    """What the manifest says of consecutive samples.

    Attributes
    ----------
    log_density, acceptance : ndarray (n,)
    start : Coded
    nearest : Coded or None
        The nearest training file; None where nothing was compared, as the next two.
    distance : ndarray (n,) or None
    flags : ndarray (n,) or None
        Places in `FLAGS`.
    """

    log_density: Float64[np.ndarray, " n"]
    acceptance: Float64[np.ndarray, " n"]
    start: Coded
    nearest: Coded | None = None
    distance: Float64[np.ndarray, " n"] | None = None
    flags: Int64[np.ndarray, " n"] | None = None

    @classmethod
    def of(
        cls, pieces: Sequence[Piece], sources: Sequence[str], training_names: Sequence[str]
    ) -> "SampleColumns":
        """Return the columns of one or more pieces."""
        draws = [piece.draws for piece in pieces]
        columns = cls(
            np.concatenate([part.log_density.numpy() for part in draws]),
            np.concatenate([part.acceptance.numpy() for part in draws]),
            Coded.of(np.concatenate([part.origin.numpy() for part in draws]), sources),
        )
        found = [piece.compared for piece in pieces if piece.compared is not None]
        if not found:
            return columns
        flags = np.concatenate([part.flags for part in found])
        return SampleColumns(
            columns.log_density,
            columns.acceptance,
            columns.start,
            Coded.of(np.concatenate([part.nearest for part in found]), training_names),
            np.concatenate([part.distance for part in found]),
            np.array([FLAGS.index(flag) for flag in flags.tolist()], dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.log_density)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return plain arrays."""
        arrays = {"log_density": self.log_density, "acceptance": self.acceptance}
        arrays |= {"start": self.start.codes, "start_texts": self.start.texts}
        if self.nearest is None or self.distance is None or self.flags is None:
            return arrays
        compared = {"nearest": self.nearest.codes, "nearest_texts": self.nearest.texts}
        return arrays | compared | {"distance": self.distance, "flags": self.flags}

    @classmethod
    def from_arrays(cls, arrays: Any) -> "SampleColumns":
        """Return what `to_arrays` described."""
        start = Coded(arrays["start"], arrays["start_texts"])
        if "nearest" not in arrays:
            return cls(arrays["log_density"], arrays["acceptance"], start)
        nearest = Coded(arrays["nearest"], arrays["nearest_texts"])
        return cls(
            arrays["log_density"],
            arrays["acceptance"],
            start,
            nearest,
            arrays["distance"],
            arrays["flags"],
        )


@dataclass(frozen=True, eq=False)
class Recorded:
    """What the record of a stretch says of its files.

    Attributes
    ----------
    numbers : range
        Of its samples within the class, from 0 on.
    sizes : ndarray (f,) or None
        Bytes of each file, see `riemaug.run.written_files`; None of a run that was begun by a version which
        did not note them.
    """

    numbers: range
    sizes: Int64[np.ndarray, " f"] | None


@dataclass(frozen=True, eq=False)
class SegmentEnd:
    """What there is to say of a segment that is done.

    Attributes
    ----------
    position : Position
        After its last sample.
    state : State
        What diagnostics go by; of later segments beside that of those before.
    write_seconds : float
        What it took beside the draws.
    """

    position: Position
    state: State
    write_seconds: float


@dataclass
class StretchFiles:
    """The records of one segment in the working folder.

    Attributes
    ----------
    folder : Path
    stem : str
        How the names of its files begin.
    """

    folder: Path
    stem: str
    _recorded: int | None = field(default=None, init=False)

    def _path(self, kind: str, number: int) -> Path:
        return self.folder / f"{self.stem}.{kind}-{number:06d}.npz"

    @property
    def end_path(self) -> Path:
        """The file by which `close` notes the end."""
        return self.folder / f"{self.stem}.end.npz"

    def paths(self) -> list[Path]:
        """Return the files of the recorded stretches, in their order."""
        found = self.folder.glob(f"{self.stem}.stretch-*.npz")
        return sorted(found, key=_number)

    def record(
        self, columns: SampleColumns, position: Position, state: State, sizes: Int64[np.ndarray, " f"]
    ) -> None:
        """Note that the samples up to a position are written; to be called when they are on the disk.

        Parameters
        ----------
        columns : SampleColumns
            Of the samples of the stretch.
        position : Position
            After the last of them.
        state : State
            What diagnostics go by up to there.
        sizes : ndarray (f,)
            Bytes of the files of the stretch.
        """
        number = len(self.paths()) if self._recorded is None else self._recorded
        with atomic_path(self._path("state", number)) as temporary:
            np.savez(temporary, allow_pickle=False, **state)
        told = np.array(json.dumps(asdict(position)))
        with atomic_path(self._path("stretch", number)) as temporary:
            arrays = {"position": told, "sizes": _narrowed(sizes)} | columns.to_arrays()
            np.savez(temporary, allow_pickle=False, **arrays)
        self._recorded = number + 1  # the folder of many stretches is not listed for each
        if number:
            self._path("state", number - 1).unlink(missing_ok=True)

    def last(self) -> tuple[Position, State] | None:
        """Return where the last recorded stretch ends; None if there is none."""
        paths = self.paths()
        if not paths:
            return None
        told = _arrays_of(paths[-1])["position"]
        return Position(**json.loads(str(told))), _arrays_of(self._path("state", len(paths) - 1))

    def close(self, end: SegmentEnd) -> None:
        """Note that there is nothing left to do."""
        told = json.dumps({"position": asdict(end.position), "write_seconds": end.write_seconds})
        with atomic_path(self.end_path) as temporary:
            np.savez(temporary, allow_pickle=False, told=np.array(told), **end.state)

    def end(self) -> SegmentEnd | None:
        """Return what `close` noted; None as long as something is left to do."""
        if not self.end_path.is_file():
            return None
        state = _arrays_of(self.end_path)
        told = json.loads(str(state.pop("told")))
        return SegmentEnd(Position(**told["position"]), state, told["write_seconds"])

    def columns(self) -> Iterator[SampleColumns]:
        """Yield the columns of each stretch."""
        for path in self.paths():
            yield SampleColumns.from_arrays(_arrays_of(path))

    def checked(self, first: int) -> Iterator[Recorded]:
        """Yield what is recorded of each stretch, and read all records to their ends.

        Parameters
        ----------
        first : int
            Number of the segment's first sample.

        Raises
        ------
        DamagedRecordError
            A record is missing or cannot be read, or does not go on where the one before ends.
        """
        paths, next_sample = self.paths(), first
        for number, path in enumerate(paths):
            with reading(self._path("stretch", number)):
                if path != self._path("stretch", number):
                    raise FileNotFoundError
                arrays = _arrays_of(path)
                numbers = range(next_sample, next_sample + len(SampleColumns.from_arrays(arrays)))
                next_sample = numbers.stop
                if Position(**json.loads(str(arrays["position"]))).kept != next_sample:
                    raise ValueError("it does not follow the one before")
            sizes = arrays.get("sizes")
            yield Recorded(numbers, None if sizes is None else sizes.astype(np.int64))
        if paths:
            with reading(self._path("state", len(paths) - 1)):
                self.last()
        with reading(self.end_path):
            end = self.end()
            if end is not None and end.position.kept != next_sample:
                raise ValueError("it is of more samples than are recorded")

    def forget(self) -> None:
        """Remove all records, the note of the end first."""
        self.end_path.unlink(missing_ok=True)
        for path in [*self.folder.glob(f"{self.stem}.state-*.npz"), *self.paths()]:
            path.unlink()


def _arrays_of(path: Path) -> dict[str, np.ndarray]:
    # opened here: numpy leaves a damaged file that it opened itself to the garbage collector
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _narrowed(sizes: Int64[np.ndarray, " f"]) -> Shaped[np.ndarray, " f"]:
    """Return the same whole numbers (>= 0) in as few bytes as the largest of them takes."""
    return sizes.astype(np.min_scalar_type(int(sizes.max(initial=0))))


def _number(path: Path) -> int:
    found = _NUMBER.search(path.name)
    assert found is not None
    return int(found.group(1))
