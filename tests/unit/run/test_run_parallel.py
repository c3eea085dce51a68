import os
import signal
import time
from contextlib import nullcontext
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from joblib.externals.loky import get_reusable_executor

from riemaug.errors import ResourceLostError, TrainingError
from riemaug.parallel import one_thread, run_tasks


def square(number):
    return number * number


def slow_first(number):
    time.sleep(0.3 if number == 0 else 0.0)
    return number


def process_and_threads(number):
    return os.getpid(), torch.get_num_threads()


def fail_at_two(number):
    if number == 2:
        raise TrainingError("class 'b': it diverged")
    return number


def no_disk(number):
    raise OSError(28, "No space left on device", "/somewhere")


def die(number):
    if number == 1:
        os._exit(1)
    return number


def total(array):
    return float(array.sum()), bool(array.flags.writeable)


def lies_in(array):
    return str(getattr(array, "filename", None))


def interrupted_by_the_terminal(number):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)
    return number


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_tasks(jobs):
    assert list(run_tasks(square, list(range(7)), jobs)) == [0, 1, 4, 9, 16, 25, 36]
    assert list(run_tasks(slow_first, [0, 1, 2], jobs)) == [0, 1, 2]
    assert list(run_tasks(square, [], jobs)) == []


def test_one_job_stays_in_this_process_and_two_do_not():
    before = torch.get_num_threads()
    assert list(run_tasks(process_and_threads, [0, 1], 1)) == [(os.getpid(), 1)] * 2
    assert list(run_tasks(process_and_threads, [0], 4)) == [(os.getpid(), 1)]
    outside = list(run_tasks(process_and_threads, [0, 1, 2], 2))
    assert all(process != os.getpid() and threads == 1 for process, threads in outside)
    assert torch.get_num_threads() == before


def test_large_arrays_arrive_whole():
    array = np.ones((400, 1000))
    assert list(run_tasks(total, [array, array], 2)) == [(400_000.0, False)] * 2


def test_large_arrays_lie_in_the_folder_of_the_run_and_nowhere_else(tmp_path):
    array = np.ones((400, 1000))
    places = set(run_tasks(lies_in, [array, array], 2, folder=tmp_path))
    (place,) = places
    assert Path(place).is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_arrives_as_it_was_raised(jobs):
    with pytest.raises(OSError, match="No space left") as caught:
        list(run_tasks(no_disk, [0, 1], jobs))
    assert (caught.value.errno, caught.value.filename) == (28, "/somewhere")


def test_the_tasks_before_a_failure_are_done_first():
    results = run_tasks(fail_at_two, [0, 1, 2, 3], 1)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(TrainingError, match="class 'b': it diverged"):
        next(results)


@pytest.mark.slow
def test_a_worker_that_dies_is_told_in_one_line():
    with pytest.raises(ResourceLostError, match="task 2 has ended it 3 times") as caught:
        list(run_tasks(die, [0, 1, 2, 3], 2))
    assert "\n" not in str(caught.value)
    # and the next call has workers again
    assert list(run_tasks(square, [1, 2], 2)) == [1, 4]


def threads_then_error(seen):
    with one_thread():
        seen.append(torch.get_num_threads())
        raise ZeroDivisionError


def test_the_number_of_threads_is_given_back_after_an_error():
    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        with pytest.raises(ZeroDivisionError):
            threads_then_error(seen)
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals have no masks on this system")
def test_ctrl_c_is_the_parents_alone():
    """A terminal sends it to the workers too, which would print their tracebacks or lose a task."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert list(run_tasks(interrupted_by_the_terminal, [0, 1, 2, 3], 2)) == [0, 1, 2, 3]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


@pytest.mark.slow
def test_ctrl_c_is_the_parents_alone_in_workers_that_others_started():
    get_reusable_executor().shutdown(wait=True)
    try:
        joblib.Parallel(n_jobs=2)(joblib.delayed(square)(number) for number in range(2))
        assert list(run_tasks(interrupted_by_the_terminal, [0, 1, 2, 3], 2)) == [0, 1, 2, 3]
    finally:
        get_reusable_executor().shutdown(wait=True)


def test_a_task_in_this_process_takes_a_free_gpu_as_well(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "riemaug.parallel.runner.on_a_gpu", lambda device: asked.append(device) or nullcontext()
    )
    assert list(run_tasks(square, [2, 3], 1, device="cuda")) == [4, 9]
    assert asked == ["cuda", "cuda"]
