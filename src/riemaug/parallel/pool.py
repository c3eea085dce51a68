"""Workers of this machine or of a cluster, all reached through joblib, that take attempts at tasks."""

import os
import warnings
from collections.abc import Callable, Generator, Iterator
from itertools import chain, islice
from typing import Any

import joblib
from joblib.externals.loky.process_executor import BrokenProcessPool

from riemaug._version import __version__
from riemaug.errors import InvalidInputError, ResourceLostError
from riemaug.parallel.attempt import Attempt, Outcome
from riemaug.parallel.cluster import ClusterBackend
from riemaug.parallel.local_backend import LocalBackend
from riemaug.parallel.local_workers import interrupts_held_back
from riemaug.parallel.payload import ArrayStore
from riemaug.parallel.run_folder import RunFolder


class Pool:
    """Takes attempts at tasks, so many at once, and tells what becomes of each.

    Parameters
    ----------
    cluster : ClusterBackend, optional
        None for processes of this machine.
    num_jobs : int
    folder : RunFolder
        Where tasks leave marks.
    """

    def __init__(self, cluster: ClusterBackend | None, num_jobs: int, folder: RunFolder) -> None:
        self.cluster, self.num_jobs, self.folder = cluster, num_jobs, folder
        self._arrays = ArrayStore(folder.path)

    def attempt(
        self, function: Callable[[Any], Any], task: Any, number: int, limit: int, device: str
    ) -> Attempt:
        """Return what a worker is to do; see `Attempt`."""
        content = self._arrays.packed(task)
        parent = os.getpid() if self.cluster is None else None
        return Attempt(function, content, number, self.folder, limit, device, parent, __version__)

    def outcomes(
        self, attempts: Iterator[Attempt], num_jobs: int
    ) -> Generator[tuple[int, Outcome], None, None]:
        """Yield number and outcome of attempts in the order in which they end.

        Where workers of this machine are lost, the rest of the attempts has none: they end together.

        Raises
        ------
        ResourceLostError
            The cluster was lost.
        InvalidInputError
            Its workers do not have riemaug.
        What `attempts` raises
            Most often OSError: tasks are packed into files.
        """
        options: dict[str, Any] = {
            "n_jobs": max(2, num_jobs),  # of one job joblib would do the tasks in this process
            "backend": self.cluster or LocalBackend(),
            "max_nbytes": None,  # what is large is shared already, see `riemaug.parallel.payload`
            "return_as": "generator_unordered",
            "pre_dispatch": num_jobs,
            "batch_size": 1,
        }
        workers: Any = joblib.Parallel(**options)
        first = list(islice(attempts, num_jobs))  # packed here, where Ctrl-C is heard
        outcomes: Any = None
        own: list[Exception] = []
        try:
            with interrupts_held_back():
                outcomes = workers(
                    joblib.delayed(_numbered)(attempt) for attempt in chain(first, _noted(attempts, own))
                )
            # not `yield from`: that would end them when this generator is ended, with a warning
            for item in outcomes:  # noqa: UP028
                yield item
        except BrokenProcessPool:
            return
        except Exception as error:
            if self.cluster is None or error in own:
                raise
            raise _cluster_error(error) from error
        finally:
            if outcomes is not None:
                _end(outcomes)


def _numbered(attempt: Attempt) -> tuple[int, Outcome]:
    return attempt.number, attempt()


def _noted(attempts: Iterator[Attempt], raised: list[Exception]) -> Iterator[Attempt]:
    """Yield attempts, and note what went wrong here and not on the cluster."""
    try:
        yield from attempts
    except Exception as error:
        raised.append(error)
        raise


def _end(outcomes: Any) -> None:
    """End what is still at work, if somebody stopped listening; joblib would warn of that."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*tasks (have been|which were still)")
        outcomes.close()


def _cluster_error(error: Exception) -> Exception:
    """Return in one line what went wrong outside of all tasks."""
    text = str(error).strip()
    if "No module named 'riemaug" in text:
        return InvalidInputError(
            f"riemaug {__version__} must be installed on all machines of the cluster, it is not on one: "
            "install it there"
        )
    told = f"{type(error).__name__}: {text.splitlines()[-1].strip()}" if text else type(error).__name__
    return ResourceLostError(
        f"the cluster must be there until the last task has ended, it was lost ({told}): start it again, or "
        "take another engine"
    )
