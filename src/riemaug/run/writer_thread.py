"""Writing beside drawing: one thread with a short queue, so that a slow disk slows the drawing."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

QUEUE_VALUES, QUEUE_LENGTH = 2**24, 8
"""So many values wait to be written at most, in at most so many pieces; of larger pieces none waits."""


class WriterThread:
    """Does jobs in their order in a thread of its own; used as a context manager.

    An error of a job is raised by a later call, or at the end of the block; no job after it is done.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._has_failed = False

    def __enter__(self) -> "WriterThread":
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None:
                self._wait(0)
        finally:
            self._pool.shutdown(cancel_futures=True)

    def do(self, job: Callable[..., None], *arguments: Any, values: int = 0) -> None:
        """Queue a job that holds so many values; wait for earlier ones where too much would wait."""
        if values > QUEUE_VALUES:
            self._wait(0)
        self._waiting.append((self._pool.submit(self._run, job, *arguments), values))
        self._wait(QUEUE_LENGTH)

    def _run(self, job: Callable[..., None], *arguments: Any) -> None:
        if self._has_failed:  # nothing may be recorded as done after what was not
            return
        try:
            job(*arguments)
        except BaseException:
            self._has_failed = True
            raise

    def _wait(self, length: int) -> None:
        """Wait until at most so many jobs, and not too many values, are left."""
        while len(self._waiting) > length or (
            len(self._waiting) > 0 and sum(values for _, values in self._waiting) > QUEUE_VALUES
        ):
            self._waiting.popleft()[0].result()
