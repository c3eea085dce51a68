"""The files of the folder `draws`: what was decided once, and is part of the package."""

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def committed(name: str) -> dict[str, Any]:
    """Return a committed file, parsed."""
    return json.loads(_place(name).read_text(encoding="utf-8"))


def is_committed(name: str, draw: int) -> bool:
    """Return whether a draw of a data set is among the committed ones."""
    return _place(name).is_file() and str(draw) in committed(name)["draws"]


def _place(name: str):
    return files("riemaug.study") / "draws" / f"{name}.json"
