"""npz files: what is stored as it is stays on disk, what is compressed is unpacked."""

import io
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
from data_files import refused

from riemaug.config import GeneratorConfig, SamplingConfig
from riemaug.data import RangeScaler, read_dataset
from riemaug.data.blocks import VALUES_PER_BLOCK
from riemaug.data.npz_file import read_every_array
from riemaug.run.plan import plan_for

Y = np.arange(6) % 2
MEBIBYTE = 2**20


def values(dtype: str) -> np.ndarray:
    return np.arange(6 * 3 * 5).reshape(6, 3, 5).astype(dtype)


def lies_on_disk(array: np.ndarray | None) -> bool:
    """Tell whether an array, or what it is a view of, is mapped."""
    return array is not None and (isinstance(array, np.memmap) or lies_on_disk(array.base))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
@pytest.mark.parametrize("key", ["X", "images", "train_images"])  # of other lengths: values begin elsewhere
def test_stored_samples_are_mapped_and_compressed_ones_are_read(tmp_path: Path, dtype: str, key: str) -> None:
    labels = {"X": "y", "images": "labels", "train_images": "train_labels"}[key]
    arrays = {key: values(dtype), labels: Y}
    np.savez(tmp_path / "stored.npz", **arrays)
    np.savez_compressed(tmp_path / "compressed.npz", **arrays)
    stored, compressed = (read_dataset(tmp_path / f"{name}.npz") for name in ("stored", "compressed"))
    assert lies_on_disk(stored.samples)
    assert not lies_on_disk(compressed.samples)
    for data in (stored, compressed):
        assert data.samples.dtype == dtype
        np.testing.assert_array_equal(data.samples, values(dtype))
    assert stored.fingerprint() == compressed.fingerprint()
    with pytest.raises(ValueError, match="read-only"):
        stored.samples[0] = 0


def test_what_stands_before_and_between_members_moves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with path.open("wb") as file:
        file.write(b"something of another program")
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("note.txt", "no array")
            for name, array in (("a" * 300, values("int32")), ("X", values("float64")), ("y", Y)):
                content = io.BytesIO()
                np.save(content, array)
                entry = zipfile.ZipInfo(f"{name}.npy")
                entry.comment, entry.extra = b"seen", b"\xfe\xca\x02\x00ab"
                archive.writestr(entry, content.getvalue())
    found = read_every_array(path)
    assert all(map(lies_on_disk, found.values()))
    np.testing.assert_array_equal(found["a" * 300], values("int32"))
    np.testing.assert_array_equal(found["X"], values("float64"))


@pytest.mark.parametrize(
    "samples", [np.asfortranarray(values("float32")), values(">f4"), values("float32")[:0].reshape(0, 3)]
)
def test_arrays_come_as_they_were_saved(tmp_path: Path, samples: np.ndarray) -> None:
    np.savez(tmp_path / "data.npz", X=samples, y=np.array("one text"))
    found = read_every_array(tmp_path / "data.npz")
    assert (found["X"].dtype, found["X"].flags.f_contiguous) == (samples.dtype, samples.flags.f_contiguous)
    np.testing.assert_array_equal(found["X"], samples)
    assert found["y"] == "one text"


@pytest.mark.parametrize("samples", [np.asfortranarray(values("float32")), values(">f4")])
def test_rows_and_bytes_in_another_order_are_copied(tmp_path: Path, samples: np.ndarray) -> None:
    np.savez(tmp_path / "data.npz", X=samples, y=Y)
    data = read_dataset(tmp_path / "data.npz")
    assert not lies_on_disk(data.samples)
    assert data.samples.flags.c_contiguous
    assert data.samples.dtype == np.float32
    np.testing.assert_array_equal(data.samples, values("float32"))


def test_a_damaged_value_is_seen_though_it_is_mapped(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, X=values("uint8"), y=Y)
    content = bytearray(path.read_bytes())
    place = content.index(values("uint8").tobytes())
    content[place + 40] ^= 1
    path.write_bytes(content)
    refused(path, "must be an npz file", "Bad CRC-32", "save it again")


def memory(kind: str) -> int:
    """Return bytes of this process, by the name that Linux gives them."""
    with Path("/proc/self/status").open() as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(f"{kind}:"))


def save_noise(path: Path, rows: int) -> None:
    samples = np.random.default_rng(0).random((rows, 256, 256), dtype=np.float32)
    np.savez(path, X=samples, y=np.arange(rows) % 2)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is told by Linux' /proc")
def test_reading_and_planning_leave_the_samples_on_disk(tmp_path: Path) -> None:
    def planned(path: Path) -> float:
        """Return by how many MiB reading and planning let the process grow."""
        before = memory("VmRSS")
        data = read_dataset(path)
        after_reading = memory("VmRSS")
        plan = plan_for(data, GeneratorConfig(), SamplingConfig(), (0, 0), 1)
        assert plan.dataset is data
        return (max(after_reading, memory("VmRSS")) - before) / MEBIBYTE

    paths = [tmp_path / "small.npz", tmp_path / "large.npz"]
    for path, rows in zip(paths, (8, 600), strict=True):
        save_noise(path, rows)
    planned(paths[0])  # libraries are loaded and buffers made once
    assert paths[1].stat().st_size > 128 * MEBIBYTE
    assert planned(paths[1]) < 48


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
def test_the_range_of_several_blocks_is_that_of_all_values(dtype: str) -> None:
    rng = np.random.default_rng(1)
    samples = rng.integers(120, 140, (3, VALUES_PER_BLOCK // 2 + 7)).astype(dtype)
    rows, columns = rng.integers(0, 3, 40), np.arange(40) * 1000
    samples[rows[:20], columns[:20]], samples[rows[20:], columns[20:]] = 255, 1
    scaler = RangeScaler.fit(samples)
    inside = samples[(samples > 1) & (samples < 255)]
    assert (scaler.low, scaler.high) == (inside.min(), inside.max())
    assert scaler.clipped_fraction == 40 / samples.size


def tell(array: np.ndarray) -> tuple[bool, int]:
    return lies_on_disk(array), int(array.sum())


@pytest.mark.slow
def test_a_mapped_array_stays_on_disk_in_another_process(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", X=values("float64"), y=Y)
    data = read_dataset(tmp_path / "data.npz")
    told = joblib.Parallel(n_jobs=2, max_nbytes=None)([joblib.delayed(tell)(data.samples)] * 2)
    assert told == [(True, int(values("float64").sum()))] * 2
