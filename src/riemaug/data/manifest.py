"""The tables beside the samples: manifest.csv (where each comes from) and metadata.csv (its label).

Both can be opened in a spreadsheet without running anything: see `riemaug.data.cells` for what is
done to texts that look like formulas (a leading apostrophe) and to such file paths (a leading "./",
so that they still name the file).
"""

import csv
import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from riemaug.atomic import atomic_path
from riemaug.data.cells import escape_cell, escape_file_cell, number_cell, unescape_cell, unescape_file_cell
from riemaug.errors import InvalidInputError
from riemaug.limits import DEFAULT_LIMITS, Limits, read_text_table

MANIFEST_COLUMNS = (
    "file",
    "class",
    "seed",
    "start",
    "log_density",
    "acceptance",
    "nearest_file",
    "nearest_distance",
    "copy",
    "model_hash",
    "version",
)
METADATA_COLUMNS = ("file_name", "label", "synthetic")
SYNTHETIC_GROUP = "synthetic"
COPY_FLAGS = ("", "no", "near", "exact")


@dataclass(frozen=True)
class ManifestRow:
    """Where one synthetic sample comes from.

    Parameters
    ----------
    file : str
        Path relative to the output folder, or "row 17".
    class_name : str
        Its class; the column is called "class".
    seed : int, optional
        The seed of the run.
    start : str
        Source file of the centroid or mixture component that the sample started from.
    log_density : float, optional
        Log density of the latent point under the sampler's law.
    acceptance : float, optional
        Acceptance rate of its chain.
    nearest_file : str
        The training file that is nearest.
    nearest_distance : float, optional
        Distance to that file.
    copy : str
        "exact", "near" or "no" (see `riemaug.evaluation.copying`); empty where nothing was compared.
    model_hash : str
        Hash of the model.
    version : str
        Version of riemaug.
    """

    file: str
    class_name: str
    seed: int | None = None
    start: str = ""
    log_density: float | None = None
    acceptance: float | None = None
    nearest_file: str = ""
    nearest_distance: float | None = None
    copy: str = ""
    model_hash: str = ""
    version: str = ""

    def to_cells(self) -> list[str]:
        """Return the cells of the row, in the order of `MANIFEST_COLUMNS`."""
        return [
            escape_file_cell(self.file),
            escape_cell(self.class_name),
            "" if self.seed is None else str(self.seed),
            escape_file_cell(self.start),
            number_cell(self.log_density),
            number_cell(self.acceptance),
            escape_file_cell(self.nearest_file),
            number_cell(self.nearest_distance),
            self.copy,
            escape_cell(self.model_hash),
            escape_cell(self.version),
        ]

    @classmethod
    def from_cells(cls, cells: dict[str, str]) -> "ManifestRow":
        """Return the row that the cells, by column, describe; ValueError or KeyError if they do not."""
        return cls(
            file=unescape_file_cell(cells["file"]),
            class_name=unescape_cell(cells["class"]),
            seed=int(cells["seed"]) if cells["seed"] else None,
            start=unescape_file_cell(cells["start"]),
            log_density=_number(cells["log_density"]),
            acceptance=_number(cells["acceptance"]),
            nearest_file=unescape_file_cell(cells["nearest_file"]),
            nearest_distance=_number(cells["nearest_distance"]),
            copy=_copy_flag(cells["copy"]),
            model_hash=unescape_cell(cells["model_hash"]),
            version=unescape_cell(cells["version"]),
        )


def _copy_flag(cell: str) -> str:
    if cell not in COPY_FLAGS:
        raise ValueError(f"copy is {cell!r}")
    return cell


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def _write_table(path: Path, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def write_manifest(path: str | os.PathLike[str], rows: Iterable[ManifestRow]) -> None:
    """Write manifest.csv row by row, whole or not at all; numbers have 6 significant digits."""
    _write_table(Path(path), MANIFEST_COLUMNS, (row.to_cells() for row in rows))


def read_manifest(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> list[ManifestRow]:
    """Read a manifest.csv.

    Raises
    ------
    InvalidInputError
        The file cannot be read, is larger than `limits.text_bytes`, or is no manifest.
    """
    text = read_text_table(Path(path), limits)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        return [ManifestRow.from_cells(cells) for cells in reader]
    except (csv.Error, KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidInputError(
            f"{str(path)!r} must be a manifest.csv of riemaug, it is not ({type(error).__name__}:"
            f" {error}): remake it"
        ) from None


def write_metadata(
    path: str | os.PathLike[str],
    entries: Iterable[tuple[str, str, bool]],
    groups: Mapping[str, str] | None = None,
) -> None:
    """Write the metadata.csv of an output folder, whole or not at all.

    Readers of image folders with a metadata.csv (such as Hugging Face datasets) and `read_dataset`
    take it.

    Parameters
    ----------
    path : path
        The file.
    entries : iterable of (str, str, bool)
        Path relative to the output folder, label, and whether the sample is synthetic.
    groups : mapping of str to str, optional
        Subject of each real file by its path; adds a column group, which says "synthetic" of all others.
    """

    def cells(name: str, label: str, synthetic: bool) -> tuple[str, ...]:
        plain = (escape_file_cell(name), escape_cell(label), _flag(synthetic))
        return plain if groups is None else (*plain, escape_cell(groups.get(name, SYNTHETIC_GROUP)))

    columns = METADATA_COLUMNS if groups is None else (*METADATA_COLUMNS, "group")
    _write_table(Path(path), columns, (cells(*entry) for entry in entries))
