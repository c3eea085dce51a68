"""Samples that memory does not hold: decoded once into a file without a name, and mapped from there."""

import subprocess
import sys
import tempfile
from pathlib import Path

import joblib
import numpy as np
import pytest
from data_files import noise, save_image
from volume_files import blob, save_volume

import riemaug.data.scratch
from riemaug.data import Dataset, read_dataset
from riemaug.data.blocks import forget_pages
from riemaug.data.scratch import SampleRows, ScratchFile
from riemaug.errors import ResourceError


def lies_in_a_file(array: np.ndarray) -> bool:
    """Tell whether an array is a read-only view of something that is no array."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return isinstance(array.base, memoryview) and not array.flags.writeable


@pytest.fixture
def room(monkeypatch):
    """Return what sets how many bytes of decoded samples memory holds."""
    return lambda num_bytes: monkeypatch.setattr(riemaug.data.scratch, "MOST_IN_MEMORY", num_bytes)


def read_both(folder: Path, room, **options) -> tuple[Dataset, Dataset]:
    in_memory = read_dataset(folder, **options)
    room(700)  # some of the pictures, not all
    return in_memory, read_dataset(folder, **options)


def check_same(in_memory: Dataset, on_disk: Dataset) -> None:
    assert not lies_in_a_file(in_memory.samples)
    assert lies_in_a_file(on_disk.samples)
    np.testing.assert_array_equal(on_disk.samples, in_memory.samples)
    assert on_disk.samples.dtype == in_memory.samples.dtype
    assert on_disk.fingerprint() == in_memory.fingerprint()
    assert (on_disk.names, on_disk.notes, on_disk.format) == (
        in_memory.names,
        in_memory.notes,
        in_memory.format,
    )


def picture_folder(root: Path, sizes: list[tuple[int, int]], coloured: int = 0) -> Path:
    for number, size in enumerate(sizes):
        shape = (*size, 3) if number < coloured else size
        save_image(root / "ab"[number % 2] / f"{number}.png", noise(number, shape))
    return root


@pytest.mark.parametrize(
    ("sizes", "coloured", "options"),
    [
        ([(9, 11)] * 8, 0, {}),
        ([(9, 11)] * 8, 3, {}),
        ([(9, 11), (12, 8)] * 4, 0, {"pad": True}),
        ([(9, 11), (12, 8)] * 4, 2, {"crop": True}),
        ([(9, 11), (12, 8)] * 6, 0, {"resize": (10, 10)}),
        ([(24, 22)] * 8, 0, {"fit_shape": (12, 11)}),
    ],
)
def test_pictures_on_the_disk_are_those_in_memory(tmp_path, room, sizes, coloured, options) -> None:
    check_same(*read_both(picture_folder(tmp_path, sizes, coloured), room, **options))


def test_bad_pictures_are_left_out_wherever_they_stand(tmp_path, room) -> None:
    picture_folder(tmp_path, [(9, 11)] * 12)
    for name in ("a/0.png", "b/5.png", "b/99.png"):
        (tmp_path / name).write_bytes(b"no picture")
    check_same(*read_both(tmp_path, room, skip_bad=True))


@pytest.mark.parametrize("suffix", [".nii.gz", ".npy"])
@pytest.mark.parametrize("bad", [[], [0], [3, 4], [7]])
def test_volumes_on_the_disk_are_those_in_memory(tmp_path, room, suffix, bad) -> None:
    for number in range(8):
        voxels = blob(number, dtype="int16")
        path = tmp_path / "ab"[number // 4] / f"{number}{suffix}"
        path.parent.mkdir(exist_ok=True)
        if suffix == ".npy":
            np.save(path, voxels)
        else:
            save_volume(path, voxels)
        if number in bad:
            # its beginning is right
            path.write_bytes(path.read_bytes()[:-40])
    check_same(*read_both(tmp_path, room, skip_bad=bool(bad)))


def test_what_lies_on_the_disk_has_no_name_and_goes_with_the_array(tmp_path, room, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    room(0)
    rows = SampleRows((4, 1000), np.dtype("float64"), "images", "leave some out")
    for row in range(4):
        rows.put(row, np.full(1000, row, np.uint8))
    array = rows.finished([0, 2, 3])
    del rows
    assert list(tmp_path.iterdir()) == []
    np.testing.assert_array_equal(array[:, 0], [0, 2, 3])
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    (seen,) = joblib.Parallel(n_jobs=2)([joblib.delayed(np.sum)(array)])
    assert seen == 5000.0
    forget_pages(array)
    assert array.sum() == 5000


def test_a_full_disk_is_told_before_anything_is_decoded(tmp_path, room, monkeypatch) -> None:
    for number in range(4):
        save_volume(tmp_path / "ab"[number // 2] / f"{number}.nii.gz", blob(number, dtype="int16"))
    room(0)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    monkeypatch.setattr("riemaug.data.volume_files.read_filled_voxels", lambda *_: pytest.fail("was read"))
    with pytest.raises(ResourceError, match=r"volumes that memory .* set TMPDIR .* or give --fit-shape"):
        read_dataset(tmp_path)


def test_a_disk_that_fills_up_ends_in_one_line(monkeypatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    file = ScratchFile("images", "leave some out")
    monkeypatch.setattr(file, "_file", type("Full", (), {"seek": lambda *_: 0, "write": refuse})())
    with pytest.raises(ResourceError, match="No space left on device.*set TMPDIR") as told:
        file.write(0, np.zeros(3))
    assert "\n" not in str(told.value)


def test_nothing_is_mapped_of_nothing() -> None:
    assert ScratchFile("images", "").mapped((0, 3), np.dtype("uint8")).shape == (0, 3)


_PEAK = """
import resource, sys
import riemaug.data.scratch
from riemaug.data import read_dataset

riemaug.data.scratch.MOST_IN_MEMORY = 2**24
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = read_dataset(sys.argv[1])
data.fingerprint()
print(data.samples.nbytes >> 20, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is counted in kB on Linux alone")
def test_memory_does_not_grow_with_the_folder(tmp_path) -> None:
    pixels = noise(0, (1024, 1024))
    for number in range(400):
        pixels[0, 0], pixels[1, :2] = number % 251, divmod(number, 251)
        save_image(tmp_path / "ab"[number % 2] / f"{number}.bmp", pixels)
    done = subprocess.run([sys.executable, "-c", _PEAK, tmp_path], capture_output=True, text=True, check=True)
    size, grown = map(int, done.stdout.split())
    assert size == 400
    assert grown < 250
