"""The command line on a Dask scheduler and on a Ray head: the bytes are those of one process."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from benchmarks.local_clusters import dask_cluster, ray_cluster
from cli_runs import Finished, epochs_done, kill_group, leftovers, run_for_real, same_bytes, start, wait_until

from riemaug.cli.endings import RESUME
from riemaug.parallel import Engine
from riemaug.parallel.cluster import ClusterBackend

JOB = ("--per-class", 10, "--seed", 3, "--max-epochs", 15)
"""That of the fixture `finished`."""
STARTED = {"dask": dask_cluster, "ray": ray_cluster}


@pytest.fixture(scope="module", params=STARTED)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    pytest.importorskip({"dask": "distributed", "ray": "ray"}[request.param])
    with STARTED[request.param]() as name:
        yield name


def workers_at(out: Path) -> dict[int, int]:
    """Return the process of each task that a worker has begun."""
    found = {}
    for mark in (out / ".riemaug").glob(".tasks-*/[0-9]*"):
        words = mark.read_text().split() if mark.exists() else []
        if words:
            found[int(mark.name)] = int(words[-1])
    return found


def end_at_once(process: int) -> None:
    psutil.Process(process).kill()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_worker_that_is_killed_in_a_training_changes_no_byte(engine, digits, finished, tmp_path):
    out = tmp_path / "out"
    process = start("augment", digits, out, *JOB, "--engine", engine)
    wait_until(lambda: epochs_done(out, 1) >= 2 and 1 in workers_at(out), process)
    end_at_once(workers_at(out)[1])
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert same_bytes(out) == same_bytes(finished)
    assert leftovers(out) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["Ctrl-C", pytest.param("SIGKILL", marks=pytest.mark.long)])
def test_a_run_that_is_stopped_goes_on_with_or_without_the_cluster(engine, digits, finished, tmp_path, how):
    out = tmp_path / "out"
    command = ["augment", digits, out, *JOB]
    process = start(*command, "--engine", engine)
    wait_until(lambda: epochs_done(out, 0) >= 2, process)
    if how == "SIGKILL":
        # its tasks are still at work: the run that goes on ends them first
        kill_group(process)
        resumed = run_for_real(*command, "--resume", "--engine", engine)
    else:
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "Traceback" not in err
        assert not list((out / ".riemaug").glob(".tasks-*"))
        resumed = run_for_real(*command, "--resume", "--jobs", 1)
    assert resumed.code == 0, resumed.err
    assert same_bytes(out) == same_bytes(finished)


def end_the_head(engine: str) -> None:
    """Kill who listens at the address of an engine."""
    port = engine.rpartition(":")[2]
    for item in psutil.net_connections("tcp"):
        if item.status == "LISTEN" and item.pid and str(item.laddr).endswith(f"port={port})"):
            end_at_once(item.pid)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["dask", pytest.param("ray", marks=pytest.mark.long)])
def test_a_lost_head_costs_one_line_and_the_run_goes_on_without(cli, kind, digits, finished, tmp_path):
    pytest.importorskip({"dask": "distributed", "ray": "ray"}[kind])
    out = tmp_path / "out"
    command = ["augment", digits, out, *JOB]
    soon = {**os.environ, "RAY_CLIENT_RECONNECT_GRACE_PERIOD": "2"}  # else Ray tries for half a minute
    with STARTED[kind]() as engine:
        process = start(*command, "--engine", engine, "--quiet", env=soon)
        wait_until(lambda: epochs_done(out, 0) >= 2, process)
        end_the_head(engine)
        told, err = process.communicate(timeout=60)
    message = Finished(process.returncode, told, err).message
    assert process.returncode == 1
    assert "the cluster must be there until the last task has ended, it was lost" in message
    assert message.endswith(RESUME)
    resumed = cli(*command, "--resume", "--jobs", 1)
    assert resumed.code == 0, resumed.err
    assert same_bytes(out) == same_bytes(finished)


class GoneCluster(ClusterBackend):
    """Is lost as soon as it has a task."""

    def num_workers(self) -> int:
        return 2

    def start(self, call: Callable[[], Any], on_end: Callable[[Any], None]) -> Any:
        threading.Thread(target=on_end, args=[ConnectionError("it is gone")], daemon=True).start()

    def is_lost_worker(self, error: BaseException) -> bool:
        return False

    def abort_everything(self, ensure_ready: bool = True) -> None:
        pass


@pytest.mark.parametrize("command", ["augment", "fit"])
def test_a_cluster_that_is_lost_in_a_run_is_no_refusal(cli, digits, tmp_path, monkeypatch, command):
    @contextmanager
    def connected(engine: Engine) -> Iterator[ClusterBackend]:
        yield GoneCluster()

    monkeypatch.setattr(Engine, "_connected", connected)
    lost = cli(
        command, digits, tmp_path / "out", "--max-epochs", 2, "--quiet", "--engine", "dask://head:8786"
    )
    assert lost.code == 1
    assert "it was lost (ConnectionError: it is gone)" in lost.message
    assert lost.message.endswith(RESUME)


def test_an_engine_that_is_not_there_costs_one_line_and_nothing_else(cli, digits, tmp_path):
    pytest.importorskip("distributed")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"dask://127.0.0.1:{held.getsockname()[1]}"
        for command in (
            ["augment", digits, tmp_path / "out"],
            ["fit", digits, tmp_path / "out"],
            ["sample", tmp_path, tmp_path / "out"],
            ["evaluate", digits, "--cv", 2, "--out", tmp_path / "out"],
            ["study", "run", "--store", tmp_path / "out"],
        ):
            refused = cli(*command, "--engine", address)
            assert refused.code == 2
            assert f"--engine {address} must answer" in refused.message
    assert not (tmp_path / "out").exists()


def test_an_engine_of_no_known_form_is_refused_from_a_file_too(cli, digits, tmp_path):
    (tmp_path / "options.toml").write_text('engine = "dask://nowhere"\n')
    refused = cli("augment", digits, tmp_path / "out", "--config", tmp_path / "options.toml")
    assert refused.code == 2
    assert "--engine" in refused.message
    assert "dask://HOST:PORT" in refused.message
