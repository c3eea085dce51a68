"""What joblib asks of a cluster: to take tasks, and to tell of each what became of it."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from joblib.parallel import ParallelBackendBase, SequentialBackend

from riemaug.parallel.attempt import Lost

LOST = [(-1, Lost())]
"""Stands for the results of a batch of one task of which the worker was lost: which one, its mark tells."""


class ClusterBackend(ParallelBackendBase):
    """A back end for joblib of which a lost worker costs its task alone, as a result that says so.

    joblib's own ones for Dask and Ray end all tasks with the first that loses its worker, or wait for ever.
    """

    supports_retrieve_callback = True
    supports_sharedmem = False
    uses_threads = False

    def __init__(self, **options: Any) -> None:
        super().__init__(nesting_level=0, **options)

    @abstractmethod
    def num_workers(self) -> int:
        """Return how many tasks the cluster can do at once."""

    @abstractmethod
    def start(self, call: Callable[[], Any], on_end: Callable[[Any], None]) -> Any:
        """Begin a call on a worker; `on_end` hears its value or, as an exception, what went wrong."""

    @abstractmethod
    def is_lost_worker(self, error: BaseException) -> bool:
        """Return whether an error says that a worker was lost with what it did."""

    def for_device(self, device: str, num_jobs: int) -> "ClusterBackend":
        """Return a back end for tasks on a device, so many at once."""
        return self

    def effective_n_jobs(self, n_jobs: int | None) -> Any:
        """Return the number of tasks at once; at least two, or joblib would do them in this process."""
        return max(2, self.num_workers())

    def submit(self, func: Any, callback: Any = None) -> Any:
        """Begin a batch of tasks."""

        def tell(value: Any) -> None:
            lost = isinstance(value, BaseException) and self.is_lost_worker(value)
            callback(LOST if lost else value)

        return self.start(func, tell)

    def retrieve_result_callback(self, out: Any) -> Any:
        """Return the results of a batch, or raise what went wrong."""
        if isinstance(out, BaseException):
            raise out
        return out

    def get_nested_backend(self) -> tuple[Any, None]:
        """Return what tasks use for tasks of their own: nothing but themselves."""
        return SequentialBackend(nesting_level=1), None
