"""Parts of a BIDS data set as data sets of their own: what they need beside the volumes."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from riemaug.atomic import atomic_path
from riemaug.data.bids_participants import PARTICIPANTS_NAME, SUBJECT_COLUMN
from riemaug.data.listing import sort_key, split_suffix
from riemaug.limits import Limits, read_text_table

SIDECAR = ".json"
_TEXTS = ("readme", "changes", "license", "citation")
_OTHERS = (".bidsignore",)


@dataclass(frozen=True)
class BidsFrame:
    """What surrounds the volumes of a BIDS data set.

    Attributes
    ----------
    participants : tuple of tuple of str
        Cells of participants.tsv, the header first.
    files : tuple of str
        Files at the top that are the same in each part: descriptions, and what people are to read.
    """

    participants: tuple[tuple[str, ...], ...]
    files: tuple[str, ...]

    @classmethod
    def read(cls, root: Path, participants: Path, limits: Limits) -> "BidsFrame":
        """Read that of a data set whose participants.tsv has been found to be valid, wherever that is."""
        text = read_text_table(participants, limits)
        rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True)
        with os.scandir(root) as entries:
            names = [entry.name for entry in entries if entry.is_file() and _is_of_all_parts(entry.name)]
        return cls(tuple(tuple(row) for row in rows if row), tuple(sorted(names, key=sort_key)))

    def write_participants(self, folder: Path, volumes: Iterable[str]) -> None:
        """Write participants.tsv with the rows, cell by cell, of the subjects of the volumes."""
        subjects = {PurePosixPath(name).parts[0] for name in volumes}
        header, *rows = self.participants
        place = [cell.strip() for cell in header].index(SUBJECT_COLUMN)
        with (
            atomic_path(folder / PARTICIPANTS_NAME) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(header)
            # a row may be shorter than the header
            writer.writerows(row for row in rows if "".join(row[place : place + 1]).strip() in subjects)


def _is_of_all_parts(name: str) -> bool:
    if name.casefold().endswith(SIDECAR) or name in _OTHERS:
        return True
    return name.partition(".")[0].casefold() in _TEXTS


def with_sidecars(root: Path, volumes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the files of each volume: itself, and the JSON file of the same name where there is one."""
    sidecars = {name: sidecar_of(root, name) for name in volumes}
    return {name: (name,) if other is None else (name, other) for name, other in sidecars.items()}


def sidecar_of(root: Path, volume: str) -> str | None:
    """Return the JSON file of a volume's own name, relative to `root`; None where there is none."""
    place = PurePosixPath(volume)
    sidecar = place.with_name(split_suffix(place.name)[0] + SIDECAR).as_posix()
    return sidecar if os.path.isfile(root / sidecar) else None
