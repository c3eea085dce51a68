"""Records of stretches: whatever becomes of their files is told as damage, or does no harm."""

from pathlib import Path

import numpy as np
import pytest

from riemaug.run.drawing import Position
from riemaug.run.stretches import Coded, DamagedRecordError, SampleColumns, SegmentEnd, StretchFiles

STATE = {"sum": np.arange(3.0)}


def columns(count: int) -> SampleColumns:
    """Return what the manifest says of `count` samples."""
    start = Coded.of(np.zeros(count, np.int64), ["a/1.png"])
    return SampleColumns(np.zeros(count), np.ones(count), start)


def recorded(folder: Path, *counts: int, is_closed: bool = False) -> StretchFiles:
    """Return the records of stretches of so many samples each, from sample 100 on, a file a sample."""
    files, done = StretchFiles(folder, "class-0000"), 100
    for count in counts:
        sizes = np.arange(done, done + count)
        done += count
        files.record(columns(count), Position(done, done), STATE, sizes)
    if is_closed:
        files.close(SegmentEnd(Position(done, done), STATE, 1.0))
    return files


def test_what_was_recorded_comes_back(tmp_path):
    found = list(recorded(tmp_path, 4, 3, is_closed=True).checked(100))
    assert [part.numbers for part in found] == [range(100, 104), range(104, 107)]
    assert [part.sizes.tolist() for part in found if part.sizes is not None] == [
        [100, 101, 102, 103],
        [104, 105, 106],
    ]
    assert list(StretchFiles(tmp_path, "class-0001").checked(0)) == []


@pytest.mark.parametrize(("size", "width"), [(255, 1), (65_535, 2), (2**32 - 1, 4), (2**40, 8)])
def test_sizes_take_few_bytes(tmp_path, size, width):
    files = StretchFiles(tmp_path, "class-0000")
    files.record(columns(2), Position(2, 2), STATE, np.array([0, size]))
    with np.load(tmp_path / "class-0000.stretch-000000.npz") as arrays:
        assert arrays["sizes"].itemsize == width
    (found,) = files.checked(0)
    assert found.sizes is not None
    assert found.sizes.tolist() == [0, size]


@pytest.mark.parametrize("kind", ["stretch-000000", "stretch-000001", "state-000001", "end"])
def test_a_record_cut_anywhere_or_with_another_byte_is_damaged_or_says_the_same(tmp_path, kind):
    files = recorded(tmp_path, 4, 3, is_closed=True)
    path = tmp_path / f"class-0000.{kind}.npz"
    whole, before = path.read_bytes(), [part.numbers for part in files.checked(100)]
    for length in range(0, len(whole), 61):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedRecordError, match=path.name):
            list(files.checked(100))
    for place in range(0, len(whole), 17):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            assert [part.numbers for part in files.checked(100)] == before
        except DamagedRecordError as error:
            assert error.path == path  # noqa: PT017
    path.unlink()
    if kind != "end":
        with pytest.raises(DamagedRecordError, match="it is missing"):
            list(files.checked(100))


def test_records_that_do_not_follow_each_other_are_damaged(tmp_path):
    files = recorded(tmp_path, 4, 3, is_closed=True)
    with pytest.raises(DamagedRecordError, match="does not follow"):
        list(files.checked(99))
    (tmp_path / "class-0000.stretch-000001.npz").unlink()
    (tmp_path / "class-0000.state-000001.npz").rename(tmp_path / "class-0000.state-000000.npz")
    with pytest.raises(DamagedRecordError, match="more samples than are recorded"):
        list(files.checked(100))
    files.forget()
    assert list(tmp_path.iterdir()) == []
