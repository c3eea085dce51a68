"""What a cluster that is lost, or a disk that its tasks find full, ends a run with."""

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import pytest
from cluster_tasks import square

import riemaug.parallel.run_folder
from riemaug.errors import DiskError, ResourceLostError
from riemaug.parallel import run_tasks
from riemaug.parallel.cluster import ClusterBackend
from riemaug.parallel.payload import ArrayStore
from riemaug.parallel.run_folder import RunFolder


class ThreadCluster(ClusterBackend):
    """Does each task in a thread of this process, up to a number of them; with the next one it is lost."""

    def __init__(self, limit: float = float("inf")) -> None:
        super().__init__()
        self.limit, self.begun = limit, 0

    def num_workers(self) -> int:
        return 2

    def start(self, call: Callable[[], Any], on_end: Callable[[Any], None]) -> Any:
        self.begun += 1
        is_lost = self.begun > self.limit

        def work() -> None:
            try:
                on_end(ConnectionError("nobody\nanswers") if is_lost else call())
            except Exception as error:
                on_end(error)

        threading.Thread(target=work, daemon=True).start()

    def is_lost_worker(self, error: BaseException) -> bool:
        return False

    def abort_everything(self, ensure_ready: bool = True) -> None:
        pass


@contextmanager
def used(cluster: ClusterBackend) -> Iterator[None]:
    with joblib.parallel_config(backend=cluster, n_jobs=-1):
        yield


def refuse(number: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(number, "refused", "/shared/out")

    return fail


def test_a_lost_cluster_is_one_line_and_no_refusal(tmp_path):
    with used(ThreadCluster(limit=3)), pytest.raises(ResourceLostError) as caught:
        list(run_tasks(square, range(8), 2, folder=tmp_path))
    assert str(caught.value) == (
        "the cluster must be there until the last task has ended, it was lost (ConnectionError: answers): "
        "start it again, or take another engine"
    )
    assert caught.value.exit_code == DiskError.exit_code == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.ESTALE, errno.EROFS])
@pytest.mark.parametrize("place", ["begin", "end"])
def test_a_mark_that_the_disk_refuses_is_told_as_such(tmp_path, monkeypatch, number, place):
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, place, refuse(number))
        patch.setattr(riemaug.parallel.run_folder, "FAREWELL_SECONDS", 0.0)  # marks stay
        with used(ThreadCluster()), pytest.raises(OSError, match="refused") as caught:
            list(run_tasks(square, range(4), 2, folder=tmp_path))
    assert (caught.value.errno, caught.value.filename) == (number, "/shared/out")


def test_a_folder_that_may_not_be_looked_into_is_told_as_such(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_dir", refuse(errno.EACCES))
        with used(ThreadCluster()), pytest.raises(PermissionError):
            list(run_tasks(square, range(4), 2, folder=tmp_path))


def test_a_run_whose_folder_is_gone_is_not_wanted_any_more(tmp_path, monkeypatch):
    begun = []

    def gone(folder: RunFolder, number: int) -> None:
        begun.append(number)
        if len(begun) == 1:
            raise FileNotFoundError(errno.ENOENT, "gone")

    monkeypatch.setattr(RunFolder, "begin", gone)
    with used(ThreadCluster()):
        assert list(run_tasks(square, range(3), 2, folder=tmp_path)) == [0, 1, 4]
    assert len(begun) == 4


def test_a_disk_without_room_for_a_task_on_its_way_is_not_taken_for_a_lost_cluster(tmp_path, monkeypatch):
    packed, calls = ArrayStore.packed, []

    def full(store: ArrayStore, value: Any) -> bytes:
        calls.append(value)
        if len(calls) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return packed(store, value)

    monkeypatch.setattr(ArrayStore, "packed", full)
    with used(ThreadCluster()), pytest.raises(OSError, match="No space left") as caught:
        list(run_tasks(square, range(8), 2, folder=tmp_path))
    assert caught.value.errno == errno.ENOSPC
