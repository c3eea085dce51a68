"""What is done of a segment: stretches of samples, each recorded by a small file once it is on the disk."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int32, Int64, Shaped

from riemaug.atomic import atomic_path
from riemaug.run.drawing import Piece, Position
from riemaug.samplers.sources import State

FLAGS = ("no", "near", "exact")
_NUMBER = re.compile(r"-(\d+)\.npz\Z")


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
    def _end(self) -> Path:
        return self.folder / f"{self.stem}.end.npz"

    def paths(self) -> list[Path]:
        """Return the files of the recorded stretches, in their order."""
        found = self.folder.glob(f"{self.stem}.stretch-*.npz")
        return sorted(found, key=_number)

    def record(self, columns: SampleColumns, position: Position, state: State) -> None:
        """Note that the samples up to a position are written; to be called when they are on the disk."""
        number = len(self.paths()) if self._recorded is None else self._recorded
        with atomic_path(self._path("state", number)) as temporary:
            np.savez(temporary, allow_pickle=False, **state)
        told = np.array(json.dumps(asdict(position)))
        with atomic_path(self._path("stretch", number)) as temporary:
            np.savez(temporary, allow_pickle=False, position=told, **columns.to_arrays())
        self._recorded = number + 1  # the folder of many stretches is not listed for each
        if number:
            self._path("state", number - 1).unlink(missing_ok=True)

    def last(self) -> tuple[Position, State] | None:
        """Return where the last recorded stretch ends; None if there is none."""
        paths = self.paths()
        if not paths:
            return None
        with np.load(paths[-1], allow_pickle=False) as arrays:
            position = Position(**json.loads(str(arrays["position"])))
        with np.load(self._path("state", len(paths) - 1), allow_pickle=False) as arrays:
            return position, {name: arrays[name] for name in arrays.files}

    def close(self, end: SegmentEnd) -> None:
        """Note that there is nothing left to do."""
        told = json.dumps({"position": asdict(end.position), "write_seconds": end.write_seconds})
        with atomic_path(self._end) as temporary:
            np.savez(temporary, allow_pickle=False, told=np.array(told), **end.state)

    def end(self) -> SegmentEnd | None:
        """Return what `close` noted; None as long as something is left to do."""
        if not self._end.is_file():
            return None
        with np.load(self._end, allow_pickle=False) as arrays:
            told = json.loads(str(arrays["told"]))
            state = {name: arrays[name] for name in arrays.files if name != "told"}
        return SegmentEnd(Position(**told["position"]), state, told["write_seconds"])

    def columns(self) -> Iterator[SampleColumns]:
        """Yield the columns of each stretch."""
        for path in self.paths():
            with np.load(path, allow_pickle=False) as arrays:
                yield SampleColumns.from_arrays({name: arrays[name] for name in arrays.files})


def _number(path: Path) -> int:
    found = _NUMBER.search(path.name)
    assert found is not None
    return int(found.group(1))
