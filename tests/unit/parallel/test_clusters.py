"""Tasks on a real Dask scheduler and a real Ray head of this machine, with two workers each."""

import os
import time
from collections.abc import Callable, Iterator

import joblib
import numpy as np
import pytest
from benchmarks.local_clusters import dask_cluster, ray_cluster
from cluster_tasks import about_the_process, endless, failing, killed_always, killed_once, square, total

from riemaug.errors import InvalidInputError, ResourceLostError, TrainingError
from riemaug.parallel import Engine, num_workers, run_tasks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
CLUSTERS = {"dask": ("distributed", dask_cluster), "ray": ("ray", ray_cluster)}


@pytest.fixture(scope="module", params=CLUSTERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[str]:
    """The engine of a cluster that this process is connected with."""
    library, started = CLUSTERS[request.param]
    pytest.importorskip(library, reason=f"needs the extra {request.param!r}")
    with started() as engine, Engine.parse(engine).entered():
        until(lambda: num_workers() == 2)
        yield engine


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def test_results_come_in_the_order_of_the_tasks_from_other_processes(cluster, tmp_path):
    assert num_workers() == 2
    assert list(run_tasks(square, range(7), 2, folder=tmp_path)) == [0, 1, 4, 9, 16, 25, 36]
    told = list(run_tasks(about_the_process, range(4), 2, folder=tmp_path))
    assert os.getpid() not in {process for process, _, _ in told}
    assert {(threads, jobs) for _, threads, jobs in told} == {(1, 1)}
    assert list(tmp_path.iterdir()) == []


def test_one_task_alone_goes_to_the_cluster_too(cluster, tmp_path):
    ((process, _, _),) = run_tasks(about_the_process, [0], 1, folder=tmp_path)
    assert process != os.getpid()


def test_large_arrays_are_mapped_from_files(cluster, tmp_path):
    array = np.ones((400, 1000))
    assert list(run_tasks(total, [array, array], 2, folder=tmp_path)) == [(400_000.0, False)] * 2


def test_a_lost_worker_costs_its_task_an_attempt(cluster, tmp_path):
    (tmp_path / "marks").mkdir()
    tasks = [(number, str(tmp_path)) for number in range(4)]
    assert list(run_tasks(killed_once, tasks, 2, folder=tmp_path / "marks")) == [0, 1, 2, 3]
    assert (tmp_path / "killed").exists()


def test_a_poisoned_task_is_named_and_the_others_are_done(cluster, tmp_path):
    (tmp_path / "marks").mkdir()
    tasks = [(number, str(tmp_path)) for number in range(4)]
    with pytest.raises(ResourceLostError, match="cell 1 has ended it 3 times") as caught:
        list(
            run_tasks(killed_always, tasks, 2, folder=tmp_path / "marks", name=lambda task: f"cell {task[0]}")
        )
    assert "\n" not in str(caught.value)
    assert (tmp_path / "attempts").read_text() == "xxx"
    assert sorted(path.name for path in tmp_path.glob("done-*")) == ["done-0", "done-2", "done-3"]
    assert list((tmp_path / "marks").iterdir()) == []


def test_failures_are_told_together_once_the_others_are_done(cluster, tmp_path):
    results = run_tasks(failing, range(5), 2, folder=tmp_path, name="class {}".format)
    assert next(results) == 0
    with pytest.raises(TrainingError, match=r"2 of 5 tasks failed.*class 1: it diverged; class 3: it div"):
        list(results)


def test_a_task_ends_when_its_result_is_not_wanted_any_more(cluster, tmp_path):
    (tmp_path / "marks").mkdir()
    results = run_tasks(endless, [(0, str(tmp_path)), (1, str(tmp_path))], 2, folder=tmp_path / "marks")
    assert next(results) == 0
    until((tmp_path / "written").exists)
    started = time.monotonic()
    results.close()
    assert time.monotonic() - started < 5
    before = (tmp_path / "written").read_text()
    time.sleep(0.5)
    assert (tmp_path / "written").read_text() == before
    # and the worker is there for other tasks
    assert list(run_tasks(square, range(3), 2, folder=tmp_path)) == [0, 1, 4]


def test_another_version_on_the_workers_is_refused(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("riemaug.parallel.pool.__version__", "0.0.0")
    with pytest.raises(InvalidInputError, match=r"must have riemaug 0\.0\.0 like this process"):
        list(run_tasks(square, range(3), 2, folder=tmp_path))


def test_the_users_own_choice_of_joblib_is_respected(cluster, tmp_path):
    if cluster.startswith("dask"):
        from distributed import Client

        client = Client(cluster.replace("dask", "tcp"), set_as_default=False)
        with client, joblib.parallel_config(backend="dask", client=client):
            told = list(run_tasks(about_the_process, range(2), 2, folder=tmp_path))
    else:
        from ray.util.joblib import register_ray

        register_ray()
        with joblib.parallel_config(backend="ray"):
            told = list(run_tasks(about_the_process, range(2), 2, folder=tmp_path))
    assert os.getpid() not in {process for process, _, _ in told}
