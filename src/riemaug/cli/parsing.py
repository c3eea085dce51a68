"""From what options hold to what a request takes, with one line for what is wrong."""

import csv
import math
import re
from typing import Any

from riemaug.errors import InvalidInputError
from riemaug.nearest import did_you_mean


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Return (H, W) from "HxW"."""
    if text is None:
        return None
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) != 2 or not all(side.strip().isdigit() and int(side) > 0 for side in sides):
        raise InvalidInputError(f"--resize takes HxW in pixels, such as 64x64, got {text!r}")
    return int(sides[0]), int(sides[1])


def parse_fit_shape(text: str | None) -> tuple[int, ...] | None:
    """Return the sides from "HxW" or "XxYxZ"."""
    if text is None:
        return None
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) not in (2, 3) or not all(side.strip().isdigit() and int(side) > 0 for side in sides):
        raise InvalidInputError(
            f"--fit-shape takes HxW of images or XxYxZ of volumes, such as 46x55x46, got {text!r}"
        )
    return tuple(map(int, sides))


def parse_columns(text: str | None) -> tuple[str, ...]:
    """Return column names from "NAME,NAME"; a name with a comma stands in double quotes."""
    if text is None:
        return ()
    names = [name for row in csv.reader([text], skipinitialspace=True) for name in row]
    if not all(names):
        raise InvalidInputError(
            f"--drop-columns takes names with commas between them, such as id,date; got {text!r}"
        )
    return tuple(names)


def build(kind: type, **values: Any) -> Any:
    """Return a configuration object; its first fault as one line that names the option."""
    from pydantic import ValidationError

    for name, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidInputError(
                f"--{name.replace('_', '-')}: input should be a finite number, got {value}"
            )
    try:
        return kind(**values)
    except ValidationError as error:
        fault = error.errors()[0]
        option = "--" + "-".join(str(part) for part in fault["loc"]).replace("_", "-")
        message = fault["msg"].removeprefix("Value error, ")
        if not fault["loc"]:
            raise InvalidInputError(message) from None
        if f"got {fault['input']!r}" in message:  # a rule of ours says all
            raise InvalidInputError(f"{option}: {message}") from None
        expected = re.findall(r"'([^']*)'", fault.get("ctx", {}).get("expected", ""))
        raise InvalidInputError(
            f"{option}: {message[0].lower()}{message[1:]}, got {fault['input']!r}"
            f"{did_you_mean(fault['input'], expected)}"
        ) from None
