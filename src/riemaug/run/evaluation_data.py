"""Reading what is to be evaluated: real samples that are real, and synthetic ones alone."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from riemaug.data import Dataset, SampleFormat, read_dataset
from riemaug.data.bids import is_bids
from riemaug.data.manifest_files import find_manifest, manifest_rows
from riemaug.data.metadata_table import METADATA_NAME, read_plain_table
from riemaug.data.table_files import is_csv, is_table
from riemaug.errors import InvalidInputError
from riemaug.evaluation.cross_validation import take
from riemaug.evaluation.sources import Source
from riemaug.limits import Limits
from riemaug.run.collect import SAMPLES_NAMES
from riemaug.run.request import ReadOptions
from riemaug.run.shard_sets import holds_shards, read_shard_set
from riemaug.run.workdir import RUN_NAME


def read_real(path: Path, reading: ReadOptions, like: SampleFormat | None = None) -> Source:
    """Read real samples; `like` is the format of those that they are compared with.

    With `like`, options of reading that only those others have a use for are ignored.

    Raises
    ------
    InvalidInputError
        As `riemaug.data.read_dataset`; or some are marked as synthetic.
    """
    data = reading.read(path, like)
    made = _synthetic_names(path, reading.limits)
    count = 0 if made is None else sum(name in made for name in data.names)
    if count:
        raise InvalidInputError(
            f"real samples are needed, {count} of the {len(data.names)} samples of {str(path)!r} are marked "
            "as synthetic: give the real ones alone"
        )
    return Source(data, repr(str(path)))


def read_synthetic(path: Path, reading: ReadOptions, like: SampleFormat) -> Source:
    """Read synthetic samples; of the output of `riemaug augment` only these, no real ones beside them.

    Parameters
    ----------
    path : Path
    reading : ReadOptions
    like : SampleFormat
        Of the real samples.

    Raises
    ------
    InvalidInputError
        As `riemaug.data.read_dataset`, or `riemaug.run.shard_sets.read_shard_set`; or none is marked as
        synthetic in a folder that marks them.
    """
    if holds_shards(path):
        return Source(read_shard_set(path, like, reading.limits), repr(str(path)))
    # synthetic samples say their classes themselves, and are never DICOM
    options: dict[str, Any] = dict(reading) | {"group_from": None, "participants": None, "min_slices": None}
    if _is_ours(path):  # the patterns are of the names of the real files
        options |= {"include": (), "exclude": ()}
    if os.path.isdir(path) and not is_bids(path):  # that of a metadata.csv is called label
        options |= {"label_from": None}
    whole = next((path / name for name in SAMPLES_NAMES if os.path.isfile(path / name)), None)
    if whole is not None and not os.path.isfile(path / METADATA_NAME):
        label_from = reading.label_from if is_table(whole) else None
        missing = reading.missing if is_csv(whole) else None
        data = read_dataset(whole, label_from=label_from, missing=missing, like=like, limits=reading.limits)
        return Source(data, repr(str(whole)))
    data, made = read_dataset(path, **options, like=like), _synthetic_names(path, reading.limits)
    if made is None:
        return Source(data, repr(str(path)))
    chosen = np.array([name in made for name in data.names])
    if not chosen.any():
        raise InvalidInputError(
            f"synthetic samples are needed, none of {str(path)!r} is marked as synthetic: give the output of "
            "riemaug augment"
        )
    return Source(_only(data, chosen), repr(str(path)))


def _is_ours(path: Path) -> bool:
    """Tell whether a folder is an output of riemaug."""
    return find_manifest(path) is not None or os.path.isfile(path / RUN_NAME)


def _only(data: Dataset, chosen: Bool[np.ndarray, " n"]) -> Dataset:
    """Return some samples, with the classes that are among them."""
    kept = take(data, np.flatnonzero(chosen))
    present, labels = np.unique(kept.labels, return_inverse=True)
    others = int((~chosen).sum())
    note = f"It also holds {others} real samples: only the {int(chosen.sum())} synthetic ones were taken."
    return replace(
        kept,
        labels=labels.reshape(-1).astype(np.int64),
        class_names=tuple(data.class_names[label] for label in present),
        groups=None,
        notes=(note,) if others else (),
    )


def _synthetic_names(path: Path, limits: Limits) -> frozenset[str] | None:
    """Return the files that metadata.csv or the manifest calls synthetic; None where neither tells."""
    if os.path.isfile(path / METADATA_NAME):
        table = read_plain_table(path, limits)
        header = [cell.strip().casefold() for cell in table.header]
        if "synthetic" in header:
            column = header.index("synthetic")
            rows = zip(table.rows, table.names, strict=True)
            return frozenset(
                name
                for row, name in rows
                if len(row) > column and row[column].strip().casefold() in ("true", "1")
            )
    manifest = find_manifest(path)
    return None if manifest is None else frozenset(row.file for row in manifest_rows(manifest, limits))
