"""An output of shards as a data set: all of its samples, in the order of the manifest."""

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from riemaug.data import Dataset, SampleFormat, read_dataset
from riemaug.data.checks import check_class_sizes, check_variation, find_oddities
from riemaug.data.manifest_files import find_manifest, manifest_rows
from riemaug.data.scratch import SampleRows
from riemaug.data.table_files import load_parquet, opened_parquet
from riemaug.errors import InvalidInputError
from riemaug.limits import Limits
from riemaug.run.sample_names import path_inside, place_in_shard
from riemaug.run.written_samples import changed, sample_of_shard

_FEWER = "draw fewer from the model"
_ROWS_AT_ONCE = 10_000


def holds_shards(out: Path) -> bool:
    """Tell whether a folder is an output of `riemaug sample --shards`, by the first row of its manifest."""
    manifest = find_manifest(out) if os.path.isdir(out) else None
    first = None if manifest is None else next(manifest_rows(manifest), None)
    return first is not None and place_in_shard(first.file) is not None


def read_shard_set(out: Path, like: SampleFormat, limits: Limits) -> Dataset:
    """Read all samples of an output of shards; those that memory does not hold stay on the disk.

    Parameters
    ----------
    out : Path
    like : SampleFormat
        Of the real samples that these are compared with.
    limits : Limits

    Raises
    ------
    InvalidInputError
        A shard is missing, damaged or holds other samples than the manifest says or than `like` is of.
    ResourceError
        Neither memory nor the disk has room for them.
    """
    manifest = find_manifest(out)
    assert manifest is not None
    places = [(row.file, row.class_name) for row in manifest_rows(manifest, limits)]
    names = tuple(name for name, _ in places)
    if like.kind == "table":
        return _read_tables(out, names, like, limits)
    class_names, labels = np.unique([name for _, name in places], return_inverse=True)
    class_names, labels = tuple(class_names.tolist()), labels.reshape(-1).astype(np.int64)
    rows = SampleRows((len(names), *like.model_shape), np.dtype(like.dtype), "samples", _FEWER)
    # shard by shard: a manifest may be in another order
    for number in sorted(range(len(names)), key=lambda row: (place_in_shard(names[row]) or ("",))[0]):
        rows.put(number, sample_of_shard(out, names[number], like, limits))
    samples = rows.finished(range(len(names)))
    check_class_sizes(labels, class_names, "samples")
    check_variation(samples, labels, class_names, "samples")
    notes = tuple(find_oddities(samples, labels, class_names, names, "samples"))
    return Dataset(samples, labels, class_names, names, None, like, None, notes)


def _read_tables(out: Path, names: Sequence[str], like: SampleFormat, limits: Limits) -> Dataset:
    """Read Parquet shards by way of one file that holds them all."""
    assert like.table is not None
    shards = dict.fromkeys(place[0] for place in map(place_in_shard, names) if place is not None)
    with tempfile.TemporaryDirectory(prefix="riemaug-") as folder:
        whole = Path(folder) / "synthetic.parquet"
        _join([_path_of(out, shard) for shard in shards], whole, limits)
        data = read_dataset(whole, label_from=str(like.table.label.name), like=like, limits=limits)
    if len(data.names) != len(names):
        raise InvalidInputError(
            f"the shards of {str(out)!r} must hold the {len(names)} samples of its manifest, they hold"
            f" {len(data.names)}: draw them again"
        )
    return replace(data, names=tuple(names))


def _path_of(out: Path, shard: str) -> Path:
    try:
        return path_inside(out, shard)
    except InvalidInputError as error:
        raise changed(shard, error) from None


def _join(shards: Sequence[Path], whole: Path, limits: Limits) -> None:
    """Write the rows of Parquet files of the same columns to one file, a part at a time."""
    parquet = load_parquet()
    with ExitStack() as stack:
        writer = schema = None
        for shard in shards:
            with opened_parquet(shard, limits) as file:
                if writer is None:
                    schema = file.schema_arrow
                    writer = stack.enter_context(parquet.ParquetWriter(whole, schema))
                if not file.schema_arrow.equals(schema):
                    raise changed(shard.name, f"its columns are not those of {shards[0].name}")
                for batch in file.iter_batches(_ROWS_AT_ONCE):
                    writer.write_batch(batch)
