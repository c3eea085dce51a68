import json
import os
import threading
import time

import pytest

from riemaug.cli.console import classes_done, expected_epochs, share_done, share_of_job, status
from riemaug.cli.text import duration, printable, size
from riemaug.run.progress import (
    FIT_SHARE,
    POLL_SECONDS,
    WAITING,
    WRITE_SECONDS,
    ProgressFile,
    ProgressWatch,
    TaskProgress,
    read_progress,
)


def test_what_is_told_is_read(tmp_path):
    path = tmp_path / "progress.json"
    assert read_progress(path) is None
    file = ProgressFile(path, TaskProgress("waiting", name="Müller", weight=2.5))
    assert file.read() == file.task
    file.tell("fit", done=3, total=10, value=-5.5, best=-5.0, since_best=1)
    read = read_progress(path)
    assert read is not None
    assert (read.stage, read.done, read.total, read.name) == ("fit", 3, 10, "Müller")
    assert file.read() == read
    assert read.weight == 2.5
    assert (read.value, read.best, read.since_best) == (-5.5, -5.0, 1)
    assert os.listdir(tmp_path) == ["progress.json"]


def test_within_a_stage_it_is_written_now_and_then_and_a_new_stage_at_once(tmp_path):
    path = tmp_path / "progress.json"
    file = ProgressFile(path)
    file.tell("fit", done=1)
    file.tell("fit", done=2)
    assert read_progress(path).done == 1
    file.tell("sample", done=3)
    assert read_progress(path).stage == "sample"
    time.sleep(WRITE_SECONDS + 0.05)
    file.tell("sample", done=4)
    assert read_progress(path).done == 4
    assert read_progress(path).seconds >= WRITE_SECONDS


@pytest.mark.parametrize("content", ["", '{"stage": "fi', "[]", "3", '{"unknown": 1}', '{"done": 1}'])
def test_a_file_that_makes_no_sense_is_no_progress(tmp_path, content):
    (tmp_path / "progress.json").write_text(content)
    assert read_progress(tmp_path / "progress.json") is None


def test_a_line_that_cannot_be_written_is_no_loss(tmp_path):
    ProgressFile(tmp_path / "missing" / "progress.json").tell("fit", done=1)
    assert list(tmp_path.iterdir()) == []


def test_a_watch_tells_while_the_block_runs_and_once_at_its_end(tmp_path):
    tasks = [ProgressFile(tmp_path / "a.json"), ProgressFile(tmp_path / "b.json")]
    heard: list[list[TaskProgress]] = []
    threads: list[threading.Thread] = []

    def listen(told):
        heard.append(told)
        threads.append(threading.current_thread())

    with ProgressWatch(tasks, listen):
        tasks[1].tell("fit", done=5)
        time.sleep(3 * POLL_SECONDS)
        during = len(heard)
        tasks[0].tell("done")
    assert during >= 1
    assert heard[0][0] == WAITING
    assert heard[-1][0].stage == "done"
    assert heard[-1][1].done == 5
    # the last word comes after the other thread has ended, so no two are heard at once
    assert threads[-1] is threading.main_thread()
    assert not threads[0].is_alive()


def test_a_watch_without_a_listener_starts_no_thread(tmp_path):
    before = threading.active_count()
    with ProgressWatch([ProgressFile(tmp_path / "a.json")], None):
        assert threading.active_count() == before


def test_a_watch_ends_with_its_block_even_if_that_fails(tmp_path):
    heard = []
    tasks = [ProgressFile(tmp_path / "a.json")]
    with pytest.raises(ZeroDivisionError), ProgressWatch(tasks, heard.append):
        raise ZeroDivisionError
    assert heard == [[WAITING]]


def told(stage, **fields):
    return TaskProgress(stage, **fields)


def test_the_share_of_a_class_only_grows():
    order = [
        WAITING,
        told("fit", done=1, total=10_000),
        told("fit", done=500, total=10_000),
        told("fit", done=999, total=10_000),
        told("fit", done=5000, total=10_000),
        told("sample", done=0, total=10),
        told("write", done=4, total=10),
        told("sample", done=4, total=10),
        told("write", done=8, total=10),
        told("done"),
    ]
    shares = [share_done(item, 1000.0) for item in order]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[4] == FIT_SHARE
    assert shares[-1] == 1
    assert share_done(told("fit", done=15, total=15), 1000.0) == FIT_SHARE
    assert share_done(told("sample", done=0, total=0), 1000.0) == FIT_SHARE


def test_a_class_may_take_longer_than_is_usual():
    assert expected_epochs([WAITING]) == 1000
    assert expected_epochs([told("fit", done=5000, total=10_000), WAITING]) == 6000
    # one that goes to its last epoch knows better, and says nothing of the others
    fixed = told("fit", done=1500, total=2000, is_fixed=True)
    assert expected_epochs([fixed, WAITING]) == 1000
    assert share_done(fixed, 1000.0) == pytest.approx(0.75 * FIT_SHARE)


def test_a_training_that_classes_share_counts_for_its_part_of_all_work():
    fit = told("fit", done=500, total=1000, weight=1.8, fit_share=1.0, classes=0)
    draws = [told("waiting", weight=0.1, fit_share=0.0) for _ in range(2)]
    assert share_of_job([fit, *draws]) == pytest.approx(0.45)
    assert classes_done([fit, *draws]) == "0/2"
    fit = told("done", weight=1.8, fit_share=1.0, classes=0)
    half = told("sample", done=5, total=10, weight=0.1, fit_share=0.0)
    assert share_of_job([fit, half, draws[1]]) == pytest.approx(0.925)
    assert classes_done([fit, told("done", weight=0.1), draws[1]]) == "1/2"


def test_status_says_what_is_done():
    fit = told("fit", done=20, total=99, value=-3.21, best=-3.0, since_best=4, seconds=2.0)
    assert status(fit) == "epoch 20, 100 ms each, ELBO -3.2 (best -3.0, 4 ago)"
    assert status(told("sample", done=5, total=9, value=0.5)) == "drawing 5/9, acceptance 0.50"
    assert status(told("write", done=5, total=9)) == "writing 5/9"
    assert "epoch 0" in status(told("fit"))


def test_numbers_in_words():
    spans = (0.4, 89.0, 90.0, 3600.0, 5400.0)
    assert [duration(span) for span in spans] == ["0 s", "89 s", "2 min", "60 min", "1.5 h"]
    amounts = (0.0, 4096.0, 3.21e6, 4.5e9)
    assert [size(amount) for amount in amounts] == ["0 kB", "4 kB", "3.2 MB", "4.5 GB"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Müller 你好 🫀", "Müller 你好 🫀"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\u202eevil", "\\u202eevil"),
        ("\udcff", "\\udcff"),
        ("it's", "it's"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown
    json.dumps(printable(text)).encode()
