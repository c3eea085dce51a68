"""Files on the disk: what flushes a file system, with and without the system's own call."""

import errno
import os

import pytest

import riemaug.atomic as atomic
from riemaug.atomic import atomic_write_text, flush_file_system, flushed_later


@pytest.mark.parametrize("has_call", [True, False])
def test_files_of_a_stretch_are_flushed_together(tmp_path, monkeypatch, has_call):
    flushed = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    if not has_call:
        monkeypatch.setattr(atomic, "_syncfs", lambda: None)
    elif atomic._syncfs() is None:
        pytest.skip("this system cannot flush one file system")
    with flushed_later():
        for number in range(3):
            atomic_write_text(tmp_path / f"{number}.txt", "x")
    assert flushed == []
    flush_file_system(tmp_path)
    assert len(flushed) == (0 if has_call else 3)
    atomic_write_text(tmp_path / "last.txt", "x")
    assert len(flushed) == (1 if has_call else 4)


def test_a_disk_that_did_not_take_it_is_told(tmp_path, monkeypatch):
    def refuse(descriptor: int) -> int:
        import ctypes

        ctypes.set_errno(errno.EIO)
        return -1

    monkeypatch.setattr(atomic, "_syncfs", lambda: refuse)
    with pytest.raises(OSError, match="Input/output error") as raised:
        flush_file_system(tmp_path)
    assert raised.value.errno == errno.EIO
    with pytest.raises(FileNotFoundError):
        flush_file_system(tmp_path / "none")
