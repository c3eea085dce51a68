"""Real clusters of this machine, for tests and benchmarks: a Dask scheduler or Ray head, two workers."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

NUM_WORKERS = 2
START_SECONDS = 90.0
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "False",
    "GRPC_ENABLE_FORK_SUPPORT": "0",  # else starting the server of a client hangs now and then
    "OMP_NUM_THREADS": "1",
}
PROGRAMS = Path(sys.executable).parent


def free_ports(count: int) -> list[int]:
    """Return numbers of ports that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()


@contextmanager
def dask_cluster() -> Iterator[str]:
    """Start a scheduler and two worker processes of one thread each; give the engine that names them."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="riemaug-dask-") as folder:
        scheduler = _started(
            "dask", "scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard", cwd=folder
        )
        try:
            _wait_for_port(port, scheduler)
            options = ("--nworkers", NUM_WORKERS, "--nthreads", 1, "--no-dashboard", "--host", "127.0.0.1")
            workers = _started("dask", "worker", f"tcp://127.0.0.1:{port}", *options, cwd=folder)
            try:
                yield f"dask://127.0.0.1:{port}"
            finally:
                end_family(workers)
        finally:
            end_family(scheduler)


@contextmanager
def ray_cluster() -> Iterator[str]:
    """Start a head with two cores and a server for clients; give the engine that names it."""
    port, client_port, metrics, agent, runtime = free_ports(5)
    # paths of sockets must be short
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    options = {
        "port": port,
        "ray-client-server-port": client_port,
        "num-cpus": NUM_WORKERS,
        "node-ip-address": "127.0.0.1",
        "object-store-memory": 100_000_000,
        "temp-dir": folder,
        "include-dashboard": "false",
        "metrics-export-port": metrics,
        "dashboard-agent-listen-port": agent,
        "runtime-env-agent-port": runtime,
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    head = _started("ray", "start", "--head", "--block", "--disable-usage-stats", *arguments, cwd=folder)
    try:
        _wait_for_port(client_port, head)
        yield f"ray://127.0.0.1:{client_port}"
    finally:
        end_family(head)
        _end_processes_of(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _started(program: str, *arguments: object, cwd: str) -> subprocess.Popen[bytes]:
    with open(Path(cwd) / f"{program}-{arguments[0]}.out", "wb") as out:
        return subprocess.Popen(
            [str(PROGRAMS / program), *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, **ENVIRONMENT},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{process.args} did not answer")


def end_family(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    family: list[psutil.Process] = []
    try:
        parent = psutil.Process(process.pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        pass
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=5)
    _kill(alive)
    process.wait()


def _end_processes_of(folder: str) -> None:
    """End the processes that name a folder of ours: Ray lets some go from their parents."""
    _kill(
        [item for item in psutil.process_iter(["cmdline"]) if folder in " ".join(item.info["cmdline"] or [])]
    )


def _kill(processes: list[psutil.Process]) -> None:
    for item in processes:
        try:
            item.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=10)
