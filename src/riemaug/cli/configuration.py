"""Options from a TOML file, under the names that they have on the command line."""

import tomllib
from pathlib import Path
from typing import Any

from riemaug.errors import InvalidInputError
from riemaug.limits import CONFIG_BYTES, read_bounded
from riemaug.nearest import did_you_mean

_NOT_IN_A_FILE = ("config", "help")


def read_config(context: Any, path: Path | None) -> Path | None:
    """Take the options' defaults from a TOML file; what stands on the command line wins.

    `context` is the running command's, of a class that depends on the version of Typer.
    """
    if path is None or context.resilient_parsing:
        return path
    try:
        values = tomllib.loads(read_bounded(path, CONFIG_BYTES, "--config").decode())
    except InvalidInputError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"--config must be a readable TOML file, {path} is not ({error})") from None
    options = {_written_name(parameter): parameter for parameter in context.command.params}
    known = [name for name in options if name not in _NOT_IN_A_FILE]
    defaults = {}
    for key, value in values.items():
        written = key.replace("_", "-")
        if written not in known and isinstance(value, dict):
            raise InvalidInputError(
                f"{path} may hold the options of {context.info_name} and no sections, it has [{key}]: write"
                " options without a section"
            )
        if written not in known:
            raise InvalidInputError(
                f"{path} may hold the options of {context.info_name}, it has {key!r}"
                f"{did_you_mean(written, known)}"
            )
        defaults[options[written].name] = _value_of(options[written], key, value, path)
    context.default_map = {**(context.default_map or {}), **defaults}
    return path


def _written_name(parameter: Any) -> str:
    """Return what is written on the command line, without hyphens before it: "as" of --as."""
    return max(parameter.opts, key=len).lstrip("-").replace("_", "-")


def _value_of(option: Any, key: str, value: object, path: Path) -> object:
    """Return the value of an option in a configuration file; of a repeatable one a list."""
    may_repeat = getattr(option, "multiple", False)
    if may_repeat and isinstance(value, dict) and option.name == "limit":
        return [f"{name}={number}" for name, number in value.items()]
    if may_repeat and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    if isinstance(value, dict | list):
        raise InvalidInputError(
            f"{path} may hold one value for each option, {key} has {value!r}: write {key} = value"
        )
    is_flag = getattr(option, "is_flag", False)
    if is_flag != isinstance(value, bool):
        wanted, example = ("true or false", "true") if is_flag else ("a value", "VALUE")
        raise InvalidInputError(f"{path}: {key} takes {wanted}, it has {value!r}: write {key} = {example}")
    return [str(value)] if may_repeat else value
