"""From the results of the classes to the files at the top of OUT."""

import json
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
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
from riemaug.data.table_files import TABLE_SUFFIXES
from riemaug.run.array_files import join_array_files
from riemaug.run.workdir import WorkDir

SAMPLES_STEM = "synthetic"
SAMPLES_NAME = f"{SAMPLES_STEM}.npz"
SAMPLES_NAMES = (SAMPLES_NAME, *(SAMPLES_STEM + suffix for suffix in TABLE_SUFFIXES))
"""What holds all synthetic samples where the input is one file."""
HASH_LENGTH = 12


def write_tables(
    out: Path,
    results: Sequence[dict[str, Any]],
    seed: int,
    model_hash: str,
    real: Sequence[tuple[str, str]] = (),
    groups: Mapping[str, str] | None = None,
    bids: BidsNames | None = None,
) -> None:
    """Write manifest.csv (one row a synthetic sample) and metadata.csv (synthetic and real ones).

    Of a BIDS derivative participants.tsv stands in the place of metadata.csv.
    """
    write_manifest(out / "manifest.csv", _manifest_rows(results, seed, model_hash))
    if bids is not None:
        write_bids_tables(out, bids, (entry[:2] for entry in _metadata_entries(results, ())))
    elif any(name for result in results for name in result["files"]):
        write_metadata(out / "metadata.csv", _metadata_entries(results, real), groups)


def _manifest_rows(results: Sequence[dict[str, Any]], seed: int, model_hash: str) -> Iterator[ManifestRow]:
    row = 0
    for result in results:
        compared = bool(result["nearest"])
        for i, name in enumerate(result["files"]):
            yield ManifestRow(
                file=name or f"row {row}",
                class_name=result["class"],
                seed=seed,
                start=result["start"][i],
                log_density=result["log_density"][i],
                acceptance=result["acceptance"][i],
                nearest_file=result["nearest"][i] if compared else "",
                nearest_distance=result["nearest_distance"][i] if compared else None,
                copy=result["copy"][i] if compared else "",
                model_hash=model_hash[:HASH_LENGTH],
                version=__version__,
            )
            row += 1


def _metadata_entries(
    results: Sequence[dict[str, Any]], real: Sequence[tuple[str, str]]
) -> Iterator[tuple[str, str, bool]]:
    for result in results:
        yield from ((name, result["class"], True) for name in result["files"] if name)
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
