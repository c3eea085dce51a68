"""Signals that ask a command to end are as Ctrl-C; a second one does not wait for the clean-up."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from riemaug import stopping
from riemaug.stopping import STOPPING, StopSignal, ended_by_signals, exit_code, what_stopped


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield
    for number, known in before.items():
        signal.signal(number, known)


def stop(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "stopped by SIGTERM"),
        (signal.SIGHUP, 129, "stopped by SIGHUP"),
    ],
)
def test_a_signal_interrupts_and_tells_which_it_was(number: int, code: int, words: str) -> None:
    with pytest.raises(KeyboardInterrupt) as told, ended_by_signals():
        stop(number)
    assert isinstance(told.value, StopSignal)
    assert exit_code(told.value) == code
    assert what_stopped(told.value) == words


def test_what_is_interrupted_without_a_handler_was_ctrl_c() -> None:
    assert exit_code(KeyboardInterrupt()) == exit_code(None) == 130
    assert what_stopped(KeyboardInterrupt()) == "interrupted"


def test_handlers_are_put_back_where_nothing_was_stopped() -> None:
    before = {number: signal.getsignal(number) for number in STOPPING}
    with ended_by_signals():
        assert all(signal.getsignal(number) != known for number, known in before.items())
    assert {number: signal.getsignal(number) for number in STOPPING} == before


def test_what_was_ignored_is_ignored_still() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with ended_by_signals():
        stop(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


@pytest.mark.parametrize(("wish_seconds", "ends"), [(0.0, [143]), (60.0, [])])
def test_a_second_signal_ends_at_once_unless_it_is_of_the_same_wish(
    monkeypatch: pytest.MonkeyPatch, wish_seconds: float, ends: list[int]
) -> None:
    codes: list[int] = []
    monkeypatch.setattr(stopping, "ONE_WISH_SECONDS", wish_seconds)
    monkeypatch.setattr(os, "_exit", codes.append)
    with pytest.raises(StopSignal), ended_by_signals():
        stop(signal.SIGINT)
    stop(signal.SIGTERM)  # the clean-up goes on after the block
    assert codes == ends


_SLOW_CLEAN_UP = """
import time
from riemaug.stopping import ended_by_signals
try:
    with ended_by_signals():
        print("at work", flush=True)
        time.sleep(60)
finally:
    print("cleaning up", flush=True)
    time.sleep(60)
"""


def test_a_process_that_cleans_up_ends_at_once_by_a_second_signal() -> None:
    command = [sys.executable, "-c", _SLOW_CLEAN_UP]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for said in ("at work", "cleaning up"):
            assert process.stdout.readline().strip() == said
            time.sleep(2 * stopping.ONE_WISH_SECONDS)
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130


def test_other_threads_set_no_handlers() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with ended_by_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
