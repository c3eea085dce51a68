"""A Ray cluster as a back end of joblib (extra `ray`)."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody unless asked for

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, WorkerCrashedError

from riemaug.errors import InvalidInputError
from riemaug.logs.muted import muted
from riemaug.parallel.cluster import ClusterBackend

POLL_SECONDS = 0.2


class RayBackend(ClusterBackend):
    """Tasks on the cluster that this process is connected with.

    Parameters
    ----------
    num_gpus : float
        Share of a GPU that each task has for its own; Ray hides all others from it.
    """

    def __init__(self, num_gpus: float = 0.0) -> None:
        super().__init__()
        self._remote = ray.remote(num_cpus=1, num_gpus=num_gpus, max_retries=0)(_called)
        self._lock = threading.Lock()
        self._waiting: dict[Any, Callable[[Any], None]] = {}
        self._stop = threading.Event()

    def num_workers(self) -> int:
        """Return the number of cores of the cluster."""
        return int(ray.cluster_resources().get("CPU", 0))

    def for_device(self, device: str, num_jobs: int) -> "RayBackend":
        """Return a back end that gives each task a GPU, or with more tasks than GPUs a share of one.

        Raises
        ------
        InvalidInputError
            The cluster has no GPU: Ray would wait for one for ever.
        """
        if not device.startswith("cuda"):
            return RayBackend()
        num_gpus = ray.cluster_resources().get("GPU", 0.0)
        if num_gpus == 0:
            raise InvalidInputError(
                f"--device {device} needs a Ray cluster with GPUs, this one tells of none: choose "
                "--device cpu, or start its machines with --num-gpus"
            )
        return RayBackend(min(1.0, max(1.0, num_gpus) / num_jobs))

    def start_call(self) -> None:
        """Begin to look for ends of tasks."""
        self._stop.clear()
        threading.Thread(target=self._collect, daemon=True).start()

    def stop_call(self) -> None:
        """Look no more."""
        self._stop.set()

    def start(self, call: Callable[[], Any], on_end: Callable[[Any], None]) -> Any:
        """Begin a call on a worker."""
        reference = self._remote.remote(call)
        with self._lock:
            self._waiting[reference] = on_end
        return reference

    def is_lost_worker(self, error: BaseException) -> bool:
        """Return whether a worker or its machine was lost, or ended for lack of memory."""
        return isinstance(error, WorkerCrashedError | OutOfMemoryError | NodeDiedError)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """End all tasks; one that has begun hears of it as of Ctrl-C, and takes its mark away."""
        self._stop.set()
        with self._lock:
            references, self._waiting = list(self._waiting), {}
        for reference in references:
            with suppress(Exception):  # the cluster may be what went wrong
                ray.cancel(reference)

    def _collect(self) -> None:
        """Tell of ends, in a thread of its own: those that end begin others, which Ray's threads must not."""
        while not self._stop.is_set():
            with self._lock:
                waiting = list(self._waiting)
            if not waiting:
                self._stop.wait(POLL_SECONDS / 10)
                continue
            for reference, value in _ended(waiting):
                with self._lock:
                    on_end = self._waiting.pop(reference, None)
                if on_end is not None:
                    on_end(value)


def _called(call: Callable[[], Any]) -> Any:
    return call()


def _ended(waiting: list[Any]) -> list[tuple[Any, Any]]:
    try:
        done, _ = ray.wait(waiting, timeout=POLL_SECONDS)
    except Exception as error:  # the connection is lost, and all tasks with it
        return [(reference, error) for reference in waiting]
    return [(reference, _value(reference)) for reference in done]


def _value(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except Exception as error:
        return error


@contextmanager
def connected(host: str, port: int) -> Iterator[RayBackend]:
    """Give the back end of the cluster whose server for clients is at an address.

    A lost connection is taken up again for half a minute, as Ray does; its own records of that are kept
    off the screen.

    Raises
    ------
    InvalidInputError
        There is no such server, or it has other versions of Ray or Python.
    """
    try:
        ray.init(f"ray://{host}:{port}", logging_level=logging.ERROR)
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InvalidInputError(
            f"--engine ray://{host}:{port} must be the server for clients of a Ray cluster (port 10001 "
            f"unless --ray-client-server-port says another), it is not: {reason}"
        ) from None
    # not before: connecting makes loggers that go their own ways
    with muted("ray", __name__):
        try:
            yield RayBackend()
        finally:
            ray.shutdown()
