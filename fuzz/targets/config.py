"""TOML files with options, read as the command line reads them and made into a request."""

from functools import cache
from pathlib import Path
from typing import Any

import typer.main

from fuzz import scratch
from riemaug.cli.main import app
from riemaug.cli.requests import request
from riemaug.run.request import AugmentRequest

UsageError: Any = typer.BadParameter.__bases__[0]
DOCUMENTED = (UsageError,)
"""Beside the package's own: what the command line tells as one line of usage."""


def target(data: bytes) -> None:
    """Give the bytes to `riemaug augment DATA OUT --config FILE`, up to where data would be read."""
    path = scratch.folder("config") / "x.toml"
    path.write_bytes(data)
    context = _command().make_context("augment", ["data", "out", "--config", str(path)])
    request(AugmentRequest, context.params, data=Path("data"), out=Path("out"))


@cache
def _command() -> Any:
    return typer.main.get_command(app).commands["augment"]  # type: ignore[attr-defined]


def seeds() -> dict[str, bytes]:
    """Return files as they should be, and some with every kind of value."""
    texts = {
        "usual": 'per-class = 20\nseed = 3\nmodel = "rhvae"\npad = true\n',
        "many": 'factor = 2.5\nlatent_dim = 2\nbandwidth = 0.8\nlikelihood = "gaussian"\nfit-shape = "8x8"\n',
        "limits": '[limit]\npixels = 1_000\nbytes = "5G"\n',
        "limits-list": 'limit = ["pixels=500M", "pages=3"]\nfollow-links = true\n',
        "numbers": "per-class = 0x10\nlearning-rate = nan\ninverse-temperature = -inf\nseed = 99999999999\n",
        "kinds": "seed = 1979-05-27T07:32:00Z\nresize = [1, 2]\nmodel = {a = 1}\n",
        "unknown": 'smapler = "walk"\n"" = 1\n',
    }
    return {name: text.encode() for name, text in texts.items()}
