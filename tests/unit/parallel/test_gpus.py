"""Which GPU a task gets, with a number of GPUs that is only counted with."""

import os
from contextlib import ExitStack, nullcontext

import pytest

from riemaug.errors import InvalidInputError
from riemaug.parallel import gpus
from riemaug.run.plan import jobs_that_fit


def test_tasks_get_the_gpus_in_turn_and_none_a_second_before_each_has_one(tmp_path):
    with ExitStack() as stack:
        assert [stack.enter_context(gpus.leased(3, tmp_path)) for _ in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_a_gpu_that_a_task_has_left_is_the_next_ones(tmp_path):
    with ExitStack() as stack:
        first, second, third = (stack.enter_context(ExitStack()) for _ in range(3))
        assert [item.enter_context(gpus.leased(3, tmp_path)) for item in (first, second, third)] == [0, 1, 2]
        second.close()
        assert stack.enter_context(gpus.leased(3, tmp_path)) == 1


@pytest.mark.parametrize(("device", "visible"), [("cpu", 4), ("cuda:1", 4), ("cuda", 1), ("cuda", 0)])
def test_where_there_is_no_choice_nothing_is_leased(device, visible, monkeypatch):
    monkeypatch.setattr(gpus, "num_gpus", lambda: visible)
    assert isinstance(gpus.on_a_gpu(device), nullcontext)


def test_as_many_tasks_at_once_as_there_are_gpus(monkeypatch):
    monkeypatch.setattr("riemaug.run.plan.num_gpus", lambda: 4)
    assert [jobs_that_fit(device) for device in ("cuda", "cuda:2", "cpu")] == [4, 1, None]


def test_a_lock_folder_that_is_not_this_users_alone_is_not_used(tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    link, opened = tmp_path / "link", tmp_path / "opened"
    link.symlink_to(theirs)
    opened.mkdir()
    opened.chmod(0o777)
    for place in (link, opened):
        with gpus.leased(3, place) as index:
            assert index == os.getpid() % 3
    assert not any(theirs.iterdir())


def test_gpus_of_a_ray_cluster_without_any_are_not_waited_for(monkeypatch):
    cluster = pytest.importorskip("riemaug.parallel.ray_cluster", exc_type=ImportError)
    monkeypatch.setattr(cluster.ray, "cluster_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr(cluster.RayBackend, "__init__", lambda self: None)
    with pytest.raises(InvalidInputError, match="tells of none"):
        cluster.RayBackend().for_device("cuda", 2)
