import json
import logging
from collections.abc import Iterator

import pytest

from riemaug.logs import LOG_NAME, RunLog
from riemaug.logs.muted import muted

OURS = "riemaug.parallel.a_cluster"


class Screen(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.shown.append(record.getMessage())


@pytest.fixture
def screen() -> Iterator[Screen]:
    """What a library shows whose topmost logger and one below have handlers, and one hands nothing on."""
    screen, names = Screen(), ("noisy", "noisy.client")
    for name in names:
        logging.getLogger(name).addHandler(screen)
        logging.getLogger(name).propagate = False
    logging.getLogger("noisy.channel").propagate = False
    yield screen
    for name in names:
        logging.getLogger(name).removeHandler(screen)


def say(text: str) -> None:
    for name in ("noisy", "noisy.client", "noisy.core.comm", "noisy.channel"):
        logging.getLogger(name).warning("%s by %s", text, name)


def test_nothing_is_shown_in_the_block_and_all_after_it(screen, capsys):
    before = logging.getLogger("noisy.channel").handlers, False
    with muted("noisy", OURS):
        say("lost")
    assert screen.shown == []
    assert capsys.readouterr().err == ""
    say("found")
    assert screen.shown == [f"found by {name}" for name in ("noisy", "noisy.client", "noisy.core.comm")]
    channel = logging.getLogger("noisy.channel")
    assert (channel.handlers, channel.propagate) == before


@pytest.mark.parametrize(("level", "kept"), [("debug", 4), ("info", 0)])
def test_a_runs_log_keeps_it_at_level_debug(screen, tmp_path, level, kept):
    with muted("noisy", OURS), RunLog(level) as log, log.in_folder(tmp_path / LOG_NAME, tmp_path / "log"):
        say("lost")
        try:
            raise ConnectionError("closed")
        except ConnectionError:
            if kept:
                logging.getLogger("noisy").exception("with its traceback")
    lines = [json.loads(line) for line in (tmp_path / LOG_NAME).read_text().splitlines()]
    told = [line["message"] for line in lines if line["logger"].startswith("noisy")]
    assert (
        told[:4]
        == [f"lost by {name}" for name in ("noisy", "noisy.client", "noisy.core.comm", "noisy.channel")][
            :kept
        ]
    )
    assert {line["level"] for line in lines} <= {"debug"}
    assert sum("ConnectionError: closed" in line.get("traceback", "") for line in lines) == bool(kept)
