"""The folder by which tasks and their run know of each other, and tasks as bytes."""

import os
import pickle
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from riemaug.errors import ResourceError
from riemaug.parallel import run_folder as module
from riemaug.parallel.attempt import Attempt, Failed, Lost, Unfit, Unwanted
from riemaug.parallel.payload import LARGE, ArrayStore
from riemaug.parallel.run_folder import RunFolder, run_folder
from riemaug.parallel.threads import one_thread_of_libraries


def test_marks_count_the_attempts_since_a_task_came_to_an_end(tmp_path):
    folder, mine = RunFolder(tmp_path), (socket.gethostname(), os.getpid())
    folder.begin(3)
    folder.begin(3)
    assert folder.begun(3) == [mine, mine]
    assert folder.has_marks()
    folder.end(3)
    assert folder.begun(3) == []
    assert not folder.has_marks()


@pytest.mark.parametrize("on_cluster", [True, False])
def test_the_folder_is_there_as_long_as_the_block(tmp_path, on_cluster):
    with run_folder(tmp_path, on_cluster) as folder:
        assert folder.path.is_dir()
        assert (folder.pulse() is not None) == on_cluster
    assert list(tmp_path.iterdir()) == []


def test_the_pulse_beats(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.01)
    with run_folder(tmp_path, on_cluster=True) as folder:
        first, end = folder.pulse(), time.monotonic() + 10
        while folder.pulse() in (first, ""):
            assert time.monotonic() < end
            time.sleep(0.01)


def test_a_run_that_goes_on_waits_for_tasks_of_the_one_that_was_killed(tmp_path):
    """As a worker of a cluster does that is in the middle of a task of a killed run."""
    old = RunFolder(tmp_path / ".tasks-0123456789ab")
    old.path.mkdir()
    (old.path / "alive").write_text("7")
    old.begin(0)
    ended = []

    def worker() -> None:
        while old.pulse() is not None:
            time.sleep(0.01)
        time.sleep(0.2)
        ended.append(time.monotonic())
        old.end(0)

    thread = threading.Thread(target=worker)
    thread.start()
    with run_folder(tmp_path, on_cluster=True):
        begun = time.monotonic()
        thread.join()
        assert ended[0] <= begun
        assert not old.path.exists()


@pytest.mark.parametrize("is_local", [True, False])
def test_a_run_does_not_go_on_beside_tasks_of_the_one_that_was_killed(tmp_path, monkeypatch, is_local):
    monkeypatch.setattr(module, "FAREWELL_SECONDS", 0.2)
    old = RunFolder(tmp_path / ".tasks-0123456789ab")
    old.path.mkdir()
    if not is_local:
        (old.path / "alive").write_text("7")
    old.begin(0)  # by this process, which is there
    for _ in range(2):
        with pytest.raises(ResourceError, match="still at work"), run_folder(tmp_path, on_cluster=False):
            pass
    long_ago = time.time() - 3600
    os.utime(old.path, (long_ago, long_ago))
    with run_folder(tmp_path, on_cluster=False):
        assert not old.path.exists()


def test_a_process_of_this_machine_that_is_gone_is_not_waited_for(tmp_path):
    old = RunFolder(tmp_path / ".tasks-0123456789ab")
    old.path.mkdir()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        (old.path / "0").write_text(f"{socket.gethostname()} {process.pid}\n")
    begun = time.monotonic()
    with run_folder(tmp_path, on_cluster=False):
        assert not old.path.exists()
    assert time.monotonic() - begun < 5


def test_where_others_may_be_at_work_only_silent_runs_are_ended(tmp_path):
    fresh, silent = (tmp_path / name for name in (".tasks-aaaaaaaaaaaa", ".tasks-bbbbbbbbbbbb"))
    for path in (fresh, silent):
        path.mkdir()
        (path / "alive").write_text("0")
    long_ago = time.time() - 3600
    for path in (silent / "alive", silent):
        os.utime(path, (long_ago, long_ago))
    with run_folder(tmp_path, on_cluster=True, is_only=False):
        assert fresh.is_dir()
        assert not silent.exists()


def attempt_at(folder: RunFolder, function, task, version=None) -> Attempt:
    from riemaug import __version__

    return Attempt(function, pickle.dumps(task), 0, folder, 2, version=version or __version__)


def endless(_):
    while True:
        time.sleep(0.01)


def unpicklable(_):
    class Local(Exception):
        pass

    raise Local("what happened")


def test_an_attempt_tells_what_became_of_it(tmp_path):
    with run_folder(tmp_path, on_cluster=True) as folder:
        assert attempt_at(folder, abs, -3)().result == 3
        failed = attempt_at(folder, unpicklable, 0)()
        assert isinstance(failed, Failed)
        assert "Local: what happened" in str(pickle.loads(pickle.dumps(failed.error)))
        assert any("Traceback" in note for note in failed.error.__notes__)
        assert isinstance(attempt_at(folder, abs, 0, "0.0.0")(), Unfit)
        assert not folder.has_marks()
        folder.begin(0)
        folder.begin(0)
        assert attempt_at(folder, abs, 0)() == Lost()
        folder.end(0)
        done = attempt_at(folder, abs, 0)
    told = done()
    assert isinstance(told, Unfit)
    assert "share" in told.reason


def test_a_task_is_ended_once_its_run_is_gone(tmp_path):
    folder = RunFolder(tmp_path / ".tasks-0123456789ab")
    folder.path.mkdir()
    (folder.path / "alive").write_text("0")
    threading.Timer(0.3, (folder.path / "alive").unlink).start()
    assert attempt_at(folder, endless, 0)() == Unwanted()
    assert not folder.has_marks()


def test_a_task_is_ended_once_nothing_is_heard_of_its_run(tmp_path, monkeypatch):
    monkeypatch.setattr("riemaug.parallel.attempt.SILENCE_SECONDS", 0.2)
    folder = RunFolder(tmp_path)
    (tmp_path / "alive").write_text("0")
    assert attempt_at(folder, endless, 0)() == Unwanted()


def test_what_a_killed_run_left_among_temporary_files_is_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = """if True:
        import os
        from riemaug.parallel.run_folder import run_folder
        with run_folder(None, False) as folder:
            (folder.path / "array").write_text("x")
            print(folder.path, flush=True)
            os.kill(os.getpid(), 9)
    """
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    left = Path(done.stdout.strip())
    assert left.is_relative_to(tmp_path)
    assert left.is_dir()
    with run_folder(None, False) as mine, run_folder(None, False) as other:
        assert not left.exists()
        assert mine.path.is_dir()  # whose owner is there
        assert stat.S_IMODE(other.path.stat().st_mode) == 0o700
    assert list(tmp_path.iterdir()) == []


def test_an_array_is_looked_at_once_and_may_hold_numbers_of_any_kind(tmp_path, monkeypatch):
    seen, save = [], np.save

    def spied(path, array, **options):
        seen.append(path)
        save(path, array, **options)

    monkeypatch.setattr(np, "save", spied)
    store, array = ArrayStore(tmp_path), np.ones(LARGE // 8, dtype=np.longdouble)
    contents = [store.packed([number, array]) for number in range(3)]
    assert len(seen) == 1
    assert all((pickle.loads(content)[1] == array).all() for content in contents)
    monkeypatch.setattr("hashlib.sha256", None)
    store.packed(array)


def test_large_arrays_are_left_in_files_and_equal_ones_in_one(tmp_path):
    large, small = np.arange(LARGE // 8 + 1, dtype=np.float64), np.arange(5)
    turned = large[:-1].reshape(-1, 2).T
    content = ArrayStore(tmp_path).packed({"a": large, "b": [large.copy(), small], "c": turned})
    assert len(content) < 10_000
    assert len(list(tmp_path.glob("array-*.npy"))) == 1 + (turned.nbytes >= LARGE)
    again = pickle.loads(content)
    for given, back in ((large, again["a"]), (large, again["b"][0]), (turned, again["c"])):
        np.testing.assert_array_equal(given, back)
    assert not again["a"].flags.writeable
    assert again["b"][1].tolist() == small.tolist()


def test_libraries_keep_one_thread_until_the_last_task_of_a_process_has_ended():
    def threads() -> set[int]:
        return {item["num_threads"] for item in threadpool_info() if item["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        before = threads()
        first, second = one_thread_of_libraries(), one_thread_of_libraries()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert threads() <= {1}
        second.__exit__(None, None, None)
        assert threads() == before
