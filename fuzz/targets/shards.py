"""Shards of an output, as reports and evaluations read them: npz, WebDataset, Zarr and Parquet."""

import io
import json
import shutil
import tarfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fuzz import scratch
from fuzz.editing import as_json
from riemaug.data import SampleFormat
from riemaug.data.manifest import ManifestRow, write_manifest
from riemaug.data.manifest_files import CSV_MANIFEST
from riemaug.data.table_files import opened_parquet
from riemaug.limits import Limits
from riemaug.run.shard_sets import read_shard_set
from riemaug.run.zarr_store import append_to_class_array, join_class_arrays

LIMITS = Limits(pixels=2**16, bytes=2**22)
_NPZ, _TAR, _ZARR, _PARQUET = range(4)
_COUNT, _SIDES = 2, (3, 2)
ARRAYS = SampleFormat("arrays", _SIDES, "float32", "", ("X", "y"), False)
IMAGES = SampleFormat("folder", _SIDES, "uint8", ".png", None, False)
VOLUMES = SampleFormat("npy", (2, 3, 2), "int16", ".npy", None, False)


def target(data: bytes) -> None:
    """Read the bytes as one kind of shard; of a Zarr store one file is changed or replaced."""
    kind, content = (data[0] % 4 if data else _NPZ), data[1:]
    if kind == _ZARR:
        _read_zarr(content)
        return
    suffix = {_NPZ: ".npz", _TAR: ".tar", _PARQUET: ".parquet"}[kind]
    out = _output(suffix)
    shard = out / "shards" / f"a-000001{suffix}"
    shard.write_bytes(content)
    if kind == _PARQUET:
        with opened_parquet(shard, LIMITS) as file:
            for batch in file.iter_batches(2**15):
                assert batch.num_rows <= 2**15
        return
    found = read_shard_set(out, ARRAYS if kind == _NPZ else IMAGES, LIMITS)
    assert found.samples.shape == (_COUNT, *_SIDES)


@cache
def _output(suffix: str) -> Path:
    """Return an output whose manifest names the rows, or members, of one shard."""
    out = scratch.folder(f"shards{suffix}")
    (out / "shards").mkdir()
    places = [f"a-{number + 1:06d}.png" if suffix == ".tar" else str(number) for number in range(_COUNT)]
    rows = [ManifestRow(f"shards/a-000001{suffix}#{place}", "a") for place in places]
    write_manifest(out / CSV_MANIFEST, rows)
    return out


def _read_zarr(content: bytes) -> None:
    out, files = _store()
    changed = out / files[content[0] % len(files) if content else 0]
    kept, rest = changed.read_bytes(), content[1:]
    changed.write_bytes(as_json({}, rest) if rest[:1] == b"{" else _edit(kept, rest))
    try:
        found = read_shard_set(out, VOLUMES, LIMITS)
        assert found.samples.shape == (_COUNT, *VOLUMES.shape)
    finally:
        changed.write_bytes(kept)


def _edit(kept: bytes, rest: bytes) -> bytes:
    """Return an edited document, or the other bytes in the place of a chunk; without any what was kept."""
    if not rest:
        return kept
    return as_json(json.loads(kept), rest) if kept[:1] == b"{" else rest


@cache
def _store() -> tuple[Path, tuple[str, ...]]:
    """Return an output with a Zarr store, and the files of that."""
    out = scratch.folder("zarr")
    values = np.arange(_COUNT * 12, dtype=np.int16).reshape(_COUNT, *VOLUMES.shape)
    part = out / "work" / "part"
    append_to_class_array(part, values, 0, values.shape, "int16")
    join_class_arrays(
        [(part, _COUNT)], out / "synthetic.zarr", ("images", "labels"), [0], VOLUMES.shape, "int16", {}
    )
    shutil.rmtree(out / "work", ignore_errors=True)
    write_manifest(out / CSV_MANIFEST, [ManifestRow(f"synthetic.zarr#{row}", "a") for row in range(_COUNT)])
    files = sorted(path for path in (out / "synthetic.zarr").rglob("*") if path.is_file())
    return out, tuple(path.relative_to(out).as_posix() for path in files)


def seeds() -> dict[str, bytes]:
    """Return a shard of each kind, and edits of the files of a store."""
    samples = np.arange(_COUNT * 6).reshape(_COUNT, *_SIDES)
    npz, table = io.BytesIO(), io.BytesIO()
    np.savez_compressed(npz, X=samples.astype(np.float32), y=np.zeros(_COUNT))
    pd.DataFrame({"a": [0.5, 1.5], "label": ["x", "y"]}).to_parquet(table, index=False)
    _, files = _store()
    edits = {
        f"zarr-{file:02d}-{place:02d}": bytes([_ZARR, file, place, 0, 200, place % 32])
        for file in range(len(files))
        for place in range(0, 24, 6)
    }
    whole = {"npz": (_NPZ, npz.getvalue()), "tar": (_TAR, _tar()), "parquet": (_PARQUET, table.getvalue())}
    kinds = {name: bytes([kind]) + content for name, (kind, content) in whole.items()}
    return {**kinds, "zarr": bytes([_ZARR]), **edits}


def _tar() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for number in range(_COUNT):
            picture = io.BytesIO()
            Image.fromarray(np.full(_SIDES, 40 * number, np.uint8)).save(picture, "PNG")
            info = tarfile.TarInfo(f"a-{number + 1:06d}.png")
            info.size = len(picture.getvalue())
            tar.addfile(info, io.BytesIO(picture.getvalue()))
    return content.getvalue()[:3072]  # tarfile fills it up with zeros
