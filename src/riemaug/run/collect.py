"""From the results of the classes to the files at the top of OUT."""

import json
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from riemaug._version import __version__
from riemaug.atomic import atomic_write_text
from riemaug.data import (
    ManifestRow,
    SampleFormat,
    write_arrays,
    write_manifest,
    write_metadata,
    write_table,
)
from riemaug.data.bids_names import BidsNames
from riemaug.data.bids_output import write_bids_tables
from riemaug.data.bids_participants import NO_PARTICULARS, Particulars
from riemaug.data.manifest_files import (
    CSV_MANIFEST,
    MOST_CSV_ROWS,
    PARQUET_MANIFEST,
    write_parquet_manifest,
)
from riemaug.data.nifti import written_affine
from riemaug.data.table_files import TABLE_SUFFIXES
from riemaug.run.array_files import join_array_files
from riemaug.run.jobs import SampleSpec
from riemaug.run.sample_names import ZARR_NAME, SampleNames
from riemaug.run.sampling import files_of, rounded
from riemaug.run.segments import segments_of
from riemaug.run.stretches import FLAGS, SampleColumns, StretchFiles
from riemaug.run.workdir import WorkDir
from riemaug.run.written_files import DEFAULT_KEYS, zarr_array_of
from riemaug.run.zarr_store import join_class_arrays

SAMPLES_STEM = "synthetic"
SAMPLES_NAME = f"{SAMPLES_STEM}.npz"
SAMPLES_NAMES = (SAMPLES_NAME, *(SAMPLES_STEM + suffix for suffix in TABLE_SUFFIXES))
"""What holds all synthetic samples where the input is one file."""
HASH_LENGTH = 12


@dataclass(frozen=True)
class ClassSamples:
    """What was written of one class.

    Attributes
    ----------
    files : list of StretchFiles
        With what is to be told of each sample; one a segment.
    names : SampleNames
    """

    files: list[StretchFiles]
    names: SampleNames

    def columns(self) -> Iterator[SampleColumns]:
        """Yield the columns of each stretch."""
        return chain.from_iterable(files.columns() for files in self.files)


def class_samples(
    work: WorkDir, class_names: Sequence[str], specs: Sequence[SampleSpec], results: Sequence[dict[str, Any]]
) -> list[ClassSamples]:
    """Return what was written of each class, rows counted through all of them."""
    found, offset = [], 0
    for index, (name, spec, result) in enumerate(zip(class_names, specs, results, strict=True)):
        names = replace(spec.names(name), offset=offset)
        found.append(ClassSamples(files_of(work, index, spec), names))
        offset += result["synthetic"]
    return found


def write_tables(
    out: Path,
    samples: Sequence[ClassSamples],
    seed: int,
    model_hash: str,
    real: Sequence[tuple[str, str]] = (),
    groups: Mapping[str, str] | None = None,
    bids: BidsNames | None = None,
    particulars: Particulars = NO_PARTICULARS,
) -> None:
    """Write the manifest (one row a synthetic sample) and metadata.csv (synthetic and real ones).

    The manifest is a CSV file up to 100,000 samples, a Parquet file above. Of a BIDS derivative
    participants.tsv stands in the place of metadata.csv, with what is known of the real subjects
    (`particulars`); where samples have no files of their own there is none.
    """
    count = sum(len(columns) for item in samples for columns in item.columns())
    rows = _manifest_rows(samples, seed, model_hash)
    if count > MOST_CSV_ROWS:
        write_parquet_manifest(out / PARQUET_MANIFEST, rows)
    else:
        write_manifest(out / CSV_MANIFEST, rows)
    if not any(item.names.are_files for item in samples):
        return
    if bids is not None:
        write_bids_tables(out, bids, _metadata_entries(samples, real), particulars)
    elif count or real:
        write_metadata(out / "metadata.csv", _metadata_entries(samples, real), groups)


def _manifest_rows(samples: Sequence[ClassSamples], seed: int, model_hash: str) -> Iterator[ManifestRow]:
    common = {"seed": seed, "model_hash": model_hash[:HASH_LENGTH], "version": __version__}
    for item in samples:
        number = 0
        for columns in item.columns():
            for told in _told_rows(columns):
                yield ManifestRow(
                    file=item.names.name(number), class_name=item.names.class_name, **common, **told
                )
                number += 1


def _told_rows(columns: SampleColumns) -> Iterator[dict[str, Any]]:
    """Yield what the manifest says of each sample."""
    count = len(columns)
    nearest, distances, flags = [""] * count, [None] * count, [""] * count
    if columns.nearest is not None and columns.distance is not None and columns.flags is not None:
        nearest, distances = columns.nearest.listed(), rounded(columns.distance)
        flags = [FLAGS[place] for place in columns.flags]
    densities, acceptance = rounded(columns.log_density), rounded(columns.acceptance)
    names = ("start", "log_density", "acceptance", "nearest_file", "nearest_distance", "copy")
    parts = (columns.start.listed(), densities, acceptance, nearest, distances, flags)
    for cells in zip(*parts, strict=True):
        yield dict(zip(names, cells, strict=True))


def _metadata_entries(
    samples: Sequence[ClassSamples], real: Sequence[tuple[str, str]]
) -> Iterator[tuple[str, str, bool]]:
    for item in samples:
        count = sum(len(columns) for columns in item.columns())
        yield from ((item.names.name(number), item.names.class_name, True) for number in range(count))
    yield from ((name, label, False) for name, label in real)


def write_sample_arrays(
    out: Path, work: WorkDir, fmt: SampleFormat, label_values: np.ndarray | None, num_classes: int
) -> None:
    """Join the classes' samples into one file as the input: an npz with its keys, or a table.

    Raises
    ------
    InvalidInputError
        A table whose package is not installed.
    """
    counts = join_array_files([work.samples(index) for index in range(num_classes)], work.joined_samples())
    samples = np.load(work.joined_samples(), mmap_mode="r", allow_pickle=False)
    if fmt.table is not None:
        labels = np.repeat(np.arange(num_classes), counts)
        write_table(out / (SAMPLES_STEM + fmt.suffix), samples, labels, fmt.table)
        return
    values = np.arange(num_classes) if label_values is None else label_values
    write_arrays(out / SAMPLES_NAME, samples, np.repeat(values, counts), fmt)


def write_joined(
    out: Path,
    work: WorkDir,
    fmt: SampleFormat,
    names: Sequence[str],
    label_values: np.ndarray | None,
    specs: Sequence[SampleSpec],
    results: Sequence[dict[str, Any]],
) -> None:
    """Join the samples of all classes where they are to be one file or one store."""
    shards = specs[0].shards
    if shards == "zarr":
        write_zarr_store(out, work, fmt, names, specs, results)
    elif fmt.is_one_file and shards is None:
        write_sample_arrays(out, work, fmt, label_values, len(names))


def write_zarr_store(
    out: Path,
    work: WorkDir,
    fmt: SampleFormat,
    names: Sequence[str],
    specs: Sequence[SampleSpec],
    results: Sequence[dict[str, Any]],
) -> None:
    """Join the segments' arrays into one Zarr store, with class names and, of volumes, their affine."""
    parts, labels = [], []
    for index, (spec, result) in enumerate(zip(specs, results, strict=True)):
        segments = segments_of(index, spec)
        counts = [len(segment.span) for segment in segments[:-1]]
        counts.append(result["synthetic"] - sum(counts))  # fewer than the span where copies are dropped
        parts += [(zarr_array_of(work, part), count) for part, count in zip(segments, counts, strict=True)]
        labels += [index] * len(segments)
    attributes: dict[str, Any] = {"class_names": list(names), "synthetic": True}
    if fmt.grid is not None:
        attributes["affine"] = written_affine(fmt).tolist()
    keys = fmt.array_keys or DEFAULT_KEYS
    join_class_arrays(parts, out / ZARR_NAME, keys, labels, fmt.sample_shape, fmt.dtype, attributes)


def environment(device: str) -> dict[str, Any]:
    """Return what the results may depend on beside data and options."""
    return {
        "riemaug": __version__,
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "cpu": platform.processor() or platform.machine(),
        "device": device,
        "threads_per_task": 1,
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file for people and machines, whole or not at all."""
    atomic_write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
