"""The end of workers in mid-work: not before what was submitted to them has been handed over."""

import threading
import time
from concurrent.futures import Future

import pytest
from joblib.parallel import Parallel

from riemaug.parallel.local_backend import LocalBackend


class SlowWorkers:
    """Takes what is submitted late, as a manager thread does that gets no processor for a while."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.futures: list[Future] = []
        self.running_at_end: list[bool] = []

    def submit(self, func):
        future: Future = Future()
        self.futures.append(future)
        timer = threading.Timer(self.delay, future.set_running_or_notify_cancel)
        timer.daemon = True
        timer.start()
        return future

    def terminate(self, kill_workers):
        assert kill_workers
        self.running_at_end = [future.running() for future in self.futures]


@pytest.fixture
def backend():
    backend = LocalBackend()
    backend.parallel = Parallel(n_jobs=2)
    backend._workers = SlowWorkers(0.1)
    return backend


def test_workers_are_killed_once_they_have_all_tasks(backend):
    workers = backend._workers
    for _ in range(2):
        backend.submit(print, lambda _: None)
    backend.abort_everything(ensure_ready=False)
    assert workers.running_at_end == [True, True]


def test_nothing_is_begun_after_the_end_and_nobody_waits_for_it(backend):
    workers = backend._workers
    heard = []
    backend.abort_everything(ensure_ready=False)
    assert not backend.submit(print, heard.append).done()
    assert (workers.futures, heard) == ([], [])


def test_workers_that_take_nothing_are_killed_all_the_same(backend):
    backend._workers.delay = 60.0
    backend.submit(print)
    begin = time.monotonic()
    backend.abort_everything(ensure_ready=False)
    assert time.monotonic() - begin < 10.0
