"""The parts of a split as files, in the user's own format."""

import csv
import os
import shutil
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int64, Shaped

from riemaug.atomic import atomic_path
from riemaug.data.cells import escape_cell, escape_file_cell
from riemaug.data.metadata_table import METADATA_NAME, PlainTable
from riemaug.data.split_source import SplitSource
from riemaug.data.splits import PARTS
from riemaug.errors import InvalidInputError

TABLE_NAME = "split.csv"
_THREADS = 8


def write_split(
    out: Path, source: SplitSource, parts: Int64[np.ndarray, " n"], how: Literal["copy", "link"] = "copy"
) -> None:
    """Write the parts and, last, the table of who is where; each file appears whole or not at all.

    Class folders become OUT/train/<class>/..., a metadata.csv becomes OUT/train/metadata.csv with its files
    beside it, a BIDS data set the BIDS data set OUT/train, an npz file OUT/train.npz and a table
    OUT/train.csv, each with the same names as in the source. The files of a DICOM series stay together.
    split.csv says the part of each sample, a series by its first file.

    Parameters
    ----------
    out : Path
        An empty folder.
    source : SplitSource
    parts : ndarray (n,)
        Index of each sample's part in `PARTS`.
    how : {"copy", "link"}
        Copy files byte for byte, or make absolute symbolic links to them; rows of arrays are copied.

    Raises
    ------
    InvalidInputError
        Links that cannot be made.
    """
    for part, name in enumerate(PARTS):
        rows = np.flatnonzero(parts == part)
        if not len(rows):
            continue
        if source.cells is not None:
            source.cells.write(out / (name + source.file_suffix), rows)
            continue
        if source.arrays is not None:
            _write_npz(out / f"{name}.npz", source.arrays, rows, len(parts))
            continue
        _write_files(out / name, source, rows, how)
        if source.table is not None:
            _write_metadata(out / name, source, source.table, rows)
        if source.bids is not None:
            source.bids.write_participants(out / name, (source.signatures.names[row] for row in rows))
    _write_table(out / TABLE_NAME, source, parts)


def _write_files(
    folder: Path, source: SplitSource, rows: Int64[np.ndarray, " m"], how: Literal["copy", "link"]
) -> None:
    names = [file for row in rows for file in source.files_of(source.signatures.names[row])]
    names += [] if source.bids is None else source.bids.files
    for parent in sorted({(folder / name).parent for name in names}):
        parent.mkdir(parents=True, exist_ok=True)
    put = _link if how == "link" else _copy
    jobs = [partial(put, (source.path / name).absolute(), folder / name) for name in names]
    with ThreadPoolExecutor(_THREADS) as pool:
        for job in [pool.submit(job) for job in jobs]:
            job.result()


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)


def _link(source: Path, target: Path) -> None:
    try:
        os.symlink(source, target)
    except OSError as error:
        raise InvalidInputError(
            f"links cannot be made in {str(target.parent)!r} ({error.strerror}): leave --link out"
        ) from None


def _write_metadata(
    folder: Path, source: SplitSource, table: PlainTable, rows: Int64[np.ndarray, " m"]
) -> None:
    """Write the part's rows of the user's table, cell by cell; subjects told otherwise get a column group."""
    group_of = _new_groups(source, table)
    wanted = {file for row in rows for file in source.files_of(source.signatures.names[row])}
    width = len(table.header)
    with (
        atomic_path(folder / METADATA_NAME) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, delimiter=table.delimiter, lineterminator="\n")
        writer.writerow(table.header if group_of is None else [*table.header, "group"])
        for name, cells in zip(table.names, table.rows, strict=True):
            if name not in wanted:
                continue
            if group_of is None:
                writer.writerow(cells)
                continue
            lacking = [""] * (width - len(cells))
            writer.writerow([*cells[:width], *lacking, escape_cell(group_of[name])])


def _new_groups(source: SplitSource, table: PlainTable) -> dict[str, str] | None:
    groups = source.signatures.groups
    if groups is None or any(cell.strip().casefold() == "group" for cell in table.header):
        return None
    named = zip(source.signatures.names, groups, strict=True)
    return {file: group for name, group in named for file in source.files_of(name)}


def _write_npz(
    path: Path,
    arrays: dict[str, Shaped[np.ndarray, "..."]],
    rows: Int64[np.ndarray, " m"],
    num_samples: int,
) -> None:
    """Write the rows of all arrays that are as long as the data, and the others whole."""
    # not by numpy.savez: it takes the names as keyword arguments, and "file" is one of its own
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for key, array in arrays.items():
            entry = zipfile.ZipInfo(f"{key}.npy")
            entry.compress_type = zipfile.ZIP_DEFLATED
            part = array[rows] if array.shape[:1] == (num_samples,) else array
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, part, allow_pickle=False)


def _write_table(path: Path, source: SplitSource, parts: Int64[np.ndarray, " n"]) -> None:
    """Write which sample is in which part."""
    groups = source.signatures.groups
    columns = ["file_name", "label", *([] if groups is None else ["group"]), "split"]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row, (name, part) in enumerate(zip(source.signatures.names, parts, strict=True)):
            label = escape_cell(source.class_names[source.labels[row]])
            group: Sequence[str] = [] if groups is None else [escape_cell(groups[row])]
            writer.writerow([escape_file_cell(name), label, *group, PARTS[part]])
