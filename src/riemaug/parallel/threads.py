"""One thread a task: sums over several threads depend on their number."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

_LOCK = threading.Lock()
_HELD: list[threadpool_limits] = []
_AT_WORK: list[int] = []


@contextmanager
def one_thread() -> Iterator[None]:
    """Run the block with one PyTorch thread: sums over several threads would depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread_of_libraries() -> Iterator[None]:
    """Hold BLAS and its like to one thread as long as some such block of this process is running.

    Their number is the process's, not a thread's: the first of several tasks to end must not change it for
    the others. (PyTorch's number is a thread's.)
    """
    with _LOCK:
        if not _AT_WORK:
            _HELD.append(threadpool_limits(1))
        _AT_WORK.append(threading.get_ident())
    try:
        yield
    finally:
        with _LOCK:
            _AT_WORK.remove(threading.get_ident())
            if not _AT_WORK:
                _HELD.pop().restore_original_limits()
