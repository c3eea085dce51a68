"""Where tasks are done: in processes of this machine (loky), or on a Dask or Ray cluster."""

import re
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import joblib
from joblib.parallel import get_active_backend

from riemaug.errors import InvalidInputError
from riemaug.nearest import did_you_mean
from riemaug.parallel.cluster import ClusterBackend

REACH_SECONDS = 5.0
FORMS = "loky, dask://HOST:PORT or ray://HOST:PORT"
_MODULES = {"dask": "distributed", "ray": "ray"}


@dataclass(frozen=True)
class Engine:
    """What does the tasks.

    Attributes
    ----------
    kind : "loky", "dask" or "ray"
    host : str
    port : int
    """

    kind: str = "loky"
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> "Engine":
        """Return the engine of "loky", "dask://HOST:PORT" or "ray://HOST:PORT".

        Raises
        ------
        InvalidInputError
        """
        if text == "loky":
            return cls()
        found = re.fullmatch(r"(dask|ray)://([\w.-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})", text)
        if found is None or not 0 < int(found[3]) < 2**16:
            word, known = text.partition(":")[0], ("loky", "dask", "ray")
            meant = "" if word in known else did_you_mean(word, known)
            raise InvalidInputError(f"engine must be {FORMS}, got {text!r}{meant}")
        return cls(found[1], found[2], int(found[3]))

    def __str__(self) -> str:
        return self.kind if self.kind == "loky" else f"{self.kind}://{self.host}:{self.port}"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let joblib, and with it `run_tasks`, do tasks on this engine within the block.

        "loky" leaves what `joblib.parallel_config` may have chosen; so does a cluster within a cluster.

        Raises
        ------
        InvalidInputError
            The extra is not installed, or nothing answers at the address.
        """
        if self.kind == "loky" or active_cluster() is not None:
            yield
            return
        with self._connected() as backend, joblib.parallel_config(backend=backend, n_jobs=-1):
            yield

    def _connected(self) -> AbstractContextManager[ClusterBackend]:
        try:
            import_module(_MODULES[self.kind])
        except ImportError:
            raise InvalidInputError(
                f"--engine {self} needs the extra {self.kind!r}, which is not installed: pip install "
                f"'riemaug[{self.kind}]'"
            ) from None
        try:
            socket.create_connection((self.host.strip("[]"), self.port), timeout=REACH_SECONDS).close()
        except OSError as error:
            raise InvalidInputError(
                f"--engine {self} must answer, it does not ({error.strerror or error}): start it, or look at "
                "host and port"
            ) from None
        return import_module(f"riemaug.parallel.{self.kind}_cluster").connected(self.host, self.port)


def active_cluster() -> ClusterBackend | None:
    """Return the cluster that joblib's context has chosen, the user's own one too; None without one."""
    backend: Any = get_active_backend()[0]
    if isinstance(backend, ClusterBackend):
        return backend
    # joblib's own back ends by name: their libraries are loaded only where somebody uses them
    name = type(backend).__name__
    if name == "DaskDistributedBackend":
        from riemaug.parallel.dask_cluster import DaskBackend

        return DaskBackend(backend.client)
    if name == "RayBackend":
        from riemaug.parallel.ray_cluster import RayBackend

        return RayBackend()
    return None


def num_workers() -> int | None:
    """Return how many tasks the cluster in use can do at once; None without one."""
    cluster = active_cluster()
    return None if cluster is None else max(1, cluster.num_workers())
