"""Rows of Zarr stores: those that we write are read, and nothing that holds more or something else."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from riemaug.run.zarr_rows import is_one_frame, zarr_row

pytest.importorskip("zarr")
from numcodecs.zstd import Zstd

from riemaug.run.zarr_store import append_to_class_array, join_class_arrays

SHAPE = (3, 2, 4)


def save(root: Path, values: np.ndarray) -> Path:
    store, part = root / "synthetic.zarr", root / "work" / "part"
    dtype = values.dtype.name
    append_to_class_array(part, values, 0, values.shape, dtype)
    join_class_arrays([(part, len(values))], store, ("images", "labels"), [0], values.shape[1:], dtype, {})
    return store


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float16", "float64", "bool"])
@pytest.mark.parametrize("shape", [(3, 2), SHAPE, (200, 300)])
def test_what_is_written_is_read(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    values = (np.random.default_rng(0).random((3, *shape)) * 200).astype(dtype)
    values[1] = 0  # for which no chunk is written
    store = save(tmp_path, values)
    for row in range(3):
        found = zarr_row(store, "images", row, shape, dtype)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, values[row])
    for row in (-1, 3):
        with pytest.raises(ValueError, match="no row"):
            zarr_row(store, "images", row, shape, dtype)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shape", [2, 3, 2]),
        ("shape", "3"),
        ("shape", None),
        ("data_type", "int32"),
        ("zarr_format", 2),
        ("node_type", "group"),
        ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [2, *SHAPE]}}),
        ("chunk_key_encoding", {"name": "v2", "configuration": {"separator": "."}}),
        ("codecs", [{"name": "numcodecs.pickle"}]),
        ("codecs", []),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, field: str, value: object) -> None:
    store = save(tmp_path, np.arange(48, dtype=np.int16).reshape(2, *SHAPE))
    metadata = store / "images" / "zarr.json"
    metadata.write_text(json.dumps(json.loads(metadata.read_text()) | {field: value}))
    with pytest.raises(ValueError, match=r"must be|tells no shape"):
        zarr_row(store, "images", 0, SHAPE, "int16")


def test_a_chunk_that_unpacks_to_more_is_not_unpacked(tmp_path: Path) -> None:
    store = save(tmp_path, np.arange(48, dtype=np.int16).reshape(2, *SHAPE))
    chunk = store / "images" / "c" / "1" / "0" / "0" / "0"
    right, pack = chunk.read_bytes(), Zstd(level=0).encode
    for content in (
        right + pack(bytes(10**7)),
        pack(bytes(10**7)),
        pack(bytes(47)),
        right[:-1],
        right + b"\0",
        b"",
        b"no frame",
        right + bytes(10_000),
    ):
        chunk.write_bytes(content)
        with pytest.raises(ValueError, match=r"something else|may have up to"):
            zarr_row(store, "images", 1, SHAPE, "int16")
    chunk.write_bytes(right[:-2] + b"\xff\xff")
    assert zarr_row(store, "images", 1, SHAPE, "int16").shape == SHAPE  # values are not checked


def test_pipes_and_links_in_a_store_are_not_read(tmp_path: Path) -> None:
    store = save(tmp_path, np.arange(48, dtype=np.int16).reshape(2, *SHAPE))
    for place in ("images/c/1/0/0/0", "images/zarr.json"):
        path = store / place
        kept = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(ValueError, match="no file"):
            zarr_row(store, "images", 1, SHAPE, "int16")
        path.unlink()
        (tmp_path / "elsewhere").write_bytes(kept)
        path.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(ValueError, match="outside"):
            zarr_row(store, "images", 1, SHAPE, "int16")
        path.unlink()
        path.write_bytes(kept)
    assert zarr_row(store, "images", 1, SHAPE, "int16").shape == SHAPE


@pytest.mark.parametrize("size", [0, 1, 255, 256, 300, 70_000, 400_000])
@pytest.mark.parametrize("level", [1, 9])
@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("kind", ["zeros", "noise", "ramp"])
def test_frames_are_known_by_their_sizes(size: int, level: int, checksum: bool, kind: str) -> None:
    draw = np.random.default_rng(size)
    content = {
        "zeros": bytes(size),
        "noise": draw.bytes(size),
        "ramp": (np.arange(size) // 7).astype(np.uint8).tobytes(),
    }[kind]
    frame = Zstd(level=level, checksum=checksum).encode(content)
    assert is_one_frame(frame, size)
    assert not is_one_frame(frame, size + 1)
    assert not is_one_frame(frame + frame, size)
    assert not any(is_one_frame(frame[:end], size) for end in range(0, len(frame), max(len(frame) // 50, 1)))
