"""A Dask cluster as a back end of joblib (extra `dask`)."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from distributed import Client, Future, KilledWorker

from riemaug.errors import InvalidInputError
from riemaug.logs.muted import muted
from riemaug.parallel.cluster import ClusterBackend

CONNECT_SECONDS = 10.0


class DaskBackend(ClusterBackend):
    """Tasks on the workers of a Dask scheduler, one for each of their threads.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.client = client
        self._futures: set[Future] = set()

    def num_workers(self) -> int:
        """Return the number of threads of all workers."""
        threads: Any = self.client.nthreads()
        return sum(threads.values())

    def start(self, call: Callable[[], Any], on_end: Callable[[Any], None]) -> Any:
        """Begin a call on a worker."""
        with warnings.catch_warnings():
            # large arrays lie in files; what is left is sent as it is
            warnings.filterwarnings("ignore", message="Sending large graph")
            future = self.client.submit(call, key=f"riemaug-{uuid4().hex}", pure=False)
        self._futures.add(future)

        def ended(done: Future) -> None:
            self._futures.discard(done)
            on_end(_value(done))

        future.add_done_callback(ended)
        return future

    def is_lost_worker(self, error: BaseException) -> bool:
        """Return whether the scheduler gave a task up whose workers were lost."""
        return isinstance(error, KilledWorker)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Cancel what has not begun; what has begun ends by itself, see `riemaug.parallel.run_folder`."""
        futures, self._futures = list(self._futures), set()
        if futures and self.client.status == "running":
            self.client.cancel(futures)


def _value(done: Future) -> Any:
    if done.status == "finished":
        return done.result()
    if done.status == "error":
        return done.exception()
    return ConnectionError(f"the scheduler let a task go ({done.status})")


def _client(host: str, port: int) -> Client:
    try:
        return Client(f"tcp://{host}:{port}", timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise InvalidInputError(
            f"--engine dask://{host}:{port} must be a Dask scheduler, what is there does not answer as one "
            f"({type(error).__name__}): look at the port"
        ) from None


@contextmanager
def connected(host: str, port: int) -> Iterator[DaskBackend]:
    """Give the back end of the scheduler at an address; Dask's own records are kept off the screen.

    Raises
    ------
    InvalidInputError
        It does not answer as a Dask scheduler does, or has no workers.
    """
    # a lost scheduler is told in one line of ours; the client would add its tracebacks
    with muted("distributed", __name__), _client(host, port) as client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError:
            raise InvalidInputError(
                f"the scheduler dask://{host}:{port} must have workers, it has none: start some with dask "
                f"worker tcp://{host}:{port}"
            ) from None
        yield DaskBackend(client)
