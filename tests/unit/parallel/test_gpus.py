"""Which GPU a task gets, with a number of GPUs that is only counted with."""

from contextlib import ExitStack, nullcontext

import pytest

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
