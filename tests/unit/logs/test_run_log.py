"""A run's log: what is kept, where, and that the user's own logging stays as it was."""

import json
import logging
import os
from pathlib import Path

import joblib
import pytest

from riemaug.errors import TrainingError
from riemaug.logs import RunLog, carried, fields, in_class, stage
from riemaug.logs.attached import attached
from riemaug.logs.lines import json_line, mark, record_of, text_line
from riemaug.logs.workers import WORKER_SUFFIX

log = logging.getLogger("riemaug.tests")


def lines(path: Path) -> list[dict]:
    return [json.loads(line, parse_constant=pytest.fail) for line in path.read_text("utf-8").splitlines()]


def messages(path: Path) -> list[str]:
    return [line["message"] for line in lines(path)]


def speak(number: int) -> int:
    with stage("fit"), in_class(f"class {number}"):
        log.info("task %d", number, extra=fields(number=number))
        log.debug("a detail of task %d", number)
    return number


def test_a_record_tells_stage_class_and_fields_as_json(tmp_path):
    with RunLog() as kept, kept.in_folder(tmp_path / "run.log", tmp_path / "log"):
        with stage("fit"), in_class('a "b"\n'):
            log.info("%d epochs", 3, extra=fields(elbo=float("nan"), path=Path("x"), nested={"a": (1, 2.5)}))
        log.warning("after")
    first, second = lines(tmp_path / "run.log")
    assert (first["level"], first["stage"], first["class"]) == ("info", "fit", 'a "b"\n')
    assert first["message"] == "3 epochs"
    assert first["fields"] == {"elbo": None, "path": "x", "nested": {"a": [1, 2.5]}}
    assert first["time"].endswith("+00:00")
    assert (second["level"], second["stage"], second["class"]) == ("warning", "", "")


def test_what_is_said_before_there_is_a_folder_comes_first(tmp_path):
    with RunLog() as kept:
        log.info("reading")
        with kept.in_folder(tmp_path / "run.log", tmp_path / "log"):
            log.info("training")
            assert messages(tmp_path / "run.log") == ["reading", "training"], "not written at once"


def test_a_run_that_gets_no_folder_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with RunLog():
        log.warning("refused")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("level", "kept"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_decides_what_is_kept(tmp_path, level, kept):
    with RunLog(level) as run, run.in_folder(tmp_path / "run.log", tmp_path / "log"):
        for name in ("debug", "info", "warning", "error"):
            getattr(log, name)("said")
    assert len(lines(tmp_path / "run.log")) == kept


def test_records_of_worker_processes_arrive_once_and_with_what_they_used(tmp_path):
    with RunLog() as kept, kept.in_folder(tmp_path / "run.log", tmp_path / "log"):
        tasks = (joblib.delayed(carried(speak))(number) for number in range(4))
        assert joblib.Parallel(n_jobs=2)(tasks) == [0, 1, 2, 3]
        usage = kept.worker_usage()
    told = lines(tmp_path / "run.log")
    assert sorted(line["class"] for line in told) == [f"class {number}" for number in range(4)]
    assert {(line["stage"], line["logger"]) for line in told} == {("fit", "riemaug.tests")}
    assert sorted(line["fields"]["number"] for line in told) == [0, 1, 2, 3]
    assert {line["process"] + WORKER_SUFFIX for line in told} == {
        path.name for path in (tmp_path / "log").glob("*" + WORKER_SUFFIX)
    }
    assert sum(item.tasks for item in usage) == 4
    assert all(item.peak_memory_mb > 5 for item in usage)


def test_tasks_in_this_process_are_not_written_twice(tmp_path):
    with RunLog("debug") as kept, kept.in_folder(tmp_path / "run.log", tmp_path / "log"):
        assert [carried(speak)(number) for number in range(2)] == [0, 1]
    assert messages(tmp_path / "run.log") == ["task 0", "a detail of task 0", "task 1", "a detail of task 1"]


def test_a_resumed_run_goes_on_with_its_log_and_takes_over_what_a_killed_one_left(tmp_path):
    path, workers = tmp_path / "run.log", tmp_path / "log"
    with RunLog() as kept, kept.in_folder(path, workers):
        joblib.Parallel(n_jobs=2)(joblib.delayed(carried(speak))(number) for number in range(3))
    taken = lines(path)
    # as if the kill had come before the last record was taken over, in the middle of a line
    last = taken[-1]
    path.write_text("".join(json.dumps(line) + "\n" for line in taken[:-1]) + '{"time": "20', "utf-8")
    with RunLog() as kept, kept.in_folder(path, workers):
        log.info("resumed")
    rest = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line != '{"time": "20']
    assert sorted(line["message"] for line in rest) == ["resumed", "task 0", "task 1", "task 2"]
    assert last in rest


def test_half_a_line_of_a_killed_worker_is_left_out(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / ("m-1-abc" + WORKER_SUFFIX)).write_bytes(b'[1]\n{"time": "2026')
    with RunLog() as kept, kept.in_folder(tmp_path / "run.log", tmp_path / "log"):
        log.info("said")
    assert messages(tmp_path / "run.log") == ["said"]


def test_an_expected_error_is_told_in_one_line_and_an_unexpected_one_with_its_traceback(tmp_path):
    for error in (TrainingError("class 'a': the objective must stay finite"), ZeroDivisionError("division")):
        path = tmp_path / type(error).__name__
        with pytest.raises(type(error)) as caught, RunLog() as kept, kept.in_folder(path, tmp_path / "log"):
            raise error
        (told,) = lines(path)
        assert str(error) in told["message"]
        assert ("traceback" in told) is (type(error) is ZeroDivisionError)
        assert bool(getattr(caught.value, "__notes__", ())) is ("traceback" in told)
    assert "raise error" in told["traceback"]
    assert str(path) in caught.value.__notes__[0]


def test_two_runs_hear_their_own_records_alone(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    outer = RunLog()
    with outer, outer.in_folder(tmp_path / "one" / "run.log", tmp_path / "one" / "log"):
        with RunLog() as inner, inner.in_folder(tmp_path / "two" / "run.log", tmp_path / "two" / "log"):
            log.info("of the inner run")
        log.info("of the outer run")
    assert messages(tmp_path / "one" / "run.log") == ["of the outer run"]
    assert messages(tmp_path / "two" / "run.log") == ["of the inner run"]


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture
def heard():
    handler = Heard()
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.WARNING)  # some libraries of other tests lower it when they are imported
    root.addHandler(handler)
    yield handler.messages
    root.removeHandler(handler)
    root.setLevel(level)


def test_the_users_own_handlers_hear_no_more_than_before(tmp_path, heard):
    logger, root = logging.getLogger("riemaug"), logging.getLogger()
    before = logger.level, logger.propagate, list(logger.handlers), root.level, list(root.handlers)
    with RunLog("debug"):
        log.info("for the log alone")
        log.warning("for both")
    assert heard == ["for both"]
    log.warning("without a run")
    assert heard == ["for both", "without a run"]
    assert before == (logger.level, logger.propagate, list(logger.handlers), root.level, list(root.handlers))


def test_the_library_alone_shows_nothing(capfd):
    log.warning("said to nobody")
    with RunLog():
        log.warning("said to a log")
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="the system cannot refuse links")
def test_a_log_that_is_a_link_is_not_written(tmp_path):
    (tmp_path / "theirs").write_text("years of work")
    (tmp_path / "run.log").symlink_to(tmp_path / "theirs")
    with RunLog() as kept, kept.in_folder(tmp_path / "run.log", tmp_path / "log"):
        log.info("training")
    assert (tmp_path / "theirs").read_text() == "years of work"


def test_a_full_disk_does_not_end_the_run(tmp_path, capfd):
    with RunLog() as kept, kept.in_folder(Path("/dev/full"), tmp_path / "log"):
        log.info("lost")
    with RunLog() as kept, kept.in_folder(tmp_path / "no" / "run.log", tmp_path / "log"):
        log.info("lost, too")
    assert capfd.readouterr().err == ""


def test_a_record_is_the_same_after_its_way_through_a_file(tmp_path):
    record = logging.LogRecord("riemaug.x", logging.INFO, "p", 1, "odd \udc80 name %s", ("\n",), None)
    mark(record)
    again = record_of(json_line(record).encode(), "token")
    assert json_line(again) == json_line(record)
    assert again.getMessage() == "odd \udc80 name \n"
    with pytest.raises(ValueError, match="no record"):
        record_of(b'{"time": 1}', "token")


def test_a_line_for_people(tmp_path):
    told = []
    handler = Heard()
    handler.emit = lambda record: told.append(text_line(record))
    handler.setLevel(logging.DEBUG)
    with attached(handler), stage("fit"), in_class("cat"):
        log.debug("epoch %d", 7)
    assert told[0][9:] == "debug   fit cat: epoch 7"


def test_inner_stages_count_for_themselves(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with RunLog() as kept:
        with stage("plan"):
            now[0] += 1
            with stage("read"):
                now[0] += 10
            now[0] += 2
        now[0] += 100
        assert kept.clock.seconds() == {"plan": 3.0, "read": 10.0}
        assert kept.clock.total == 113.0
