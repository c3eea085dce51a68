"""What names an engine, and how one that cannot be reached is refused."""

import socket
import sys
import time

import joblib
import pytest

from riemaug.errors import InvalidInputError
from riemaug.parallel import Engine, num_workers
from riemaug.run.request import RunOptions, SampleRequest, identity_of

CLUSTERS = ["dask://node-1.lab:8786", "ray://127.0.0.1:10001", "dask://[::1]:8786"]


def enter(engine: Engine) -> None:
    with engine.entered():
        raise AssertionError("it must not be entered")


@pytest.mark.parametrize("text", ["loky", *CLUSTERS])
def test_an_engine_is_what_it_was_made_from(text):
    assert str(Engine.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "dask", "dask://host", "dask://:8786", "ray://host:0", "ray://host:70000", "spark://h:1", "LOKY"],
)
def test_other_words_are_refused(text):
    with pytest.raises(InvalidInputError, match=r"must be loky, dask://HOST:PORT or ray://HOST:PORT"):
        Engine.parse(text)
    with pytest.raises(ValueError, match="HOST:PORT"):
        RunOptions(engine=text)


@pytest.mark.parametrize("kind", ["dask", "ray"])
def test_a_port_on_which_nothing_listens_is_told_within_seconds(kind):
    pytest.importorskip({"dask": "distributed", "ray": "ray"}[kind])
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port, started = held.getsockname()[1], time.monotonic()
        with pytest.raises(InvalidInputError, match="must answer, it does not .*refused") as caught:
            enter(Engine(kind, "127.0.0.1", port))
    assert time.monotonic() - started < 5
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("kind", "library"), [("dask", "distributed"), ("ray", "ray")])
def test_a_missing_extra_is_told(kind, library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InvalidInputError, match=rf"pip install 'riemaug\[{kind}\]'"):
        enter(Engine(kind, "127.0.0.1", 1))


def test_loky_leaves_the_users_choice():
    with joblib.parallel_config(backend="threading", n_jobs=3), Engine().entered():
        assert joblib.parallel.get_active_backend()[1] == 3
        assert num_workers() is None


def test_a_run_resumes_on_another_engine(tmp_path):
    requests = [
        SampleRequest(model=tmp_path, out=tmp_path, run=RunOptions(engine=engine))
        for engine in ("loky", *CLUSTERS)
    ]
    identities = [identity_of(request, "model", "1") for request in requests]
    assert all(identity == identities[0] for identity in identities)
